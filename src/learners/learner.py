"""What training needs of a learner: the interface of all of them, and what they do alike."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bn_mappo.controllers.basic_controller import MAC
from bn_mappo.core.errors import RunError
from bn_mappo.core.seeding import Generators
from bn_mappo.core.specs import EnvInfo
from bn_mappo.data.batch import EpisodeBatch, Scheme
from bn_mappo.learners.flat_parameters import FlatParameters, clip_gradients

Statistics = dict[str, Tensor]


class Learner(ABC):
    """Improves a controller from recorded segments. Owns an optimiser and networks of its own; knows no logger and no
    environment."""

    Options: ClassVar[type]
    mac: MAC
    optimiser: torch.optim.Optimizer

    @abstractmethod
    def __init__(self, options: Any, info: EnvInfo, mac: MAC, generators: Generators):
        """`options`: an instance of `Options`. ConfigError where it cannot train this controller on these games."""
        self.options, self.info, self.mac, self.generators = options, info, mac, generators
        self.checks_at_once = generators.device.type == "cpu"  # each step; a GPU would have to be waited for
        self._unchecked: list[tuple[Tensor, dict[str, Tensor]]] = []  # norms of gradients, and their losses

    @classmethod
    @abstractmethod
    def check_games(cls, options: Any, n_games: int) -> None:
        """ConfigError where the options do not go with each other, or with n_games that are played at once."""

    @abstractmethod
    def scheme(self) -> Scheme:
        """What this learner reads from each recorded step, beside the controller's fields."""

    @abstractmethod
    def train(self, batch: EpisodeBatch, fraction: float, collect_stats: bool = True) -> Statistics:
        """Take in a batch and learn; statistics as 0-d tensors, only a few of them without `collect_stats`.

        `fraction` of the training was done before the batch was played.
        """

    @abstractmethod
    def networks(self) -> dict[str, nn.Module]:
        """Its own networks that are trained, by their keys in `state_dict`."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """The weights of the controller as "mac", those of `networks`, and what else belongs to them."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""

    def experience(self) -> dict[str, Any]:
        """What was played and will be learned from again: a resumed run needs it, an evaluation does not."""
        return {}

    def load_experience(self, state: dict[str, Any]) -> str:
        """Go on from `experience()`; returns what a resumed run lacks of it, as a text for its user; empty: nothing."""
        return ""

    def other_tensors(self) -> list[Tensor]:
        """What an update changes besides the weights and the optimiser's state."""
        return []

    def snapshot(self) -> list[Tensor]:
        """A copy of everything that an update changes: weights, other tensors, and the optimiser's state."""
        return [tensor.detach().clone() for tensor in self._changing()]

    @torch.no_grad()
    def restore(self, snapshot: list[Tensor]) -> None:
        """Undo what has happened since `snapshot`."""
        present = self._changing()
        if len(snapshot) < len(present):  # taken before the first gradient step
            self.optimiser.state.clear()
        for tensor, value in zip(present, snapshot, strict=False):
            tensor.copy_(value)

    def _changing(self) -> list[Tensor]:
        weights = [parameter for _, parameter in self._named_parameters()]
        adam = [value for state in self.optimiser.state.values() for value in state.values()]
        return [*weights, *self.other_tensors(), *adam]

    def _named_parameters(self) -> list[tuple[str, nn.Parameter]]:
        own = self.networks().items()
        return [
            *self.mac.named_parameters(),
            *((f"{key}.{name}", value) for key, network in own for name, value in network.named_parameters()),
        ]

    def clip(self, groups: list[FlatParameters], max_norm: float, losses: dict[str, Tensor]) -> Tensor:
        """Clip the gradient of all groups together, and return its norm before; refuses a step that is not finite.

        At once, before it is taken, or with `refuse_steps`, when the whole update has to be undone.
        """
        norm = clip_gradients(groups, max_norm)
        self._unchecked.append((norm, {name: loss.detach() for name, loss in losses.items()}))
        if self.checks_at_once:
            self.refuse_steps()
        return norm

    def refuse_steps(self) -> None:
        """RunError where a gradient since the last call was not finite; every `train` ends with it."""
        norms, self._unchecked = self._unchecked, []
        if not norms or torch.stack([norm for norm, _ in norms]).isfinite().all():
            return
        losses = next(losses for norm, losses in norms if not norm.isfinite())
        named = {**losses, **{f"gradient of {name}": p.grad for name, p in self._named_parameters()}}
        bad = [name for name, value in named.items() if value is not None and not value.isfinite().all()]
        raise RunError(f"not finite: {', '.join(bad) or 'the norm of the gradient'}. The step was not taken.")
