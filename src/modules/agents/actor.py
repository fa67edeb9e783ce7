"""The local policies pi^i(a^i | o^i, a^{P^i}) of all agents: one network in the three forms of the paper's table 2."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from modules.agents.encoders import REGISTRY as ENCODERS
from modules.agents.encoders import Encoding
from modules.agents.parents import Listening, OwnListening, SharedListening
from modules.layers import OUTPUT_GAIN, AgentLinear


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
    the plain MAPPO actor. Observations never meet parents before `logits`, so `encode` runs once for all agents.
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
        self.listening: Listening | None = None
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
        """obs [B, T, N, D], hidden [B, N, H_rnn], starts [B, T] -> features [B, T, N, H] and the new hidden state."""
        encoding: Encoding = self.encoder(obs, hidden, starts)
        return encoding

    def logits(self, features: Tensor, heard: Tensor | None = None, agents: Tensor | None = None) -> Tensor:
        """features and what was heard, [M, N, .] of all agents or [R, .] of `agents` [R] -> logits [..., A].

        `heard` is the result of `listening.listen`; None stands for no parents.
        """
        x = features
        if self.spec.fusion == "input":
            x = torch.relu(x if heard is None else x + heard)
            if self.fc2 is not None:
                x = torch.relu(self.fc2(x, agents))
        y: Tensor = self.head(x, agents)
        if heard is not None and self.spec.fusion == "hidden":
            y = y + heard
        if heard is not None and self.spec.fusion == "encoded":
            code = torch.relu(self.parent_fc2(torch.relu(heard), agents))
            y = y + self.parent_head(code, agents)
        return y
