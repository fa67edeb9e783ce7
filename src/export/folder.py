"""bn-mappo export: from a recorded run to one folder per agent, whole or not at all."""

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bn_mappo.controllers.basic_controller import MAC, BasicMAC
from bn_mappo.controllers.dag_controller import DAGMAC
from bn_mappo.controllers.graph_controller import GraphMAC
from bn_mappo.controllers.mat_controller import MATDecMAC
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.specs import EnvInfo
from bn_mappo.export import parity
from bn_mappo.export.dec_policy import DecPolicyMAC
from bn_mappo.export.games import play
from bn_mappo.export.graphs import dag_graph, message_graph, policy_graph, sees_last_action
from bn_mappo.export.model_card import model_card
from bn_mappo.export.origin import origin_of, shown_config
from bn_mappo.export.recording import ReferenceRecorder, Steps
from bn_mappo.export.runtime.contract import (
    FORMAT,
    TEAM_FILE,
    Communication,
    Contract,
    NetworkFile,
    Parent,
    write_contract,
)
from bn_mappo.export.team import ExportedTeam
from bn_mappo.export.writing import OPSET, Format, NetworkWriter
from bn_mappo.modules.dag.assignment import MOST_AGENTS
from bn_mappo.modules.dag.permutation import SinkhornOrders
from bn_mappo.training.trained import Run

FLOAT_BYTES = 4
RULE = (
    "An agent acts after its parents: it waits for the message of each, acts, and sends its own message to its "
    "children. A parent whose message does not come counts as none. The DAG is computed from the input of the network "
    "`dag`, which no single agent has: a coordinator that sees all of it computes the DAG and tells each agent its "
    "parents and children, or the agents send one another their observations first."
)


class Plan(NamedTuple):
    """What is to be exported, and how it is checked."""

    file_format: Format = "onnx"
    allow_communication: bool = False
    n_steps: int = 10_000  # recorded steps of the parity report
    n_games: int = 200  # of its returns


class Exported(NamedTuple):
    """What an export came to."""

    folder: Path
    report: dict[str, Any]  # parity.json
    communicates: bool


def export_run(run: Run, folder: Path, plan: Plan) -> Exported:
    """Write the folder; ConfigError, and no folder, where the policy cannot leave, or the result is not the policy."""
    writer = NetworkWriter(plan.file_format)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"--output {folder}: give a new folder, or an empty one")
    mac = exportable(run.setup.mac.deployed)
    steps = record(run, mac, plan.n_steps)
    communicates = bool(steps.adjacency.any())
    if communicates:
        check_communication(mac, steps, plan)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export_") as workplace:
        made = Path(workplace) / folder.name
        report = _write(run, mac, made, plan, steps, communicates, writer)
        if folder.exists():
            folder.rmdir()
        shutil.move(made, folder)
    return Exported(folder, report, communicates)


def exportable(mac: MAC) -> BasicMAC:
    """The controller; ConfigError where single agents cannot do what it does."""
    if isinstance(mac, MATDecMAC):
        return DecPolicyMAC(mac)
    if isinstance(mac, GraphMAC):
        raise ConfigError(
            "GraphMAC: agents on a coordination graph find their joint action together, by messages: no agent "
            "can be taken out of it"
        )
    if not isinstance(mac, BasicMAC):
        raise ConfigError(
            f"{type(mac).__name__}: this controller has no actor that gives each agent's logits, so no agent can be "
            "taken out of it. Controllers that build on basic_mac or dag_controller, and mat_dec_controller, can be "
            "exported"
        )
    return mac


def check_communication(mac: BasicMAC, steps: Steps, plan: Plan) -> None:
    """ConfigError where agents need messages and may not have them, or where nobody could compute the DAG."""
    if not isinstance(mac, DAGMAC):
        raise ConfigError(f"{type(mac).__name__} acts along DAGs, and only those of a dag_controller can be exported")
    density = float(steps.density.mean())
    if not plan.allow_communication:
        raise ConfigError(
            f"this policy needs messages: the density of its DAG is {density:.4f} (mean of {len(steps.obs):,} greedy "
            f"steps; {(steps.density > 0).mean():.1%} of them have edges). Its agents cannot act on their own "
            "observations alone.\nExport senders and receivers with --allow-communication, or train a policy that is "
            "annealed to no edges: --config=bn_mappo_annealed"
        )
    if mac.dag.is_random:
        raise ConfigError(
            f"dag.generator={mac.options.dag.generator.name} draws its DAG anew in every step: it has no mode to export"
        )
    if isinstance(getattr(mac.dag, "orders", None), SinkhornOrders) and mac.info.n_agents > MOST_AGENTS:
        raise ConfigError(
            f"dag.permutation=gumbel_sinkhorn solves an assignment problem in every step, and a network file can do so "
            f"for {MOST_AGENTS} agents at most; this team has {mac.info.n_agents}. A policy of "
            "dag.permutation=plackett_luce or identity can be exported, or one of density 0"
        )


