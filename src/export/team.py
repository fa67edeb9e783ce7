"""An exported folder that plays as a controller does: its networks, and nothing of the controller itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bn_mappo.controllers.basic_controller import Selection, Step
from bn_mappo.core.seeding import Generators
from bn_mappo.core.specs import Array
from bn_mappo.export.runtime.contract import TEAM_FILE, Contract, read_contract, read_object
from bn_mappo.export.runtime.network import Network
from bn_mappo.export.writing import open_network
from bn_mappo.modules.action_selectors import gumbel_noise

# From DAGs [B, N, N] and what every agent sends [B, N, M] to what arrives: messages [B, N, N, M] and whether each is
# there [B, N, N], both with the sender before the receiver.
Deliver = Callable[[Array, Array], tuple[Array, Array]]


class Seen(NamedTuple):
    """What the agents see in B games, as arrays."""

    obs: Array  # [B, N, D]
    avail_actions: Array | None  # [B, N, A]
    last_actions: Array  # [B, N]
    hidden: Array  # [B, N, H]

    def of(self, agent: int) -> dict[str, Array]:
        """The inputs of one agent by the names of its contract."""
        inputs = {
            "obs": self.obs[:, agent],
            "last_action": self.last_actions[:, agent],
            "hidden": self.hidden[:, agent],
        }
        if self.avail_actions is not None:
            inputs["avail_actions"] = self.avail_actions[:, agent]
        return {name: np.ascontiguousarray(value) for name, value in inputs.items()}


class Acted(NamedTuple):
    """What the agents do in B games."""

    actions: Array  # [B, N]
    logits: Array  # [B, N, A]
    hidden: Array  # [B, N, H] after the step


class ExportedAgent:
    """The networks of one agent's folder, and its contract."""

    def __init__(self, folder: Path):
        self.contract: Contract = read_contract(folder)
        self.policy: Network = open_network(folder, self.contract.policy)
        described = self.contract.communication
        self.message: Network | None = None if described is None else open_network(folder, described.message)


