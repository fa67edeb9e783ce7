"""Random games and DAGs for the tests of `tabular`, and slow obvious versions of what it computes."""

from itertools import product

import numpy as np
import torch

from bn_mappo.tabular.dags import Adjacency, parents
from bn_mappo.tabular.game import Array, Game, game_from_arrays
from bn_mappo.tabular.policy import Tables

CASES = [  # (actions of each agent, number of states, seed)
    ((2, 2), 3, 0),
    ((3, 2), 2, 1),
    ((2, 3, 2), 3, 2),
    ((3, 3, 3), 2, 3),
    ((2, 2, 2, 2), 3, 4),
    ((2, 3, 2, 3), 2, 5),
]


def random_game(n_actions: tuple[int, ...], n_states: int, seed: int, gamma: float = 0.9) -> Game:
    rng = np.random.default_rng([seed, 100])
    transition = rng.dirichlet(np.full(n_states, 0.5), size=(n_states, *n_actions))
    reward = rng.uniform(0, 2, size=(n_states, *n_actions))
    return game_from_arrays(transition, reward, gamma, rng.dirichlet(np.ones(n_states)), name=f"random {seed}")


def random_dag(n_agents: int, seed: int) -> Adjacency:
    """Each pair an edge with probability 0.6, in a random order: not always 1..N."""
    rng = np.random.default_rng([seed, 200])
    upper = np.triu(rng.random((n_agents, n_agents)) < 0.6, k=1).astype(np.int64)
    order = rng.permutation(n_agents)
    adjacency = np.zeros_like(upper)
    adjacency[np.ix_(order, order)] = upper
    return adjacency


def joint_actions(game: Game) -> list[tuple[int, ...]]:
    return list(product(*(range(count) for count in game.n_actions)))


def entry(
    game: Game, adjacency: Adjacency, agent: int, actions: tuple[int, ...], batch: int, state: int
) -> tuple[int, ...]:
    """Where agent's table holds its action, given its parents' actions."""
    seen = (*parents(adjacency, agent), agent)
    return (*(action if j in seen else 0 for j, action in enumerate(actions)), batch, state)


def reward_at(game: Game, state: int, actions: tuple[int, ...]) -> float:
    full = np.broadcast_to(game.reward, (*game.n_actions, 1, game.n_states))
    return float(full[(*actions, 0, state)])


def transition_at(game: Game, state: int, k: int) -> Array:
    return game.transition[k, state if game.transition.shape[1] > 1 else 0]


def slow_value(game: Game, adjacency: Adjacency, logits: list[torch.Tensor], batch: int) -> torch.Tensor:
    """V(mu) of one seed by loops over states and joint actions: a function that autograd can differentiate."""
    log_policies = [torch.log_softmax(table, dim=agent) for agent, table in enumerate(logits)]
    rows, rewards = [], []
    for state in range(game.n_states):
        row = torch.zeros(game.n_states, dtype=torch.float64)
        reward = torch.zeros((), dtype=torch.float64)
        for k, actions in enumerate(joint_actions(game)):
            probability = torch.ones((), dtype=torch.float64)
            for agent, table in enumerate(log_policies):
                probability = probability * table[entry(game, adjacency, agent, actions, batch, state)].exp()
            row = row + probability * torch.from_numpy(transition_at(game, state, k))
            reward = reward + probability * reward_at(game, state, actions)
        rows.append(row)
        rewards.append(reward)
    system = torch.eye(game.n_states, dtype=torch.float64) - game.gamma * torch.stack(rows)
    return torch.linalg.solve(system, torch.stack(rewards)) @ torch.from_numpy(game.mu)


def slow_start_value(game: Game, adjacency: Adjacency, logits: Tables, batch: int = 0) -> float:
    return float(slow_value(game, adjacency, [torch.from_numpy(table) for table in logits], batch))


def deterministic(choice: Array, n_actions: int, axis: int) -> Array:
    """Logits that put all the mass on the choice, along the axis."""
    return np.stack([np.where(choice == a, 0.0, -1e3) for a in range(n_actions)], axis=axis)
