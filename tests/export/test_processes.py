"""One process per agent: they earn what one process earns, with faults too, and load neither torch nor our networks."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytest.importorskip("zmq")

from bn_mappo.cli import play as command
from bn_mappo.core.errors import RunError
from bn_mappo.export import measuring, remote
from bn_mappo.export.games import exported_config, play
from bn_mappo.export.launch import Agents, start
from bn_mappo.export.measuring import Setting, play_in_processes, simulate
from bn_mappo.export.remote import Waiting
from bn_mappo.export.runtime.agent import Conduct
from bn_mappo.export.runtime.faults import Faults
from bn_mappo.export.team import ExportedTeam
from export.exported import status_of
from helpers import MAIN

PATIENT = 10_000  # ms: on a busy machine nothing is missing that is not lost
SLOW = 1_500  # ms, where something is lost and waited for


def in_one_process(folder: Path, n_games: int) -> np.ndarray:
    team = ExportedTeam(folder)
    return play(exported_config(team.about), team, n_games, 1000, at_once=1)["return"]


@pytest.mark.slow
@pytest.mark.parametrize("dag_by", ["coordinator", "agents"])
def test_a_team_of_processes_plays_the_same_games(talking, dag_by):
    played = play_in_processes(Setting(talking, Conduct(), Waiting(PATIENT, dag_by=dag_by), 3), Faults())
    assert np.array_equal(played.episodes["return"], in_one_process(talking, 3))
    assert played.counts["missing_actions"] == played.counts["missing_messages"] == 0
    n_steps = 3 * 6
    assert played.counts["messages_sent"] == 3 * n_steps  # one for each edge, and nothing else
    assert played.counts.get("observations_sent", 0) == (6 * n_steps if dag_by == "agents" else 0)
    assert not {"forged", "malformed", "replayed", "late", "unexpected"} & set(played.counts)


@pytest.mark.slow
def test_messages_that_come_late_but_in_time_change_nothing(talking):
    played = play_in_processes(Setting(talking, Conduct(), Waiting(PATIENT), 1), Faults(delay_ms=20.0))
    assert np.array_equal(played.episodes["return"], in_one_process(talking, 1))
    assert played.counts["missing_messages"] == 0 and played.counts["messages_sent"] == 3 * 6


@pytest.mark.slow
def test_losses_in_processes_are_those_of_the_simulation(talking):
    faults = Faults(message_loss=0.25, action_loss=0.1, seed=4)  # 3 messages and 2 actions in the first 6 steps
    setting = Setting(talking, Conduct(missing_message="last"), Waiting(SLOW), 1)
    played = play_in_processes(setting, faults)
    lost = [np.triu(faults.lost_messages(tick, 3)[0], 1) for tick in range(6)]  # of the edges, [N, N] each
    told = [edges[:, ~faults.lost_actions(tick, 3)[0]] for tick, edges in enumerate(lost)]  # of those whose answer came
    assert played.counts["messages_lost"] == np.sum(lost) > 0
    assert played.counts["missing_messages"] == sum(map(np.sum, told)) and played.counts["actions_lost"] > 0
    team = simulate_one_game_at_a_time(setting, faults)
    assert np.array_equal(played.episodes["return"], team)


def simulate_one_game_at_a_time(setting: Setting, faults: Faults) -> np.ndarray:
    from bn_mappo.export.simulation import FaultyTeam

    waiting = setting.waiting
    conduct = setting.conduct
    team = FaultyTeam(setting.folder, faults, conduct.missing_message, waiting.missing_action, waiting.patience_ms)
    return play(exported_config(team.about), team, setting.n_games, 1000, at_once=1)["return"]


@pytest.mark.slow
def test_a_team_plays_on_when_an_agent_dies(talking):
    faults = Faults(dead_agent=0, dead_tick=2)
    setting = Setting(talking, Conduct(), Waiting(SLOW), 1)
    played = play_in_processes(setting, faults)
    assert played.counts["missing_actions"] >= 4 and played.counts["missing_messages"] >= 4
    assert np.array_equal(played.episodes["return"], simulate_one_game_at_a_time(setting, faults))


@pytest.mark.slow
def test_no_loss_is_the_team_itself_and_all_lost_is_a_team_without_edges(talking):
    setting = Setting(talking, Conduct(), Waiting(), 8)
    team = ExportedTeam(talking)
    whole = play(exported_config(team.about), team, 8, 1000)["return"]
    assert np.array_equal(simulate(setting, Faults()).episodes["return"], whole)
    dag, team.dag = team.dag, lambda inputs: {"adjacency": np.zeros_like(dag(inputs)["adjacency"])}
    without = play(exported_config(team.about), team, 8, 1000)["return"]
    assert np.array_equal(simulate(setting, Faults(message_loss=1.0)).episodes["return"], without)


LOADING = """
import json, sys
from pathlib import Path
from bn_mappo.export.runtime import process
from bn_mappo.export.runtime.contract import read_contract

