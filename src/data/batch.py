"""What one update learns from: segments of B games, in fields that their users declare, and what followed them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor


class Field(NamedTuple):
    """Shape of one step of one game, and type, of a recorded quantity."""

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32


Scheme = dict[str, Field]
FILLED = "filled"  # the field that every batch has: [B, T], 1 where a step is data


class Following(NamedTuple):
    """Observations that follow steps of a segment without being one of its own steps; by field (obs, state, ...)."""

    last: dict[str, Tensor]  # [B, ...] after the last step of the segment
    final_rows: Tensor  # [K, 2] (game, step) of the episodes that were truncated
    final: dict[str, Tensor]  # [K, ...] the last observation of each of them


@dataclass(frozen=True, eq=False)
class EpisodeBatch:
    """Segments [B, T, ...] of recorded fields.

    Every field has the same B and T; `filled` [B, T] is 1 where a step is data. `first_hidden` [B, N, H_rnn] is the
    agents' memory before the first step. `following` is None in a part of a batch, of which only losses are taken.
    """

    fields: Mapping[str, Tensor]
    first_hidden: Tensor
    following: Following | None = None

    def __post_init__(self) -> None:
        if FILLED not in self.fields:
            raise ValueError(f"a batch needs the field '{FILLED}', and has {', '.join(self.fields)}")
        expected = self.fields[FILLED].shape
        for name, value in self.fields.items():
            if value.shape[:2] != expected:
                raise ValueError(f"field '{name}' is {tuple(value.shape)}, not {tuple(expected)} games and steps")
        if len(self.first_hidden) != expected[0]:
            raise ValueError(f"first_hidden is of {len(self.first_hidden)} games, the fields of {expected[0]}")

    def __getitem__(self, name: str) -> Tensor:
        return self.fields[name]

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    @property
    def batch_size(self) -> int:
        """B."""
        return int(self.fields[FILLED].shape[0])

    @property
    def n_steps(self) -> int:
        """T."""
        return int(self.fields[FILLED].shape[1])

    @property
    def device(self) -> torch.device:
        """Where all fields lie."""
        return self.fields[FILLED].device

    def games(self, index: Tensor) -> Self:
        """The segments of the games [K] (int64) alone, without what follows them."""
        fields = {name: value[index] for name, value in self.fields.items()}
        return type(self)(fields, self.first_hidden[index])

    def with_fields(self, **fields: Tensor) -> Self:
        """The same batch with more, or other, fields [B, T, ...]."""
        return type(self)({**self.fields, **fields}, self.first_hidden, self.following)

    def remembering(self, first_hidden: Tensor) -> Self:
        """The same batch with another memory [B, N, H_rnn] before the first step."""
        return type(self)(self.fields, first_hidden, self.following)

    def next(self, name: str) -> Tensor:
        """What the step after each one shows of a field of the observation, [B, T, ...].

        At a truncation that is the last observation of the episode that was cut off. After a termination nothing
        follows: what stands there is the next episode's first observation, and must not count.
        """
        if self.following is None:
            raise ValueError("a part of a batch does not know what follows its last steps")
        following = torch.cat([self[name][:, 1:], self.following.last[name].unsqueeze(1)], dim=1)  # [B, T, ...]
        if len(self.following.final_rows):
            games, steps = self.following.final_rows.unbind(-1)
            following[games, steps] = self.following.final[name].to(following.dtype)
        return following


class BatchRecorder:
    """Collects a batch step by step, in the fields of a scheme."""

    def __init__(self, scheme: Scheme, batch_size: int, device: torch.device):
        self.scheme, self.batch_size, self.device = scheme, batch_size, device
        self.steps: dict[str, list[Tensor]] = {name: [] for name in scheme}

    def add(self, fields: Mapping[str, Tensor]) -> None:
        """Record one step: fields [B, ...], of which those in the scheme are kept; a missing one raises KeyError."""
        for name, steps in self.steps.items():
            steps.append(fields[name])

    def batch(self, filled: Tensor, first_hidden: Tensor, following: Following | None = None) -> EpisodeBatch:
        """All recorded steps as [B, T, ...] in the types of the scheme; the next `add` begins another batch."""
        fields = {FILLED: filled.to(self.device)}
        for name, field in self.scheme.items():
            fields[name] = torch.stack(self.steps[name], dim=1).to(self.device, field.dtype)
            expected = (*filled.shape, *field.shape)
            if fields[name].shape != expected:
                raise ValueError(f"field '{name}' is {tuple(fields[name].shape)}, declared as {expected}")
        self.steps = {name: [] for name in self.scheme}
        return EpisodeBatch(fields, first_hidden, following)
