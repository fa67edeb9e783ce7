"""Figure 6: the verdict on the claim follows the interval, and the variants are what the paper says."""

import numpy as np
import pytest

from bn_mappo.core.errors import ConfigError
from bn_mappo.paper.figure6 import ALONE, BASELINE, Final, judge
from bn_mappo.paper.smac_plan import SmacPlan, break_points, default_steps, most_edges, smac_panel


def final(map_name: str, variant: str, won) -> Final:
    won = np.array(won, dtype=float)
    return Final(map_name, variant, tuple(range(len(won))), won, 20 * won, np.zeros(len(won)))


HIGH, LOW = [0.9, 0.92, 0.95, 0.91, 0.97], [0.5, 0.6, 0.4, 0.55, 0.45]


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr("bn_mappo.analysis.comparison.RESAMPLES", 100)


@pytest.mark.parametrize(
    ("annealed", "uncorrelated", "words"),
    [(HIGH, LOW, "the claim holds"), (LOW, HIGH, "the opposite of the claim"), (HIGH, HIGH, "undecided")],
)
def test_the_verdict_follows_the_interval(annealed, uncorrelated, words):
    (claim,) = judge([final("a", ALONE, annealed), final("a", BASELINE, uncorrelated), final("a", "full", LOW)])
    assert words in claim.verdict and claim.where == "a"
    interval = claim.contest.probability
    assert ("holds" in claim.verdict) == (interval.low > 0.5)
    assert ("opposite" in claim.verdict) == (interval.high < 0.5)


def test_few_seeds_decide_nothing():
    (claim,) = judge([final("a", ALONE, HIGH[:3]), final("a", BASELINE, LOW[:3])])
    assert "undecided" in claim.verdict and "fewer than 4 seeds" in claim.verdict


def test_all_maps_together_count_alike():
    two = [final(name, side, won) for name in "ab" for side, won in ((ALONE, HIGH), (BASELINE, LOW))]
    assert [claim.where for claim in judge(two)] == ["a", "b", "all maps"]
    turned = [*two[:2], final("b", ALONE, LOW), final("b", BASELINE, HIGH)]
    together = judge(turned)[-1]
    assert together.contest.probability.value == 0.5 and "undecided" in together.verdict
    assert len(judge([*two[:3], final("b", BASELINE, LOW[:4])])) == 2, "other numbers of seeds: no common table"


def test_the_annealed_variant_has_the_papers_schedule_of_its_map():
    for map_name, alpha in (("MMM2", (0.05, 0.5)), ("6h_vs_8z", (0.1, 1.0)), ("3m", (0.1, 1.0))):
        (cell,) = smac_panel(map_name).cells(range(1), ["annealed"], 1000)
        schedules = cell.settings()["annealing"]
        assert (schedules["alpha"]["start"], schedules["alpha"]["end"]) == alpha
        assert (schedules["eta"]["start"], schedules["eta"]["end"]) == (1.0, 0.0)
    assert break_points("MMM2") == (0.4, 0.7, 0.8)
    assert default_steps("paper") == 20_000_000 and default_steps(None) == 3_000_000


def test_variants_differ_in_their_keys_alone_and_seeds_come_first():
    panels = (smac_panel("3m"), smac_panel("2m_vs_1z", settings=["gamma=0.9"]))
    plan = SmacPlan(panels, ("full", "uncorrelated"), range(3, 5), 1000)
    cells = plan.cells()
    assert [(c.seed, c.place, c.variant) for c in cells[:4]] == [
        (3, "3m", "full"),
        (3, "3m", "uncorrelated"),
        (3, "2m_vs_1z", "full"),
        (3, "2m_vs_1z", "uncorrelated"),
    ]
    full, empty = (cell.settings() for cell in cells[:2])
    assert full["dag"].pop("generator") == "full" and empty["dag"].pop("generator") == "empty"
    assert full == empty and [c.settings()["gamma"] for c in cells[1:3]] == [0.99, 0.9]


def test_shares_of_the_edges_and_unknown_variants():
    assert (most_edges("MMM2"), most_edges("6h_vs_8z")) == (45, 15)
    (cell,) = smac_panel("MMM2").cells(range(1), ["learned_25"], 1000)
    assert cell.settings()["annealing"]["eta"]["end"] == 0.25
    for name in ("anealed", "learned", "learned_0", "learned_100"):
        with pytest.raises(ConfigError, match="unknown variant"):
            smac_panel("MMM2").cells(range(1), [name])
