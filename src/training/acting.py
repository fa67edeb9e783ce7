"""The acting loop: a team plays B games, one joint step after another. Training and evaluation both run on it."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from bn_mappo.controllers.basic_controller import MAC, Selection, Step
from bn_mappo.core.specs import Observation, StepResult
from bn_mappo.envs.vec_env import VecEnv
from bn_mappo.training.checkpoint import to_arrays


class ActingLoop:
    """Owns where each game stands and what its agents remember; knows no algorithm by name, and draws no noise."""

    def __init__(self, env: VecEnv, mac: MAC, device: torch.device, seed: int | None = None):
        """The games start new episodes; `seed` also restarts the environment's generator."""
        self.env, self.mac, self.device = env, mac, device
        n_games, n_agents = env.batch_size, env.info.n_agents
        self.observation = env.reset(seed)
        self.hidden = mac.init_hidden(n_games)  # [B, N, H_rnn]
        self.last_actions = torch.full((n_games, n_agents), -1, dtype=torch.long, device=device)  # [B, N]
        self.episode_start = torch.ones(n_games, device=device)  # [B]

    def select(self, noise: dict[str, Tensor], fraction: float) -> tuple[Step, Selection]:
        """What the games show, and what the agents do there; no game moves yet."""
        step = to_step(self.observation, self.last_actions, self.episode_start, self.device)
        return step, self.mac.select_actions(step, self.hidden, noise, fraction)

    def play(self, selection: Selection) -> StepResult:
        """Let the agents act; games that end with it stand at the start of their next episode."""
        result = self.env.step(selection.actions.cpu().numpy())
        done = result.terminated | result.truncated  # [B]
        self.observation, self.hidden = result.observation, selection.hidden
        self.episode_start = torch.from_numpy(done.astype(np.float32)).to(self.device)
        self.last_actions = selection.actions
        if done.any():
            self.last_actions = selection.actions.masked_fill(self.episode_start.bool().unsqueeze(-1), -1)
        return result

    def state_dict(self) -> dict[str, Any]:
        """Where every game stands; `env` is None where the environment cannot say."""
        return {
            "env": self.env.state_dict(),
            "hidden": self.hidden,
            "last_actions": self.last_actions,
            "episode_start": self.episode_start,
        }

    def load_state_dict(self, state: dict[str, Any]) -> bool:
        """Go on from `state_dict()`; False where the games had to start new episodes instead."""
        if state["env"] is None:
            return False
        self.observation = self.env.load_state_dict(to_arrays(state["env"]))
        self.hidden, self.last_actions = state["hidden"], state["last_actions"]
        self.episode_start = state["episode_start"]
        return True


def to_step(observation: Observation, last_actions: Tensor, episode_start: Tensor, device: torch.device) -> Step:
    """What the games show, as tensors on the device."""
    avail_actions, active = observation.avail_actions, observation.active
    return Step(
        obs=torch.from_numpy(observation.obs).to(device),
        state=torch.from_numpy(observation.state).to(device),
        avail_actions=None if avail_actions is None else torch.from_numpy(avail_actions).to(device),
        last_actions=last_actions,
        episode_start=episode_start,
        active=None if active is None else torch.from_numpy(active).to(device),
    )
