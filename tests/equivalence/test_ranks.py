"""K ranks that train together, each with its share of the games, take the gradient steps of one with all of them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp

from bn_mappo.data.batch import EpisodeBatch, Following
from bn_mappo.learners.q_learner import QLearner
from bn_mappo.training.build import build
from bn_mappo.training.checkpoint import checkpoints
from helpers import MAIN, make_config, make_rollout, run_main

N_RANKS = 2
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "mappo": ("mappo", "aloha", {}),
    "ippo": ("ippo", "coordination_game", {}),
    "as_critic": ("mappo", "aloha", {"critic_type": "as_critic"}),
    "maa2c": ("maa2c", "aloha", {}),
    "mat": ("mat", "coordination_game", {}),
    "mat_dec": ("mat_dec", "coordination_game", {}),
    "identity": ("bn_mappo", "coordination_game", {"dag__permutation": "identity"}),
    "gumbel_sinkhorn": ("bn_mappo", "coordination_game", {"dag__permutation": "gumbel_sinkhorn"}),
    "plackett_luce": ("bn_mappo", "aloha", {"dag__permutation": "plackett_luce"}),
    "bernoulli": ("bn_mappo", "coordination_game", {"dag__edges": "bernoulli", "dag__permutation": "plackett_luce"}),
    "gcs": ("gcs", "coordination_game", {}),
    "magpo": ("magpo", "coordination_game", {}),
    "regularised": ("bn_mappo_annealed", "coordination_game", {"annealing__alpha": 0.5, "annealing__eta": 0.2}),
    "skirmish": ("bn_mappo", "skirmish", {"env_args__map_name": "3m"}),
    "iql": ("iql", "coordination_game", {}),
    "vdn": ("vdn", "coordination_game", {}),
    "qmix": ("qmix", "coordination_game", {}),
    "dcg": ("dcg", "coordination_game", {}),
    "casec": ("casec", "coordination_game", {}),
}


def config_of(case: str) -> Any:
    alg, env, updates = CASES[case]
    own = {"batch_size": 2, "buffer_size": 8, "env_args__episode_limit": 5} if is_value_based(case) else {}
    if not is_value_based(case):
        own = {"batch_size": "null", "epochs": 2}
    return make_config(alg, env, **{"segment_length": 20, **own, **updates})


def is_value_based(case: str) -> bool:
    return CASES[case][0] in ("iql", "vdn", "qmix", "dcg", "casec")


def learn(setup: Any, batch: EpisodeBatch) -> dict[str, Any]:
    """One update; what has come of it."""
    if isinstance(setup.learner, QLearner):
        statistics = setup.learner.step(batch, True)
    else:
        statistics = setup.learner.train(batch, 0.3)
    weights = {**setup.mac.state_dict()}
    for name, network in setup.learner.networks().items():
        weights |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
    weights |= {f"moments.{key}": value for key, value in setup.learner.value_moments.state_dict().items()}
    return {"weights": weights, "statistics": {name: float(value) for name, value in statistics.items()}}


def share(batch: EpisodeBatch, rank: int) -> EpisodeBatch:
    """The games of a rank, with what follows them."""
    size = batch.batch_size // N_RANKS
    games = torch.arange(batch.batch_size)[rank * size : (rank + 1) * size if rank < N_RANKS - 1 else None]
    part = batch.games(games)
    if batch.following is None:
        return part
    last = {name: values[games] for name, values in batch.following.last.items()}
    is_own = torch.isin(batch.following.final_rows[:, 0], games)
    rows = batch.following.final_rows[is_own] - torch.tensor([int(games[0]), 0])
    final = {name: values[is_own] for name, values in batch.following.final.items()}
    return EpisodeBatch(part.fields, part.first_hidden, Following(last, rows, final))


def work(rank: int, port: int, folder: Path) -> None:
    """A rank: learn from its share of every case's batch."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(N_RANKS), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    for case in CASES:
        setup = build(config_of(case))
        fields, hidden, following = torch.load(folder / f"{case}.pt", weights_only=True)
        batch = EpisodeBatch(fields, hidden, Following(*following) if following else None)
        torch.save(learn(setup, share(batch, rank)), folder / f"{case}_{rank}.pt")


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> dict[str, list[dict[str, Any]]]:
    """For each case what one process with all games has learned, and then each rank."""
    folder = tmp_path_factory.mktemp("ranks")
    found = {}
    for case in CASES:
        setup, collector = make_rollout(config_of(case))
        batch = collector.collect(0.3)
        if isinstance(setup.learner, QLearner):
            replay = setup.learner.make_replay(batch.batch_size)
            replay.add(batch)
            fields = replay.sample(replay.size, setup.generators["replay"], torch.device("cpu"))
            batch = EpisodeBatch(fields, setup.mac.init_hidden(len(fields["filled"])))
            assert batch.batch_size >= N_RANKS
        following = tuple(batch.following) if batch.following else None
        torch.save((dict(batch.fields), batch.first_hidden, following), folder / f"{case}.pt")
        found[case] = [learn(setup, batch)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(work, (port, folder), N_RANKS)
    for case in CASES:
        found[case] += [torch.load(folder / f"{case}_{rank}.pt", weights_only=True) for rank in range(N_RANKS)]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_ranks_with_shares_learn_what_one_with_all_games_learns(case, learned):
    whole, *parts = learned[case]
    start = build(config_of(case)).mac.state_dict()
    moved = [name for name, value in start.items() if not torch.equal(value, whole["weights"][name])]
    assert moved, "a test of an update that changes nothing says nothing"
    for part in parts:
        for name, value in whole["weights"].items():
            torch.testing.assert_close(
                part["weights"][name], value, rtol=1e-4, atol=2e-5, msg=lambda m, n=name: f"{n}: {m}"
            )
        assert part["statistics"].keys() == whole["statistics"].keys()
        for name, value in whole["statistics"].items():
            assert part["statistics"][name] == pytest.approx(value, rel=2e-3, abs=2e-4), name
    for name, value in parts[0]["weights"].items():
        assert torch.equal(value, parts[1]["weights"][name]), f"{name} differs between the ranks"


def torchrun(folder: Path, *settings: str) -> subprocess.Popen[str]:
    small = ("batch_size_run=4", "hidden_dim=8", "test_nepisode=4", "segment_length=20", "report=False")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={N_RANKS}", str(MAIN)]
    words = ["--config=bn_mappo", "--env-config=coordination_game", "with", *small, f"local_results_path={folder}"]
    command, streams = [*launcher, *words, *settings], {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, **streams)


def run_folder(folder: Path, number: int = 1) -> Path:
    return folder / "sacred" / "bn_mappo" / "coordination_game" / str(number)


def rows(folder: Path) -> list[dict[str, Any]]:
    """The metrics of a run without the times."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "time"} for line in lines]


@pytest.mark.slow
def test_a_run_of_two_processes_keeps_one_record_and_resumes_to_the_same_bits(tmp_path, capsys):
    often = ("test_interval=400", "log_interval=400", "save_model_interval=400")
    process = torchrun(tmp_path / "whole", "t_max=1600", *often)
    out, _ = process.communicate(timeout=200)
    assert process.returncode == 0, out
    assert out.count("Finished after 1,600 environment steps") == 1
    whole = run_folder(tmp_path / "whole")
    assert sorted(checkpoints(whole)) == [400, 800, 1200, 1600]
    assert [row["step"] for row in rows(whole)] == [0, 400, 800, 1200, 1600]
    half = whole / "checkpoints" / "step_800.pt"
    process = torchrun(tmp_path / "resumed", "t_max=1600", *often, f"checkpoint_path={half}")
    out, _ = process.communicate(timeout=200)
    assert process.returncode == 0, out
    ends = [torch.load(run_folder(tmp_path / name) / "checkpoints" / "step_1600.pt") for name in ("whole", "resumed")]
    assert len(ends[0]["other_ranks"]) == N_RANKS - 1
    for name, value in ends[0]["learner"]["mac"].items():
        assert torch.equal(value, ends[1]["learner"]["mac"][name])
    assert rows(whole) == rows(run_folder(tmp_path / "resumed"))
    alone = ["--config=bn_mappo", "--env-config=coordination_game", "with", "batch_size_run=4", "hidden_dim=8"]
    settings = [f"local_results_path={tmp_path}", f"checkpoint_path={half}"]
    status, _, error = run_main([*alone, *settings], capsys)
    assert status == 2 and "torchrun --nproc-per-node=2" in error


@pytest.mark.slow
def test_a_lost_rank_ends_all_with_a_checkpoint(tmp_path):
    process = torchrun(tmp_path, "t_max=10000000", "log_interval=400", "save_model_interval=100000000")
    deadline = time.monotonic() + 120
    while not (run_folder(tmp_path) / "metrics.jsonl").exists() or len(rows(run_folder(tmp_path))) < 4:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    workers = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    ranks = {}
    for pid in workers:
        words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        ranks |= {int(word.removeprefix(b"RANK=")): int(pid) for word in words if word.startswith(b"RANK=")}
    os.kill(ranks[1], signal.SIGKILL)
    out, _ = process.communicate(timeout=100)
    assert process.returncode != 0
    assert "another process of this run has ended" in out
    found = checkpoints(run_folder(tmp_path))
    assert len(found) == 1 and min(found) > 0
    assert torch.load(found[min(found)])["other_ranks"] == []


@pytest.mark.slow
def test_games_that_cannot_be_shared_are_refused(tmp_path):
    process = torchrun(tmp_path, "batch_size_run=5")
    out, _ = process.communicate(timeout=100)
    assert process.returncode != 0 and "batch_size_run=5 must be a multiple of 2" in out
