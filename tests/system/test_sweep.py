"""Sweeps: what they run, that nothing is lost, on processes of this machine and on a Ray cluster."""

import csv
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from bn_mappo.cli.sweep import main
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.threads import CORES_VARIABLE, usable_cores
from bn_mappo.sweep.cells import Cell
from bn_mappo.sweep.executor import Machines
from bn_mappo.sweep.local import LocalProcesses
from bn_mappo.sweep.lock import take
from bn_mappo.sweep.node import Courier, pack, unpack
from bn_mappo.sweep.plan import cells_of, parse_grid, read_sweep
from bn_mappo.sweep.run import run_cells, run_grid
from helpers import MAIN, hear_signals

SMALL = ("batch_size_run=4", "test_nepisode=4", "hidden_dim=8", "segment_length=20")
OFTEN = (*SMALL, "save_model_interval=400", "test_interval=400")
PAIR = [Cell("a", seed, "bn_mappo", "coordination_game", 12000, OFTEN) for seed in range(2)]
SHORT = ["--config", "mappo", "--env-config", "coordination_game", "--t-max", "160", "--with", *SMALL]


def final_tensors(cell: Cell, root: Path) -> list[torch.Tensor]:
    """Everything that the last checkpoint of a run holds in tensors, weights and optimiser first."""
    found: list[torch.Tensor] = []

    def walk(value: object) -> None:
        if isinstance(value, torch.Tensor):
            found.append(value)
        for each in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
            walk(each)

    steps, path = max(cell.checkpoints(root).items())
    assert steps >= cell.t_max
    walk(torch.load(path, weights_only=False)["learner"])
    assert len(found) > 10
    return found


def assert_same_end(cells: list[Cell], root: Path, other: Path) -> None:
    """The same weights and the same metrics, to the bit."""
    for cell in cells:
        for ours, theirs in zip(final_tensors(cell, root), final_tensors(cell, other), strict=True):
            assert torch.equal(ours, theirs)
        assert cell.rows(root) == cell.rows(other)


