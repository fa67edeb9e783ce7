"""What a network of the agents' policies is: pi^i(a^i | o^i, a^{P^i}) of all agents, in three parts."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from bn_mappo.core.options import NoOptions
from bn_mappo.core.registry import Registry
from bn_mappo.core.specs import EntityGroup

REGISTRY: Registry = Registry("agent")
Features = Any  # what `encode` tells `logits` about the agents' own observations


class ActorSizes(NamedTuple):
    """Sizes of what an actor reads and decides."""

    n_agents: int
    n_actions: int
    input_dim: int  # width of an agent's own input: its observation, and what the controller appends
    message_dim: int  # width of its input from each parent, the one-hot action first; 0: it has no parents
    hidden_dim: int
    entities: tuple[EntityGroup, ...] = ()  # what the observation shows of things of a kind


class Encoding(NamedTuple):
    """The part of a policy that does not depend on parents, for a sequence of observations."""

    features: Features  # the argument `own` of `Actor.logits`
    hidden: Tensor  # [N, B, H_rnn] after the last step; H_rnn is 0 for a feed-forward network


class Actor(nn.Module, ABC):
    """Logits of all agents from features of their observations and, optionally, from their parents' actions.

    An entry of the registry is a subclass, made as cls(options, sizes, generator, parent_generator); the fields of its
    class `Options` are keys of the configuration. Observations and parents are combined only in `logits`, so `encode`
    runs once for all agents. Without parents, and with those of an empty DAG, the logits are the same. The agent axis
    comes first in all tensors here (modules/layers.py).
    """

    Options: ClassVar[type] = NoOptions

    @property
    def hidden_size(self) -> int:
        """Width of the recurrent state; 0 for a feed-forward network."""
        return 0

    @abstractmethod
    def encode(self, obs: Tensor, hidden: Tensor, starts: Tensor, deciding: Tensor | None = None) -> Encoding:
        """obs [N, M, input_dim], M = B T; hidden [N, B, H_rnn] before them; starts [B, T], 1 where episodes start.

        `deciding` [N, M] is true where the logits will matter, for the agent has a choice; None: everywhere.
        """

    def repeated(self, own: Features, n_times: int) -> Features:
        """The features of `encode` with each sample n_times in a row; here those that are one tensor [N, M, ...]."""
        return own.repeat_interleave(n_times, dim=1)

    @abstractmethod
    def from_parents(self, adjacency: Tensor, inputs: Tensor) -> Tensor:
        """What each agent gets from its parents: adjacency [M, N, N], inputs [N, M, message_dim] -> [N, M, .]."""

    @abstractmethod
    def logits(self, own: Features, from_parents: Tensor | None = None) -> Tensor:
        """Features of `encode` and what `from_parents` gives (None: no parents) -> [N, M, A]."""
