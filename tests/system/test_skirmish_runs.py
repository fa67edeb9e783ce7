"""Whole runs on Skirmish: the summary against scripted policies, the pictures, the animation, replays."""

import re
from pathlib import Path

import numpy as np
import pytest

from bn_mappo.analysis.report import table
from bn_mappo.envs.games.skirmish import film
from helpers import run_main

SMALL = ["env_args.map_name=3m", "batch_size_run=4", "batch_size=4", "segment_length=10", "hidden_dim=16"]
SMALL += ["test_nepisode=3", "t_max=80", "log_interval=40", "test_interval=80"]


def run(capfd, alg: str, *arguments: str) -> tuple[int, str, str]:
    """A small run; see run_main."""
    dag = ["dag.edge_bias=3"] if alg == "bn_mappo" else []
    return run_main([f"--config={alg}", "--env-config=skirmish", "with", *SMALL, *dag, *arguments], capfd)


def line(out: str, name: str) -> str:
    return next(text for text in out.splitlines() if text.startswith(name)).removeprefix(name).strip()


def test_the_table_holds_returns_and_wins_side_by_side():
    rows = {"chance": {"return": 1.0, "battle_won": 0.0}, "us": {"return": 9.5, "battle_won": 0.25}}
    head, chance, ours = table(rows, "us").splitlines()
    assert head.split() == ["return", "won"]
    assert chance.split() == ["1.00", "0.0%", "chance"] and ours.split() == ["->", "9.50", "25.0%", "us"]
    assert "won" not in table({"chance": {"return": 1.0}}, "us")


@pytest.mark.slow
@pytest.mark.parametrize("alg", ["bn_mappo", "mappo"])
def test_a_run_shows_where_it_stands_and_its_last_game(capfd, tmp_path, monkeypatch, alg):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(film, "MOST_FRAMES", 10)  # drawing takes most of the time
    status, out, err = run(capfd, alg)
    assert status == 0, err
    for name in ("uniform random", "nearest enemy first", "focus fire and kite", "this run"):
        assert re.search(rf"\d+\.\d\d +\d+\.\d%  {name}", out), name
    folder = Path(line(out, "Run:"))
    assert Path(line(out, "Animation:")).is_file() and (folder / "learning_curve.png").is_file()
    assert (folder / "dag.png").is_file() == (alg == "bn_mappo")

    replay = [f"checkpoint_path={folder}", "evaluate=True", "save_replay=True", "save_steps=True"]
    status, out, err = run(capfd, alg, *replay)
    assert status == 0, err
    made = Path(line(out, "Replay:"))
    assert made.parent == Path(line(out, "Run:")) and made.stem == "3m" and made.stat().st_size > 1000
    with np.load(line(out, "Steps:")) as steps:
        assert len(steps["episode_battle_won"]) == 3 and steps["sees_ally"].shape[1:] == (3, 3)
        assert steps["adjacency"].any() == (alg == "bn_mappo")
    where = ["env_args.replay_dir=films", "env_args.replay_prefix=mine"]
    for name in ("mine", "mine_2"):
        status, out, err = run(capfd, alg, *replay, *where)
        assert status == 0 and Path(line(out, "Replay:")).with_suffix("") == Path("films") / name, err
    Path("blocked").touch()
    status, out, err = run(capfd, alg, *replay, "env_args.replay_dir=blocked")
    assert status == 0 and "warning: no animation could be saved in blocked" in err and "return" in out
