"""What scripted policies with full sight of the game earn: the marks that a learned policy is held against."""

import numpy as np

from envs.vec_env import Array, BatchedGame, Policy, VecEnv
from utils.seeds import derive_seed


def play(game: BatchedGame, policy: Policy, seed: int) -> Array:
    """Returns of one episode of every game, [B], undiscounted."""
    game.reset(seed)
    total = np.zeros(game.batch_size)
    running = np.ones(game.batch_size, dtype=bool)
    while running.any():
        result = game.step(policy())
        total += np.where(running, result.reward, 0.0)
        running &= ~(result.terminated | result.truncated)
    return total


def reference_returns(env: VecEnv, seed: int) -> dict[str, float]:
    """Mean return of each scripted policy of this environment over one episode of every game; may be empty."""
    if not isinstance(env, BatchedGame):
        return {}
    return {
        name: float(play(env, policy, derive_seed(seed, "reference")).mean())
        for name, policy in env.reference_policies().items()
    }
