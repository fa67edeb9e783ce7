"""What the controller drew and chose in the host's training episodes; the host's buffer has no room for it."""

from collections.abc import Mapping

import torch
from torch import Tensor

from bn_mappo.core.errors import RunError
from bn_mappo.data.batch import Scheme

Fields = dict[str, Tensor]


def padding(scheme: Scheme, n_games: int, device: torch.device) -> Fields:
    """What stands where nothing was played, [B, ...] each; an order must be one there too: agent k acts k-th."""
    fields = {
        name: torch.zeros(n_games, *field.shape, dtype=field.dtype, device=device) for name, field in scheme.items()
    }
    if "dag_order" in fields:
        order = fields["dag_order"]  # [B, N]
        fields["dag_order"] = torch.arange(order.shape[1], device=device).expand_as(order)
    return fields


class Recording:
    """The steps of one run: B games side by side, of which fewer and fewer are still played."""

    def __init__(self, padding: Fields, fraction: float, limit: int):
        """`fraction` of training was done before; `limit` is the longest that an episode can be, in steps."""
        self.padding, self.fraction, self.limit = padding, fraction, limit
        self.steps: list[Fields] = []

    @property
    def n_games(self) -> int:
        """B."""
        return len(self.padding["actions"])

    def add(self, t: int, rows: Tensor, fields: Mapping[str, Tensor]) -> None:
        """Step t of the games `rows` [K]: fields [K, ...], of which those with a padding are kept."""
        if t != len(self.steps):
            raise RunError(f"the runner asks for the actions of step {t} after {len(self.steps)} steps")
        step = {name: value.clone() for name, value in self.padding.items()}
        for name, values in step.items():
            values[rows] = fields[name]
        self.steps.append(step)

    def stacked(self, n_steps: int) -> Fields:
        """The first n_steps of all games, [B, T, ...] each; after the last recorded one comes padding."""
        steps = [*self.steps[:n_steps], *[self.padding] * (n_steps - len(self.steps))]
        return {name: torch.stack([step[name] for step in steps], dim=1) for name in self.padding}


class Ring:
    """The recordings of the last n_runs runs, at the places that the host's buffer has their episodes in."""

    def __init__(self, n_runs: int):
        self.slots: list[Recording | None] = [None] * n_runs
        self.n_begun = 0

    def begin(self, recording: Recording) -> None:
        """A run begins; its recording takes the place of the oldest one."""
        self.slots[self.n_begun % len(self.slots)] = recording
        self.n_begun += 1

    @property
    def current(self) -> Recording:
        """Of the run that has begun last."""
        recording = self.slots[(self.n_begun - 1) % len(self.slots)]
        if recording is None:
            raise RunError("the runner asks for an action in the middle of an episode that has not begun")
        return recording

    def fraction(self, fraction: float) -> float:
        """The fraction of training at which all runs of one batch act: that of the first of them."""
        first = self.slots[0]
        return fraction if self.n_begun % len(self.slots) == 0 or first is None else first.fraction

    def take(self) -> list[Recording] | None:
        """All recordings in the buffer's order, each of them once; None while some are missing."""
        complete = [recording for recording in self.slots if recording is not None]
        if len(complete) < len(self.slots) or self.n_begun % len(self.slots):
            return None
        self.slots = [None] * len(self.slots)
        return complete
