"""The acting loop: a team plays B games, one joint step after another. Training and evaluation both run on it."""

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from bn_mappo.controllers.basic_controller import Selection, Step
from bn_mappo.core.seeding import Generators
from bn_mappo.core.specs import Array, Observation, StepResult
from bn_mappo.envs.vec_env import VecEnv
from bn_mappo.training.checkpoint import to_arrays


class Player(Protocol):
    """What can play: a controller, or a team that was exported from one."""

    agent_ids: Tensor  # [N, N]; its device is the player's

    def init_hidden(self, batch_size: int) -> Tensor:
        """The hidden state before an episode, [B, N, H_rnn]."""

    def draw_noise(
        self, batch_size: int, generators: Generators, fraction: float, greedy: bool = False
    ) -> dict[str, Tensor]:
        """All randomness of one step of B games."""

    def select_actions(self, step: Step, hidden: Tensor, noise: dict[str, Tensor], fraction: float = 0.0) -> Selection:
        """Act in B games."""


class ActingLoop:
    """Owns where each game stands and what its agents remember; knows no algorithm by name, and draws no noise."""

    def __init__(self, env: VecEnv, mac: Player, device: torch.device, seed: int | None = None):
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
        self.episode_start = to_device(done.astype(np.float32), self.device)
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
        """Go on from `state_dict()`; False where it does not say where the games stand."""
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
        obs=to_device(observation.obs, device),
        state=to_device(observation.state, device),
        avail_actions=None if avail_actions is None else to_device(avail_actions, device),
        last_actions=last_actions,
        episode_start=episode_start,
        active=None if active is None else to_device(active, device),
    )


def to_device(array: Array, device: torch.device) -> Tensor:
    """An array as a tensor; a GPU fetches it while Python goes on."""
    tensor = torch.from_numpy(array)
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)