def record(run: Run, mac: BasicMAC, n_steps: int) -> Steps:
    """n_steps joint steps of greedy play, over as many games as that takes."""
    recorder, n_games = ReferenceRecorder(mac, n_steps), 50
    for round_number in range(n_steps):
        play(run.config, mac, n_games, run.t_env + round_number, observer=recorder)
        if recorder.is_full:
            break
    return recorder.steps()


def _write(
    run: Run, mac: BasicMAC, folder: Path, plan: Plan, steps: Steps, communicates: bool, writer: NetworkWriter
) -> dict[str, Any]:
    """The networks, then the parity report on what was written, then everything that quotes the report."""
    info = run.setup.info
    names = [f"agent_{number}" for number in range(info.n_agents)]
    config = shown_config(run)
    team = {
        "format": FORMAT,
        "agents": names,
        "communicates": communicates,
        "trained_steps": run.t_env,
        "config": config,
    }
    contracts = []
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        contracts.append(write_agent(mac, info, number, folder / name, writer, communicates, steps))
        write_contract(contracts[-1], folder / name)
    _write_json(team, folder / TEAM_FILE)

    exported = ExportedTeam(folder)
    report = parity.compare_steps(exported, steps)
    parity.check(report)
    ours, theirs = (play(run.config, player, plan.n_games, run.t_env) for player in (exported, mac))
    report["return"] = parity.compare_returns(ours, theirs)
    report["density"] = float(steps.density.mean())
    provenance = {**origin_of(run), "test_return": report["return"]["exported"], "config": config}
    for contract, name in zip(contracts, names, strict=True):
        write_contract(replace(contract, provenance=provenance), folder / name)
    _write_json(report, folder / "parity.json")
    (folder / "MODEL_CARD.md").write_text(model_card(contracts[0], provenance, report, folder), encoding="utf-8")
    return report


def write_agent(
    mac: BasicMAC, info: EnvInfo, agent: int, folder: Path, writer: NetworkWriter, communicates: bool, steps: Steps
) -> Contract:
    """The networks of one agent, and its contract without provenance."""
    policy = writer.write(policy_graph(mac, agent, communicates), folder)
    communication = None
    if communicates:
        assert isinstance(mac, DAGMAC), "check_communication has refused others"
        message = writer.write_again("message", folder) or writer.write(message_graph(mac), folder)
        dag = writer.write_again("dag", folder) or writer.write(dag_graph(mac), folder)
        communication = _communication(mac, agent, message, dag, steps)
    names = info.record.action_names or tuple(f"action {number}" for number in range(info.n_actions))
    return Contract(
        format=FORMAT,
        agent=agent,
        n_agents=info.n_agents,
        network_format=writer.file_format,
        opset=OPSET if writer.file_format == "onnx" else None,
        obs_dim=info.obs_dim,
        actions=list(names),
        masks_actions=info.masks_actions,
        sees_last_action=sees_last_action(mac),
        recurrent_width=mac.actor.hidden_size,
        policy=policy,
        communication=communication,
        meaning=_meaning(mac),
    )


def _communication(mac: DAGMAC, agent: int, message: NetworkFile, dag: NetworkFile, steps: Steps) -> Communication:
    width = mac.message_dim
    shares = steps.adjacency[:, :, agent].mean(0)  # [N]
    parents = {
        str(j): Parent(share_of_steps=float(shares[j]), bytes_a_message=FLOAT_BYTES * width)
        for j in np.flatnonzero(shares)
    }
    return Communication(
        message_dim=width,
        message=message,
        dag=dag,
        dag_context=mac.options.dag.context,
        parents=parents,
        rule=RULE,
    )


def _meaning(mac: BasicMAC) -> dict[str, str]:
    """What the ports alone do not say."""
    layer_norm = getattr(mac.options, "obs_layer_norm", False)
    norm = "the network normalises the observation over its features" if layer_norm else "the network needs none"
    masks = "unavailable actions get the lowest float32 as logit, inside the network"
    return {
        "normalisation": f"{norm}: hand in what the environment shows",
        "agent_number": "inside the network, where the policy uses it",
        "mask": masks if mac.info.masks_actions else "every action can always be taken",
        "recurrent_state": "hand in zeros at the start of every episode" if mac.actor.hidden_size else "none",
        "sampling": "`action` is the likeliest one, as in greedy evaluation; to sample, draw from softmax(logits)",
        "batch": "any number of rows, each an independent copy of this agent",
    }


def _write_json(content: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