class ExportedTeam:
    """The agents of an exported folder in one process. Plays in the evaluator, as a controller: greedy, or with the
    noise of sampled actions. Keeps nothing between calls."""

    def __init__(self, folder: Path):
        self.folder, self.about = folder, read_team(folder)
        self.agents = [ExportedAgent(folder / name) for name in self.about["agents"]]
        contract = self.agents[0].contract
        self.contract, self.n_agents = contract, contract.n_agents
        self.communicates = contract.communication is not None
        self.dag: Network | None = None
        if contract.communication is not None:
            self.dag = open_network(folder / self.about["agents"][0], contract.communication.dag)
        self.agent_ids = torch.eye(self.n_agents)  # [N, N]

    def init_hidden(self, batch_size: int) -> Tensor:
        """The hidden state before an episode, [B, N, H]."""
        return torch.zeros(batch_size, self.n_agents, self.contract.recurrent_width)

    def draw_noise(
        self, batch_size: int, generators: Generators, fraction: float, greedy: bool = False
    ) -> dict[str, Tensor]:
        """Noise of one step of B games: that of sampled actions. The DAG is always the mode, without noise."""
        if greedy:
            return {}
        shape = (batch_size, self.n_agents, self.contract.n_actions)
        return {"action_noise": gumbel_noise(shape, generators["actions"], torch.device("cpu"))}

    def select_actions(self, step: Step, hidden: Tensor, noise: dict[str, Tensor], fraction: float = 0.0) -> Selection:
        """Act in B games."""
        seen, adjacency = see(step, hidden), self.adjacency(step.obs.numpy(), step.state.numpy())
        of_actions = noise.get("action_noise")
        acted = self.act(seen, adjacency, None if of_actions is None else of_actions.numpy())
        shown = None if adjacency is None else torch.from_numpy(adjacency)
        return Selection(torch.from_numpy(acted.actions), torch.from_numpy(acted.hidden), {}, shown)

    def adjacency(self, obs: Array, state: Array) -> Array | None:
        """The DAGs of B games, [B, N, N]; None where agents need no messages."""
        if self.dag is None or self.contract.communication is None:
            return None
        context = state if self.contract.communication.dag_context == "state" else obs
        return self.dag({"context": np.ascontiguousarray(context)})["adjacency"]

    def act(
        self, seen: Seen, adjacency: Array | None, noise: Array | None = None, deliver: Deliver | None = None
    ) -> Acted:
        """All agents choose as if they had no parents, then on the messages of their parents, until nothing changes:
        the fixed point that acting in the order of the DAG leads to (controllers/dag_controller.py)."""
        n_games = len(seen.obs)
        if adjacency is None:
            return self.choose(seen, None, None, noise)
        width = self.contract.communication.message_dim if self.contract.communication else 0
        nothing = np.zeros((n_games, self.n_agents, self.n_agents, width), dtype=np.float32)
        acted = self.choose(seen, nothing, np.zeros_like(adjacency), noise)
        for _ in range(self.n_agents):  # a DAG of depth N - 1 needs N passes, and stale messages none more
            before = acted.actions
            messages, there = (deliver or everything)(adjacency, self.messages(before, seen.obs))
            acted = self.choose(seen, messages, there, noise)
            if np.array_equal(acted.actions, before):
                break
        return acted

    def messages(self, actions: Array, obs: Array) -> Array:
        """What every agent sends, [B, N, M]: from actions [B, N] and obs [B, N, D]."""
        sent = []
        for number, agent in enumerate(self.agents):
            assert agent.message is not None, "the agents of a folder all communicate, or none of them does"
            own = {"action": actions[:, number], "obs": obs[:, number]}
            inputs = {name: np.ascontiguousarray(value) for name, value in own.items()}
            sent.append(agent.message(inputs)["message"])
        return np.stack(sent, axis=1)

    def choose(self, seen: Seen, messages: Array | None, there: Array | None, noise: Array | None = None) -> Acted:
        """One pass of all agents: messages [B, N, N, M], and whether they are there [B, N, N] (row: sender)."""
        columns: dict[str, list[Array]] = {"action": [], "logits": [], "next_hidden": []}
        for number, agent in enumerate(self.agents):
            inputs = seen.of(number)
            if messages is not None and there is not None:
                inputs["messages"] = np.ascontiguousarray(messages[:, :, number])
                inputs["parents"] = np.ascontiguousarray(there[:, :, number], dtype=np.float32)
            outputs = agent.policy(inputs)
            columns["logits"].append(outputs["logits"])
            columns["next_hidden"].append(outputs.get("next_hidden", seen.hidden[:, number]))
            chosen = outputs["action"] if noise is None else (outputs["logits"] + noise[:, number]).argmax(-1)
            columns["action"].append(chosen)
        actions, logits, hidden = (np.stack(column, axis=1) for column in columns.values())
        return Acted(actions, logits, hidden)


def everything(adjacency: Array, sent: Array) -> tuple[Array, Array]:
    """Every message arrives, along the DAG and nowhere else."""
    messages = np.broadcast_to(sent[:, :, None], (*adjacency.shape, sent.shape[-1]))  # [B, N, N, M]
    return messages * adjacency[..., None], adjacency


def see(step: Step, hidden: Tensor) -> Seen:
    """What the agents see, as arrays; the recurrent state is zeros where an episode starts."""
    kept = hidden * (1 - step.episode_start)[:, None, None]  # [B, N, H]
    avail = None if step.avail_actions is None else step.avail_actions.numpy()
    return Seen(step.obs.numpy(), avail, step.last_actions.numpy(), kept.numpy())


def read_team(folder: Path) -> dict[str, Any]:
    """team.json of an exported folder."""
    return read_object(folder / TEAM_FILE, "an exported team")
