"""What figures 7 to 10 and the comparison of communication conclude, on made-up measurements with a known answer."""

import numpy as np
import pytest
import torch
from scipy.stats import t

from bn_mappo.analysis.checkpoint_facts import Facts, dag_of, facts, join
from bn_mappo.analysis.parent_choice import QUANTITIES, candidates, choice
from bn_mappo.modules.dag.generators import NoiseScale
from bn_mappo.paper.communication import cost_of, duels, mode_of, variants_of
from bn_mappo.paper.courses import Course, over_seeds
from bn_mappo.paper.figure10 import diverge, mean_kl
from bn_mappo.paper.measured import Job, read_facts, write_facts
from bn_mappo.paper.parents import FIGURES, find, mean_over_training
from bn_mappo.training.build import build
from helpers import make_config

N, EPISODES, LENGTH = 4, 12, 6


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr("bn_mappo.analysis.comparison.RESAMPLES", 100)


def made_up(
    seed: int, preference: float = 0.0, kl=(0.0, 0.1, 0.2, 0.3), won: float = 0.5, n_edges: float = 2.0
) -> Facts:
    """An evaluation of agents that prefer parents with a high value of every quantity."""
    rng = np.random.default_rng(seed)
    episode = np.repeat(np.arange(EPISODES), LENGTH)
    could = candidates(np.ones((len(episode), N), dtype=bool), None)
    quantity = rng.normal(size=could.shape)
    noisy = np.where(could, preference * quantity + rng.normal(size=could.shape), -np.inf)
    chosen = could & (noisy.argsort(1)[:, ::-1].argsort(1) < 1)  # one parent each
    steps = np.full(EPISODES, float(LENGTH))
    alive = np.full((EPISODES, N), float(LENGTH))
    outcome = {"battle_won": (rng.random(EPISODES) < won).astype(np.float32), "return": np.zeros(EPISODES)}
    known = {name: choice(chosen, could, quantity, episode) for name in QUANTITIES}
    return Facts(outcome, steps, n_edges * steps, steps, 0 * steps, alive * kl, alive, 16, known)


def course(preference: float, kls, n_seeds: int = 4, breaks=(0.4, 0.7, 0.8)) -> Course:
    steps = tuple(range(10, 101, 10))
    rows = [[made_up(1000 * s + c, preference, kls(c)) for s in range(n_seeds)] for c in range(10)]
    return Course("3m", "annealed", 100, steps, tuple(range(n_seeds)), rows, breaks)


