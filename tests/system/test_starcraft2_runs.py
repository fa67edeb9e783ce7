"""Whole runs of --env-config=sc2: without the game, and with a stand-in whose games crash, hang and do not start."""

import json
import sys
from pathlib import Path

import pytest

from bn_mappo.envs.games.skirmish.game import RULES
from bn_mappo.tracking.metrics import read_metrics
from bn_mappo.training.trainer import Trainer
from helpers import run_main

RUNS = Path("results/sacred/mappo")
COMMAND = ["--config=mappo", "--env-config=sc2", "with"]
SMALL = ["batch_size_run=2", "batch_size=2", "segment_length=10", "hidden_dim=16", "test_nepisode=2", "t_max=80"]
SMALL += ["log_interval=20", "test_interval=80", "env_timeout_s=20"]


def run(capfd, *arguments: str) -> tuple[int, str, str]:
    """A run of mappo on sc2; see run_main."""
    return run_main([*COMMAND, *arguments], capfd)


def read(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text())


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_without_the_game_everything_that_helps_is_said(capfd, monkeypatch):
    """Before torch and Sacred are imported, which takes longer than all the rest."""
    monkeypatch.setitem(sys.modules, "bn_mappo.cli.experiment", None)  # importing it fails
    status, _, err = run(capfd, "env_args.backend=sc2", "env_args.map_name=MMM2", "seed=4")
    assert status == 2
    for words in ("smac.env", "requirements-sc2.txt", "SC2PATH", "./install_sc2.sh", "docs/starcraft2.md"):
        assert words in err
    last = err.strip().splitlines()[-1].strip()
    assert last.startswith("python src/main.py --config=mappo --env-config=sc2 with env_args.backend=skirmish")
    assert "env_args.map_name=MMM2" in last and "seed=4" in last and "backend=sc2" not in last
    assert not Path("results").exists()


def test_a_file_that_asks_for_the_game_is_refused_too(capfd):
    Path("mine.yaml").write_text("env_args:\n  backend: sc2\n")
    status, _, err = run(capfd, "mine.yaml")
    assert status == 2 and "./install_sc2.sh" in err and "Traceback" not in err


def test_a_map_that_is_not_there_is_refused_with_those_that_are(capfd, starcraft):
    status, _, err = run(capfd, "env_args.map_name=MMM3")
    assert status == 2 and "'MMM2'" in err and "--maps-only" in err and starcraft.launched() == []


@pytest.mark.slow
def test_auto_without_the_game_is_marked_as_skirmish_everywhere(capfd):
    status, out, err = run(capfd, *SMALL)
    assert status == 0, err
    assert "\nbackend: Skirmish, our own simulator, not StarCraft II" in f"\n{out}"
    assert [path.name for path in RUNS.iterdir()] == ["skirmish"]
    folder = RUNS / "skirmish" / "1"
    config = read(folder, "config.json")
    assert config["env"] == "skirmish" and "backend" not in config["env_args"]
    assert read(folder, "info.json")["environment"] == {"backend": "skirmish", "rules": str(RULES)}
    rows = read_metrics(folder)
    assert {row["real_game"] for row in rows} == {0.0} and "sc2_restarts" not in rows[-1]
    go_on = next(line for line in out.splitlines() if line.startswith("Go on: "))
    assert f"--env-config=skirmish with checkpoint_path={folder}" in go_on and "env_args={" not in go_on


@pytest.mark.slow
def test_a_run_with_a_crash_a_hang_and_a_dead_worker_ends_well(capfd, starcraft):
    for fault in ("crash", "hang", "die"):
        starcraft.order(fault)
    status, out, err = run(capfd, *SMALL, "env_timeout_s=4")
    assert status == 0, err
    folder = RUNS / "sc2" / "1"
    config, facts = read(folder, "config.json"), read(folder, "info.json")["environment"]
    assert (config["env"], config["env_args"]["backend"]) == ("sc2", "sc2")
    assert (facts["backend"], facts["game_version"]) == ("sc2", "4.10.0 (Base75689)")
    rows = read_metrics(folder)
    assert rows[-1]["sc2_restarts"] >= 3 and {row["real_game"] for row in rows} == {1.0}
    assert rows[-1]["test_battle_won_mean"] in (0, 0.5, 1) and max(row["step"] for row in rows) == 80
    assert "backend: real StarCraft II, version 4.10.0" in out
    assert starcraft.launched() and starcraft.running() == []

    status, out, err = run(capfd, f"checkpoint_path={folder}", "evaluate=True", "save_replay=True", *SMALL)
    assert status == 0, err
    where = next(line for line in out.splitlines() if line.startswith("Replay: ")).removeprefix("Replay: ")
    assert len(list(Path(where).glob("3m_*.SC2Replay"))) == 1
    assert starcraft.running() == []


@pytest.mark.slow
def test_too_many_crashes_in_a_row_end_the_run_with_a_checkpoint(capfd, starcraft, monkeypatch):
    def update(training, update=Trainer.update):
        if training.clock.t_env == 40:
            starcraft.order("always_crash")
        return update(training)

    monkeypatch.setattr(Trainer, "update", update)
    status, _, err = run(capfd, *SMALL, "max_worker_restarts=2")
    assert status == 3, err
    assert "failed 3 times in a row" in err and "max_worker_restarts=2" in err and "Traceback" not in err
    folder = RUNS / "sc2" / "1"
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["step_40.pt"]
    assert f"The last good state is in {folder}" in err
    assert starcraft.running() == []


@pytest.mark.slow
def test_a_game_that_never_starts_ends_the_run_at_its_first_start(capfd, starcraft):
    starcraft.order("no_launch")
    status, _, err = run(capfd, *SMALL)
    assert status == 3 and "no environment could be started" in err and "could not be launched" in err
    assert starcraft.launched() == []


@pytest.mark.slow
def test_an_interrupted_run_goes_on_with_new_games_and_says_so(capfd, starcraft):
    assert run(capfd, *SMALL)[0] == 0
    status, out, err = run(capfd, f"checkpoint_path={RUNS / 'sc2' / '1'}", *SMALL, "t_max=160")
    assert status == 0, err
    assert "sc2 cannot restore running games" in out
    assert max(row["step"] for row in read_metrics(RUNS / "sc2" / "2")) == 160
