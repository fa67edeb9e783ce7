"""What one update learns from: segments of B games, written step by step in fields that their users declare."""

from collections.abc import Mapping
from typing import NamedTuple, Self

import torch
from torch import Tensor


class Field(NamedTuple):
    """Shape of one step of one game, and type, of a recorded quantity."""

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32


Scheme = dict[str, Field]


class EpisodeBatch:
    """Segments [B, T, ...] of the fields of a scheme, and what lies beyond their steps.

    `first_hidden` [B, N, H]: the agents' memory before the first step. `last`: fields of the observation after the
    last step, [B, ...]. `final_rows` [K, 2] (game, step) and `final`: the last observation of each episode that was
    truncated, [K, ...].
    """

    def __init__(self, scheme: Scheme, batch_size: int, n_steps: int, device: torch.device):
        self.scheme, self.batch_size, self.n_steps, self.device = scheme, batch_size, n_steps, device
        self.steps: dict[str, list[Tensor]] = {name: [] for name in scheme}
        self.data: dict[str, Tensor] = {}
        self.first_hidden = torch.zeros(batch_size, 0, device=device)
        self.last: dict[str, Tensor] = {}
        self.final_rows = torch.zeros((0, 2), dtype=torch.long, device=device)
        self.final: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        return self.data[name]

    def add(self, fields: Mapping[str, Tensor]) -> None:
        """Record one step: fields [B, ...], of which those in the scheme are kept; a missing one raises KeyError."""
        for name, steps in self.steps.items():
            steps.append(fields[name])

    def close(self) -> None:
        """All steps are there: lay them out as [B, T, ...] in the types of the scheme."""
        for name, field in self.scheme.items():
            self.data[name] = torch.stack(self.steps[name], dim=1).to(self.device, field.dtype)
            expected = (self.batch_size, self.n_steps, *field.shape)
            if self.data[name].shape != expected:
                raise ValueError(f"field '{name}' is {tuple(self.data[name].shape)}, declared as {expected}")
        self.steps = {name: [] for name in self.scheme}

    def games(self, index: Tensor) -> Self:
        """The segments of the games [K] (int64) alone; without `last` and `final`, which only returns need."""
        part = object.__new__(type(self))
        part.scheme, part.batch_size, part.n_steps, part.device = self.scheme, len(index), self.n_steps, self.device
        part.data, part.steps = {name: value[index] for name, value in self.data.items()}, {}
        part.first_hidden = self.first_hidden[index]
        part.last, part.final, part.final_rows = {}, {}, self.final_rows[:0]
        return part
