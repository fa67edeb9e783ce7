"""A run that is killed goes on to the same bits as one that was not."""

import json
import math
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from bn_mappo.cli import train
from bn_mappo.core.errors import RunError
from bn_mappo.learners.ppo_learner import PPOLearner
from bn_mappo.tracking.metrics import read_metrics
from bn_mappo.training.checkpoint import find_checkpoint, read_checkpoint
from bn_mappo.training.collector import Collector
from helpers import MAIN, hear_signals, run_main

SETTINGS = [
    "report=False",
    "t_max=1600",
    "batch_size_run=8",
    "batch_size=4",
    "hidden_dim=16",
    "segment_length=10",
    "env_args.episode_limit=7",
    "test_interval=800",
    "test_nepisode=5",
    "log_interval=240",
    "save_model_interval=400",
    "agent=rnn",
    "obs_last_action=True",
    "entropy_coef={'start':0.1,'end':0.001,'until':0.8}",
    "annealing.alpha.start=0.1",
    "dag.permutation=gumbel_sinkhorn",
]
CONFIG = ["--config=bn_mappo", "--env-config=aloha", "with", *SETTINGS]
RUNS = Path("results/sacred/bn_mappo/aloha")


def start(*arguments: str, **options) -> subprocess.Popen:
    command = [sys.executable, str(MAIN), *CONFIG, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, preexec_fn=hear_signals, **pipes, **options)


