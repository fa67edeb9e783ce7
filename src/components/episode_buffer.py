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
        self.data: dict[str, Tensor] = {
            name: torch.zeros((batch_size, n_steps, *field.shape), dtype=field.dtype, device=device)
            for name, field in scheme.items()
        }
        self.first_hidden = torch.zeros(batch_size, 0, device=device)
        self.last: dict[str, Tensor] = {}
        self.final_rows = torch.zeros((0, 2), dtype=torch.long, device=device)
        self.final: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        return self.data[name]

    def write(self, t: int, fields: Mapping[str, Tensor]) -> None:
        """Record fields [B, ...] of step t; a name that the scheme lacks raises KeyError."""
        for name, value in fields.items():
            self.data[name][:, t] = value

    def games(self, index: Tensor) -> Self:
        """The segments of the games [K] (int64) alone; without `last` and `final`, which only returns need."""
        part = object.__new__(type(self))
        part.scheme, part.batch_size, part.n_steps, part.device = self.scheme, len(index), self.n_steps, self.device
        part.data = {name: value[index] for name, value in self.data.items()}
        part.first_hidden = self.first_hidden[index]
        part.last, part.final, part.final_rows = {}, {}, self.final_rows[:0]
        return part
