"""From the host's episodes [B, T + 1] and the controller's recordings to the segments [B, T] that our learner takes."""

from typing import Any

import torch
from torch import Tensor

from bn_mappo.core.errors import RunError
from bn_mappo.data.batch import FILLED, EpisodeBatch, Following, Scheme
from bn_mappo.hosts.epymarl.recording import Fields, Recording


def make_segments(
    batch: Any, recordings: list[Recording], scheme: Scheme, first_hidden: Tensor, believe_ends: bool = False
) -> EpisodeBatch:
    """The episodes of a batch of the host, in the fields of our scheme; RunError where others were recorded.

    An episode of L steps has L + 1 in the host, the last of which only shows what followed: `filled` is the first L.
    The host writes the same flag for a time-out and an end, so an episode as long as any can be counts as cut off,
    unless `believe_ends`.
    """
    device, n_steps = first_hidden.device, batch.max_seq_length - 1
    kept = join(recordings, n_steps)
    length = batch["filled"].to(device).squeeze(-1).sum(1) - 1  # [B]
    t = torch.arange(n_steps, device=device)  # [T]
    filled = t < length.unsqueeze(1)  # [B, T]
    is_last = t == length.unsqueeze(1) - 1  # [B, T]
    check_same_actions(batch["actions"][:, :-1].to(device).squeeze(-1), kept["actions"], filled)
    ended = batch["terminated"][:, :-1].to(device).squeeze(-1).bool() & is_last  # [B, T]
    if not believe_ends:
        limit = torch.cat([torch.full((r.n_games,), r.limit, device=device) for r in recordings])  # [B]
        ended = ended & (length < limit).unsqueeze(1)
    truncated = is_last & ~ended
    reward = batch["reward"][:, :-1].to(device) * filled.unsqueeze(-1)  # [B, T, 1 or N]
    first_actions = torch.full_like(kept["actions"][:, :1], -1)
    fields = {
        **kept,
        "obs": batch["obs"][:, :-1],
        "state": batch["state"][:, :-1],
        "avail_actions": batch["avail_actions"][:, :-1].to(device).bool() | ~filled[..., None, None],
        "reward": reward.view(*filled.shape, *scheme["reward"].shape),
        "terminated": ended | ~filled,
        "truncated": truncated,
        "episode_start": (t == 0).expand_as(filled),
        "last_actions": torch.cat([first_actions, kept["actions"][:, :-1]], dim=1),
    }
    own = {name: fields[name].to(device, field.dtype) for name, field in scheme.items()}
    return EpisodeBatch({**own, FILLED: filled.float()}, first_hidden, following(batch, truncated))


def join(recordings: list[Recording], n_steps: int) -> Fields:
    """All games of all recordings, one below the other."""
    parts = [recording.stacked(n_steps) for recording in recordings]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def following(batch: Any, truncated: Tensor) -> Following:
    """What the host's step after the last one shows, of the segments and of the episodes that were cut off."""
    device = truncated.device
    rows = truncated.nonzero()  # [K, 2]
    shown = {name: batch[name].to(device) for name in ("obs", "state")}
    last = {name: values[:, -1] for name, values in shown.items()}
    return Following(last, rows, {name: values[rows[:, 0], rows[:, 1] + 1] for name, values in shown.items()})


def check_same_actions(played: Tensor, kept: Tensor, filled: Tensor) -> None:
    """RunError where the host's actions [B, T, N] of filled steps are not those that were recorded."""
    if played.shape != kept.shape:
        raise RunError(f"the host's batch has {len(played)} episodes; {len(kept)} were recorded")
    others = (played != kept) & filled.unsqueeze(-1)  # [B, T, N]
    if others.any():
        n_games = int(others.flatten(1).any(1).sum())
        raise RunError(
            f"{int(others.sum())} actions in {n_games} of {len(played)} episodes are not those that dag_controller "
            "chose: the host's buffer or runner gives the learner other episodes than those just played, or in another "
            "order. It needs buffer_size = batch_size, and a runner that plays what the controller says"
        )
