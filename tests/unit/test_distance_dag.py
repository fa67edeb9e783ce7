"""Edges between the nearest agents, and subteams of them, against slow counts; and where distances are not told."""

import math
from itertools import combinations

import pytest
import torch

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.specs import EntityGroup
from bn_mappo.envs.registry import get_env_info, make_vec_env
from bn_mappo.modules.dag.distance import DistanceDAG, SubteamsDAG
from bn_mappo.modules.dag.ops import is_acyclic
from bn_mappo.training.build import build
from bn_mappo.training.evaluator import evaluate
from bn_mappo.training.step_recorder import StepRecorder
from helpers import make_config

N_EDGES = 4


def test_a_battle_has_the_nearest_pairs_that_see_each_other():
    config = make_config(
        "bn_mappo", "skirmish", env_args__map_name="2s3z", dag__generator="distance", dag__n_edges=N_EDGES
    )
    setup, env = build(config), make_vec_env(config, 4, "test")
    recorder = StepRecorder(env)
    evaluate(env, setup.mac, 6, 0, 0, False, 0.0, recorder)
    steps, fewer = recorder.columns(), 0
    assert is_acyclic(torch.from_numpy(steps["adjacency"]).float()).all()
    for k in range(0, len(steps["step"]), 2):
        place = steps["position"][k]
        pairs = [(j, i) for j, i in combinations(range(5), 2) if steps["sees_ally"][k, i, j]]
        edges = {(int(j), int(i)) for j, i in zip(*steps["adjacency"][k].nonzero(), strict=True)}
        apart = {(j, i): math.dist(place[j], place[i]) for j, i in pairs}
        assert edges <= apart.keys() and len(edges) == min(N_EDGES, len(pairs))
        left_out = [apart[pair] for pair in apart.keys() - edges]  # at the start many are equally near
        assert max([apart[pair] for pair in edges], default=0.0) <= min(left_out, default=math.inf) + 1e-5
        fewer += len(pairs) < N_EDGES
    assert fewer > 0, "nobody died or went away, so the test saw no pair without sight"


def test_equal_distances_go_by_number_and_the_unseen_get_no_edge():
    allies = EntityGroup("allies", 1, 2, 3, are_agents=True, seen=0, distance=1)
    dag = DistanceDAG(2, 3, allies)
    obs = torch.zeros(2, 3, 7)
    obs[0, 1, 1:3] = torch.tensor([1.0, 0.5])  # agent 1 sees agent 0
    obs[0, 2, 1:3] = obs[0, 2, 4:6] = torch.tensor([1.0, 0.5])  # agent 2 sees agents 0 and 1
    obs[1, 2, 4:6] = torch.tensor([1.0, 0.0])  # agent 2 stands where agent 1 does
    edges = [[tuple(edge) for edge in graph.nonzero().tolist()] for graph in dag(obs, None).adjacency]
    assert edges == [[(0, 1), (0, 2)], [(1, 2)]]
    assert dag(obs, None).order.tolist() == [[0, 1, 2]] * 2


def test_distances_must_be_told_by_observations():
    for updates, message in (
        ({"env": "aloha"}, "EnvInfo.entities"),
        ({"env": "skirmish", "dag__context": "state"}, "dag.context=obs"),
    ):
        with pytest.raises(ConfigError, match=message):
            build(make_config("bn_mappo", dag__generator="distance", **updates))
    with pytest.raises(ConfigError, match="does not tell distances"):
        DistanceDAG(2, 3, EntityGroup("allies", 0, 2, 3, are_agents=True))


def test_skirmish_declares_sight_and_distance_of_allies():
    info = get_env_info(make_config("bn_mappo", "skirmish", env_args__map_name="3m"))
    (allies,) = [group for group in info.entities if group.are_agents]
    assert (allies.seen, allies.distance) == (0, 1)


def pairs_of_obs(distance: torch.Tensor) -> torch.Tensor:
    """Observations [M, N, 1 + 2 (N - 1)] that show each agent its distances [M, N, N] of all others; < 0: not seen."""
    m, n = distance.shape[:2]
    obs = torch.zeros(m, n, 1 + 2 * (n - 1))
    for i in range(n):
        for slot, j in enumerate(other for other in range(n) if other != i):
            obs[:, i, 1 + 2 * slot] = (distance[:, i, j] >= 0).float()
            obs[:, i, 2 + 2 * slot] = distance[:, i, j].clamp(min=0)
    return obs


@pytest.mark.parametrize("n_edges", [0, 1, 3, 6, 40])
def test_subteams_are_those_of_a_greedy_scan_of_pairs(n_edges):
    """Pairs from the nearest to the farthest: two subteams become one if all edges that this adds are left."""
    n, generator = 7, torch.Generator().manual_seed(n_edges)
    distance = torch.rand(50, n, n, generator=generator)
    distance[torch.rand(50, n, n, generator=generator) < 0.3] = -1.0
    dag = SubteamsDAG(n_edges, n, EntityGroup("allies", 1, n - 1, 2, are_agents=True, seen=0, distance=1))
    drawn = dag(pairs_of_obs(distance), None)
    assert is_acyclic(drawn.adjacency).all() and (drawn.adjacency.sum((1, 2)) <= n_edges).all()
    for m in range(50):
        teams, left = [{i} for i in range(n)], n_edges
        pairs = sorted((distance[m, i, j].item(), i, j) for i in range(n) for j in range(i) if distance[m, i, j] >= 0)
        for _, i, j in pairs:
            a, b = (next(team for team in teams if agent in team) for agent in (i, j))
            if a is not b and len(a) * len(b) <= left:
                left -= len(a) * len(b)
                a |= b
                teams.remove(b)
        expected = {(j, i) for team in teams for i in team for j in team if j < i}
        assert {tuple(edge) for edge in drawn.adjacency[m].nonzero().tolist()} == expected
