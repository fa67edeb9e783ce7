"""The rollout loop: agents act in B games for a fixed number of steps, and what happened is recorded."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from bn_mappo.controllers.basic_controller import BasicMAC, Selection, Step
from bn_mappo.core.seeding import Generators
from bn_mappo.core.specs import Array, Observation, StepResult
from bn_mappo.data.batch import EpisodeBatch, Scheme
from bn_mappo.envs.vec_env import VecEnv
from bn_mappo.training.checkpoint import to_arrays
from bn_mappo.training.episode_stats import EpisodeStats


def to_step(observation: Observation, last_actions: Tensor, starts: Tensor, device: torch.device) -> Step:
    """What the games show, as tensors on the device."""
    avail = observation.avail_actions
    return Step(
        obs=torch.from_numpy(observation.obs).to(device),
        state=torch.from_numpy(observation.state).to(device),
        avail_actions=None if avail is None else torch.from_numpy(avail).to(device),
        last_actions=last_actions,
        starts=starts,
    )


class Rollout:
    """Plays the training games, segment after segment. Owns where each game stands; knows no algorithm by name."""

    def __init__(self, env: VecEnv, mac: BasicMAC, scheme: Scheme, n_steps: int, generators: Generators):
        self.env, self.mac, self.generators, self.n_steps = env, mac, generators, n_steps
        self.device = generators.device
        self.batch = EpisodeBatch(scheme, env.batch_size, n_steps, self.device)
        self.stats = EpisodeStats(env.batch_size)
        self._stand(env.reset(), mac.init_hidden(env.batch_size))

    def _stand(self, observation: Observation, hidden: Tensor) -> None:
        """Be at the first step of an episode in every game."""
        n_games, n_agents = self.env.batch_size, self.env.info.n_agents
        self.observation, self.hidden = observation, hidden
        self.last_actions = torch.full((n_games, n_agents), -1, dtype=torch.long, device=self.device)
        self.starts = torch.ones(n_games, device=self.device)

    def run_segment(self, fraction: float) -> EpisodeBatch:
        """Play n_steps in every game; `fraction` of training is done. The batch is overwritten by the next call."""
        batch, n_games = self.batch, self.env.batch_size
        batch.first_hidden = self.hidden.clone()  # inference tensors cannot be learned from
        drawn = self.mac.draw_noise(self.n_steps * n_games, self.generators, fraction)
        noise = {name: value.split(n_games) for name, value in drawn.items()}  # T of [B, ...]
        cuts: list[tuple[int, Array, Observation]] = []
        episode_begin = np.zeros(n_games, dtype=np.int64)  # step of this segment
        filled = np.ones((n_games, self.n_steps), dtype=np.float32)
        for t in range(self.n_steps):
            step = to_step(self.observation, self.last_actions, self.starts, self.device)
            selection = self.mac.select_actions(step, self.hidden, {k: v[t] for k, v in noise.items()}, fraction)
            result = self.env.step(selection.actions.cpu().numpy())
            batch.add(self._known(step, selection, result))
            self.stats.add(result)
            if result.lost is not None:
                for game in np.flatnonzero(result.lost):
                    filled[game, episode_begin[game] : t + 1] = 0.0
            done = result.terminated | result.truncated
            if result.truncated.any() and result.final is not None:
                cuts.append((t, np.flatnonzero(result.truncated), result.final))
            self._advance(result.observation, selection.actions, selection.hidden, done)
            episode_begin[done] = t + 1
        batch.close()
        batch.data["filled"] = torch.from_numpy(filled).to(self.device)
        self._record_ends(cuts)
        return batch

    def _known(self, step: Step, selection: Selection, result: StepResult) -> dict[str, Tensor]:
        """Everything that can be recorded of one step, [B, ...] each."""
        return {
            "obs": step.obs,
            "state": step.state,
            "starts": step.starts,
            "last_actions": step.last_actions,
            "actions": selection.actions,
            "reward": torch.from_numpy(result.reward),
            "terminated": torch.from_numpy(result.terminated),
            "truncated": torch.from_numpy(result.truncated),
            **({} if step.avail_actions is None else {"avail_actions": step.avail_actions}),
            **selection.recorded,
        }

    def _advance(self, observation: Observation, actions: Tensor, hidden: Tensor, done: Array) -> None:
        self.observation, self.hidden = observation, hidden
        self.starts = torch.from_numpy(done.astype(np.float32)).to(self.device)
        self.last_actions = actions
        if done.any():
            self.last_actions = actions.masked_fill(self.starts.bool().unsqueeze(-1), -1)

    def _record_ends(self, cuts: list[tuple[int, Array, Observation]]) -> None:
        """The observation after the last step, and the last ones of the episodes that were cut off."""
        batch, now = self.batch, self.observation
        batch.last = {
            "obs": torch.from_numpy(now.obs).to(self.device),
            "state": torch.from_numpy(now.state).to(self.device),
        }
        rows = [np.stack([games, np.full_like(games, t)], axis=1) for t, games, _ in cuts]
        batch.final_rows = torch.from_numpy(np.concatenate(rows or [np.zeros((0, 2), np.int64)])).to(self.device)
        batch.final = {}
        if cuts:
            for name in ("obs", "state"):
                values = np.concatenate([getattr(final, name)[games] for _, games, final in cuts])
                batch.final[name] = torch.from_numpy(values).to(self.device)

    def state_dict(self) -> dict[str, Any]:
        """Where every game stands; `env` is None where the environment cannot say."""
        return {
            "env": self.env.state_dict(),
            "hidden": self.hidden,
            "last_actions": self.last_actions,
            "starts": self.starts,
            "stats": self.stats.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> bool:
        """Go on from `state_dict()`; False where the games had to start new episodes instead."""
        if state["env"] is None:
            return False
        self.observation = self.env.load_state_dict(to_arrays(state["env"]))
        self.hidden, self.last_actions, self.starts = state["hidden"], state["last_actions"], state["starts"]
        self.stats.load_state_dict(to_arrays(state["stats"]))
        return True
