"""Aloha: islands on a grid each hold messages to send, and neighbours that send at once collide."""

from typing import Literal

import numpy as np

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.specs import Array, EnvInfo, EnvRecord, Observation, Policy
from bn_mappo.envs.games.aloha_policies import reference_policies
from bn_mappo.envs.vector.batched import BatchedGame

Adjacency = Literal["grid", "casec"]
ObsCoding = Literal["one_hot", "scalar"]


def neighbour_matrix(rows: int, columns: int, adjacency: Adjacency = "grid") -> Array:
    """[N, N] bool, symmetric: who disturbs whom; cell (r, c) is agent r * columns + c.

    `grid`: horizontally and vertically adjacent cells. `casec`: also the last cell of a row and the first of the next,
    a slip of the released environment that is kept for comparison (docs/deviations.md).
    """
    n_agents = rows * columns
    row, column = np.divmod(np.arange(n_agents), columns)
    distance = np.abs(row[:, None] - row) + np.abs(column[:, None] - column)
    neighbours = distance == 1
    if adjacency == "casec":
        line_end = np.arange(columns - 1, n_agents - 1, columns)
        neighbours[line_end, line_end + 1] = neighbours[line_end + 1, line_end] = True
    return neighbours


class Aloha(BatchedGame):
    """B games of Aloha. Actions: 0 waits, 1 sends. Every island sees only its own backlog; the state is all of them."""

    state_fields = ("backlog", "sent", "collided")

    def __init__(
        self,
        batch_size: int,
        seed: int,
        *,
        rows: int = 2,
        columns: int = 5,
        max_backlog: int = 5,
        start_backlog: int = 1,
        arrival_probability: float = 0.6,
        success_reward: float = 0.1,
        collision_reward: float = -10.0,
        adjacency: Adjacency = "grid",
        obs_coding: ObsCoding = "one_hot",
        episode_limit: int = 25,
    ):
        """`max_backlog` and `start_backlog` in messages, `episode_limit` in steps, `arrival_probability` per step.

        `obs_coding`: the backlog as a one-hot vector of max_backlog + 1 entries, or as one number in [0, 1].
        """
        for name, value in {"rows": rows, "columns": columns, "max_backlog": max_backlog}.items():
            if value < 1:
                raise ConfigError(f"env_args.{name}={value}: Aloha needs at least 1")
        if episode_limit < 1:
            raise ConfigError(f"env_args.episode_limit={episode_limit}: an episode has at least 1 step")
        if not 0 <= arrival_probability <= 1:
            raise ConfigError(f"env_args.arrival_probability={arrival_probability}: must lie between 0 and 1")
        if not 0 <= start_backlog <= max_backlog:
            raise ConfigError(f"env_args.start_backlog={start_backlog}: must lie between 0 and {max_backlog}")
        super().__init__(batch_size, seed)
        n_agents = rows * columns
        self.max_backlog, self.start_backlog = max_backlog, start_backlog
        self.arrival_probability = arrival_probability
        self.success_reward, self.collision_reward = success_reward, collision_reward
        self.neighbours = neighbour_matrix(rows, columns, adjacency).astype(np.float32)  # [N, N]
        self.coding = (  # [max_backlog + 1, D]: the observation of each backlog
            np.eye(max_backlog + 1) if obs_coding == "one_hot" else np.linspace(0, 1, max_backlog + 1)[:, None]
        ).astype(np.float32)
        obs_dim = self.coding.shape[1]
        record = EnvRecord(action_names=("wait", "send"))
        state_dim, layout = n_agents * obs_dim, (rows, columns)
        self.info = EnvInfo(n_agents, 2, obs_dim, state_dim, episode_limit, layout=layout, record=record)
        self.backlog = np.zeros((batch_size, n_agents), dtype=np.int64)
        self.sent = np.zeros(batch_size, dtype=np.int64)  # messages that got through in the running episode
        self.collided = np.zeros(batch_size, dtype=np.int64)  # messages that did not

    def start(self, games: Array) -> None:
        self.backlog[games] = self.start_backlog
        self.sent[games] = self.collided[games] = 0

    def advance(self, actions: Array) -> tuple[Array, Array]:
        sends = actions.astype(bool)
        disturbed = (sends.astype(np.float32) @ self.neighbours) > 0  # [B, N]
        tries = sends & (self.backlog > 0)
        success = tries & ~disturbed
        n_success = success.sum(-1)
        n_collided = tries.sum(-1) - n_success
        arrivals = self.rng.random(self.backlog.shape, dtype=np.float32) < self.arrival_probability
        self.backlog = np.minimum(self.backlog - success + arrivals, self.max_backlog)
        self.sent += n_success
        self.collided += n_collided
        reward = (self.success_reward * n_success + self.collision_reward * n_collided).astype(np.float32)
        return reward, np.zeros(self.batch_size, dtype=bool)

    def observe(self) -> Observation:
        obs = self.coding[self.backlog]  # [B, N, D]
        return Observation(obs, obs.reshape(self.batch_size, -1), None)

    def episode_info(self) -> dict[str, Array]:
        return {"sent": self.sent.astype(np.float32), "collided": self.collided.astype(np.float32)}

    def reference_policies(self) -> dict[str, Policy]:
        return reference_policies(self)
