"""The networks that leave the laboratory, each a function of named tensors with B rows: an agent's policy, the message
that it sends, and the team's DAG. They go through the public methods of the controller, so that what is exported is
what learning evaluates."""

from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bn_mappo.controllers.basic_controller import BasicMAC
from bn_mappo.controllers.dag_controller import DAGMAC
from bn_mappo.core.specs import EnvInfo
from bn_mappo.export.assignment import AssignedOrders
from bn_mappo.export.narrowing import AgentView
from bn_mappo.export.runtime.contract import Port
from bn_mappo.modules.action_selectors import choose
from bn_mappo.modules.dag.permutation import SinkhornOrders

ROWS = 3  # of the example inputs: any number but 0 and 1, which torch would take for constants


class Graph(NamedTuple):
    """A network to write down."""

    name: str  # of its file
    module: nn.Module
    example: dict[str, Tensor]  # inputs by name
    inputs: list[Port]
    outputs: list[Port]
    kind: str  # networks of one kind differ in the values of their weights alone


class AgentPolicy(nn.Module):
    """pi^i(. | o^i, a^{P^i}) of one agent: masked logits, the likeliest action, and the recurrent state."""

    def __init__(self, mac: BasicMAC, agent: int, communicates: bool):
        super().__init__()
        self.view = AgentView(mac, agent, communicates)

    def forward(
        self,
        obs: Tensor,
        avail_actions: Tensor | None = None,
        last_action: Tensor | None = None,
        hidden: Tensor | None = None,
        messages: Tensor | None = None,
        parents: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """obs [B, D], avail_actions [B, A], last_action [B], hidden [B, H], messages [B, N, M], parents [B, N] ->
        logits [B, A], action [B] and, of a recurrent agent, next_hidden [B, H]."""
        view, mac = self.view, self.view.mac
        before = view.spread(obs.new_zeros(obs.shape[0], 0) if hidden is None else hidden)  # [B, rows, H]
        taken = None if last_action is None else view.spread(last_action).unsqueeze(1)  # [B, 1, rows]
        starts = obs.new_zeros(obs.shape[0], 1)  # [B, 1]: whoever runs the agent sets its state to zeros at the start
        own, after = mac.encode(view.spread(obs).unsqueeze(1), taken, before, starts)  # of [rows, B, .], [B, rows, H]
        from_parents = None
        if messages is not None and parents is not None:
            from_parents = mac.actor.from_parents(view.adjacency(parents), messages.transpose(0, 1))  # [rows, B, .]
        avail = None if avail_actions is None else view.spread(avail_actions, fill=True)  # [B, rows, A]
        masked = mac.masked(mac.actor.logits(own, from_parents), avail)[..., view.row]  # [A, B]
        result = (masked.T, choose(masked, None))
        return result if hidden is None else (*result, after[:, view.row])


class AgentMessage(nn.Module):
    """What an agent tells its children: the action that it has chosen, one-hot, and what it observes where it does."""

    action_codes: Tensor

    def __init__(self, mac: DAGMAC):
        super().__init__()
        self.register_buffer("action_codes", mac.action_codes.cpu().clone())  # [A, A]

    def forward(self, action: Tensor, obs: Tensor | None = None) -> Tensor:
        """action [B], obs [B, D] where it is sent too -> message [B, M]."""
        one_hot = self.action_codes[action]  # [B, A]
        return one_hot if obs is None else torch.cat([one_hot, obs], dim=-1)


class TeamDAG(nn.Module):
    """The DAG of the greedy policy, of zero noise: from the joint observation, or from the state."""

    def __init__(self, mac: DAGMAC):
        super().__init__()
        self.mac = deepcopy(mac).cpu().requires_grad_(False)
        del self.mac.actor  # which has no part in it
        orders = getattr(self.mac.dag, "orders", None)
        if isinstance(orders, SinkhornOrders):
            self.mac.dag.orders = AssignedOrders(orders)

    def forward(self, context: Tensor) -> Tensor:
        """context: obs [B, N, D], or state [B, S] -> adjacency [B, N, N]; [b, j, i] == 1: j is a parent of i."""
        state = context if self.mac.options.dag.context == "state" else None
        return self.mac.generate(context, state, None, 1.0).adjacency.clone()


def policy_graph(mac: BasicMAC, agent: int, communicates: bool) -> Graph:
    """The policy of one agent."""
    info = mac.info
    ports: list[tuple[Port, Tensor]] = [
        (
            Port(
                name="obs", dtype="float32", shape=["batch", info.obs_dim], meaning="the agent's own observation, raw"
            ),
            torch.zeros(ROWS, info.obs_dim),
        )
    ]
    if info.masks_actions:
        port = Port(
            name="avail_actions",
            dtype="bool",
            shape=["batch", info.n_actions],
            meaning="whether each action can be taken now; at least one can",
        )
        ports.append((port, torch.ones(ROWS, info.n_actions, dtype=torch.bool)))
    if sees_last_action(mac):
        port = Port(
            name="last_action",
            dtype="int64",
            shape=["batch"],
            meaning="the action that the agent took in the step before; -1 in the first step of an episode",
        )
        ports.append((port, torch.zeros(ROWS, dtype=torch.int64)))
    width = mac.actor.hidden_size
    outputs = [
        Port(
            name="logits",
            dtype="float32",
            shape=["batch", info.n_actions],
            meaning="unnormalised log-probabilities (of a value-based policy: action values); of unavailable actions "
            "the lowest float32",
        ),
        Port(name="action", dtype="int64", shape=["batch"], meaning="the likeliest action"),
    ]
    if width:
        shape: list[int | str] = ["batch", width]
        meaning = "recurrent state: zeros in the first step of an episode, then next_hidden of the step before"
        ports.append((Port(name="hidden", dtype="float32", shape=shape, meaning=meaning), torch.zeros(ROWS, width)))
        outputs.append(Port(name="next_hidden", dtype="float32", shape=shape, meaning="hidden of the next step"))
    if communicates:
        assert isinstance(mac, DAGMAC), "other controllers have no DAG"
        ports += _from_parents(info, mac.message_dim)
    example = {port.name: tensor for port, tensor in ports}
    inputs = [port for port, _ in ports]
    module = AgentPolicy(mac, agent, communicates)
    kind = "policy" if module.view.is_cut else f"policy of agent {agent}"  # else its row is part of the graph
    return Graph("policy", module, example, inputs, outputs, kind)


def _from_parents(info: EnvInfo, width: int) -> list[tuple[Port, Tensor]]:
    messages = Port(
        name="messages",
        dtype="float32",
        shape=["batch", info.n_agents, width],
        meaning="[b, j]: the message of agent j; zeros where there is none",
    )
    parents = Port(
        name="parents",
        dtype="float32",
        shape=["batch", info.n_agents],
        meaning="[b, j]: 1 where agent j is a parent whose message is there, else 0",
    )
    shape = (ROWS, info.n_agents)
    return [(messages, torch.zeros(*shape, width)), (parents, torch.zeros(shape))]


def message_graph(mac: DAGMAC) -> Graph:
    """What an agent sends."""
    info = mac.info
    inputs = [Port(name="action", dtype="int64", shape=["batch"], meaning="the action that the agent has chosen")]
    example = {"action": torch.zeros(ROWS, dtype=torch.int64)}
    if mac.options.dag.parent_inputs == "actions_and_obs":
        inputs.append(Port(name="obs", dtype="float32", shape=["batch", info.obs_dim], meaning="its observation"))
        example["obs"] = torch.zeros(ROWS, info.obs_dim)
    output = Port(name="message", dtype="float32", shape=["batch", mac.message_dim], meaning="for every child alike")
    return Graph("message", AgentMessage(mac), example, inputs, [output], "message")


def dag_graph(mac: DAGMAC) -> Graph:
    """Who is whose parent."""
    info = mac.info
    if mac.options.dag.context == "state":
        shape, meaning = [info.state_dim], "the state of the environment"
    else:
        shape, meaning = [info.n_agents, info.obs_dim], "the observations of all agents"
    context = Port(name="context", dtype="float32", shape=["batch", *shape], meaning=meaning)
    adjacency = Port(
        name="adjacency",
        dtype="float32",
        shape=["batch", info.n_agents, info.n_agents],
        meaning="[b, j, i] == 1: agent j is a parent of agent i, acts before it, and sends it its message",
    )
    return Graph("dag", TeamDAG(mac), {"context": torch.zeros(ROWS, *shape)}, [context], [adjacency], "dag")


def sees_last_action(mac: BasicMAC) -> bool:
    """Whether the agents take their own last action in."""
    return bool(mac.options.obs_last_action)
