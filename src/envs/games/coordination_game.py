"""The Coordination Game: N agents with one bit each are paid for agreeing, and paid best for agreeing on 0."""

from typing import Literal

import numpy as np

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.specs import Array, EnvInfo, EnvRecord, Observation, Policy
from bn_mappo.envs.vector.batched import BatchedGame
from bn_mappo.tabular.game import Game, TabularModel, check_discount

PAPER_GAMMA = 0.95  # of the tabular experiments (paper section 7.2) and of the price of anarchy
MOST_AGENTS_IN_A_TABLE = 6  # 4^N pairs of state and joint action
RewardBound = Literal["inclusive", "strict"]


def default_difference_bound(n_agents: int) -> int:
    """The bound l of the reward table: 1 for N <= 3, 2 for N <= 9, 3 above (paper, appendix B.1)."""
    return 1 if n_agents <= 3 else 2 if n_agents <= 9 else 3


def state_reward(state: Array, difference_bound: int, reward_bound: RewardBound) -> Array:
    """Team reward of the states [..., N] (bits), as [...] float32.

    With n0 zeros, n1 ones and bound l (paper, Algorithm 1): 3 where n0 - n1 > l, 2 where n1 - n0 > l; in between 1
    where n0 < n1, else 0. `strict` is the printed reading, in which a difference of exactly l counts as agreement.
    """
    ones = state.sum(-1)
    surplus = state.shape[-1] - 2 * ones  # n0 - n1
    agree = np.abs(surplus) > difference_bound if reward_bound == "inclusive" else np.abs(surplus) >= difference_bound
    return np.where(agree, np.where(surplus > 0, 3.0, 2.0), np.where(surplus < 0, 1.0, 0.0)).astype(np.float32)


def all_states(n_agents: int) -> Array:
    """All joint bit vectors, [2**N, N]; row k holds the binary digits of k, agent 0 the highest."""
    return (np.arange(2**n_agents)[:, None] >> np.arange(n_agents - 1, -1, -1)) & 1


def next_state_distribution(joint_actions: Array, epsilon: float) -> Array:
    """P(s' | a) for joint actions [K, N] as [K, 2**N]: every bit equals its action with probability 1 - epsilon."""
    agrees = all_states(joint_actions.shape[-1])[None] == joint_actions[:, None]  # [K, 2**N, N]
    return np.where(agrees, 1 - epsilon, epsilon).prod(-1)


def expected_reward(n_agents: int, epsilon: float, difference_bound: int, reward_bound: RewardBound) -> Array:
    """E[r(s') | a] for joint actions with k = 0..N ones, [N + 1]: the reward depends on the number of ones alone."""
    reward = state_reward(np.tri(n_agents + 1, n_agents, -1), difference_bound, reward_bound).astype(np.float64)
    expected = []
    for k in range(n_agents + 1):
        ones = np.ones(1)  # distribution of the number of ones in s'
        for agent in range(n_agents):
            p = 1 - epsilon if agent < k else epsilon
            ones = np.convolve(ones, [1 - p, p])
        expected.append(ones @ reward)
    return np.array(expected)


def optimal_value(
    n_agents: int,
    gamma: float = 0.95,
    epsilon: float = 0.1,
    difference_bound: int | None = None,
    reward_bound: RewardBound = "inclusive",
) -> float:
    """max_pi V_pi(mu) for uniform mu, discounted: E_mu[r] + gamma / (1 - gamma) * max_a E[r(s') | a].

    The transition does not depend on the state, so one joint action is best everywhere.
    """
    bound = default_difference_bound(n_agents) if difference_bound is None else difference_bound
    start_reward = expected_reward(n_agents, 0.5, bound, reward_bound)[0]  # uniform bits
    best_next_reward = expected_reward(n_agents, epsilon, bound, reward_bound).max()
    return float(start_reward + gamma / (1 - gamma) * best_next_reward)


