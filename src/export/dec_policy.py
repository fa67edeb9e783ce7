"""The policy of MAT-Dec as a controller of independent agents, without the transformer, which only gives values."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from bn_mappo.controllers.basic_controller import MAC, BasicMAC
from bn_mappo.controllers.mat_controller import MATDecMAC
from bn_mappo.modules.agents.actor import Actor, Encoding, Features


@dataclass(frozen=True)
class Shown:
    """What the agents see besides their observations, by the names of BasicMAC's options."""

    obs_agent_id: bool
    obs_layer_norm: bool
    obs_last_action: bool = False


class DecActor(Actor):
    """The layers of MATDecMAC's policy, on inputs of which the agent's number is a part."""

    def __init__(self, mac: MATDecMAC):
        super().__init__()
        self.own, self.head = mac.own, mac.head

    def encode(self, obs: Tensor, hidden: Tensor, starts: Tensor, deciding: Tensor | None = None) -> Encoding:
        token: Tensor = self.own.norm(functional.gelu(self.own.fc(obs)))  # [N, M, H]
        return Encoding(token, hidden)

    def from_parents(self, adjacency: Tensor, inputs: Tensor) -> Tensor:
        raise NotImplementedError("agents of MAT-Dec have no parents")

    def logits(self, own: Features, from_parents: Tensor | None = None) -> Tensor:
        logits: Tensor = self.head(own)
        return logits


class DecPolicyMAC(BasicMAC):
    """Acts as the given controller does, agent by agent."""

    def __init__(self, mac: MATDecMAC):
        shown = Shown(mac.options.obs_agent_id, mac.options.obs_layer_norm)
        MAC.__init__(self, shown, mac.info)  # the actor is there, and is not made anew
        self.actor = DecActor(mac)
        self.to(torch.device("cpu"))