def wait_for_checkpoint(folder: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while not list(folder.rglob("step_*.pt")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


def in_process(*arguments: str) -> None:
    argv, sys.argv = sys.argv, ["src/main.py"]
    try:
        train.main([*CONFIG, *arguments])
    finally:
        sys.argv = argv


def state_of(run: Path) -> dict:
    return read_checkpoint(find_checkpoint(str(run), 0), torch.device("cpu"))


def assert_same(left, right, where="") -> None:
    """Equal to the last bit, through nested dictionaries and lists."""
    if isinstance(left, torch.Tensor):
        assert torch.equal(left, right), where
    elif isinstance(left, dict):
        assert left.keys() == right.keys(), where
        for key in left:
            assert_same(left[key], right[key], f"{where}.{key}")
    elif isinstance(left, list):
        assert len(left) == len(right), where
        for index, pair in enumerate(zip(left, right, strict=True)):
            assert_same(*pair, f"{where}[{index}]")
    else:
        assert left == right, where


def assert_same_run(whole: Path, resumed: Path) -> None:
    left, right = state_of(whole), state_of(resumed)
    for state in (left, right):
        state["config"].pop("checkpoint_path")
        state["config"].pop("load_step")
    assert_same(left, right)
    assert read_metrics(whole) == read_metrics(resumed)
    series = [json.loads((run / "metrics.json").read_text()) for run in (whole, resumed)]
    for name in series[0]:
        assert series[0][name]["values"] == series[1][name]["values"], name
        assert series[0][name]["steps"] == series[1][name]["steps"], name


@pytest.mark.parametrize(
    "runner", ["vector", *(pytest.param(name, marks=pytest.mark.slow) for name in ("episode", "parallel"))]
)
def test_a_run_resumed_from_its_middle_equals_the_whole_run(tmp_path, monkeypatch, runner):
    monkeypatch.chdir(tmp_path)
    in_process(f"runner={runner}")
    in_process(f"runner={runner}", f"checkpoint_path={RUNS / '1'}", "load_step=800")
    assert read_metrics(RUNS / "1")[-1]["step"] == 1600
    assert_same_run(RUNS / "1", RUNS / "2")


@pytest.mark.slow
def test_kill_9_at_a_random_moment(tmp_path, monkeypatch):
    """The killed run leaves a checkpoint that is whole, and metrics that can be read."""
    monkeypatch.chdir(tmp_path)
    in_process("t_max=5000")
    killed = start("t_max=5000")
    wait_for_checkpoint(RUNS / "2", killed)
    time.sleep(random.uniform(0.0, 1.0))
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    read_metrics(RUNS / "2")
    in_process("t_max=5000", f"checkpoint_path={RUNS / '2'}")
    assert_same_run(RUNS / "1", RUNS / "3")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_run_with_a_checkpoint(tmp_path, number):
    process = start("t_max=10000000", "save_model_interval=400", "runner=parallel", "batch_size_run=4", cwd=tmp_path)
    wait_for_checkpoint(tmp_path / RUNS / "1", process)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number, output
    assert "Interrupted after" in output and "Traceback" not in output
    run = tmp_path / RUNS / "1"
    assert json.loads((run / "run.json").read_text())["status"] == "INTERRUPTED"
    assert f"{state_of(run)['t_env']:,}" in output


def test_evaluation_of_a_checkpoint(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    in_process()
    in_process(f"checkpoint_path={RUNS / '1'}", "evaluate=True", "test_nepisode=23")
    output = capsys.readouterr().out
    assert "23 episodes, greedy policy" in output
    assert "median" in output and "95 % interval" in output
    assert not (RUNS / "2" / "checkpoints").exists()
    result = json.loads((RUNS / "2" / "run.json").read_text())["result"]
    assert result["test_return_low"] <= result["test_return_mean"] <= result["test_return_high"]
    assert "other settings" not in output
    in_process(f"checkpoint_path={RUNS / '1'}", "evaluate=True", "env_args.episode_limit=8")
    assert "note: evaluated with other settings" in (output := capsys.readouterr().out)
    assert "env_args.episode_limit: 7 -> 8" in output
    in_process("checkpoint_path=bn_mappo/aloha/1", "evaluate=True")  # the name by which runs are listed
    assert "5 episodes, greedy policy" in capsys.readouterr().out
    status, _, error = run_main([*CONFIG, "checkpoint_path=bn_mappo/aloah/1", "evaluate=True"], capsys)
    assert status == 2 and "Did you mean 'bn_mappo/aloha/1'?" in error


@pytest.mark.slow
def test_weights_of_another_architecture_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    in_process()
    for change, expected in (
        ("hidden_dim=32", "another architecture"),
        ("dag.permutation=identity", "another architecture"),
        ("load_step=7", "1200"),
        ("env_args.columns=4", "cannot go on with"),
        ("batch_size_run=4", "cannot go on with"),
        ("runner=episode", "cannot go on with"),
        ("t_max=1600", "raise t_max"),
    ):
        with pytest.raises(SystemExit) as stop:
            in_process(f"checkpoint_path={RUNS / '1'}", "t_max=3200", change)
        assert stop.value.code == 2
        assert expected in capsys.readouterr().err
    (tmp_path / "broken.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(SystemExit) as stop:
        in_process(f"checkpoint_path={tmp_path / 'broken.pt'}")
    assert stop.value.code == 2
    assert "is not a checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "culprit"),
    [("env_args.collision_reward=1e30", "the norm of the gradient"), ("env_args.collision_reward=1e39", "critic_loss")],
)
def test_what_is_not_finite_ends_the_run_and_is_named(tmp_path, monkeypatch, capsys, change, culprit):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        in_process(change, "standardise_returns=False", "standardise_advantages=False")
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert "not finite: " in error and culprit in error and "Traceback" not in error
    state = state_of(RUNS / "1")
    assert all(value.isfinite().all() for value in state["learner"]["mac"].values())
    assert json.loads((RUNS / "1" / "run.json").read_text())["status"] == "FAILED"


@pytest.mark.slow
def test_the_printed_command_goes_on_with_the_run(tmp_path, monkeypatch, capsys):
    """With all its overrides, and to twice its length."""
    monkeypatch.chdir(tmp_path)
    in_process("name=mine", "dag.edge_index=rank")
    printed = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("Go on:"))
    arguments = shlex.split(printed.removeprefix("Go on:"))[2:]
    assert "name=mine" not in arguments and "dag.edge_index=rank" in arguments
    train.main(arguments)
    assert "note: resumed with another" not in capsys.readouterr().out
    assert state_of(RUNS / "2")["t_env"] == 3200


def test_a_failure_in_the_middle_keeps_the_last_good_state(tmp_path, monkeypatch):
    """Weights and moments from before the update that failed, and the checkpoints that were there."""
    monkeypatch.chdir(tmp_path)
    train, calls = PPOLearner.train, []

    def spoilt(self, batch, fraction, collect_stats):
        calls.append(fraction)
        if len(calls) == 12:
            batch["reward"][:] = math.nan
        return train(self, batch, fraction, collect_stats)

    monkeypatch.setattr(PPOLearner, "train", spoilt)
    with pytest.raises(SystemExit):
        in_process()
    files = sorted((RUNS / "1" / "checkpoints").iterdir())
    assert len(files) == 3, "steps 400 and 800 on the way, and the last good state"
    for file in files:
        learner = read_checkpoint(file, torch.device("cpu"))["learner"]
        for name in ("mac", "critic", "value_moments"):
            assert all(value.isfinite().all() for value in learner[name].values()), (file, name)


def test_a_failing_environment_ends_the_run_with_a_checkpoint(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    collect, calls = Collector.collect, []

    def failing(self, fraction):
        calls.append(fraction)
        if len(calls) == 3:
            raise RunError("environment worker 0 failed 4 times in a row")
        return collect(self, fraction)

    monkeypatch.setattr(Collector, "collect", failing)
    with pytest.raises(SystemExit) as stop:
        in_process()
    assert stop.value.code == 1 and "in a row" in capsys.readouterr().err
    assert state_of(RUNS / "1")["t_env"] == 160


@pytest.mark.slow
def test_evaluation_does_not_disturb_training(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    in_process("test_interval=100000000")
    in_process("test_interval=80", "test_greedy=False", "test_nepisode=7")
    left, right = (state_of(RUNS / number) for number in "12")
    for state in (left, right):
        del state["config"]
    left.pop("n_rows"), right.pop("n_rows")
    assert_same(left, right)


VALUE_BASED = ["--config=qmix", "--env-config=aloha", "with", *SETTINGS[:11], "agent=rnn", "obs_last_action=True"]
VALUE_BASED += ["buffer_size=12", "target_update_interval=3", "standardise_returns=True", "samples_per_insert=2.3"]
VALUE_BASED += ["standardise_rewards=True"]
VALUE_RUNS = Path("results/sacred/qmix/aloha")


@pytest.mark.parametrize("runner", ["vector", pytest.param("episode", marks=pytest.mark.slow)])
def test_a_value_based_run_resumed_from_its_middle_equals_the_whole_run(tmp_path, monkeypatch, runner):
    """With its replay: episodes that were running across the checkpoint, too."""
    monkeypatch.chdir(tmp_path)
    for words in ([], [f"checkpoint_path={VALUE_RUNS / '1'}", "load_step=800"]):
        monkeypatch.setattr(sys, "argv", ["src/main.py"])
        train.main([*VALUE_BASED, f"runner={runner}", *words])
    assert read_metrics(VALUE_RUNS / "1")[-1]["step"] == 1600 and "td_error_abs" in read_metrics(VALUE_RUNS / "1")[-1]
    assert_same_run(VALUE_RUNS / "1", VALUE_RUNS / "2")


@pytest.mark.slow
def test_a_run_without_its_replay_collects_anew_and_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["src/main.py"])
    train.main([*VALUE_BASED, "save_buffer=False"])
    assert "replay" not in state_of(VALUE_RUNS / "1")["experience"]
    train.main([*VALUE_BASED, "save_buffer=False", f"checkpoint_path={VALUE_RUNS / '1'}", "load_step=800"])
    assert "note: the checkpoint has no replay" in capsys.readouterr().out
    left, right = (state_of(VALUE_RUNS / number)["learner"]["n_steps"] for number in "12")
    assert 0 < right < left
    for words, expected in (("mixer=vdn", "another architecture: mixer weight"), ("hidden_dim=8", "architecture")):
        with pytest.raises(SystemExit) as stop:
            train.main([*VALUE_BASED, words, f"checkpoint_path={VALUE_RUNS / '1'}", "t_max=3200"])
        assert stop.value.code == 2 and expected in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_segment_that_is_not_finite_is_not_kept_and_ends_the_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["src/main.py"])
    names = ["--config=qmix", "--env-config=matrix_game", "with", "env_args.payoff=penalty", "env_args.penalty=-1e39"]
    with pytest.raises(SystemExit) as stop:
        train.main([*names, "t_max=4000", "report=False", "test_nepisode=4"])
    error = capsys.readouterr().err
    assert stop.value.code == 1 and "not finite: the recorded 'reward'" in error and "Traceback" not in error
    state = state_of(Path("results/sacred/qmix/matrix_game/1"))
    assert state["learner"]["n_steps"] == 0 and not state["experience"]["replay"]["lengths"].numel()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("alg", "setting"),
    [("mat", "order=fixed"), ("mat", "order=random"), ("magpo", "agent=mlp"), ("magpo", "agent=rnn")],
)
def test_rival_methods_resumed_from_their_middle_equal_the_whole_run(tmp_path, monkeypatch, alg, setting):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["src/main.py"])
    words = [f"--config={alg}", "--env-config=aloha", "with", *SETTINGS[:11], "epochs=3", setting]
    runs = Path(f"results/sacred/{alg}/aloha")
    train.main(words)
    train.main([*words, f"checkpoint_path={runs / '1'}", "load_step=800"])
    assert read_metrics(runs / "1")[-1]["step"] == 1600
    assert_same_run(runs / "1", runs / "2")
