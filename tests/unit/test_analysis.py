"""Information, cut edges and lost messages against worked numbers, enumeration, sampling and limit cases."""

import numpy as np
import pytest
import torch
from scipy.special import entr

from bn_mappo.analysis.altered_dags import ImpairedDAG, acting_along
from bn_mappo.analysis.information import (
    exact_information,
    joint_actions,
    local_log_probs,
    measure,
    sampled_information,
)
from bn_mappo.analysis.paired_episodes import PairedEpisodes, one_of_each
from bn_mappo.analysis.policy_study import Plan, Player, group_means, mean_interval, study
from bn_mappo.config.schema import validate
from bn_mappo.core.seeding import Generators
from bn_mappo.core.seeds import derive_seed
from bn_mappo.envs.registry import make_vec_env
from bn_mappo.modules.dag.generators import FullDAG
from bn_mappo.training.evaluator import evaluate
from helpers import make_config, train_updates

SMALL = {"env_args__rows": 2, "env_args__columns": 2, "lr": 0.02, "dag__permutation": "gumbel_sinkhorn"}


def trained(n_updates: int = 8, env: str = "aloha", **updates):
    """A policy that is no longer near uniform: its configuration and controller."""
    config = make_config(env=env, **{**(SMALL if env == "aloha" else {}), **updates})
    return config, train_updates(config, n_updates)[0].mac


def states_of(config, mac, n_episodes: int = 12):
    """Some states that the policy visits."""
    visits = PairedEpisodes(config, mac, n_episodes, greedy=False, fraction=1.0).play(keep_visits=True).visits
    return one_of_each(visits, seed=0)


def bits(*probabilities: float) -> float:
    return float(entr(np.array(probabilities)).sum() / np.log(2))


def test_two_agents_of_whom_one_repeats_the_other_nine_times_in_ten():
    adjacency = np.array([[[0, 1], [0, 0]]], dtype=bool)
    result = exact_information(np.array([[0.45, 0.05, 0.05, 0.45]]), joint_actions(2, 2), adjacency)
    assert result.total_correlation[0] == pytest.approx(1 - bits(0.1, 0.9), abs=1e-12)
    assert result.edges[0, 0, 1] == pytest.approx(1 - bits(0.1, 0.9), abs=1e-12)
    assert result.edges[0, 1, 0] == 0


def test_exclusive_or_needs_both_parents():
    """Alone, neither parent tells anything of a^2 = a^0 xor a^1; given the other one, each tells all of it."""
    adjacency = np.zeros((1, 3, 3), dtype=bool)
    adjacency[0, :2, 2] = True
    joint = joint_actions(3, 2)
    probability = np.where(joint[:, 2] == joint[:, 0] ^ joint[:, 1], 0.25, 0.0)[None]
    result = exact_information(probability, joint, adjacency)
    assert result.total_correlation[0] == pytest.approx(1)
    assert result.edges[0, :, 2] == pytest.approx([1, 1, 0])


def test_a_parent_that_only_repeats_another_one_tells_nothing_more():
    """a^0 -> a^1 -> a^2, all equal, and an edge 0 -> 2 besides."""
    adjacency = np.triu(np.ones((1, 3, 3), dtype=bool), 1)
    joint = joint_actions(3, 2)
    probability = np.where((joint == joint[:, :1]).all(-1), 0.5, 0.0)[None]
    result = exact_information(probability, joint, adjacency)
    assert result.total_correlation[0] == pytest.approx(2)
    assert result.edges[0, 0, 2] == result.edges[0, 1, 2] == pytest.approx(0)
    assert result.edges[0, 0, 1] == pytest.approx(1)


