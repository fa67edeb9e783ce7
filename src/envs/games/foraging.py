"""Level-Based Foraging on arrays of games: agents with levels gather food that may be too heavy for one of them.

The rules are those of the package lbforaging 2 (Papoudakis et al. 2021), its observations of vectors included.
"""

import numpy as np

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.specs import Array, EnvInfo, EnvRecord, Observation
from bn_mappo.envs.vector.batched import BatchedGame

ACTIONS = ("none", "north", "south", "west", "east", "load")
LOAD = 5
MOVES = np.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1], [0, 0]])  # row and column, by action
NOWHERE = -1  # coordinates of what is not seen


class Foraging(BatchedGame):
    """B games. Each agent is paid for the food that it helped to load; all food of a game pays 1.

    Positions are (row, column). Food that is gone has level 0; a game's food stands in the order of its cells.
    """

    state_fields = ("position", "level", "food", "food_level", "spawned")

    def __init__(
        self,
        batch_size: int,
        seed: int,
        *,
        field_size: int = 8,
        n_agents: int = 2,
        n_foods: int = 3,
        sight: int | None = None,
        coop: bool = False,
        max_agent_level: int = 2,
        penalty: float = 0.0,
        normalise_reward: bool = True,
        episode_limit: int = 50,
    ):
        """`field_size` and `sight` in cells (sight None: everything); `episode_limit` in steps; `penalty` of a try."""
        least = {"field_size": 5, "n_agents": 1, "n_foods": 1, "max_agent_level": 1, "episode_limit": 1}
        given = {"field_size": field_size, "n_agents": n_agents, "n_foods": n_foods, "max_agent_level": max_agent_level}
        for name, value in {**given, "episode_limit": episode_limit}.items():
            if value < least[name]:
                raise ConfigError(f"env_args.{name}={value}: foraging needs at least {least[name]}")
        if sight is not None and sight < 1:
            raise ConfigError(f"env_args.sight={sight}: at least 1 cell, or null for everything")
        if n_agents >= (field_size - 2) ** 2:
            raise ConfigError(
                f"env_args.n_agents={n_agents}: a field of size {field_size} has "
                f"{(field_size - 2) ** 2} cells for food, and agents may stand on all but one of them"
            )
        super().__init__(batch_size, seed)
        self.size, self.sight = field_size, field_size if sight is None else sight
        self.coop, self.max_agent_level = coop, max_agent_level
        self.penalty, self.normalise_reward = penalty, normalise_reward
        obs_dim = 3 * (n_foods + n_agents)
        self.info = EnvInfo(
            n_agents,
            len(ACTIONS),
            obs_dim,
            n_agents * obs_dim,
            episode_limit,
            n_rewards=n_agents,
            record=EnvRecord(action_names=ACTIONS),
        )
        everyone = np.arange(n_agents)
        self.from_self = np.stack([[k, *everyone[everyone != k]] for k in everyone])  # [N, N]: oneself first
        self.position = np.zeros((batch_size, n_agents, 2), dtype=np.int64)
        self.level = np.ones((batch_size, n_agents), dtype=np.int64)
        self.food = np.zeros((batch_size, n_foods, 2), dtype=np.int64)
        self.food_level = np.zeros((batch_size, n_foods), dtype=np.int64)
        self.spawned = np.ones(batch_size, dtype=np.int64)  # level of all food at the start

    def start(self, games: Array) -> None:
        """Agents anywhere; food not at the rim, not beside other food, and not two cells away from it in a line.

        Food that finds no such cell is left out.
        """
        n_games, size, n_foods = len(games), self.size, self.food.shape[1]
        is_free = np.ones((n_games, size, size), dtype=bool)
        each = np.arange(n_games)
        for agent in range(self.info.n_agents):
            row, column = self._draw_cell(is_free)
            self.position[games, agent] = np.stack([row, column], -1)
            is_free[each, row, column] = False
        levels = self.rng.integers(1, self.max_agent_level + 1, size=(n_games, self.info.n_agents))
        self.level[games] = levels
        is_free[:, [0, -1]] = is_free[:, :, [0, -1]] = False
        cells = np.zeros((n_games, n_foods, 2), dtype=np.int64)
        is_placed = np.zeros((n_games, n_foods), dtype=bool)
        grid = np.arange(size)
        for k in range(n_foods):
            is_placed[:, k] = is_free.any((1, 2))
            row, column = self._draw_cell(is_free)
            cells[:, k] = np.stack([row, column], -1)
            down, right = np.abs(grid - row[:, None]), np.abs(grid - column[:, None])  # [K, size]
            down, right = down[:, :, None], right[:, None, :]
            is_free &= (np.maximum(down, right) > 1) & ((np.minimum(down, right) > 0) | (down + right > 2))
        order = np.argsort(cells[..., 0] * size + cells[..., 1], -1)
        self.food[games] = np.take_along_axis(cells, order[..., None], 1)
        heaviest = np.sort(levels, -1)[:, :3].sum(-1, keepdims=True)  # the three weakest agents together can lift all
        drawn = self.rng.integers(1, heaviest + 1, size=(n_games, n_foods))
        levels_of_food = (np.broadcast_to(heaviest, drawn.shape) if self.coop else drawn) * is_placed
        self.food_level[games] = np.take_along_axis(levels_of_food, order, 1)
        self.spawned[games] = self.food_level[games].sum(-1)

    def _draw_cell(self, is_free: Array) -> tuple[Array, Array]:
        """Row and column [K] of a cell drawn evenly from those that are free [K, size, size]."""
        keys = np.where(is_free, self.rng.random(is_free.shape), -1.0).reshape(len(is_free), -1)
        return np.divmod(keys.argmax(-1), self.size)

    def advance(self, actions: Array) -> tuple[Array, Array]:
        target = self.position + MOVES[actions]  # [B, N, 2]
        is_food = (target[:, :, None] == self.food[:, None]).all(-1) & (self.food_level > 0)[:, None]  # [B, N, F]
        is_blocked = ((target < 0) | (target >= self.size)).any(-1) | is_food.any(-1)
        target = np.where(is_blocked[..., None], self.position, target)
        meet = (target[:, :, None] == target[:, None]).all(-1).sum(-1) > 1  # [B, N]; then none of them moves
        self.position = np.where(meet[..., None], self.position, target)

        distance = np.abs(self.position[:, :, None] - self.food[:, None]).sum(-1)  # [B, N, F]
        loads = (distance == 1) & (self.food_level > 0)[:, None] & (actions == LOAD)[..., None]
        force = (loads * self.level[..., None]).sum(1)  # [B, F]
        is_loaded = (force >= self.food_level) & loads.any(1)
        scale = force * self.spawned[:, None] if self.normalise_reward else np.ones_like(force)
        worth = np.where(is_loaded, self.food_level / np.maximum(scale, 1), 0.0)  # [B, F], for each level of an agent
        paid = (loads * worth[:, None]).sum(-1) * self.level  # [B, N]
        failed = (loads & ~is_loaded[:, None]).any(-1)
        self.food_level = np.where(is_loaded, 0, self.food_level)
        is_over: Array = (self.food_level == 0).all(-1)
        return (paid - self.penalty * failed).astype(np.float32), is_over

    def observe(self) -> Observation:
        """Food, then agents, oneself first: row, column and level of each that is seen, and then (-1, -1, 0)."""
        corner = self.position - np.minimum(self.position, self.sight)  # [B, N, 2]: where an agent's own view begins
        food = self.food[:, None] - corner[:, :, None]  # [B, N, F, 2]
        far = np.abs(self.food[:, None] - self.position[:, :, None]).max(-1) > self.sight
        foods = self._list(food, self.food_level[:, None], ~far & (self.food_level > 0)[:, None])
        agents = self.position[:, self.from_self] - corner[:, :, None]  # [B, N, N, 2]
        is_seen = (agents.min(-1) >= 0) & (agents.max(-1) <= 2 * self.sight)
        others = self._list(agents, self.level[:, self.from_self], is_seen)
        obs = np.concatenate([foods, others], 2).reshape(self.batch_size, self.info.n_agents, -1)
        return Observation(obs, obs.reshape(self.batch_size, -1), None)

    @staticmethod
    def _list(cells: Array, levels: Array, is_seen: Array) -> Array:
        """[B, N, K, 3] of K things, those that are seen first: cells [B, N, K, 2], levels and is_seen [B, N, K]."""
        things = np.empty((*is_seen.shape, 3), dtype=np.float32)
        things[..., :2] = np.where(is_seen[..., None], cells, NOWHERE)
        things[..., 2] = np.where(is_seen, levels, 0)
        if is_seen.all():
            return things
        return np.take_along_axis(things, np.argsort(~is_seen, -1, kind="stable")[..., None], 2)
