"""Teams that several tests look at, exported once."""

from pathlib import Path

import pytest

from export.exported import export, save_run


@pytest.fixture(scope="session")
def talking(tmp_path_factory) -> Path:
    """Three recurrent agents, each a parent of all later ones; 6 steps a game."""
    pytest.importorskip("onnxscript")
    place = tmp_path_factory.mktemp("talking")
    updates = {"env_args__n_agents": 3, "env_args__episode_limit": 6, "agent": "rnn", "fusion": "hidden"}
    run = save_run(place / "run", dag__generator="full", **updates)
    return export(run, place / "team", allow_communication=True).folder


@pytest.fixture(scope="session")
def silent(tmp_path_factory) -> Path:
    """Two recurrent agents without messages."""
    pytest.importorskip("onnxscript")
    place = tmp_path_factory.mktemp("silent")
    run = save_run(place / "run", "mappo", env_args__n_agents=2, env_args__episode_limit=5, agent="rnn")
    return export(run, place / "team").folder
