"""The local policies pi^i(a^i | o^i, a^{P^i}) of all agents: one network in the three forms of table 2 (paper)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from bn_mappo.modules.agents.encoders import REGISTRY as ENCODERS
from bn_mappo.modules.agents.encoders import Encoding
from bn_mappo.modules.agents.parents import ParentAggregation, PerChildParentAggregation, SharedParentAggregation
from bn_mappo.modules.layers import OUTPUT_GAIN, AgentLinear


class ActorSpec(NamedTuple):
    """Sizes and form of an actor."""

    n_agents: int
    n_actions: int
    input_dim: int  # width of the agent's own input
    parent_dim: int  # width of its input from each parent; 0: it has no parents
    hidden_dim: int
    agent: str  # mlp | rnn
    fusion: str  # input | hidden | encoded: where the parents' branch is added
    share_params: bool
    share_heads: bool


class Actor(nn.Module):
    """Logits of all agents from features of their observations and, optionally, from their parents' actions.

    With Base = FC ReLU FC ReLU (or FC ReLU GRU), o the agent's own input and p the concatenated inputs of its parents:

        input:   concat(o, p) -> Base -> FC        hidden: concat(Base(o), p) -> FC
        encoded: concat(Base(o), Base(p)) -> FC

    The parents' branch has no biases, so it adds exactly 0 for an agent without parents: with an empty DAG each form is
    the plain MAPPO actor. Observations and parents are combined only in `logits`, so `encode` runs once for all agents.
    The agent axis comes first in all tensors here (modules/layers.py).
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
        self.listening: ParentAggregation  # only with parents; the name is part of the checkpoints
        if spec.parent_dim:
            self._build_parents(groups, head_groups, parent_generator)

    def _build_parents(self, groups: int, head_groups: int, generator: torch.Generator) -> None:
        spec = self.spec
        at_head = spec.fusion == "hidden"
        is_shared = (head_groups if at_head else groups) == 1
        aggregation = SharedParentAggregation if is_shared else PerChildParentAggregation
        outputs = spec.n_actions if at_head else spec.hidden_dim
        gain = OUTPUT_GAIN if at_head else 1.0
        self.listening = aggregation(spec.n_agents, spec.parent_dim, outputs, generator, gain)
        if spec.fusion == "encoded":
            self.parent_fc2 = AgentLinear(groups, spec.hidden_dim, spec.hidden_dim, generator, bias=False)
            self.parent_head = AgentLinear(
                head_groups, spec.hidden_dim, spec.n_actions, generator, OUTPUT_GAIN, bias=False
            )

    @property
    def hidden_size(self) -> int:
        """Width of the recurrent state; 0 for a feed-forward agent."""
        return int(self.encoder.hidden_size)

    def encode(self, obs: Tensor, hidden: Tensor, starts: Tensor) -> Encoding:
        """The part that does not depend on parents: obs [N, M, D], hidden [N, B, H_rnn], starts [B, T]; M = B * T.

        The features are the argument `own` of `logits`: for `input` the pre-activation of the first layer [N, M, H],
        else the agent's own part of the logits [N, M, A].
        """
        encoding: Encoding = self.encoder(obs, hidden, starts)
        if self.spec.fusion == "input":
            return encoding
        return encoding._replace(features=self.head(encoding.features))

    def logits(self, own: Tensor, from_parents: Tensor | None = None) -> Tensor:
        """Own part and parents' part (of `aggregate_parents`; None: no parents), [N, M, .] each -> [N, M, A]."""
        if self.spec.fusion == "input":
            x = torch.relu(own if from_parents is None else own + from_parents)  # [N, M, H]
            logits: Tensor = self.head(x if self.fc2 is None else torch.relu(self.fc2(x)))
            return logits
        if from_parents is None:
            return own
        if self.spec.fusion == "hidden":
            return own + from_parents
        code = torch.relu(self.parent_fc2(torch.relu(from_parents)))  # [N, M, H]
        return own + self.parent_head(code)
