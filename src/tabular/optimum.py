"""The best joint policy of a game, and the price of anarchy against it."""

import numpy as np

from bn_mappo.core.errors import ConfigError
from bn_mappo.tabular.best_response import best_response
from bn_mappo.tabular.evaluation import start_value
from bn_mappo.tabular.game import Array, Game


def single_agent_view(game: Game) -> Game:
    """The same game played by one agent whose actions are the K joint actions."""
    shape = (*game.n_actions, 1, game.n_states)
    reward = np.broadcast_to(game.reward, shape).reshape(-1, 1, game.n_states)  # [K, 1, S]
    return Game(game.name, (game.n_joint_actions,), game.transition, reward, game.gamma, game.mu)


def optimal_values(game: Game) -> Array:
    """max_pi V_pi(s) over all joint policies, [S], by exact policy iteration of one central agent."""
    central = single_agent_view(game)
    no_others = np.ones((1, 1, game.n_states))  # [1, B = 1, S]
    return best_response(central, no_others, (0,), 0, np.zeros((1, game.n_states))).values[0]


def optimal_value(game: Game) -> float:
    """max_pi V_pi(mu)."""
    return float(start_value(game, optimal_values(game)))


def price_of_anarchy(game: Game, value: Array, best: float) -> Array:
    """POA = V_pi(mu) / max_pi' V_pi'(mu) as [B], for V_pi(mu) [B] and best = `optimal_value` (paper section 7)."""
    if game.reward.min() < 0 or best <= 0:
        raise ConfigError(
            f"the price of anarchy of '{game.name}' is not defined: it needs rewards >= 0 and a positive optimum "
            f"(lowest reward {game.reward.min():g}, optimum {best:g}); add a constant to the rewards"
        )
    return value / best
