"""The local policies pi^i(a^i | o^i, a^{P^i}) of all agents: one network in the three forms of the paper's table 2."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from bn_mappo.modules.agents.encoders import REGISTRY as ENCODERS
from bn_mappo.modules.agents.encoders import Encoding
from bn_mappo.modules.agents.parents import Listening, OwnListening, SharedListening
from bn_mappo.modules.layers import OUTPUT_GAIN, AgentLinear


class ActorSpec(NamedTuple):
    """Sizes and form of an actor."""

    n_agents: int
    n_actions: int
    input_dim: int  # width of the agent's own input
    parent_dim: int  # width of what it hears from each parent; 0: it has none
    hidden_dim: int
    agent: str  # mlp | rnn
    fusion: str  # input | hidden | encoded: where the parents' part comes in
    share_params: bool
    share_heads: bool


class Actor(nn.Module):
    """Logits of all agents from features of their observations and, optionally, from their parents' actions.

    With Base = FC ReLU FC ReLU (or FC ReLU GRU), o the own input and p the parents' inputs side by side:

        input:   concat(o, p) -> Base -> FC        hidden: concat(Base(o), p) -> FC
        encoded: concat(Base(o), Base(p)) -> FC

    The parents' branch has no biases, so it adds exactly 0 where there is no parent: with an empty DAG each form is
    the plain MAPPO actor. Observations never meet parents before `logits`, so `encode` runs once for all agents. Agents
    come first in all tensors here (modules/layers.py).
    """

    def __init__(self, spec: ActorSpec, generator: torch.Generator, parent_generator: torch.Generator):
        super().__init__()
        self.spec = spec
        groups = 1 if spec.share_params else spec.n_agents
        head_groups = 1 if spec.share_params and spec.share_heads else spec.n_agents
        hidden_dim = spec.hidden_dim
        is_early = spec.fusion == "input"
        encoder = ENCODERS[spec.agent]
        self.encoder = encoder(groups, spec.input_dim, hidden_dim, 1 if is_early else 2, generator)
        needs_second = is_early and spec.agent == "mlp"
        self.fc2 = AgentLinear(groups, hidden_dim, hidden_dim, generator) if needs_second else None
        self.head = AgentLinear(head_groups, hidden_dim, spec.n_actions, generator, OUTPUT_GAIN)
        self.listening: Listening  # only with parents
        if spec.parent_dim:
            self._build_parents(groups, head_groups, parent_generator)

    def _build_parents(self, groups: int, head_groups: int, generator: torch.Generator) -> None:
        spec = self.spec
        at_head = spec.fusion == "hidden"
        listening = SharedListening if (head_groups if at_head else groups) == 1 else OwnListening
        outputs = spec.n_actions if at_head else spec.hidden_dim
        gain = OUTPUT_GAIN if at_head else 1.0
        self.listening = listening(spec.n_agents, spec.parent_dim, outputs, generator, gain)
        if spec.fusion == "encoded":
            self.parent_fc2 = AgentLinear(groups, spec.hidden_dim, spec.hidden_dim, generator, bias=False)
            self.parent_head = AgentLinear(
                head_groups, spec.hidden_dim, spec.n_actions, generator, OUTPUT_GAIN, bias=False
            )

    @property
    def hidden_size(self) -> int:
        """Width of the hidden state; 0 without memory."""
        return int(self.encoder.hidden_size)

    def encode(self, obs: Tensor, hidden: Tensor, starts: Tensor) -> Encoding:
        """Everything that does not depend on parents: obs [N, M, D], hidden [N, B, H_rnn], starts [B, T]; M = B * T.

        The features are what `logits` takes as `own`: the first layer's sum [N, M, H] for `input`, else the own part
        of the logits [N, M, A].
        """
        encoding: Encoding = self.encoder(obs, hidden, starts)
        if self.spec.fusion == "input":
            return encoding
        return encoding._replace(features=self.head(encoding.features))

    def logits(self, own: Tensor, heard: Tensor | None = None) -> Tensor:
        """The own part and what was heard (from `listening.listen`; None: no parents), [N, M, .] -> [N, M, A]."""
        if self.spec.fusion == "input":
            x = torch.relu(own if heard is None else own + heard)  # [N, M, H]
            logits: Tensor = self.head(x if self.fc2 is None else torch.relu(self.fc2(x)))
            return logits
        if heard is None:
            return own
        if self.spec.fusion == "hidden":
            return own + heard
        code = torch.relu(self.parent_fc2(torch.relu(heard)))  # [N, M, H]
        return own + self.parent_head(code)