folder = Path(sys.argv[1])
process.load_networks(folder, read_contract(folder))
process.Sockets("127.0.0.1", 0).close()
print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.slow
def test_an_agent_process_loads_neither_torch_nor_our_networks(talking):
    """All that the process imports until it listens."""
    done = subprocess.run(
        [sys.executable, "-c", LOADING, str(talking / "agent_0")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout)
    assert "onnxruntime" in loaded
    banned = ("torch", "scipy", "pydantic", "matplotlib", "bn_mappo.modules", "bn_mappo.controllers", "bn_mappo.envs")
    assert not [name for name in loaded if name.startswith(banned)]


@pytest.mark.slow
def test_an_agent_ends_with_the_process_that_started_it(talking):
    process = start([str(talking / "agent_0"), "--parent", "1"], "a token that is long enough")  # we are not process 1
    assert process.wait(60) == 0
    process.stdout.close()


@pytest.mark.slow
def test_served_agents_are_played_with_from_elsewhere(talking, tmp_path, monkeypatch, capsys):
    environment = {**os.environ, "BN_MAPPO_TOKEN": "sixteen characters or more"}
    words = [sys.executable, str(MAIN), "serve", str(talking), "--agents", str(tmp_path / "agents.json")]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "agents.json").exists():
            assert server.poll() is None and time.monotonic() < deadline, server.communicate()
            time.sleep(0.1)
        monkeypatch.setenv("BN_MAPPO_TOKEN", environment["BN_MAPPO_TOKEN"])
        words = ["--agents", str(tmp_path / "agents.json"), "--games", "2", "--patience-ms", "10000"]
        for _ in range(2):  # agents wait for the next session
            assert command.main([str(talking), *words]) == 0
            assert f"return {in_one_process(talking, 2).mean():.4g} " in capsys.readouterr().out
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0


@pytest.mark.slow
def test_who_has_another_token_gets_no_answer(talking, monkeypatch):
    with Agents(talking, "the right token, long enough", Conduct()) as agents:
        monkeypatch.setattr(remote, "START_S", 1.0)
        with pytest.raises(RunError, match=r"no answer from agents 0 at tcp.*with this token"):
            remote.RemoteTeam(talking, agents.addresses, b"a wrong token, long enough", Waiting())
        monkeypatch.undo()
        import zmq

        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            socket.connect(agents.addresses[0])
            for size in (0, 10, 70_000, 10_000_000):
                socket.send(b"x" * size)
        assert [process.poll() for process in agents.processes] == [None] * 3
        team = remote.RemoteTeam(talking, agents.addresses, b"the right token, long enough", Waiting())
        counts = team.counts(wait_s=20.0)
        team.close()
    assert counts["forged"] == 3 + 2 and counts["oversized"] == 1  # three hellos, and what was no frame


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], ["nowhere", "team.json"]),
        (["team", "--message-loss", "1.5"], ["--message-loss 1.5", "between 0 and 1"]),
        (["team", "--dead-agent", "9"], ["--dead-agent 9", "0 to 2"]),
        (["team", "--games", "0"], ["--games 0", "at least 1"]),
        (["team", "--dag-by", "agents", "--simulate"], ["--simulate", "processes"]),
        (["team", "--agents", "file", "--action-loss", "0.5"], ["--agents", "faults"]),
    ],
)
def test_a_mistake_ends_with_status_2(arguments, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "team").mkdir()
    about = {"format": 1, "agents": ["agent_0", "agent_1", "agent_2"]}
    (tmp_path / "team" / "team.json").write_text(json.dumps(about))
    status, error = status_of(command, arguments), capsys.readouterr().err
    assert status == 2 and all(word in error for word in words) and "Traceback" not in error


@pytest.mark.slow
def test_return_against_loss_is_a_table_and_a_picture(talking, tmp_path, capsys):
    words = [str(talking), "--simulate", "--games", "4", "--message-loss", "0", "0.5", "1", "--action-loss", "0", "0.5"]
    assert command.main([*words, "--output", str(tmp_path)]) == 0
    lines = (tmp_path / "faults.csv").read_text().splitlines()
    assert lines[0].split(",") == list(measuring.COLUMNS) and len(lines) == 1 + 4
    assert (tmp_path / "faults.png").stat().st_size > 5_000
    assert capsys.readouterr().out.count("4 games\n") == 4
