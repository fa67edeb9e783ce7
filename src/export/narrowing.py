"""One agent cut out of a team's controller."""

from copy import deepcopy

import torch
from torch import Tensor, nn

from bn_mappo.controllers.basic_controller import BasicMAC
from bn_mappo.controllers.dag_controller import DAGMAC
from bn_mappo.modules.agents.parents import SharedParentAggregation
from bn_mappo.modules.agents.vector_actor import VectorActor
from bn_mappo.modules.dag.generators import StaticDAG
from bn_mappo.modules.layers import AgentLinear

OF_PARENTS = ("listening", "parent_fc2", "parent_head")  # modules of a VectorActor that only messages reach


class AgentView(nn.Module):
    """A copy of a controller that computes one agent's policy from this agent's own row of everything.

    Actors of vectors are cut: the agent axes [N, ...] of their weights become [1, ...], so that the copy has the
    agent's own weights and nobody else's, but for those by which it reads the message of each other agent. Any other
    actor is left whole: it is shown the agent's row among rows of zeros, and its other results are left aside.
    """

    def __init__(self, mac: BasicMAC, agent: int, communicates: bool):
        super().__init__()
        self.mac, self.agent = deepcopy(mac).cpu().requires_grad_(False), agent
        self.is_cut = isinstance(mac.actor, VectorActor)
        self.n_rows = 1 if self.is_cut else mac.info.n_agents
        self.row = 0 if self.is_cut else agent
        if isinstance(self.mac, DAGMAC):
            self.mac.dag = StaticDAG(torch.zeros(1, 1))  # whoever computes the DAG has the networks for it
        if self.is_cut:
            self.mac.agent_ids = self.mac.agent_ids[agent : agent + 1]  # [1, N]
            cut(self.mac.actor, agent, communicates)

    def spread(self, own: Tensor, fill: float = 0.0) -> Tensor:
        """The agent's row [B, ...] as that of the view's team, [B, rows, ...], the other rows filled."""
        if self.n_rows == 1:
            return own.unsqueeze(1)
        other = torch.full_like(own, fill)
        return torch.stack([own if row == self.row else other for row in range(self.n_rows)], dim=1)

    def adjacency(self, parents: Tensor) -> Tensor:
        """parents [B, N] as columns of a DAG of the view's team, [B, N, rows]: nobody else has any."""
        return self.spread(parents).transpose(1, 2)


def cut(actor: nn.Module, agent: int, communicates: bool) -> None:
    """Leave an actor of vectors the weights of one agent, in place.

    Without communication the parents' branch goes, for it adds exactly 0 (modules/agents/vector_actor.py). Where
    children share the weights of a message, these are indexed by the sender, and the agent needs all of them.
    """
    if not communicates:
        for name in OF_PARENTS:
            if hasattr(actor, name):
                delattr(actor, name)
    of_senders = [child.weights for child in actor.modules() if isinstance(child, SharedParentAggregation)]
    for layer in actor.modules():
        if isinstance(layer, AgentLinear) and layer.groups > 1 and layer not in of_senders:
            layer.groups = 1
            layer.weight = nn.Parameter(layer.weight[agent].clone(), requires_grad=False)  # [outputs, inputs]
            if layer.bias is not None:
                layer.bias = nn.Parameter(layer.bias[agent].clone(), requires_grad=False)  # [outputs]
