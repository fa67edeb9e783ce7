"""Whole episodes that were played, in fixed memory, to be learned from many times."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bn_mappo.core.errors import RunError
from bn_mappo.core.specs import Observation
from bn_mappo.data.batch import FILLED, EpisodeBatch, Field, Scheme

STEP = "episode_step"  # the recorded field that places a step in its episode
DERIVED = ("episode_start", "last_actions", "truncated", STEP)  # fields that follow from the others, and are not kept


class Places(NamedTuple):
    """Where the steps of a segment [B, T] go, and the E episodes that end in it and are kept, the oldest first."""

    row: Tensor  # [B, T] row of the memory; -1: the step is not kept
    position: Tensor  # [B, T] step of its episode
    row_of_end: Tensor  # [B, T] row of the episode that ends with this step; -1: none does, or it is not kept
    ended_rows: Tensor  # [E]
    ended_games: Tensor  # [E]
    ended_lengths: Tensor  # [E] steps
    is_carried: Tensor  # [E] bool: the episode began before this segment
    running: Tensor  # [B] steps kept of the episodes that go on after this segment


class Replay:
    """The last `capacity` whole episodes: a block [capacity + B, limit + 1, ...] of memory for each field of a scheme.

    Segments come in as the collector plays them. An episode that is still running waits in a row of its own behind the
    others and moves to their front when it ends. One that was lost never does, nor one whose start was not seen. What a
    truncated episode has led to (Observation: obs, avail_actions, ...) stands one position behind its last step.
    """

    def __init__(self, scheme: Scheme, capacity: int, n_games: int, episode_limit: int):
        """`capacity` in episodes, `episode_limit` in steps; n_games, B, are played at once."""
        self.scheme, self.has_last_actions = kept(scheme), "last_actions" in scheme
        self.capacity, self.n_games, self.episode_limit = capacity, n_games, episode_limit
        shape = (capacity + n_games, episode_limit + 1)
        self.blocks = {name: lazy_zeros((*shape, *field.shape), field) for name, field in self.scheme.items()}
        self.lengths = torch.zeros(capacity, dtype=torch.int64)  # steps of each whole episode
        self.running = torch.zeros(n_games, dtype=torch.int64)  # steps kept of each running one, from its start on
        self.n_added = 0  # whole episodes so far

    @property
    def size(self) -> int:
        """How many whole episodes there are."""
        return min(self.n_added, self.capacity)

    def rows_by_age(self) -> Tensor:
        """The rows [size] of all whole episodes, the oldest first."""
        return (self.n_added - self.size + torch.arange(self.size)) % self.capacity

    def add(self, batch: EpisodeBatch) -> None:
        """Take in the next segment of all games; RunError, and nothing is kept, where a number is not finite."""
        fields = {name: batch[name].cpu() for name in (*self.scheme, STEP, "truncated", FILLED)}
        for name in self.scheme:
            if fields[name].is_floating_point() and not fields[name].sum().isfinite():  # a sum is five times faster
                raise RunError(f"not finite: the recorded '{name}'. The segment was not kept.")
        places = self.place(fields)
        self._move_to_the_front(places)
        games, steps = (places.row >= 0).nonzero().unbind(1)
        rows, positions = places.row[games, steps], places.position[games, steps]
        for name, block in self.blocks.items():
            block[rows, positions] = fields[name][games, steps].to(block.dtype)
        self._add_final(batch, places)
        self.lengths[places.ended_rows] = places.ended_lengths
        self.running = places.running
        self.n_added += len(places.ended_rows)

    def place(self, fields: dict[str, Tensor]) -> Places:
        """Where the steps of a segment go; fields [B, T] of which are STEP, terminated, truncated and FILLED."""
        position, filled = fields[STEP], fields[FILLED] > 0  # [B, T]
        if position.max() >= self.episode_limit:
            raise RunError(f"an episode is longer than the {self.episode_limit} steps that its environment declares")
        ends = (fields["terminated"] > 0) | (fields["truncated"] > 0)  # [B, T]
        n_games, n_steps = ends.shape
        steps = torch.arange(n_steps)
        begin = steps - position  # [B, T] step of this segment at which the episode began; negative: before it
        is_known = (begin >= 0) | (position[:, :1] == self.running.unsqueeze(1))  # [B, T] from its start on
        end = torch.where(ends, steps, n_steps).flip(1).cummin(1).values.flip(1)  # [B, T] at which it ends; T: goes on

        last_steps, games = (ends & is_known & filled).T.nonzero()[-self.capacity :].unbind(1)  # [E] each
        rows = (self.n_added + torch.arange(len(games))) % self.capacity  # [E]
        row_of_end = torch.full((n_games, n_steps + 1), -1)
        row_of_end[games, last_steps] = rows
        goes_on = is_known[:, -1] & ~ends[:, -1]  # [B]
        row_of_end[:, -1] = torch.where(goes_on, self.capacity + torch.arange(n_games), -1)
        return Places(
            row=row_of_end.gather(1, end),
            position=position,
            row_of_end=row_of_end[:, :-1],
            ended_rows=rows,
            ended_games=games,
            ended_lengths=position[games, last_steps] + 1,
            is_carried=begin[games, last_steps] < 0,
            running=torch.where(goes_on, position[:, -1] + 1, 0),
        )

    def _move_to_the_front(self, places: Places) -> None:
        """Copy what was played before this segment of the episodes that end in it."""
        rows, games = places.ended_rows[places.is_carried], places.ended_games[places.is_carried]
        if len(games):
            longest = int(self.running[games].max())  # what a shorter one copies beyond its own steps is overwritten
            for block in self.blocks.values():
                block[rows, :longest] = block[self.capacity + games, :longest]

    def _add_final(self, batch: EpisodeBatch, places: Places) -> None:
        """What the truncated episodes that are kept have led to."""
        assert batch.following is not None, "segments come with what follows them"
        games, steps = batch.following.final_rows.cpu().unbind(1)  # [K] each
        rows = places.row_of_end[games, steps]  # [K]
        is_kept = rows >= 0
        positions = places.position[games, steps][is_kept] + 1
        for name in (name for name in Observation._fields if name in self.blocks and name in batch.following.final):
            final = batch.following.final[name].cpu()[is_kept]
            self.blocks[name][rows[is_kept], positions] = final.to(self.blocks[name].dtype)

    def sample(self, n_episodes: int, generator: torch.Generator, device: torch.device) -> dict[str, Tensor]:
        """Fields [R, T, ...] of n different whole episodes, laid one after another into R rows as long as the longest.

        An episode of L steps takes L + 1 places. `filled` is 1 in the first L; the last one shows what a truncated
        episode has led to, and after a termination means nothing. `episode_start` is 1 where one begins.
        """
        rows = self.rows_by_age()[torch.randperm(self.size, generator=generator)[:n_episodes]]  # [n]
        lengths = self.lengths[rows]  # [n]
        episode, position = packed(lengths + 1)  # [R, T] each
        is_empty = episode < 0
        sources = rows[episode.clamp(min=0)]  # [R, T]
        fields = {name: block[sources, position] for name, block in self.blocks.items()}
        fields[FILLED] = ((position < lengths[episode.clamp(min=0)]) & ~is_empty).float()  # [R, T]
        starts = (position == 0) | is_empty  # [R, T]
        fields["episode_start"] = starts.float()
        if self.has_last_actions:
            before = fields["actions"].roll(1, dims=1)  # [R, T, N]
            fields["last_actions"] = before.masked_fill(starts.unsqueeze(-1), -1)
        return {name: values.to(device) for name, values in fields.items()}

    def state_dict(self) -> dict[str, Any]:
        """All whole episodes, the oldest first, then the running ones: their steps one after the other."""
        rows = torch.cat([self.rows_by_age(), self.capacity + torch.arange(self.n_games)])
        lengths = self.lengths[self.rows_by_age()]
        index, position = spread(torch.cat([lengths + 1, self.running]))
        steps = {name: block[rows[index], position] for name, block in self.blocks.items()}
        return {"lengths": lengths, "running": self.running.clone(), "steps": steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`; of more episodes than `capacity` the newest are kept."""
        lengths, self.running = state["lengths"].cpu(), state["running"].cpu().clone()
        n_dropped = max(len(lengths) - self.capacity, 0)
        self.n_added = len(lengths) - n_dropped
        self.lengths[: self.n_added] = lengths[n_dropped:]
        rows = torch.cat([torch.arange(len(lengths)) - n_dropped, self.capacity + torch.arange(self.n_games)])
        index, position = spread(torch.cat([lengths + 1, self.running]))
        is_kept = rows[index] >= 0
        for name, block in self.blocks.items():
            block[rows[index][is_kept], position[is_kept]] = state["steps"][name].cpu()[is_kept]


