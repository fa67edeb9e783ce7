"""Episodes with the same random numbers for one policy after another, so that their returns compare in pairs."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bn_mappo.config.schema import Config
from bn_mappo.controllers.basic_controller import Selection, Step
from bn_mappo.controllers.dag_controller import DAGMAC
from bn_mappo.core.seeds import derive_seed
from bn_mappo.core.specs import Array, Observation, StepResult, team_reward
from bn_mappo.envs.registry import is_batched, make_vec_env
from bn_mappo.envs.vec_env import VecEnv
from bn_mappo.training.evaluator import StepObserver, evaluate


class FirstEpisodes(VecEnv):
    """The games of another environment, watched for the first episode of each: its return, by game."""

    def __init__(self, env: VecEnv):
        self.env, self.info, self.batch_size = env, env.info, env.batch_size
        self._forget()

    def _forget(self) -> None:
        self.returns = np.zeros(self.batch_size)
        self.is_playing = np.ones(self.batch_size, dtype=bool)

    def reset(self, seed: int | None = None) -> Observation:
        self._forget()
        return self.env.reset(seed)

    def step(self, actions: Array) -> StepResult:
        result = self.env.step(actions)
        self.returns += np.where(self.is_playing, team_reward(result.reward), 0.0)
        done = result.terminated | result.truncated
        if result.lost is not None:  # that episode is no data: the game's next one counts
            self.returns[self.is_playing & result.lost] = 0.0
            done = done & ~result.lost
        self.is_playing &= ~done
        return result


class Visits(NamedTuple):
    """Steps that games showed, [K, ...] each, with the hidden state before them and the DAG acted along."""

    step: Step
    hidden: Tensor  # [K, N, H_rnn]
    adjacency: Tensor  # [K, N, N]
    game: Array  # [K]: the episode that the step is of
    time: Array  # [K]: steps since that episode's start


class Episodes(NamedTuple):
    """What n episodes came to."""

    returns: Array  # [n]
    visits: Visits | None  # of all their steps, where asked for


class PairedEpisodes:
    """Plays the same n episodes again and again, with one policy after another. Owns the games.

    Starts, chance in the rules, action noise and DAG noise are the same in every call, as far as environment and
    policy draw them in the same order; so the difference between two calls is due to the policies.
    """

    def __init__(self, config: Config, mac: DAGMAC, n_episodes: int, greedy: bool, fraction: float):
        on_arrays = is_batched(config.env)
        if on_arrays:
            config = replace(config, runner="vector")
        n_games = n_episodes if on_arrays else min(config.batch_size_run, n_episodes)
        self.env = FirstEpisodes(make_vec_env(config, n_games, "analysis"))
        self.mac, self.greedy, self.fraction = mac, greedy, fraction
        self.seed = derive_seed(config.seed, "analysis")
        self.n_rounds = -(-n_episodes // n_games)
        self.n_episodes = self.n_rounds * n_games

    def play(self, keep_visits: bool = False, greedy: bool | None = None) -> Episodes:
        """The episodes with the mac's present DAGs; `greedy` overrides how it chooses actions."""
        returns, visits = [], []
        for number in range(self.n_rounds):
            recorder = Recorder(self.env, self.mac)
            evaluate(
                self.env,
                self.mac,
                self.env.batch_size,
                self.seed,
                number,
                self.greedy if greedy is None else greedy,
                self.fraction,
                observer=recorder if keep_visits else None,
            )
            returns.append(self.env.returns.copy())
            if keep_visits:
                visits.append(recorder.visits(number * self.env.batch_size))
        return Episodes(np.concatenate(returns), join(visits) if keep_visits else None)

    def close(self) -> None:
        """End all games."""
        self.env.close()


class Recorder(StepObserver):
    """Keeps the steps that games show during their first episode."""

    def __init__(self, env: FirstEpisodes, mac: DAGMAC):
        self.env, self.hidden = env, mac.init_hidden(env.batch_size)
        self.kept: list[Visits] = []

    def before(self, step: Step, selection: Selection, counts: Array) -> None:
        """One step of all games, as evaluation shows it."""
        rows = torch.from_numpy(np.flatnonzero(self.env.is_playing)).to(step.obs.device)  # [K]
        n_agents, time = step.obs.shape[1], len(self.kept)
        none = step.obs.new_zeros(len(step.obs), n_agents, n_agents)  # [B, N, N]
        adjacency = none if selection.adjacency is None else selection.adjacency
        here = Visits(step, self.hidden, adjacency, np.arange(len(step.obs)), np.full(len(step.obs), time))
        self.kept.append(select(here, rows))
        self.hidden = selection.hidden

    def visits(self, first_game: int) -> Visits:
        """All of them; the games are numbered from first_game."""
        everything = join(self.kept)
        return everything._replace(game=everything.game + first_game)


def select(visits: Visits, rows: Tensor) -> Visits:
    """Some rows [R] of visits."""
    step = Step._make(None if field is None else field[rows] for field in visits.step)
    picked = rows.cpu().numpy()
    return Visits(step, visits.hidden[rows], visits.adjacency[rows], visits.game[picked], visits.time[picked])


def join(parts: list[Visits]) -> Visits:
    """Visits one after another."""
    columns = list(zip(*(part.step for part in parts), strict=True))
    step = Step._make(None if column[0] is None else torch.cat(column) for column in columns)
    hidden, adjacency = torch.cat([part.hidden for part in parts]), torch.cat([part.adjacency for part in parts])
    games, times = (np.concatenate([getattr(part, name) for part in parts]) for name in ("game", "time"))
    return Visits(step, hidden, adjacency, games, times)


def one_of_each(visits: Visits, seed: int) -> Visits:
    """A random step of each episode: states that the policy visits, independent of one another."""
    shuffled = np.random.default_rng(seed).permutation(len(visits.game))
    _, first = np.unique(visits.game[shuffled], return_index=True)  # the first of each game in random order
    return select(visits, torch.from_numpy(shuffled[first]).to(visits.adjacency.device))
