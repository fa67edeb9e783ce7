"""One agent cut out of a team's controller: its own weights, and nobody else's."""

from copy import deepcopy

import torch
from torch import nn

from bn_mappo.controllers.basic_controller import BasicMAC
from bn_mappo.controllers.dag_controller import DAGMAC
from bn_mappo.modules.dag.generators import StaticDAG
from bn_mappo.modules.layers import AgentLinear

OF_PARENTS = ("listening", "parent_fc2", "parent_head")  # modules of the actor that only messages reach


def narrowed(mac: BasicMAC, agent: int, communicates: bool) -> BasicMAC:
    """A copy of the controller for a team of one: agent axes [N, ...] of weights and numbers become [1, ...].

    The weights of the parents' branch are indexed by sender where children share them (messages W_j x_j), and by child
    else, where the message is x_j itself: in both cases the agent's own row is all that it needs. Without
    communication the parents' branch is left out, for it adds exactly 0 (modules/agents/actor.py).
    """
    copy = deepcopy(mac).cpu().requires_grad_(False)
    copy.agent_ids = copy.agent_ids[agent : agent + 1]  # [1, N]
    if isinstance(copy, DAGMAC):
        copy.dag = StaticDAG(torch.zeros(1, 1))  # whoever computes the DAG has the networks for it
    if not communicates:
        for name in OF_PARENTS:
            if hasattr(copy.actor, name):
                delattr(copy.actor, name)
    for layer in copy.modules():
        if isinstance(layer, AgentLinear) and layer.groups > 1:
            layer.groups = 1
            layer.weight = nn.Parameter(layer.weight[agent].clone(), requires_grad=False)  # [outputs, inputs]
            if layer.bias is not None:
                layer.bias = nn.Parameter(layer.bias[agent].clone(), requires_grad=False)  # [outputs]
    return copy