def tabular_coordination_game(
    n_agents: int,
    gamma: float = 0.95,
    epsilon: float = 0.1,
    reward_bound: RewardBound = "inclusive",
    difference_bound: int | None = None,
) -> Game:
    """The game as arrays (paper section 7) with uniform mu; the bits of state k are its digits, agent 0 first."""
    if n_agents < 1:
        raise ConfigError(f"n_agents={n_agents}: the Coordination Game needs at least 1 agent")
    if not 0 <= epsilon <= 1:
        raise ConfigError(f"epsilon={epsilon}: a probability lies between 0 and 1")
    check_discount(gamma)
    states = all_states(n_agents)  # [S, N]; the joint actions are the same bit vectors
    bound = default_difference_bound(n_agents) if difference_bound is None else difference_bound
    reward = state_reward(states, bound, reward_bound).astype(np.float64)  # [S]
    return Game(
        name=f"Coordination Game, N={n_agents}",
        n_actions=(2,) * n_agents,
        transition=next_state_distribution(states, epsilon)[:, None, :],  # [K, 1, S']
        reward=reward.reshape((1,) * n_agents + (1, -1)),  # [1, ..., 1, 1, S]
        gamma=gamma,
        mu=np.full(len(states), 1 / len(states)),  # [S]
    )


def see(bits: Array) -> Observation:
    """Every agent sees all bits [B, N]."""
    state = bits.astype(np.float32)
    return Observation(np.repeat(state[:, None], bits.shape[-1], axis=1), state, None)


class CoordinationGame(BatchedGame):
    """B Coordination Games under full observability; the reward of a step is that of the state it starts from."""

    state_fields = ("bits",)

    def __init__(
        self,
        batch_size: int,
        seed: int,
        *,
        n_agents: int = 2,
        episode_limit: int = 20,
        epsilon: float = 0.1,
        reward_bound: RewardBound = "inclusive",
        difference_bound: int | None = None,
    ):
        """`episode_limit` in steps; `difference_bound` None: by the number of agents."""
        if n_agents < 1:
            raise ConfigError(f"env_args.n_agents={n_agents}: the Coordination Game needs at least 1 agent")
        if episode_limit < 1:
            raise ConfigError(f"env_args.episode_limit={episode_limit}: an episode has at least 1 step")
        if not 0 <= epsilon <= 1:
            raise ConfigError(f"env_args.epsilon={epsilon}: a probability lies between 0 and 1")
        if difference_bound is not None and difference_bound < 0:
            raise ConfigError(f"env_args.difference_bound={difference_bound}: a difference is at least 0")
        super().__init__(batch_size, seed)
        self.epsilon = epsilon
        self.reward_bound: RewardBound = reward_bound
        self.difference_bound = default_difference_bound(n_agents) if difference_bound is None else difference_bound
        record = EnvRecord(action_names=("0", "1"))
        self.info = EnvInfo(n_agents, 2, n_agents, n_agents, episode_limit, record=record)
        self.bits = np.zeros((batch_size, n_agents), dtype=np.int64)
        staircase = np.tri(n_agents + 1, n_agents, -1, dtype=np.int64)  # [N + 1, N]: a state for each number of ones
        self.reward_of_ones = state_reward(staircase, self.difference_bound, reward_bound)  # [N + 1]

    def start(self, games: Array) -> None:
        self.bits[games] = self.rng.integers(0, 2, size=(len(games), self.info.n_agents))

    def advance(self, actions: Array) -> tuple[Array, Array]:
        reward = self.reward_of_ones[self.bits.sum(-1)]
        flips = self.rng.random(self.bits.shape) < self.epsilon
        self.bits = np.bitwise_xor(actions, flips, dtype=np.int64)
        return reward, np.zeros(self.batch_size, dtype=bool)

    def observe(self) -> Observation:
        return see(self.bits)

    def tabular_model(self) -> TabularModel | None:
        n_agents = self.info.n_agents
        if n_agents > MOST_AGENTS_IN_A_TABLE:
            return None
        game = tabular_coordination_game(n_agents, PAPER_GAMMA, self.epsilon, self.reward_bound, self.difference_bound)
        return TabularModel(game, see(all_states(n_agents)))

    def reference_policies(self) -> dict[str, Policy]:
        shape = self.bits.shape
        n_agents = self.info.n_agents
        n_ones = expected_reward(n_agents, self.epsilon, self.difference_bound, self.reward_bound).argmax()
        best = (np.arange(n_agents) < n_ones).astype(np.int64)  # [N]
        return {
            "uniform random": lambda: self.rng.integers(0, 2, size=shape),
            "all ones (second best)": lambda: np.ones(shape, dtype=np.int64),
            "optimum": lambda: np.broadcast_to(best, shape),
        }