@pytest.mark.parametrize("generator", ["full", "learned", "random"])
def test_along_a_dag_total_correlation_is_marginal_entropies_minus_joint_entropy(generator):
    config, mac = trained(dag__generator=generator)
    visits = states_of(config, mac)
    joint = joint_actions(4, 2)
    actions = torch.from_numpy(joint).expand(len(visits.adjacency), -1, -1)
    local = np.take_along_axis(local_log_probs(mac, visits, actions), actions.numpy()[..., None], -1)[..., 0]
    probability = np.exp(local.sum(-1))  # [M, 16]
    assert probability.sum(-1) == pytest.approx(1)
    marginal = probability @ joint  # [M, N]: of action 1
    expected = (entr(marginal) + entr(1 - marginal)).sum(-1) - entr(probability).sum(-1)
    found = measure(mac, visits, Generators(0)).total_correlation
    assert found == pytest.approx(expected / np.log(2), abs=1e-9)
    assert found.max() > 1e-4, "agents do not depend on one another, so the test would not see a difference"


def test_samples_agree_with_enumeration():
    config, mac = trained(20, dag__generator="full")
    visits = states_of(config, mac, 200)
    exact, sampled = (measure(mac, visits, Generators(0), exact=choice) for choice in (True, False))
    assert exact.agents.mean() > 0.005
    assert sampled.agents.mean(0) == pytest.approx(exact.agents.mean(0), rel=0.1, abs=1e-4)
    assert sampled.edges.mean(0) == pytest.approx(exact.edges.mean(0), rel=0.15, abs=2e-4)
    assert (sampled.comparable > 0.5).all()


def test_samples_that_share_no_context_are_left_out_and_counted():
    adjacency = np.triu(np.ones((1, 3, 3), dtype=bool), 1)
    local = np.full((1, 4, 3, 2), 0.5)
    actions = np.array([[[0, 0, 0], [0, 1, 0], [1, 0, 0], [2, 1, 0]]])
    result = sampled_information(local, actions, adjacency)
    assert result.comparable[0, 1, 2] == 0.5  # given a^0: two samples of four
    assert result.comparable[0, 0, 2] == 1.0  # given a^1: two pairs
    assert (result.edges == 0).all()


@pytest.mark.parametrize("exact", [True, False])
def test_without_edges_there_is_no_information_at_all(exact):
    config, mac = trained(dag__generator="empty")
    result = measure(mac, states_of(config, mac), Generators(0), exact=exact)
    assert (result.total_correlation == 0).all()
    assert (result.edges == 0).all()


@pytest.mark.parametrize("exact", [True, False])
def test_unavailable_actions_and_memory(exact, toys):
    config, mac = trained(4, "masked_game", agent="rnn", obs_last_action=True, dag__generator="full")
    result = measure(mac, states_of(config, mac), Generators(0), exact=exact)
    assert np.isfinite(result.edges).all() and (result.agents >= 0).all() and result.agents.max() > 0


@pytest.mark.parametrize("exact", [True, False])
def test_an_actor_that_reads_sets(exact):
    """Its features are several tensors, with the codes of enemies and allies."""
    config, mac = trained(2, "skirmish", env_args__map_name="2m_vs_1z", dag__generator="full")
    result = measure(mac, states_of(config, mac, 4), Generators(0), exact=exact)
    assert np.isfinite(result.edges).all() and (result.agents >= 0).all() and result.agents.max() > 0


@pytest.mark.parametrize("is_greedy", [True, False])
@pytest.mark.parametrize("generator", ["full", "learned", "random"])
def test_no_loss_is_the_plain_policy_bit_for_bit_and_full_loss_is_the_empty_dag(generator, is_greedy):
    config, mac = trained(dag__generator=generator)
    with torch.no_grad():
        mac.actor.parent_head.weight.mul_(100)  # so that parents change the likeliest actions too
    player = Player(config, mac, Plan(16, (), not is_greedy, is_greedy), 1.0)
    env = make_vec_env(config, 16, "analysis")
    seed = derive_seed(config.seed, "analysis")
    plain = evaluate(env, mac, 16, seed, 0, is_greedy, 1.0)["return"]
    assert np.array_equal(player.play().returns, plain)
    no_edges = make_config(**{**SMALL, "dag__generator": "empty"})
    empty = train_updates(no_edges, 1)[0].mac
    empty.actor.load_state_dict(mac.actor.state_dict(), strict=False)  # without the parents' branch
    without = evaluate(env, empty, 16, seed, 0, is_greedy, 1.0)["return"]
    assert np.array_equal(player.play(loss=1.0).returns, without)
    assert not np.array_equal(plain, without), "parents change nothing, so the test would not see a difference"


