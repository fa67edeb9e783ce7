"""B games of Skirmish as a vector environment: the arguments of EPyMARL's sc2.yaml, the clock and the infos."""

import os
from types import ModuleType
from typing import Any, Literal, NamedTuple

import numpy as np

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.specs import Array, EnvInfo, EnvRecord, Observation, Policy
from bn_mappo.envs.film import Film
from bn_mappo.envs.games.skirmish.data import Map, load_map
from bn_mappo.envs.games.skirmish.moments import Moment, moment
from bn_mappo.envs.games.skirmish.scripted import reference_policies
from bn_mappo.envs.games.skirmish.sizes import Shown, count
from bn_mappo.envs.games.skirmish.teams import RandomTeams, load_teams
from bn_mappo.envs.smac_arguments import Difficulty, action_names
from bn_mappo.envs.vector.batched import BatchedGame
from bn_mappo.envs.vector.shares import Shares, own_rows

LEAST_GRID = 0.1  # cells; finer ones take long and change little
RULES = 4  # version of the rules that battles follow (docs/environments.md, history of the rules)

STARCRAFT_ONLY = {  # arguments of StarCraft's that are accepted at these values alone, and why
    "difficulty": ("7", "the enemies follow one fixed policy (docs/environments.md)"),
    "game_version": (None, "there is no StarCraft here"),
    "heuristic_ai": (False, "agents obey actions; scripted policies are in games/skirmish/scripted.py"),
    "heuristic_rest": (False, "it belongs to heuristic_ai"),
    "obs_terrain_height": (False, "every floor is flat"),
    "debug": (False, "there is nothing to print"),
}

RECORD = EnvRecord(
    (("backend", "skirmish"), ("rules", str(RULES))),
    (("real_game", 0.0), ("skirmish_rules", float(RULES))),
    rules=f"Skirmish {RULES}",
)


class BattleDiagnostics(NamedTuple):
    """What holds in B games at one moment, beyond what the agents see; N agents, M enemies."""

    is_alive: Array  # [B, N] bool
    sees_ally: Array  # [B, N, N] bool: [b, i, j]: agent i sees agent j; no agent sees itself
    sees_enemy: Array  # [B, N, M] bool
    health: Array  # [B, N] share of full health
    shield: Array  # [B, N] share of the full shield; 0 where there is none
    enemy_health: Array  # [B, M]
    enemy_shield: Array  # [B, M]
    distance: Array  # [B, N, N] cells between the centres of allies, the dead where they fell
    position: Array  # [B, N + M, 2] cells


