"""Figures 7 to 9: whom agents choose as parents, against random parents."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bn_mappo.analysis.parent_choice import Choice, pooled
from bn_mappo.core.errors import RunError
from bn_mappo.paper.courses import Course, Interval, over_seeds
from bn_mappo.paper.results import Array

FEWEST_PARENTS = 100  # chosen in the episodes of one checkpoint, below which a point is not drawn


class ParentFigure(NamedTuple):
    """One of the figures."""

    name: str
    quantity: str
    label: str
    more: str  # what parents are if the quantity is higher for them
    less: str
    claim: str


FIGURES = {
    figure.name: figure
    for figure in (
        ParentFigure(
            "fig7",
            "visible",
            "share of parents that the child sees",
            "seen more often",
            "seen less often",
            "the share of parents that are visible rises almost steadily while edges are annealed away",
        ),
        ParentFigure(
            "fig8",
            "health",
            "health of parents (share of the full)",
            "healthier",
            "weaker",
            "on 6h_vs_8z agents 5 and 6 (4 and 5 here) depend on weak agents and agent 2 (1) on healthy ones; on MMM2, "
            "from the middle of the annealing on, all depend on healthy ones",
        ),
        ParentFigure(
            "fig9",
            "distance",
            "distance of parents (cells)",
            "farther away",
            "nearer",
            "on both maps agent 6 (5 here) depends on agents far away, agent 2 (1) on near ones; on MMM2 also agent 8 "
            "(7) on far ones and agent 5 (4) on near ones",
        ),
    )
}


class Finding(NamedTuple):
    """The parents of one variant on one map, over the checkpoints in its window; one value a seed."""

    map_name: str
    variant: str
    agent: int | None  # that chooses; None: all of them
    n_seeds: int
    parents: Interval
    others: Interval
    random: Interval
    excess: Interval  # parents less random
    p_steps: tuple[float, ...]  # of each seed
    p_episodes: tuple[float, ...]

    def verdict(self, figure: ParentFigure) -> str:
        """In words; it follows the interval of the excess over seeds, and with one seed the test over its episodes."""
        if np.isnan(self.excess.mean):
            return "nothing to choose"
        sign, source = self.excess.sign, "parents are"
        if self.n_seeds == 1:
            sign = int(np.sign(self.excess.mean)) * (self.p_episodes[0] < 0.05)
            source = "in this one run parents are"
        if sign == 0:
            return "undecided: not told from random parents"
        return f"{source} {figure.more if sign > 0 else figure.less} than random ones"


def choice_of(course: Course, quantity: str, checkpoint: int, seed: int) -> Choice:
    """What one checkpoint of one seed chose, both by their place."""
    known = course.facts[checkpoint][seed].choices
    if quantity not in known:
        raise RunError(f"the environment of {course.map_name} does not tell who sees whom: only skirmish does")
    return known[quantity]


def mean_over_training(course: Course, quantity: str, what: str, agent: int | None = None) -> Array:
    """`parents_mean`, `others_mean` or `random_mean` of every checkpoint and seed, [C, S]; nan: too few parents."""
    values = np.full((len(course.steps), len(course.seeds)), np.nan)
    for c in range(len(course.steps)):
        for s in range(len(course.seeds)):
            found = choice_of(course, quantity, c, s)
            found = found if agent is None else found.of_agent(agent)
            if found.n_parents.sum() >= FEWEST_PARENTS:
                values[c, s] = getattr(found, what)
    return values


def random_band(course: Course, quantity: str) -> Array:
    """Standard deviation of the mean over seeds of random parents' means at every checkpoint, [C]."""
    deviations = [
        [choice_of(course, quantity, c, s).random_deviation for s in range(len(course.seeds))]
        for c in range(len(course.steps))
    ]
    total: Array = np.sqrt((np.array(deviations) ** 2).sum(1)) / len(course.seeds)
    return total


def find(course: Course, quantity: str, agent: int | None = None) -> Finding:
    """The verdict's numbers; each seed's checkpoints in the window are one pool of episodes."""
    columns = course.inside(*course.window)
    pools = []
    for column in columns:
        whole = pooled([facts.choices[quantity] for facts in column])
        pools.append(whole if agent is None else whole.of_agent(agent))
    can_choose = [pool for pool in pools if pool.variance.sum() > 0]
    return Finding(
        course.map_name,
        course.variant,
        agent,
        len(can_choose),
        over_seeds([pool.parents_mean for pool in can_choose]),
        over_seeds([pool.others_mean for pool in can_choose]),
        over_seeds([pool.random_mean for pool in can_choose]),
        over_seeds([pool.excess for pool in can_choose]),
        tuple(pool.p_steps for pool in can_choose),
        tuple(pool.p_episodes for pool in can_choose),
    )


def findings(courses: Sequence[Course], quantity: str) -> list[Finding]:
    """Of every course: all agents together, then each agent."""
    found = []
    for course in courses:
        n_agents = course.facts[0][0].kl.shape[1]
        found += [find(course, quantity, agent) for agent in (None, *range(n_agents))]
    return found
