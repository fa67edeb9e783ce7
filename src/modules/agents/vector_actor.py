"""Networks that read an observation as one vector, in the three forms of table 2 (paper)."""

from typing import Literal

import torch
from torch import Tensor

from bn_mappo.core.options import options
from bn_mappo.modules.agents.actor import REGISTRY, Actor, ActorSizes, Encoding
from bn_mappo.modules.agents.encoders import Encoder, MLPEncoder, RNNEncoder
from bn_mappo.modules.agents.parents import ParentAggregation, PerChildParentAggregation, SharedParentAggregation
from bn_mappo.modules.layers import OUTPUT_GAIN, AgentLinear


@options
class VectorOptions:
    """Keys of agent=mlp and agent=rnn."""

    fusion: Literal["input", "hidden", "encoded"]
    share_params: bool
    share_heads: bool


class VectorActor(Actor):
    """Logits of all agents from features of their observations and, optionally, from their parents' actions.

    With Base = FC ReLU FC ReLU (or FC ReLU GRU), o the agent's own input and p the concatenated inputs of its parents:

        input:   concat(o, p) -> Base -> FC        hidden: concat(Base(o), p) -> FC
        encoded: concat(Base(o), Base(p)) -> FC

    The parents' branch has no biases, so it adds exactly 0 for an agent without parents: with an empty DAG each form is
    the plain MAPPO actor.
    """

    Options = VectorOptions
    encoder_class: type[Encoder]

    def __init__(
        self,
        options: VectorOptions,
        sizes: ActorSizes,
        generator: torch.Generator,
        parent_generator: torch.Generator,
    ):
        super().__init__()
        self.options, self.sizes = options, sizes
        groups = 1 if options.share_params else sizes.n_agents
        head_groups = 1 if options.share_params and options.share_heads else sizes.n_agents
        hidden_dim = sizes.hidden_dim
        is_early = options.fusion == "input"
        self.encoder = self.encoder_class(groups, sizes.input_dim, hidden_dim, 1 if is_early else 2, generator)
        needs_second = is_early and self.encoder.hidden_size == 0
        self.fc2 = AgentLinear(groups, hidden_dim, hidden_dim, generator) if needs_second else None
        self.head = AgentLinear(head_groups, hidden_dim, sizes.n_actions, generator, OUTPUT_GAIN)
        self.listening: ParentAggregation  # only with parents; the name is part of the checkpoints
        if sizes.message_dim:
            self._build_parents(groups, head_groups, parent_generator)

    def _build_parents(self, groups: int, head_groups: int, generator: torch.Generator) -> None:
        sizes, fusion = self.sizes, self.options.fusion
        at_head = fusion == "hidden"
        is_shared = (head_groups if at_head else groups) == 1
        aggregation = SharedParentAggregation if is_shared else PerChildParentAggregation
        outputs = sizes.n_actions if at_head else sizes.hidden_dim
        gain = OUTPUT_GAIN if at_head else 1.0
        self.listening = aggregation(sizes.n_agents, sizes.message_dim, outputs, generator, gain)
        if fusion == "encoded":
            self.parent_fc2 = AgentLinear(groups, sizes.hidden_dim, sizes.hidden_dim, generator, bias=False)
            self.parent_head = AgentLinear(
                head_groups, sizes.hidden_dim, sizes.n_actions, generator, OUTPUT_GAIN, bias=False
            )

    @property
    def hidden_size(self) -> int:
        return self.encoder.hidden_size

    def encode(self, obs: Tensor, hidden: Tensor, starts: Tensor, deciding: Tensor | None = None) -> Encoding:
        """Features: for `input` the pre-activation of the first layer [N, M, H], else the own part of the logits."""
        encoding = self.encoder(obs, hidden, starts)
        return encoding if self.options.fusion == "input" else encoding._replace(features=self.head(encoding.features))

    def from_parents(self, adjacency: Tensor, inputs: Tensor) -> Tensor:
        """The sum of the messages of all parents."""
        return self.listening.aggregate_parents(adjacency, self.listening.messages(inputs))

    def logits(self, own: Tensor, from_parents: Tensor | None = None) -> Tensor:
        if self.options.fusion == "input":
            x = torch.relu(own if from_parents is None else own + from_parents)  # [N, M, H]
            logits: Tensor = self.head(x if self.fc2 is None else torch.relu(self.fc2(x)))
            return logits
        if from_parents is None:
            return own
        if self.options.fusion == "hidden":
            return own + from_parents
        code = torch.relu(self.parent_fc2(torch.relu(from_parents)))  # [N, M, H]
        return own + self.parent_head(code)


@REGISTRY.register("mlp", "feed-forward: uses the current observation only")
class MLPActor(VectorActor):
    """Base = FC ReLU FC ReLU."""

    encoder_class = MLPEncoder


@REGISTRY.register("rnn", "recurrent: FC, then a GRU whose state lasts through an episode")
class RNNActor(VectorActor):
    """Base = FC ReLU GRU."""

    encoder_class = RNNEncoder