class Skirmish(BatchedGame):
    """B battles. Owns all units of all games in a few arrays; every rule is in core.py, every number in YAML."""

    state_fields = ("units", "marks", "streams", "goals", "outcome")

    def __init__(
        self,
        batch_size: int,
        seed: int,
        *,
        map_name: str = "MMM2",
        teams: Literal["fixed", "random"] = "fixed",
        step_mul: int = 8,
        move_amount: float = 2.0,
        start: Literal["random", "fixed"] = "random",
        start_grid: float = 0.5,
        enemy_order: Literal["sorted", "raw"] = "sorted",
        exchange_enemy_types: bool = False,
        answer_attacks: bool = True,
        obs_all_health: bool = True,
        obs_own_health: bool = True,
        obs_last_action: bool = False,
        obs_pathing_grid: bool = False,
        obs_terrain_height: bool = False,
        obs_timestep_number: bool = False,
        obs_instead_of_state: bool = False,
        state_last_action: bool = True,
        state_timestep_number: bool = False,
        reward_sparse: bool = False,
        reward_only_positive: bool = True,
        reward_death_value: float = 10.0,
        reward_win: float = 200.0,
        reward_defeat: float = 0.0,
        reward_negative_scale: float = 0.5,
        reward_scale: bool = True,
        reward_scale_rate: float = 20.0,
        reward_shield_regen: bool = True,
        continuing_episode: bool = True,
        difficulty: Difficulty = "7",
        game_version: str | None = None,
        heuristic_ai: bool = False,
        heuristic_rest: bool = False,
        replay_dir: str = "",
        replay_prefix: str = "",
        debug: bool = False,
        threads: int = 1,
        render_mode: Literal["rgb_array"] | None = None,
    ):
        """src/config/envs/skirmish.yaml explains them; `step_mul` in game loops, `move_amount` in cells."""
        given = locals()
        for name, (value, reason) in STARCRAFT_ONLY.items():
            if given.get(name, value) != value:
                raise ConfigError(f"env_args.{name}={given[name]!r}: Skirmish takes only {value!r}, for {reason}")
        if step_mul < 1:
            raise ConfigError(f"env_args.step_mul={step_mul}: a step has at least 1 game loop")
        if move_amount <= 0 or reward_scale_rate <= 0:
            name = "move_amount" if move_amount <= 0 else "reward_scale_rate"
            raise ConfigError(f"env_args.{name}={given[name]}: must be greater than 0")
        if not reward_shield_regen and (not reward_only_positive or reward_sparse):
            raise ConfigError(
                "env_args.reward_shield_regen=False changes the reward of reward_only_positive=True alone: "
                "otherwise regeneration counts against the agents, or nothing but the outcome counts"
            )
        if start_grid < LEAST_GRID:
            raise ConfigError(f"env_args.start_grid={start_grid}: must be at least {LEAST_GRID}")
        if os.path.basename(replay_prefix) != replay_prefix:
            raise ConfigError(
                f"env_args.replay_prefix={replay_prefix}: begins a file name; the folder is env_args.replay_dir"
            )
        if teams == "random" and (start == "fixed" or exchange_enemy_types):
            name = "exchange_enemy_types" if exchange_enemy_types else "start"
            raise ConfigError(f"env_args.{name}={given[name]!r} belongs to teams=fixed: random ones know no such thing")
        super().__init__(batch_size, seed)
        self.shares = Shares(threads)
        from bn_mappo.envs.games.skirmish import core, dealing, tables  # here: numba takes half a second to import

        self.core: ModuleType = core
        self.map = load_map(map_name)
        random_teams = RandomTeams(self.map, load_teams()) if teams == "random" else None
        if random_teams is not None:
            self.map = random_teams.map
        self.tables = tables.make_tables(self.map, move_amount, start, start_grid, exchange_enemy_types, answer_attacks)
        # tables by game, or one for all: types [B or 1, U], traits [B or 1, traits, U], pairs [B or 1, pairs, U, U]
        self.kinds, self.traits, self.pairs = self.tables.kind[None], self.tables.trait[None], self.tables.pair[None]
        self.dealer: dealing.Dealer | None = None  # who fights, where that is random
        if random_teams is not None:
            self.dealer = dealing.Dealer(random_teams, batch_size, move_amount, self._make_team_seeds(seed))
            self.kinds, self.traits, self.pairs = self.dealer.kinds, self.dealer.traits, self.dealer.pairs
        self.sorts_enemies = enemy_order == "sorted"
        self.n_loops = step_mul
        self.time_out_is_end = not continuing_episode
        self.render_mode = render_mode
        self.replay_dir, self.replay_name = replay_dir, replay_prefix or map_name
        self.keeps_ends = render_mode is not None  # the end of an episode can still be drawn after the restart
        self.ended: tuple[Array, Array, Array] | None = None  # units, marks, clock before restarts
        self.ended_types: Array = np.zeros((0, 0), dtype=np.int64)  # types before restarts, of random teams
        self.allies_are_scripted = False  # True, in tests: they play as the enemies do, and actions are ignored
        shown = Shown(
            obs_all_health,
            obs_all_health or obs_own_health,
            obs_last_action,
            obs_pathing_grid,
            obs_timestep_number,
            state_last_action,
            state_timestep_number,
            obs_instead_of_state,
        )
        sizes = count(self.map, shown)
        self.sizes = sizes
        self.show = np.array([sizes.switches[name] for name in core.SHOWS], dtype=np.int64)
        n_agents, n_enemies = len(self.map.allies), len(self.map.enemies)
        limit = self.map.data.episode_limit
        has_any_healers = random_teams is not None and random_teams.heals[0].any()
        entities = () if has_any_healers else sizes.entities  # who aims at allies would change by episode
        record = RECORD._replace(action_names=action_names(sizes.n_actions))
        self.info = EnvInfo(
            n_agents, sizes.n_actions, sizes.obs, sizes.state, limit, True, entities=entities, record=record
        )
        bonuses = n_enemies * reward_death_value + reward_win
        most = bonuses + sum(unit.health + unit.shield for unit, _, _ in self.map.enemies)
        pays = {
            "only_positive": reward_only_positive,
            "death_value": reward_death_value,
            "negative_scale": reward_negative_scale,
            "win": reward_win,
            "defeat": reward_defeat,
            "scale": reward_scale_rate / most if reward_scale else 1.0,
            "shield_regen": reward_shield_regen,
            "sparse": reward_sparse,
        }
        self.max_reward = most  # before scaling, of fixed teams
        self.bonuses, self.scale_rate = bonuses, reward_scale_rate if reward_scale else None
        pay = np.array([pays[name] for name in core.PAYS], dtype=np.float64)
        self.pays = np.tile(pay, (len(self.traits), 1))  # [B or 1, pays]
        self.units = np.zeros((batch_size, len(core.FIELDS), n_agents + n_enemies))
        self.marks = np.zeros((batch_size, len(core.MARKS), n_agents + n_enemies), dtype=np.int64)
        self.goals = np.zeros((batch_size, 2, 3))  # where scripted allies and enemies go: x, y, whether they do
        self.outcome = np.zeros(batch_size, dtype=np.int64)  # of the last step: core.RUNNING, WON, LOST, DRAWN
        self.streams = self._make_streams(seed)

    def _make_streams(self, seed: int) -> Array:
        """[B] uint64, one generator a game: a game does not depend on how many others there are."""
        return np.random.SeedSequence(seed).generate_state(self.batch_size, np.uint64)

    def _make_team_seeds(self, seed: int) -> Array:
        """[B] uint64, of the teams of each game."""
        return np.random.SeedSequence([seed, 1]).generate_state(self.batch_size, np.uint64)

    def reset(self, seed: int | None = None) -> Observation:
        if seed is not None:
            self.streams = self._make_streams(seed)
            if self.dealer is not None:
                self.dealer.restart(self._make_team_seeds(seed))
        self.ended = None
        return super().reset(seed)

    def start(self, games: Array) -> None:
        if self.dealer is not None:
            self.dealer.deal(games)
            self._scale_rewards(games)
        self._start(games)
        if self.dealer is not None:
            self.goals[games] = self.dealer.goals[games]

    def _scale_rewards(self, games: Array) -> None:
        """The games [G] of random teams have new enemies: each can pay reward_scale_rate."""
        if self.dealer is not None and self.scale_rate is not None:
            self.pays[games, self.core.SCALE] = self.scale_rate / (self.bonuses + self.dealer.vigour[games])

    def _start(self, games: Array) -> None:
        """Put all units of the games [G] where they start, whole."""
        t = self.tables

        def start(share: slice) -> None:
            self.core.start(
                self.units,
                self.marks,
                self.streams,
                self.goals,
                games[share],
                self.kinds,
                self.traits,
                self.pairs,
                t.rule,
                t.goal,
                t.walkable,
                t.near_wall,
                self.info.n_agents,
                self.sorts_enemies,
            )

        self.shares.run(start, len(games))

    def advance(self, actions: Array) -> tuple[Array, Array]:
        t = self.tables
        orders = np.ascontiguousarray(actions, dtype=np.int64)
        reward = np.empty(self.batch_size, dtype=np.float32)

        def play(games: slice) -> None:
            self.core.advance(
                self.units[games],
                self.marks[games],
                self.streams[games],
                orders[games],
                own_rows(self.traits, games),
                own_rows(self.pairs, games),
                t.rule,
                own_rows(self.pays, games),
                self.goals[games],
                t.walkable,
                t.near_wall,
                self.n_loops,
                self.allies_are_scripted,
                reward[games],
                self.outcome[games],
            )

        self.shares.run(play, self.batch_size)
        if self.keeps_ends:
            self.ended = self.units.copy(), self.marks.copy(), self.clock + 1
            if self.dealer is not None:
                self.ended_types = self.dealer.types.copy()
        terminated = self.outcome != self.core.RUNNING
        if self.time_out_is_end:
            terminated |= self.clock + 1 >= self.info.episode_limit
        return reward, terminated

    def state_dict(self) -> dict[str, Any]:
        state = super().state_dict()
        return state if self.dealer is None else {**state, "teams": self.dealer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> Observation:
        if self.dealer is not None:
            self.dealer.load_state_dict(state["teams"])
            self._scale_rewards(np.arange(self.batch_size))
        return super().load_state_dict(state)

    def observe(self) -> Observation:
        n_games, n_agents, info = self.batch_size, self.info.n_agents, self.info
        observation = Observation(
            np.empty((n_games, n_agents, info.obs_dim), dtype=np.float32),
            np.empty((n_games, info.state_dim), dtype=np.float32),
            np.empty((n_games, n_agents, info.n_actions), dtype=np.bool_),
        )
        self._show(observation, np.arange(n_games))
        return observation

    def observe_restarted(self, last: Observation, games: Array) -> Observation:
        assert last.avail_actions is not None
        observation = Observation(last.obs.copy(), last.state.copy(), last.avail_actions.copy())
        self._show(observation, games)
        return observation

    def _show(self, observation: Observation, games: Array) -> None:
        """Write the rows of these games."""
        t = self.tables

        def show(share: slice) -> None:
            self.core.observe(
                self.units,
                self.marks,
                self.clock,
                float(self.info.episode_limit),
                games[share],
                self.kinds,
                self.traits,
                t.rule,
                self.show,
                t.walkable,
                observation.obs,
                observation.state,
                observation.avail_actions,
            )

        self.shares.run(show, len(games))

    def close(self) -> None:
        self.shares.close()

    def avail_actions(self) -> Array:
        """[B, N, A] bool, of the present state."""
        avail = np.empty((self.batch_size, self.info.n_agents, self.info.n_actions), dtype=np.bool_)
        self.core.available(self.units, self.traits, self.tables.rule, self.tables.walkable, avail)
        return avail

    def episode_info(self) -> dict[str, Array]:
        n_agents = self.info.n_agents
        is_dead = self.units[:, self.core.HEALTH] <= 0
        return {
            "battle_won": (self.outcome == self.core.WON).astype(np.float32),
            "dead_allies": is_dead[:, :n_agents].sum(-1, dtype=np.float32),
            "dead_enemies": is_dead[:, n_agents:].sum(-1, dtype=np.float32),
        }

    def diagnostics(self) -> BattleDiagnostics:
        """The present moment: for an evaluation that asks before each step; training never calls it."""
        core, n_agents, traits = self.core, self.info.n_agents, self.traits
        position = self.units[:, [core.X, core.Y]].swapaxes(1, 2)  # [B, U, 2]
        is_alive = self.units[:, core.HEALTH] > 0  # [B, U]
        agents = position[:, :n_agents]
        distance = np.linalg.norm(agents[:, :, None] - position[:, None], axis=-1)  # [B, N, U]
        sees = (distance < self.map.rules.sight) & is_alive[:, None] & is_alive[:, :n_agents, None]
        sees[:, np.arange(n_agents), np.arange(n_agents)] = False
        health = self.units[:, core.HEALTH] / traits[:, core.MAX_HEALTH]
        shield = self.units[:, core.SHIELD] / np.maximum(traits[:, core.MAX_SHIELD], 1.0)
        return BattleDiagnostics(
            is_alive[:, :n_agents],
            sees[:, :, :n_agents],
            sees[:, :, n_agents:],
            health[:, :n_agents],
            shield[:, :n_agents],
            health[:, n_agents:],
            shield[:, n_agents:],
            distance[:, :, :n_agents],
            position,
        )

    def cast(self, b: int) -> tuple[Map, Array]:
        """The map with the units of game b, and their traits [traits, U]; of those that it ended with, as `moment`."""
        if self.dealer is None:
            return self.map, self.traits[0]
        shows_end = self.ended is not None and self.clock[b] == 0
        types = self.ended_types[b] if shows_end else self.dealer.types[b]
        return self.dealer.teams.cast(types), self.dealer.catalogue.trait[:, self.dealer.teams.columns(types)]

    def moment(self, b: int = 0) -> Moment:
        """Game b, as pictures need it; where ends are kept, one that has just restarted still shows how it ended."""
        return moment(self, b)

    def render(self, b: int = 0) -> Array:
        """Game b as pixels, [height, width, 3] uint8; ConfigError unless the game was made to be drawn."""
        if self.render_mode is None:
            raise ConfigError("this game was made without render_mode='rgb_array'")
        from bn_mappo.envs.games.skirmish import drawing  # here, for the plotting library takes seconds to import

        return drawing.render(self.moment(b))

    def film(self) -> Film:
        from bn_mappo.envs.games.skirmish.film import BattleFilm

        self.keeps_ends = True
        return BattleFilm(self, self.replay_dir, self.replay_name)

    def reference_policies(self) -> dict[str, Policy]:
        policies = reference_policies(self)
        if self.dealer is not None:  # the other scripts know one team
            return {name: policies[name] for name in ("uniform random",)}
        return policies
