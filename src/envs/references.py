"""What scripted policies with full sight of the game earn: the marks that a learned policy is held against."""

import numpy as np

from bn_mappo.core.seeds import derive_seed
from bn_mappo.core.specs import Array, Policy, team_reward
from bn_mappo.envs.vec_env import VecEnv

References = dict[str, dict[str, float]]  # mean outcomes of an episode (`return`, ...) by the name of a policy


def play_outcomes(game: VecEnv, policy: Policy, seed: int) -> dict[str, Array]:
    """`return` (of the team, undiscounted) and the infos of one episode of every game, [B] each."""
    game.reset(seed)
    outcomes: dict[str, Array] = {"return": np.zeros(game.batch_size)}
    running = np.ones(game.batch_size, dtype=bool)
    while running.any():
        result = game.step(policy())
        outcomes["return"] += np.where(running, team_reward(result.reward), 0.0)
        ends = running & (result.terminated | result.truncated)
        for name, values in result.info.items():
            outcomes[name] = np.where(ends, values, outcomes.get(name, np.zeros(game.batch_size)))
        running &= ~ends
    return outcomes


def play(game: VecEnv, policy: Policy, seed: int) -> Array:
    """Returns of one episode of every game, [B], undiscounted."""
    return play_outcomes(game, policy, seed)["return"]


def reference_outcomes(env: VecEnv, seed: int) -> References:
    """For each scripted policy of this environment, means over one episode of every game by name; may be empty."""
    episodes = {
        name: play_outcomes(env, policy, derive_seed(seed, "reference"))
        for name, policy in env.reference_policies().items()
    }
    return {
        name: {key: float(values.mean()) for key, values in outcomes.items()} for name, outcomes in episodes.items()
    }
