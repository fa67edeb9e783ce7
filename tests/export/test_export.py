"""Exported agents are the policy that they came from; those that cannot be are refused."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from bn_mappo.api import load_run
from bn_mappo.cli import export as command
from bn_mappo.cli import imported
from bn_mappo.core.errors import ConfigError
from bn_mappo.export import parity
from bn_mappo.export.games import exported_config, play
from bn_mappo.export.graphs import policy_graph
from bn_mappo.export.recording import Steps
from bn_mappo.export.runtime.contract import read_contract
from bn_mappo.export.team import ExportedTeam
from export.exported import export, save_run, status_of
from helpers import make_config, make_rollout

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

LEARNED = {"dag__generator": "learned", "dag__edge_bias": 1.0}
GAME = {"env_args__n_agents": 2, "env_args__episode_limit": 9}
BATTLE = {"env": "skirmish", "env_args__map_name": "2m_vs_1z"}
CASES = {  # what differs between agents, what they remember, and how messages enter
    "own weights, recurrent, last action": {
        **{"alg": "mappo", "share_params": False, "agent": "rnn"},
        **{"obs_last_action": True, "obs_layer_norm": True},
    },
    "hidden, own heads, order and edges that are actions": {
        **LEARNED,
        **{"fusion": "hidden", "share_heads": False},
        **{"dag__permutation": "plackett_luce", "dag__edges": "bernoulli"},
    },
    "encoded, recurrent, state": {**LEARNED, "fusion": "encoded", "agent": "rnn", "dag__context": "state"},
    "sets of entities, masked actions": {**BATTLE, "agent": "entity", "dag__generator": "distance", "dag__n_edges": 1},
    "values of actions": {"alg": "qmix", "agent": "rnn"},
    "the team that a guide has taught": {"alg": "magpo"},
    "the agents beside a transformer": {"alg": "mat_dec", "obs_layer_norm": True},
    "input, own weights, observations": {
        **LEARNED,
        **{"fusion": "input", "share_params": False, "dag__parent_inputs": "actions_and_obs"},
    },
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.slow
def test_an_exported_team_acts_as_its_checkpoint(case, tmp_path):
    updates, file_format = CASES[case], "torch" if case == list(CASES)[-1] else "onnx"
    run = save_run(tmp_path / "run", **(updates if "env" in updates else {**GAME, **updates}))
    made = export(run, tmp_path / "out", file_format=file_format, allow_communication=True)
    report = made.report
    assert report["steps"] == 300 and report["wrong_actions"] == 0
    assert report["largest_logit_difference"] < 1e-3
    assert made.communicates == ("alg" not in updates)
    assert report["return"]["games_with_equal_return"] == 8
    team = ExportedTeam(made.folder)
    loaded = load_run(run)
    ours, theirs = (
        play(loaded.config, player, 8, loaded.t_env, greedy=False) for player in (team, loaded.setup.mac.deployed)
    )
    if not made.communicates and updates["alg"] != "qmix":  # with sampled actions too; sampled DAGs are not exported
        assert np.array_equal(ours["return"], theirs["return"])


@pytest.mark.parametrize(("alg", "words"), [("mat", "no actor"), ("dcg", "coordination graph")])
def test_teams_that_act_together_are_refused(alg, words, tmp_path):
    with pytest.raises(ConfigError, match=words):
        export(save_run(tmp_path / "run", alg, **GAME), tmp_path / "out")


@pytest.mark.slow
def test_the_contract_says_what_the_network_takes(silent):
    import onnxruntime

    for number in range(2):
        folder = silent / f"agent_{number}"
        contract = read_contract(folder)
        assert (contract.agent, contract.n_agents, contract.opset) == (number, 2, 18)
        assert contract.actions == ["0", "1"] and contract.communication is None and contract.recurrent_width == 16
        session = onnxruntime.InferenceSession(str(folder / contract.policy.file))
        for ports, there in (
            (contract.policy.inputs, session.get_inputs()),
            (contract.policy.outputs, session.get_outputs()),
        ):
            assert [port.name for port in ports] == [value.name for value in there]
            assert [port.shape for port in ports] == [value.shape for value in there]
        report = json.loads((silent / "parity.json").read_text())
        assert contract.provenance["test_return"] == report["return"]["exported"]
        assert contract.provenance["licence"] == "Apache-2.0" and contract.provenance["config"]["agent"] == "rnn"
    card = (silent / "MODEL_CARD.md").read_text()
    assert "density of the DAG | 0.0000" in card and "{" not in card.replace('{"', "")


HOST = """
import json, sys
import numpy as np, onnxruntime
contract = json.load(open(sys.argv[1] + "/contract.json"))
session = onnxruntime.InferenceSession(sys.argv[1] + "/" + contract["policy"]["file"])
ports = contract["policy"]["inputs"]
shapes = {port["name"]: [1 if side == "batch" else side for side in port["shape"]] for port in ports}
logits, action, after = session.run(None, {name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
assert action[0] == logits[0].argmax() and after.shape == (1, contract["recurrent_width"])
assert not {name.split(".")[0] for name in sys.modules} & {"torch", "bn_mappo"}
print(int(action[0]))
"""


@pytest.mark.slow
def test_a_host_needs_onnxruntime_and_numpy_alone(silent):
    done = subprocess.run(
        [sys.executable, "-c", HOST, str(silent / "agent_1")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    team = ExportedTeam(silent)
    zeros = {"obs": np.zeros((1, 2), np.float32), "hidden": np.zeros((1, 16), np.float32)}
    assert int(done.stdout) == int(team.agents[1].policy(zeros)["action"][0])


@pytest.mark.slow
def test_an_imported_team_is_evaluated_as_any_policy(silent, capsys):
    assert imported.main([str(silent), "--games", "8"]) == 0
    mean = float(capsys.readouterr().out.split("\nreturn")[1].split()[0])
    assert mean == pytest.approx(
        json.loads((silent / "parity.json").read_text())["return"]["exported"]["mean"], abs=1e-3
    )


@pytest.mark.slow
def test_the_configuration_comes_back(silent):
    config = exported_config(ExportedTeam(silent).about)
    assert (config.env, config.env_args["n_agents"], config.env_args["episode_limit"]) == ("coordination_game", 2, 5)


def test_unavailable_actions_are_masked_inside_the_network(toys):
    mac = make_rollout(make_config("mappo", env="masked_game"))[0].mac
    graph = policy_graph(mac, 1, communicates=False)
    avail = torch.tensor([[False, True, False, True], [False, False, True, False]])
    logits, action = graph.module(obs=torch.randn(2, 4), avail_actions=avail)
    lowest = torch.finfo(torch.float32).min
    assert torch.equal(logits == lowest, ~avail)
    assert avail[torch.arange(2), action].all() and action[1] == 2


def test_a_policy_with_edges_is_refused_with_its_density(tmp_path, capsys):
    run = save_run(tmp_path / "run", dag__generator="line", env_args__n_agents=3)
    assert status_of(command, [str(run), "--output", str(tmp_path / "out"), "--steps", "20", "--games", "2"]) == 2
    error = capsys.readouterr().err
    assert "0.6667" in error and "--allow-communication" in error and "Traceback" not in error
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("updates", "words"),
    [
        ({"dag__generator": "random"}, ["dag.generator=random", "no mode"]),
        ({"dag__edge_bias": 3.0, "env_args__n_agents": 13}, ["gumbel_sinkhorn", "12 agents", "plackett_luce"]),
    ],
)
def test_dags_that_no_graph_can_compute_are_refused(updates, words, tmp_path):
    run = save_run(tmp_path / "run", **{"env_args__n_agents": 3, **updates})
    with pytest.raises(ConfigError) as error:
        export(run, tmp_path / "out", allow_communication=True)
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "--output", "out"], ["nowhere", "no such"]),
        (["run", "--output", "full"], ["--output full", "empty"]),
        (["run", "--output", "out", "--steps", "0"], ["--steps 0", "at least 1"]),
        (["run", "--output", "out", "--format", "jax"], ["jax", "onnx"]),
        (["run"], ["--output"]),
    ],
)
def test_a_mistake_ends_with_status_2_and_writes_nothing(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_run(tmp_path / "run", "mappo")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").touch()
    status, error = status_of(command, arguments), capsys.readouterr().err
    assert status == 2 and all(word in error for word in words), error
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no folder of an exported team"):
        ExportedTeam(tmp_path)
    (tmp_path / "team.json").write_text('{"format": 99}')
    with pytest.raises(ConfigError, match="format 99"):
        ExportedTeam(tmp_path)


def test_a_missing_package_is_named_with_its_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    run = save_run(tmp_path / "run", "mappo")
    with pytest.raises(ConfigError, match=r"'onnxscript' is not installed.*\n.*pip install 'bn-mappo\[export\]'"):
        export(run, tmp_path / "out")


class Constant:
    """Stands in for a team: logits that it is told."""

    communicates = False

    def __init__(self, logits):
        self.logits = logits

    def choose(self, seen, messages, there):
        class Result:
            logits = self.logits

        return Result()


def test_the_report_tells_ties_from_errors():
    reference = np.array([[[1.0, 0.0]], [[0.5, 0.5 - 1e-6]], [[0.0, 3.0]]], np.float32)  # K=3, N=1, A=2
    ours = np.array([[[1.0, 0.0]], [[0.5 - 2e-6, 0.5]], [[3.5, 3.0]]], np.float32)
    nothing = np.zeros((3, 1, 1), np.float32)
    steps = Steps(nothing, nothing[:, 0], None, nothing[..., 0], nothing, nothing, reference.argmax(-1), reference)
    report = parity.compare_steps(Constant(ours), steps)
    assert (report["ties"], report["wrong_actions"]) == (1, 1)
    assert report["equal_actions"] == pytest.approx(1 / 3) and report["largest_logit_difference"] == 3.5
    with pytest.raises(ConfigError, match="1 actions of 3 steps differ"):
        parity.check(report)
