"""PopArt: moments of the returns move, values in units of rewards do not."""

import numpy as np
import pytest
import torch

from bn_mappo.core.specs import Array, EnvInfo, Observation
from bn_mappo.envs.registry import REGISTRY
from bn_mappo.envs.vector.batched import BatchedGame
from helpers import make_config, make_rollout

LIMIT = 5


class WanderingGame(BatchedGame):
    """The team steps among five places at random, and each costs more than the one before; every episode times out.

    A value is that of the steps to come, without end: at least -10 / (1 - gamma).
    """

    state_fields = ("place",)

    def __init__(self, batch_size: int, seed: int):
        super().__init__(batch_size, seed)
        self.info = EnvInfo(n_agents=2, n_actions=3, obs_dim=5, state_dim=5, episode_limit=LIMIT)
        self.place = np.zeros(batch_size, dtype=np.int64)

    def start(self, games: Array) -> None:
        self.place[games] = self.rng.integers(0, 5, size=len(games))

    def advance(self, actions: Array) -> tuple[Array, Array]:
        cost = 2.0 * (self.place + 1)
        self.place = np.clip(self.place + self.rng.integers(-1, 2, size=self.batch_size), 0, 4)
        return -cost.astype(np.float32), np.zeros(self.batch_size, dtype=bool)

    def observe(self) -> Observation:
        state = np.eye(5, dtype=np.float32)[self.place]  # [B, 5]
        return Observation(np.stack([state, state], axis=1), state, None)


@pytest.fixture
def wandering():
    REGISTRY.register("wandering_game", "for tests")(WanderingGame)
    yield {"env": "wandering_game", "batch_size_run": 8, "segment_length": LIMIT, "gamma": 0.99}
    REGISTRY.remove("wandering_game")


@pytest.mark.parametrize(
    ("alg", "critic_type"),
    [("mappo", "cv_critic"), ("mappo", "ac_critic"), ("mappo", "as_critic"), ("mat", "mac_critic")],
)
def test_values_in_units_of_rewards_stay_when_the_moments_move(wandering, alg, critic_type):
    setup, rollout = make_rollout(make_config(alg, **wandering, critic_type=critic_type, popart=True))
    learner = setup.learner
    for _ in range(3):
        batch = rollout.collect(0.0)
        with torch.no_grad():
            before, moments = learner._in_rewards(learner.critic(batch.fields)), learner.value_moments.moments()
            targets = learner.compute_targets(batch)
            output = learner.critic(batch.fields)
        assert not torch.equal(torch.stack(moments), torch.stack(learner.value_moments.moments()))
        torch.testing.assert_close(learner._in_rewards(output), before, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(targets.old_value, output, atol=1e-4, rtol=1e-4)
        learner.train(rollout.collect(0.0), 0.0)
