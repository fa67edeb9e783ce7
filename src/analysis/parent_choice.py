"""Whom agents choose as parents: visibility, health and distance of parents, against those of random parents.

Null hypothesis: in each step, each agent draws its k parents at random from its n candidates, the living agents that
act before it. Then the sum of a quantity x over its parents has, exactly (drawing without replacement),

    mean      k * m                     m, s^2: mean and variance of x over the n candidates
    variance  k * s^2 * (n - k) / (n - 1)

and the draws of different agents and steps are independent. This is the permutation distribution of parents among
candidates, by its moments; over thousands of steps its sum is normal (Strasser & Weber 1999).

Real graphs persist from step to step, so the steps of an episode are no independent draws, and the test over steps can
call chance an effect. The test over episodes does not: what an episode adds to the sum beyond its mean has mean 0 for
random parents, however long they are kept, and episodes are independent of one another.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import norm, ttest_1samp

from bn_mappo.core.specs import Array

QUANTITIES = ("visible", "health", "distance")


class Choice(NamedTuple):
    """Sums of one quantity over the steps of E episodes, by the agent that chooses (N) and, partly, by episode."""

    n_parents: Array  # [E, N] parents chosen, over all steps
    parents: Array  # [E, N] sum of the quantity over them
    n_others: Array  # [E, N] candidates that were not chosen
    others: Array  # [E, N]
    expected: Array  # [E, N] what `parents` is on average for random parents
    variance: Array  # [E, N] its variance then, step by step independent

    def of_agent(self, agent: int) -> "Choice":
        """What one agent chose."""
        return Choice(*(values[:, agent : agent + 1] for values in self))

    @property
    def parents_mean(self) -> float:
        """Over all parents chosen; nan where there were none."""
        return ratio(self.parents.sum(), self.n_parents.sum())

    @property
    def others_mean(self) -> float:
        """Over all candidates not chosen."""
        return ratio(self.others.sum(), self.n_others.sum())

    @property
    def random_mean(self) -> float:
        """Of random parents, as many in each step as were chosen there."""
        return ratio(self.expected.sum(), self.n_parents.sum())

    @property
    def random_deviation(self) -> float:
        """Standard deviation of that mean under the null hypothesis, with independent steps."""
        return ratio(float(np.sqrt(self.variance.sum())), self.n_parents.sum())

    @property
    def excess(self) -> float:
        """Mean over parents less that of random parents."""
        return self.parents_mean - self.random_mean

    @property
    def p_steps(self) -> float:
        """Two-sided p-value for parents that are drawn anew in each step; nan where nothing could be chosen."""
        deviation = float(np.sqrt(self.variance.sum()))
        if deviation == 0:
            return float("nan")
        return float(2 * norm.sf(abs(self.parents.sum() - self.expected.sum()) / deviation))

    @property
    def p_episodes(self) -> float:
        """Two-sided p-value that holds for random parents however long they are kept; nan below 3 episodes."""
        added = (self.parents - self.expected).sum(1)  # [E]
        if len(added) < 3 or np.ptp(added) == 0:
            return float("nan")
        return float(ttest_1samp(added, 0.0).pvalue)


def ratio(total: float, number: float) -> float:
    """total / number; nan where there is nothing to average."""
    return float(total / number) if number else float("nan")


def candidates(is_alive: Array, order: Array | None) -> Array:
    """Who could be whose parent: is_alive [K, N]; order [K, N], order[k, r] acts r-th, None: 0, 1, ... -> [K, N, N].

    True at [k, j, i] iff both live and j acts before i.
    """
    n_agents = is_alive.shape[1]
    rank = np.arange(n_agents)[None] if order is None else order.argsort(-1)  # [K or 1, N]
    earlier = rank[:, :, None] < rank[:, None, :]  # [K or 1, N, N]
    found: Array = earlier & is_alive[:, :, None] & is_alive[:, None, :]
    return found


def choice(chosen: Array, could: Array, quantity: Array, episode: Array) -> Choice:
    """The sums of one quantity; all arrays [K, N, N], row: parent, but episode [K], numbered from 0 without gaps.

    Parents that were no candidates (who have died keep their edges in many graphs) do not count.
    """
    chosen = chosen & could
    k, n = chosen.sum(1), could.sum(1)  # [K, N]
    with_x = np.where(could, quantity, 0.0)  # [K, N, N]
    size = np.maximum(n, 1)
    mean = with_x.sum(1) / size  # [K, N]
    spread = (np.where(could, quantity - mean[:, None], 0.0) ** 2).sum(1) / size  # [K, N]: s^2
    parents = np.where(chosen, quantity, 0.0).sum(1)  # [K, N]
    columns = (
        k,
        parents,
        n - k,
        with_x.sum(1) - parents,
        k * mean,
        k * spread * (n - k) / np.maximum(n - 1, 1),
    )
    return Choice(*(by_episode(values, episode) for values in columns))


def by_episode(values: Array, episode: Array) -> Array:
    """Sums of values [K, N] over the steps of each episode, [E, N]."""
    sums = np.zeros((episode.max() + 1, values.shape[1]))
    np.add.at(sums, episode, values)
    return sums


def choices(steps: dict[str, Array]) -> dict[str, Choice]:
    """Of the recorded steps of an evaluation (StepRecorder), by the quantities of QUANTITIES."""
    could = candidates(steps["is_alive"], steps.get("order"))  # [K, N, N]
    chosen = steps["adjacency"] > 0  # [K, N, N]
    shape = chosen.shape
    quantities = {
        "visible": steps["sees_ally"].swapaxes(1, 2).astype(float),  # [K, N, N]: whether the child sees the parent
        "health": np.broadcast_to(steps["health"].astype(float)[:, :, None], shape),
        "distance": steps["distance"].swapaxes(1, 2).astype(float),
    }
    return {name: choice(chosen, could, quantities[name], steps["episode"]) for name in QUANTITIES}


def pooled(parts: list[Choice]) -> Choice:
    """Several evaluations of one run as one: their episodes side by side."""
    return Choice(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
