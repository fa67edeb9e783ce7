"""The arrays through which single games become a vector environment, in this process or in shared memory."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bn_mappo.core.specs import Array, EnvInfo, Observation, StepResult
from bn_mappo.envs.multiagentenv import EpisodeLostError, MultiAgentEnv

EnvFactory = Callable[[int], MultiAgentEnv]  # seed -> environment
GAME_BROKE_DOWN = "its game broke down in the middle of an episode"


class Slots:
    """The arrays through which B single games hand over their steps; row b belongs to game b."""

    def __init__(self, info: EnvInfo, batch_size: int, allocate: Callable[[tuple[int, ...], Any], Array]):
        n_agents, masks = info.n_agents, info.masks_actions
        self.actions = allocate((batch_size, n_agents), np.int64)
        self.reward = allocate((batch_size,) if info.n_rewards == 1 else (batch_size, info.n_rewards), np.float32)
        self.terminated = allocate((batch_size,), np.bool_)
        self.truncated = allocate((batch_size,), np.bool_)
        self.lost = allocate((batch_size,), np.bool_)
        self.obs, self.final_obs = (allocate((batch_size, n_agents, info.obs_dim), np.float32) for _ in range(2))
        self.state, self.final_state = (allocate((batch_size, info.state_dim), np.float32) for _ in range(2))
        shape = (batch_size, n_agents, info.n_actions)
        self.avail, self.final_avail = (allocate(shape, np.bool_) if masks else None for _ in range(2))
        leaves = info.agents_leave
        self.active, self.final_active = (allocate(shape[:2], np.bool_) if leaves else None for _ in range(2))

    def observation(self) -> Observation:
        """A copy of what the games show."""
        return _copies(self.obs, self.state, self.avail, self.active)

    def final(self) -> Observation:
        """A copy of the last observations of the episodes that ended."""
        return _copies(self.final_obs, self.final_state, self.final_avail, self.final_active)

    def show(self, row: int, env: MultiAgentEnv, final: bool = False) -> None:
        """Write what the game of this row shows."""
        obs, state, avail = (
            (self.final_obs, self.final_state, self.final_avail) if final else (self.obs, self.state, self.avail)
        )
        obs[row], state[row] = env.get_obs(), env.get_state()
        if avail is not None:
            avail[row] = env.get_avail_actions()
        active = self.final_active if final else self.active
        if active is not None:
            active[row] = env.get_active()

    def play(self, row: int, env: MultiAgentEnv) -> dict[str, float]:
        """One step of the game of this row, with autoreset; returns its info where the episode ended."""
        try:
            reward, terminated, truncated, info = env.step(self.actions[row])
        except EpisodeLostError:
            self.lose(row)
            env.reset()
            self.show(row, env)
            return {}
        if self.reward.ndim == 2 and np.shape(reward) != self.reward.shape[1:]:
            raise ValueError(f"{len(self.reward[row])} rewards expected, one an agent, and got {reward!r}")
        self.lost[row] = False
        self.reward[row], self.terminated[row] = reward, terminated
        self.truncated[row] = truncated and not terminated
        if not (terminated or truncated):
            self.show(row, env)
            return {}
        self.show(row, env, final=True)
        env.reset()
        self.show(row, env)
        return info

    def lose(self, row: int) -> None:
        """This step and the episode that it belongs to are no data; `terminated`, so that no value is bootstrapped."""
        self.lost[row] = True
        self.reward[row], self.terminated[row], self.truncated[row] = 0.0, True, False

    def result(self, infos: list[dict[str, float]]) -> StepResult:
        """The step of all games."""
        done = self.terminated | self.truncated
        names = {name for info in infos for name in info}
        info = {name: np.array([info.get(name, 0.0) for info in infos], dtype=np.float32) for name in sorted(names)}
        return StepResult(
            self.observation(),
            self.reward.copy(),
            self.terminated.copy(),
            self.truncated.copy(),
            self.final() if done.any() else None,
            info,
            self.lost.copy() if self.lost.any() else None,
        )


def _copies(obs: Array, state: Array, avail: Array | None, active: Array | None) -> Observation:
    return Observation(
        obs.copy(), state.copy(), None if avail is None else avail.copy(), None if active is None else active.copy()
    )
