"""Figure 10: how far the policy along its DAG differs from the same policy without edges, agent by agent."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import spearmanr

from bn_mappo.paper.courses import Course, Interval, over_seeds
from bn_mappo.paper.results import Array

FIRST = 0.2  # of the training: the part before it is not judged where nothing is annealed
NO_DIVERGENCE = 1e-6  # nats: below it a policy is taken not to depend on its parents


class Divergence(NamedTuple):
    """One variant on one map; one value a seed, in nats an agent and step."""

    map_name: str
    variant: str
    n_seeds: int
    before: Interval  # mean over agents and the checkpoints before edges go
    at_end: Interval  # of the last checkpoint
    change: Interval  # the second less the first
    rank: Interval  # Spearman's correlation of an agent's number with its mean before edges go

    @property
    def falls(self) -> str:
        """Whether the divergence goes with the edges, in words; it follows the interval over seeds."""
        if self.n_seeds < 2:
            return "one seed decides nothing"
        words = {-1: "it falls", 1: "it rises", 0: "undecided"}[self.change.sign]
        return f"{words}; at the end it is {'zero' if self.at_end.mean < NO_DIVERGENCE else f'{self.at_end.mean:.2g}'}"

    @property
    def by_number(self) -> str:
        """Whether agents with more possible parents diverge more, in words."""
        if self.n_seeds < 2 or np.isnan(self.rank.mean):
            return "undecided"
        return {1: "more", -1: "less", 0: "undecided"}[self.rank.sign]


def mean_kl(course: Course) -> Array:
    """Mean over the steps in which an agent lives, [C, S, N]."""
    return np.array([[f.kl.sum(0) / np.maximum(f.n_alive.sum(0), 1) for f in row] for row in course.facts])


def diverge(course: Course) -> Divergence:
    """The numbers of one course."""
    kl, share = mean_kl(course), np.array(course.steps) / course.t_max  # [C, S, N], [C]
    early = share <= course.breaks[0] if course.breaks else share >= FIRST
    early = early if early.any() else np.ones(len(share), dtype=bool)
    before, at_end = kl[early].mean(0), kl[-1]  # [S, N]
    return Divergence(
        course.map_name,
        course.variant,
        len(course.seeds),
        over_seeds(before.mean(-1).tolist()),
        over_seeds(at_end.mean(-1).tolist()),
        over_seeds((at_end - before).mean(-1).tolist()),
        over_seeds([rank_correlation(values) for values in before]),
    )


def rank_correlation(values: Array) -> float:
    """Spearman's, of values [N] with 0..N-1; nan where all are alike."""
    return float("nan") if np.ptp(values) == 0 else float(spearmanr(np.arange(len(values)), values).statistic)


def rows_of(courses: Sequence[Course]) -> Iterator[tuple[object, ...]]:
    """One row a map, variant, seed, checkpoint and agent."""
    for course in courses:
        kl = mean_kl(course)
        for c, step in enumerate(course.steps):
            for s, seed in enumerate(course.seeds):
                for agent, value in enumerate(kl[c, s]):
                    yield course.map_name, course.variant, seed, step, agent, float(value)
