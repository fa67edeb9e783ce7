"""One reward of the team in place of one an agent: EPyMARL's `common_reward` and `reward_scalarisation`."""

from typing import Any

import numpy as np

from bn_mappo.core.specs import Array, Observation, Policy, StepResult, team_reward
from bn_mappo.envs.film import Film
from bn_mappo.envs.vec_env import VecEnv
from bn_mappo.tabular.game import TabularModel


class CommonReward(VecEnv):
    """A vector environment whose agents are paid one by one, with the sum or the mean of their rewards for the team."""

    def __init__(self, env: VecEnv, takes_mean: bool = False):
        self.env, self.info, self.batch_size = env, env.info._replace(n_rewards=1), env.batch_size
        self.share = np.float32(1 / env.info.n_agents if takes_mean else 1)

    def reset(self, seed: int | None = None) -> Observation:
        return self.env.reset(seed)

    def step(self, actions: Array) -> StepResult:
        result = self.env.step(actions)
        return result._replace(reward=team_reward(result.reward) * self.share)

    def state_dict(self) -> dict[str, Any] | None:
        return self.env.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> Observation:
        return self.env.load_state_dict(state)

    def tabular_model(self) -> TabularModel | None:
        return self.env.tabular_model()

    def reference_policies(self) -> dict[str, Policy]:
        return self.env.reference_policies()

    def restarts(self) -> int:
        return self.env.restarts()

    def save_replay(self) -> str | None:
        return self.env.save_replay()

    def film(self) -> Film | None:
        return self.env.film()

    def diagnostics(self) -> Any:
        return self.env.diagnostics()

    def close(self) -> None:
        self.env.close()