def kept(scheme: Scheme) -> Scheme:
    """Of the fields that are recorded, those that a replay keeps: the others follow from them."""
    return {name: field for name, field in scheme.items() if name not in DERIVED}


def lazy_zeros(shape: tuple[int, ...], field: Field) -> Tensor:
    """Zeros that take up memory only as they are written (unlike torch.zeros)."""
    return torch.from_numpy(np.zeros(shape, torch.empty(0, dtype=field.dtype).numpy().dtype))


def n_bytes(scheme: Scheme, n_steps: int) -> int:
    """The memory of n_steps recorded steps."""
    fields = kept(scheme).values()
    return n_steps * sum(torch.Size(field.shape).numel() * field.dtype.itemsize for field in fields)


def spread(counts: Tensor) -> tuple[Tensor, Tensor]:
    """The places (k, j), j < counts[k], one after the other: counts [K] -> k and j, [sum of counts] each."""
    index = torch.arange(len(counts)).repeat_interleave(counts)
    return index, torch.arange(len(index)) - (counts.cumsum(0) - counts)[index]


def packed(widths: Tensor) -> tuple[Tensor, Tensor]:
    """Lay pieces of the widths [n] into few rows as long as the widest: for each place its piece and its place there.

    Returns the two as [R, T], T the largest width; a place that stays empty has the piece -1. The widest come first,
    each into the first row with room for it (first fit decreasing).
    """
    longest = int(widths.max())
    room: list[int] = []  # of each row
    row_of, begin_of = [], []
    order = widths.argsort(descending=True, stable=True)
    for width in widths[order].tolist():  # each place depends on those before
        row = next((row for row, free in enumerate(room) if free >= width), len(room))
        if row == len(room):
            room.append(longest)
        row_of.append(row)
        begin_of.append(longest - room[row])
        room[row] -= width
    index, position = spread(widths[order])  # [sum of widths] each
    piece = torch.full((len(room), longest), -1)
    places = torch.zeros_like(piece)
    where = torch.tensor(row_of)[index], torch.tensor(begin_of)[index] + position
    piece[where], places[where] = order[index], position
    return piece, places