def constant(c: int) -> np.ndarray:
    return np.array([0.0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize(("preference", "words"), [(1.0, "farther away"), (-1.0, "nearer"), (0.0, "undecided")])
def test_the_verdict_on_parents_follows_the_planted_preference(preference, words):
    finding = find(course(preference, constant), "distance")
    assert words in finding.verdict(FIGURES["fig9"])
    assert ("undecided" in finding.verdict(FIGURES["fig9"])) == (finding.excess.low <= 0 <= finding.excess.high)
    assert (max(finding.p_episodes) < 0.01) == (preference != 0)


def test_one_seed_is_judged_by_its_episodes_and_says_so():
    one = course(1.0, constant, n_seeds=1)
    assert find(one, "health").verdict(FIGURES["fig8"]) == "in this one run parents are healthier than random ones"
    assert "undecided" in find(course(0.0, constant, n_seeds=1), "health").verdict(FIGURES["fig8"])


def test_agents_without_a_choice_are_not_judged_and_only_the_window_counts():
    whole = course(1.0, constant)
    assert find(whole, "health", agent=1).verdict(FIGURES["fig8"]) == "nothing to choose"
    assert [len(column) for column in whole.inside(*whole.window)] == [3] * 4  # 50, 60 and 70 of 100
    assert whole._replace(breaks=None).window == (0.8, 1.0)
    means = mean_over_training(whole, "health", "parents_mean")
    assert means.shape == (10, 4) and np.isfinite(means).all()
    assert np.isnan(mean_over_training(whole, "health", "parents_mean", agent=1)).all(), "72 parents are too few"


def test_divergence_that_goes_with_the_edges_is_found_and_ranked():
    falling = diverge(course(0.0, lambda c: constant(c) * (9 - c)))
    assert falling.falls == "it falls; at the end it is zero" and falling.by_number == "more"
    assert falling.before.mean == pytest.approx(0.15 * np.mean([9, 8, 7, 6]))
    steady = diverge(course(0.0, lambda c: constant(c)[::-1]))
    assert steady.change.mean == pytest.approx(0) and "undecided" in steady.falls and steady.by_number == "less"
    assert mean_kl(course(0.0, constant))[3, 2].tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_intervals_over_seeds_are_students():
    values = [0.2, 0.5, 0.4, 0.9]
    half = t.ppf(0.975, 3) * np.std(values, ddof=1) / 2
    assert over_seeds([*values, float("nan")]) == pytest.approx((0.5, 0.5 - half, 0.5 + half))
    assert np.isnan(over_seeds([0.3]).low) and over_seeds([0.3]).sign == 0


def test_facts_count_edges_and_rounds_of_the_living():
    adjacency = np.zeros((2, 3, 3), dtype=np.uint8)
    adjacency[:, 0, 1] = adjacency[:, 1, 2] = adjacency[:, 0, 2] = 1
    alive = np.array([[True, True, True], [True, False, True]])
    steps = {
        "episode": np.array([0, 0]),
        "adjacency": adjacency,
        "is_alive": alive,
        "kl_to_empty_dag": np.ones((2, 3)),
    }
    found = facts(steps, {}, 8)
    assert found.n_steps.tolist() == [2] and found.edges.tolist() == [3 + 1] and found.edges_of_dead.tolist() == [2]
    assert found.depth.tolist() == [2 + 1]
    assert found.kl.tolist() == found.n_alive.tolist() == [[2, 1, 2]]
    assert found.choices == {}


def test_facts_are_read_back_as_they_were_written(tmp_path):
    job = Job(tmp_path / "checkpoints" / "step_10.pt", "greedy", 12)
    before = made_up(0)
    write_facts(before, job.target)
    after = read_facts(job)
    assert after.n_actions == 16 and set(after.choices) == set(QUANTITIES)
    np.testing.assert_array_equal(after.choices["health"].expected, before.choices["health"].expected)
    np.testing.assert_array_equal(after.outcome["battle_won"], before.outcome["battle_won"])
    np.testing.assert_array_equal(after.kl, before.kl)


def test_rounds_of_one_evaluation_are_joined():
    first, second = made_up(0), made_up(1)
    both = join([first, second])
    assert both.edges.tolist() == [*first.edges, *second.edges] and len(both.outcome["return"]) == 2 * EPISODES
    assert both.choices["health"].parents.sum() == pytest.approx(
        first.choices["health"].parents.sum() + second.choices["health"].parents.sum()
    )


def test_learned_edges_are_compared_with_a_rule_at_their_density():
    def cost(variant, won, n_edges):
        return cost_of("3m", variant, {s: made_up(s, won=won, n_edges=n_edges) for s in range(5)})

    learned, near, random = cost("learned_25", 0.95, 2.0), cost("distance_25", 0.2, 1.9), cost("random_25", 0.95, 4.0)
    assert learned.bits.tolist() == [2.0 * 4] * 5, "log2 16 bits an edge"
    against_near, against_random = duels([learned, near, random, cost("distance_50", 0.9, 2.0)])
    assert against_near.verdict.startswith("learned edges win more than distance ones") and against_near.percent == 25
    assert "not at equal numbers" not in against_near.verdict
    assert against_random.verdict.startswith("undecided (not at equal numbers: learned 2 edges, random 4)")
    assert duels([near, random]) == []


def test_sampled_graphs_are_those_of_training_and_removed_edges_are_gone():
    config = make_config("bn_mappo", "aloha", dag__permutation="identity", dag__edge_bias=0.0)
    mac = build(config).mac
    context, generator = torch.zeros(400, 10, mac.info.obs_dim), torch.Generator().manual_seed(0)

    def shares(mode):
        dag = dag_of(mac, mode, 0)
        noise = dag.draw_noise(400, NoiseScale(1.0, 1.0), generator) if mode in ("sampled", "graphs") else None
        with torch.no_grad():
            return dag(context, noise).adjacency.mean(0).numpy()

    assert (shares("alone") == 0).all() and set(np.unique(shares("greedy"))) <= {0.0, 1.0}
    np.testing.assert_allclose(shares("graphs"), shares("sampled"), atol=0.15)
    assert mode_of("learned_25") == "graphs" and mode_of("context_aware") == mode_of("distance_25") == "greedy"


def test_variants_of_the_comparison():
    assert variants_of([0.1, 0.29])[-3:] == ("learned_29", "distance_29", "random_29")