@pytest.mark.slow
def test_a_sweep_runs_its_grid_and_tells_of_every_variant(tmp_path, capsys):
    arguments = [*SHORT, "--seeds", "2", "--grid", "lr=0.001,0.0005", "--output", str(tmp_path / "out")]
    assert main([*arguments, "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["0", "1", "2", "3"]
    assert not (tmp_path / "out").exists()
    assert main([*arguments, "--index", "2"]) == 0  # the first variant's second seed
    assert [path.name for path in (tmp_path / "out" / "runs").iterdir()] == ["mappo_lr=0.001"]
    assert main([*arguments, "--processes", "2"]) == 0
    out = capsys.readouterr().out
    assert "| mappo_lr=0.001 | 2 of 2 |" in out and "| mappo_lr=0.0005 | 2 of 2 |" in out
    with (tmp_path / "out" / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["variant"], row["seed"]) for row in rows} == {
        (variant, seed) for variant in ("mappo_lr=0.001", "mappo_lr=0.0005") for seed in "01"
    }
    for row in rows:
        cell = Cell(row["variant"], int(row["seed"]), "mappo", "coordination_game", 160)
        last = cell.rows(tmp_path / "out" / "runs")[-1]["test_return_mean"]
        assert float(row["test_return_mean"]) == pytest.approx(last)


@pytest.mark.slow
def test_a_sweep_brings_an_environment_of_the_user(tmp_path):
    example = MAIN.parents[1] / "examples" / "your_own_environment.py"
    arguments = [
        "--config",
        "mappo",
        "--env-config",
        "relay",
        "--import",
        str(example),
        "--seeds",
        "1",
        "--t-max",
        "160",
    ]
    assert main([*arguments, "--with", *SMALL, "--output", str(tmp_path)]) == 0
    assert "1 of 1" in (tmp_path / "summary.md").read_text()


@pytest.mark.slow
def test_a_run_whose_process_is_killed_ends_with_the_same_bits(tmp_path):
    cell = Cell("a", 0, "bn_mappo", "coordination_game", 4000, OFTEN)
    killed: list[int] = []

    class Killing(LocalProcesses):
        def ended(self, timeout_s):
            if not killed and cell.checkpoints(tmp_path / "killed"):
                killed.append(self.running[cell].pid)
                os.kill(killed[0], signal.SIGKILL)
            return super().ended(timeout_s)

    assert run_cells([cell], tmp_path / "killed", lambda: Killing(1)) == []
    assert killed and len(cell.run_folders(tmp_path / "killed")) == 2
    assert run_grid([cell], tmp_path / "whole", Machines(1)) == []
    assert_same_end([cell], tmp_path / "killed", tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_the_end_of_a_sweep_lets_its_runs_write_checkpoints(number, tmp_path):
    """Ctrl-C and a closed terminal signal all processes of the group; a kill leaves the runs without their parent."""
    words = ["--config", "bn_mappo", "--env-config", "coordination_game", "--t-max", "1000000", "--seeds", "1"]
    words += ["--processes", "1", "--output", str(tmp_path), "--with", *SMALL, "save_model_interval=1000000"]
    command = [sys.executable, str(MAIN), "sweep", *words]
    sweep = subprocess.Popen(command, start_new_session=True, preexec_fn=hear_signals)
    cell = Cell("bn_mappo", 0, "bn_mappo", "coordination_game", 1_000_000)
    deadline = time.time() + 120
    while not cell.steps_done(tmp_path / "runs"):
        assert time.time() < deadline and sweep.poll() is None
        time.sleep(0.2)
    os.killpg(sweep.pid, number)
    assert sweep.wait(60) == (-number if number == signal.SIGKILL else 130)
    while not cell.checkpoints(tmp_path / "runs"):
        assert time.time() < deadline, "no checkpoint was written"
        time.sleep(0.2)


def test_a_run_that_died_twice_resumes_from_the_checkpoint_before(tmp_path):
    cell = Cell("a", 0, "mappo", "aloha", 400)
    for number, is_saved in enumerate([True, True, False], start=1):
        folder = cell.folder(tmp_path) / "sacred" / "mappo" / "aloha" / str(number)
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "metrics.jsonl").write_text('{"step": 100}\n')
        if is_saved:
            (folder / "checkpoints" / "step_100.pt").touch()
    assert cell.words(tmp_path)[-1] == f"checkpoint_path={folder.with_name('2')}"


def test_a_sweep_at_which_another_process_is_at_work_is_left_alone(tmp_path, capsys):
    arguments = [*SHORT, "--seeds", "2", "--output", str(tmp_path)]
    with take(tmp_path / "runs" / "mappo" / "seed_1"):
        assert main(arguments) == 2
    assert "another process is at work" in capsys.readouterr().err
    assert not (tmp_path / "runs" / "mappo" / "seed_0").exists()


@pytest.mark.parametrize("name", ["settings.json", "sacred/mappo/coordination_game/1/metrics.jsonl"])
def test_a_broken_file_of_a_run_is_named(name, tmp_path, capsys):
    path = tmp_path / "runs" / "mappo" / "seed_0" / name
    path.parent.mkdir(parents=True)
    path.write_text('{"step": 100}\n{"st\n')
    assert main([*SHORT, "--seeds", "1", "--output", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert path.name in message and "seed_0" in message and "Traceback" not in message


def test_an_output_that_cannot_be_written_ends_with_one_message(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main([*SHORT, "--seeds", "1", "--output", str(tmp_path / "file" / "out")]) == 1
    assert "Not a directory" in capsys.readouterr().err


def test_runs_side_by_side_share_out_the_cores(tmp_path, monkeypatch):
    monkeypatch.setenv(CORES_VARIABLE, "7")
    assert usable_cores() == 7
    given, process = [], SimpleNamespace(start=lambda: None)
    for slots in (1, 3, 10):
        executor = LocalProcesses(slots)
        executor.context = SimpleNamespace(Process=lambda target, args, name: given.append(args[-1]) or process)
        executor.start(Cell("a", 0, "mappo", "aloha", 160), tmp_path)
    assert given == [7, 2, 1]


def test_parts_that_do_not_go_together_are_told_before_anything_starts(tmp_path, capsys):
    broken = ["mac=dag_controller", "--grid", "dag.generator=full,fixed"]
    assert main([*SHORT, *broken, "--seeds", "1", "--output", str(tmp_path)]) == 2
    assert "mappo_dag.generator=fixed: dag.generator=fixed needs dag.adjacency" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_failing_run_is_tried_again_and_told(tmp_path, capsys):
    words = ["--config", "mappo", "--env-config", "aloha", "--t-max", "4000"]
    words += ["--with", *SMALL, "env_args.collision_reward=1e39"]
    assert main([*words, "--seeds", "1", "--retries", "2", "--output", str(tmp_path)]) == 1
    assert "mappo seed 0: error: not finite" in capsys.readouterr().err
    assert (tmp_path / "runs" / "mappo" / "seed_0" / "log.txt").read_text().count("ERROR - mappo - Failed") == 3


@pytest.fixture(scope="module")
def cluster():
    """A Ray cluster of one machine, with one CPU."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    soon = {"health_check_initial_delay_ms": 500, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "_system_config": soon})
    yield found
    found.shutdown()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """The folder of the two runs, made on this machine."""
    folder = tmp_path_factory.mktemp("local")
    assert run_grid(PAIR, folder, Machines(2)) == []
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("is_shared", [True, False])
def test_a_run_whose_machine_is_killed_goes_on_elsewhere_with_the_same_bits(tmp_path, cluster, undisturbed, is_shared):
    """Two machines of one run each; one of them dies in the middle. Once their folder is shared, once it is not."""
    from bn_mappo.sweep.cluster import RayCluster
    from bn_mappo.sweep.node import TOKEN

    root = tmp_path / "cluster"
    second, was_killed = cluster.add_node(num_cpus=1), threading.Event()

    def kill() -> None:
        while not all(cell.checkpoints(root) for cell in PAIR):
            time.sleep(0.1)
        was_killed.set()
        cluster.remove_node(second, allow_graceful=False)

    def make_executor() -> RayCluster:
        executor = RayCluster(cluster.address, 1, 0, root, 1)
        assert executor.slots == 2
        if not is_shared:
            (root / TOKEN).write_text("of another sweep")
        return executor

    threading.Thread(target=kill, daemon=True).start()
    assert run_cells(PAIR, root, make_executor) == []
    assert was_killed.is_set()
    assert_same_end(PAIR, root, undisturbed)


def test_a_grid_is_every_combination_and_seeds_come_first():
    grid = parse_grid(["lr=1e-3,5e-4", "entropy_coef={'start':0.1,'end':0.0},0.01"])
    assert grid == {"lr": ["1e-3", "5e-4"], "entropy_coef": ["{'start':0.1,'end':0.0}", "0.01"]}
    sweep = read_sweep(None, {"config": ["mappo", "vdn"], "env_config": "aloha", "seeds": 2, "grid": grid})
    cells = cells_of(sweep, {"aloha": 500})
    assert len(cells) == 2 * 2 * 4 and [cell.seed for cell in cells] == [0] * 8 + [1] * 8
    assert cells[0].overrides == ("lr=1e-3", "entropy_coef={'start':0.1,'end':0.0}") and cells[0].t_max == 500
    assert len({cell.folder(Path()) for cell in cells}) == 16


def test_a_value_that_the_run_would_not_read_is_met_before_it_starts(tmp_path, capsys):
    """A mapping is written as in Python: the command line of a run reads it so."""
    arguments = ["--config", "mappo", "--env-config", "aloha", "--output", str(tmp_path / "out")]
    assert main([*arguments, "--grid", "entropy_coef={start: 0.1, end: 0.0, until: 0.8}"]) == 2
    assert "entropy_coef" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_the_command_line_counts_more_than_the_file(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text("{config: mappo, env_config: aloha, seeds: 3, grid: {lr: [0.1, 0.2]}}")
    sweep = read_sweep(path, {"seeds": 1, "grid": {"gamma": ["0.9"]}})
    assert sweep.seeds == 1 and sweep.grid == {"gamma": ["0.9"]} and sweep.config == "mappo"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--env-config", "aloha"], "--config=NAME is missing"),
        (["nowhere.yaml"], "no such file"),
        (["--config", "mapo", "--env-config", "aloha"], "mappo"),
        (["--config", "mappo", "--env-config", "alhoa"], "aloha"),
        (["--config", "mappo", "--env-config", "aloha", "--grid", "lr"], "KEY=VALUE,VALUE"),
        (["--config", "mappo", "--env-config", "aloha", "--grid", "lrr=1,2"], "lr"),
        (["--config", "mappo", "--env-config", "aloha", "--grid", "gamma=0.9,2"], "gamma"),
        (["--config", "mappo", "mappo", "--env-config", "aloha"], "same name"),
        (["--config", "mappo", "--env-config", "aloha", "--seeds", "0"], "at least 1"),
        (["--config", "mappo", "--env-config", "aloha", "--index", "7"], "runs 0 to 4"),
        (["--config", "mappo", "--env-config", "aloha", "--retries", "-1"], "at least 0"),
        (["--config", "mappo", "--env-config", "aloha", "--grid", "lrr=1,2", "--list"], "'lr'"),
        (["--config", "mappo", "--env-config", "aloha", "--with", "seed=5"], "Use --seeds and --first-seed"),
        (["--config", "mappo", "--env-config", "aloha", "--grid", "t_max=5,6"], "Use --t-max"),
        (["--config", "mappo", "--env-config", "aloha", "--first-seed", "4294967296"], "4294967295"),
    ],
)
def test_a_mistake_costs_nothing(arguments, message, tmp_path, capsys):
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_courier_sends_what_has_changed_and_checkpoints_last(tmp_path):
    source, target, sent = tmp_path / "source", tmp_path / "target", []
    source.mkdir()
    (source / "old.txt").write_text("was there")

    def send(files: dict[str, bytes]) -> None:
        sent.append(list(files))
        unpack(files, target)

    with Courier(source, send):
        (source / "checkpoints").mkdir()
        (source / "checkpoints" / "step_1.pt").write_bytes(b"1")
        (source / "metrics.jsonl").write_text("{}\n")
        (source / "half.tmp").write_text("not yet")
    assert sent == [["metrics.jsonl", "checkpoints/step_1.pt"]]
    assert pack(target) == {"metrics.jsonl": b"{}\n", "checkpoints/step_1.pt": b"1"}
    with pytest.raises(ValueError, match="outside"):
        unpack({"../elsewhere": b""}, target)


def test_two_values_that_make_one_name_are_refused():
    sweep = read_sweep(None, {"config": "mappo", "env_config": "aloha", "grid": {"x": ["a b", "a/b"]}})
    with pytest.raises(ConfigError, match="same name"):
        cells_of(sweep, {"aloha": 10})
