"""What an evaluation keeps of every step, against positions, observations and a slow count."""

import math

import numpy as np
import pytest
import torch

from bn_mappo.controllers.basic_controller import Selection, Step
from bn_mappo.core.specs import StepResult
from bn_mappo.envs.registry import make_vec_env
from bn_mappo.training.build import build
from bn_mappo.training.evaluator import evaluate
from bn_mappo.training.step_recorder import STEPS_FILE, StepRecorder, write_steps
from helpers import make_config

SIGHT = 9.0


class WithObservations(StepRecorder):
    """Keeps what the agents saw, too."""

    def before(self, step, selection, counts):
        super().before(step, selection, counts)
        self.rows["obs"].append(step.obs.numpy()[counts])


def recorded(env: str, n_games: int = 3, n_episodes: int = 7, recorder=WithObservations, **updates):
    """Steps and episodes of a sampled policy."""
    config = make_config("bn_mappo", env, **updates)
    setup, games = build(config), make_vec_env(config, n_games, "test")
    steps = recorder(games)
    episodes = evaluate(games, setup.mac, n_episodes, 0, 0, False, 0.0, steps)
    return games, steps.columns(), episodes


def test_who_sees_whom_health_and_distance_against_a_slow_recomputation():
    games, facts, _ = recorded("skirmish", env_args__map_name="2s3z")
    n, types, width = 5, 2, 4 + 2 + 2  # an ally's fields: seen, distance, dx, dy, health, shield, type
    first = 4 + 5 * width  # of the allies' fields in an observation
    assert len(facts["step"]) > 100 and set(games.diagnostics()._fields) < set(facts)
    for k in range(0, len(facts["step"]), 3):
        place, lives = facts["position"][k], facts["is_alive"][k]
        for i in range(n):
            own = facts["obs"][k, i, -2 - types : -types]
            np.testing.assert_allclose(own, [facts["health"][k, i], facts["shield"][k, i]], rtol=1e-6)
            assert lives[i] == (facts["health"][k, i] > 0) == (not facts["avail_actions"][k, i, 0])
            others = [j for j in range(n) if j != i]
            assert not facts["sees_ally"][k, i, i]
            for slot, j in enumerate(others):
                apart = math.dist(place[i], place[j])
                assert facts["distance"][k, i, j] == pytest.approx(apart, rel=1e-5, abs=1e-5)
                sees = bool(lives[i] and lives[j] and apart < SIGHT)
                assert facts["sees_ally"][k, i, j] == sees == (facts["obs"][k, i, first + slot * width] > 0)
            for m in range(5):
                apart = math.dist(place[i], place[n + m])
                sees = bool(lives[i] and facts["enemy_health"][k, m] > 0 and apart < SIGHT)
                assert facts["sees_enemy"][k, i, m] == sees
        assert not np.tril(facts["adjacency"][k]).any(), "the order is that of the agents"
    assert 0.2 < facts["adjacency"].mean() * 2 < 0.8


def test_every_step_of_the_counted_episodes_is_there_once_and_in_order(tmp_path):
    _, facts, episodes = recorded("skirmish", env_args__map_name="3m")
    assert len(episodes["return"]) == 7
    np.testing.assert_array_equal(np.bincount(facts["episode"]), episodes["ep_length"])
    for number in range(7):
        own = facts["episode"] == number
        np.testing.assert_array_equal(facts["step"][own], np.arange(episodes["ep_length"][number]))
        edges = facts["adjacency"][own].sum((1, 2)).mean()
        assert episodes["dag_edges"][number] == pytest.approx(edges), "the evaluation counts the same edges"
    before_last = np.append(np.diff(facts["episode"]) > 0, True)
    assert (3 - facts["is_alive"][before_last].sum(-1) <= episodes["dead_allies"]).all()
    with np.load(write_steps(facts, episodes, tmp_path)) as file:
        assert file["sees_ally"].dtype == bool and file["distance"].dtype == np.float32
        np.testing.assert_array_equal(file["episode_return"], episodes["return"])
        assert file["health"].shape == (len(facts["step"]), 3)
    assert [path.name for path in tmp_path.iterdir()] == [STEPS_FILE]


def test_an_environment_that_knows_no_facts_gives_graphs_and_actions():
    _, facts, episodes = recorded("aloha", recorder=StepRecorder, env_args__episode_limit=5)
    assert set(facts) == {"episode", "step", "actions", "adjacency", "order"}
    rank = facts["order"].argsort(-1)
    for k, parent, child in zip(*facts["adjacency"].nonzero(), strict=True):
        assert rank[k, parent] < rank[k, child], "parents act first"
    assert facts["adjacency"].shape == (7 * 5, 10, 10) and episodes["ep_length"].tolist() == [5] * 7


class NoDiagnostics:
    batch_size = 2

    def diagnostics(self):
        return None


def test_episodes_that_are_lost_or_not_counted_are_left_out():
    recorder = StepRecorder(NoDiagnostics())
    ends = [(0, 0), (0, 0), (1, 0), (0, 1), (1, 0)]  # of both games at each step
    for t, end in enumerate(ends):
        counts = np.array([True, t < 4])
        actions = torch.tensor([[t], [10 + t]])
        step = Step(torch.zeros(2, 1, 1), torch.zeros(2, 1), None, actions, torch.zeros(2))
        recorder.before(step, Selection(actions, torch.zeros(2), {}), counts)
        done, lost = np.array(end, dtype=bool), np.array([t == 2, False])
        recorder.after(StepResult(None, np.zeros(2), done, ~done & done, None, {}, lost), counts)
    facts = recorder.columns()
    assert facts["episode"].tolist() == [0] * 4 + [1] * 2  # game 1 ended first; the first episode of game 0 was lost
    assert facts["actions"][:, 0].tolist() == [10, 11, 12, 13, 3, 4]
    assert facts["step"].tolist() == [0, 1, 2, 3, 0, 1]
