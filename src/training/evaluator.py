"""Episodes played to judge a policy, on environments and generators of their own."""

import numpy as np

from bn_mappo.controllers.basic_controller import Selection, Step
from bn_mappo.core.seeding import Generators
from bn_mappo.core.seeds import derive_seed
from bn_mappo.core.specs import Array, StepResult
from bn_mappo.envs.vec_env import VecEnv
from bn_mappo.training.acting import ActingLoop, Player
from bn_mappo.training.episode_stats import EpisodeStats


class StepObserver:
    """Is shown every step of an evaluation. A subclass overrides what it needs; `counts` [B]: the game's present
    episode is one of those that are evaluated."""

    def before(self, step: Step, selection: Selection, counts: Array) -> None:
        """The agents are about to act."""

    def after(self, result: StepResult, counts: Array) -> None:
        """They have acted; games that have ended stand at the start of their next episode."""


def evaluate(
    env: VecEnv,
    mac: Player,
    n_episodes: int,
    seed: int,
    t_env: int,
    greedy: bool,
    fraction: float,
    observer: StepObserver | None = None,
) -> dict[str, Array]:
    """Play n_episodes; returns `return`, `ep_length` and the infos of each, [n_episodes].

    Of agents that act along DAGs also `dag_edges`, the mean number of edges of an episode's steps.

    Every game has its share of the episodes to play, so that short episodes are not counted more often than long ones.
    Deterministic in (seed, t_env): it draws from no generator of the training.
    """
    generators = Generators(derive_seed(seed, "evaluation", t_env), mac.agent_ids.device)
    n_games = env.batch_size
    quota = np.full(n_games, n_episodes // n_games)
    quota[: n_episodes % n_games] += 1
    stats = EpisodeStats(n_games)
    games = ActingLoop(env, mac, generators.device, derive_seed(seed, "evaluation_env", t_env))
    kept: dict[str, list[Array]] = {}
    n_edges = np.zeros(n_games)  # in the steps of the running episodes
    while quota.any():
        step, selection = games.select(mac.draw_noise(n_games, generators, fraction, greedy), fraction)
        if observer is not None:
            observer.before(step, selection, quota > 0)
        result = games.play(selection)
        if observer is not None:
            observer.after(result, quota > 0)
        if selection.adjacency is not None:
            n_edges += selection.adjacency.sum((1, 2)).cpu().numpy()
        ended = stats.add(result)
        if len(ended):
            facts = {name: values[-1] for name, values in stats.finished.items()}
            stats.finished.clear()
            if selection.adjacency is not None:
                facts["dag_edges"] = n_edges[ended] / facts["ep_length"]
            counts = quota[ended] > 0
            for name, values in facts.items():
                kept.setdefault(name, []).append(values[counts])
            quota[ended[counts]] -= 1
        n_edges[result.terminated | result.truncated] = 0
    return {name: np.concatenate(values) for name, values in kept.items()}