def test_a_smaller_probability_loses_a_part_of_the_same_messages_and_as_many_as_it_says():
    _, mac = trained(1, dag__generator="full")
    obs, dags = torch.zeros(2000, 4, mac.info.obs_dim), []
    for loss in (0.0, 0.1, 0.5):
        dag = ImpairedDAG(mac.dag, False, torch.Generator().manual_seed(0), torch.ones(4, 4), loss)
        dags.append(dag(obs, dag.draw_noise(2000, None, None)).adjacency)
    assert (dags[0] >= dags[1]).all() and (dags[1] >= dags[2]).all()
    assert [float(dag.sum()) / 12_000 for dag in dags] == pytest.approx([1, 0.9, 0.5], abs=0.02)


def test_cutting_an_edge_that_is_not_there_or_that_is_ignored_costs_exactly_nothing():
    config, mac = trained(dag__generator="line")
    player = Player(config, mac, Plan(16, (), False, False), 1.0)
    plain = player.play().returns
    assert np.array_equal(player.play(without=(0, 2)).returns, plain)
    assert not np.array_equal(player.play(without=(0, 1)).returns, plain)
    with torch.no_grad():
        mac.actor.listening.weights.weight.zero_()
    assert np.array_equal(player.play(without=(0, 1)).returns, player.play().returns)


def test_the_edge_that_carries_the_bit_is_worth_half_the_return(toys):
    """Agent 1 cannot see the bit: 1 with the edge, 0.5 for whatever it plays without it."""
    config, mac = trained(80, "bit_game", dag__generator="full", batch_size_run=32, batch_size=32, lr=0.01)
    result = study(config, mac, Plan(400, (0.0, 0.5), False, True), 1.0)
    (edge,) = result.edges
    assert (edge.parent, edge.child, edge.share) == (0, 1, 1.0)
    assert edge.value.low < 0.5 < edge.value.high
    assert result.losing[0.5].mean() == pytest.approx(0.75, abs=0.08)
    assert result.messages.mean == result.depth.mean == 1.0
    assert result.n_bytes.mean == 4 * 2 * result.messages.mean  # two float32: an action, one-hot
    assert isinstance(mac.dag, FullDAG), "the policy is left as it was"


def test_games_that_are_played_one_by_one_are_paired_too(toys):
    config, mac = trained(2, dag__generator="full", runner="episode", env="masked_game")
    games = PairedEpisodes(validate({**config.values(), "batch_size_run": 3, "batch_size": 3}), mac, 7, False, 1.0)
    first, second = games.play(keep_visits=True), games.play()
    assert np.array_equal(first.returns, second.returns)
    assert np.array_equal(np.unique(first.visits.game), np.arange(games.n_episodes))


def test_intervals_and_group_means():
    values = np.random.default_rng(1).normal(3, 2, (400, 1))
    (mean,) = mean_interval(values)
    half = 1.96 * values.std() / 20
    assert (mean.low, mean.high) == pytest.approx((mean.mean - half, mean.mean + half), abs=0.04)
    assert group_means(np.array([[1.0], [3.0], [5.0]]), np.array([0, 1, 0])).ravel() == pytest.approx([3, 3])


def test_the_policy_is_given_back_after_an_error():
    _, mac = trained(1, dag__generator="full")
    own = mac.dag
    with pytest.raises(RuntimeError), acting_along(mac, own):
        raise RuntimeError
    assert mac.dag is own
