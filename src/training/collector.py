"""Collects what a learner learns from: segments of a fixed number of steps in B games."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from bn_mappo.controllers.basic_controller import Selection, Step
from bn_mappo.core.seeding import Generators
from bn_mappo.core.specs import Array, Observation, StepResult
from bn_mappo.data.batch import BatchRecorder, EpisodeBatch, Following, Scheme
from bn_mappo.envs.vec_env import VecEnv
from bn_mappo.training.acting import ActingLoop, Player, to_device
from bn_mappo.training.checkpoint import to_arrays
from bn_mappo.training.episode_stats import EpisodeStats


class Collector:
    """Plays the training games, segment after segment. Draws all noise, and records it, once."""

    def __init__(self, env: VecEnv, mac: Player, scheme: Scheme, n_steps: int, generators: Generators):
        self.env, self.mac, self.generators, self.n_steps = env, mac, generators, n_steps
        self.device = generators.device
        self.games = ActingLoop(env, mac, self.device)
        self.recorder = BatchRecorder(scheme, env.batch_size, self.device)
        self.stats = EpisodeStats(env.batch_size)

    def collect(self, fraction: float) -> EpisodeBatch:
        """Play n_steps in every game; `fraction` of training is done."""
        games, n_games = self.games, self.env.batch_size
        first_hidden = games.hidden.clone()  # inference tensors cannot be learned from
        drawn = self.mac.draw_noise(self.n_steps * n_games, self.generators, fraction)
        noise_of = {name: value.split(n_games) for name, value in drawn.items()}  # T of [B, ...]
        cuts: list[tuple[int, Array, Observation]] = []
        episode_begin = np.zeros(n_games, dtype=np.int64)  # step of this segment
        filled = np.ones((n_games, self.n_steps), dtype=np.float32)
        for t in range(self.n_steps):
            noise = {name: values[t] for name, values in noise_of.items()}
            step, selection = games.select(noise, fraction)
            episode_step = torch.from_numpy(self.stats.running_length.copy())  # [B]
            result = games.play(selection)
            known = known_fields(step, selection, result)
            self.recorder.add({**noise, **known, "episode_step": episode_step, **selection.recorded})
            self.stats.add(result)
            if result.lost is not None:
                for game in np.flatnonzero(result.lost):
                    filled[game, episode_begin[game] : t + 1] = 0.0
            if result.truncated.any() and result.final is not None:
                cuts.append((t, np.flatnonzero(result.truncated), result.final))
            episode_begin[result.terminated | result.truncated] = t + 1
        return self.recorder.batch(torch.from_numpy(filled), first_hidden, self.following(cuts))

    def following(self, cuts: list[tuple[int, Array, Observation]]) -> Following:
        """What came after the last step, and the last observations of the episodes that were cut off."""
        now = self.games.observation._asdict().items()
        last = {name: to_device(x, self.device) for name, x in now if x is not None}
        rows = [np.stack([games, np.full_like(games, t)], axis=1) for t, games, _ in cuts]
        final_rows = to_device(np.concatenate(rows or [np.zeros((0, 2), np.int64)]), self.device)
        final = {
            name: to_device(np.concatenate([getattr(final, name)[games] for _, games, final in cuts]), self.device)
            for name in (last if cuts else ())
        }
        return Following(last, final_rows, final)

    def state_dict(self) -> dict[str, Any]:
        """Where every game stands, and the sums of the running episodes."""
        return {**self.games.state_dict(), "stats": self.stats.state_dict()}

    def load_state_dict(self, state: dict[str, Any], seed: int) -> bool:
        """Go on from `state_dict()`; False where the games had to start new episodes instead, drawn from `seed`."""
        if not self.games.load_state_dict(state):
            self.games = ActingLoop(self.env, self.mac, self.device, seed)
            return False
        self.stats.load_state_dict(to_arrays(state["stats"]))
        return True


def known_fields(step: Step, selection: Selection, result: StepResult) -> dict[str, Tensor]:
    """What can be recorded of one step of any controller, [B, ...] each."""
    fields = {
        "obs": step.obs,
        "state": step.state,
        "episode_start": step.episode_start,
        "last_actions": step.last_actions,
        "actions": selection.actions,
        "reward": torch.from_numpy(result.reward),
        "terminated": torch.from_numpy(result.terminated),
        "truncated": torch.from_numpy(result.truncated),
    }
    masks = {"avail_actions": step.avail_actions, "active": step.active}
    return fields | {name: mask for name, mask in masks.items() if mask is not None}
