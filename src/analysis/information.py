"""How strongly the agents' choices depend on one another, given the state and its DAG; everything in bits.

Within one state s with DAG G, pi(a | s) = prod_i pi^i(a^i | o^i, a^{P^i}):

    total correlation       sum_i H(a^i | s) - H(a | s) = sum_i I(a^i ; a^{P^i} | s)
    of an edge j -> i       I(a^i ; a^j | a^{P^i without j}, s)

The second form of the first holds because H(a | s) = sum_i H(a^i | a^{P^i}, s) along a DAG (chain rule); an agent
without parents adds exactly 0. The information of an edge is what the child's choice tells of that parent's beyond what
its other parents tell: 0 iff the child ignores the message, or could have known it from its other parents.
"""

import itertools
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import entr
from torch import Tensor

from bn_mappo.analysis.altered_dags import GivenDAG, acting_along
from bn_mappo.analysis.paired_episodes import Visits, select
from bn_mappo.controllers.basic_controller import Step
from bn_mappo.controllers.dag_controller import DAGMAC
from bn_mappo.core.seeding import Generators
from bn_mappo.core.specs import Array
from bn_mappo.modules.action_selectors import mask_logits

LARGEST_JOINT = 4096  # joint actions up to which a state is enumerated
SAMPLES = 128  # joint actions drawn in a state that is not
ROWS_AT_ONCE = 40_000  # rows (states times joint actions) of one pass


class Information(NamedTuple):
    """Of M states, in bits."""

    agents: Array  # [M, N]: I(a^i ; a^{P^i} | s); the total correlation is the sum
    edges: Array  # [M, N, N]: at [j, i] that of the edge j -> i; 0 where there is none
    comparable: Array  # [M, N, N]: share of the samples that could be compared with others; 1 where enumerated

    @property
    def total_correlation(self) -> Array:
        """[M]."""
        total: Array = self.agents.sum(-1)
        return total


def is_enumerable(mac: DAGMAC) -> bool:
    """Whether all joint actions can be gone through."""
    return bool(mac.info.n_actions**mac.info.n_agents <= LARGEST_JOINT)


def measure(mac: DAGMAC, visits: Visits, generators: Generators, exact: bool | None = None) -> Information:
    """The information in each visited state, along its recorded DAG; None: exact where it can be enumerated."""
    exact = is_enumerable(mac) if exact is None else exact
    n_rows = mac.info.n_actions**mac.info.n_agents if exact else SAMPLES
    parts = []
    for some in torch.arange(len(visits.adjacency)).split(max(1, ROWS_AT_ONCE // n_rows)):
        chunk = select(visits, some.to(visits.adjacency.device))
        adjacency = chunk.adjacency.cpu().numpy() > 0  # [M, N, N]
        if exact:
            joint = joint_actions(mac.info.n_agents, mac.info.n_actions)  # [K, N]
            actions = torch.from_numpy(joint).to(chunk.adjacency.device).expand(len(adjacency), -1, -1)
            local = np.take_along_axis(local_log_probs(mac, chunk, actions), actions.cpu().numpy()[..., None], -1)
            parts.append(exact_information(np.exp(local[..., 0].sum(-1)), joint, adjacency))
        else:
            actions = sample_actions(mac, chunk, SAMPLES, generators)  # [M, K, N]
            local = np.exp(local_log_probs(mac, chunk, actions))  # [M, K, N, A]
            parts.append(sampled_information(local, actions.cpu().numpy(), adjacency))
    return Information(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def joint_actions(n_agents: int, n_actions: int) -> Array:
    """All joint actions, [A**N, N]."""
    return np.array(list(itertools.product(range(n_actions), repeat=n_agents)))


def repeat(visits: Visits, n_times: int) -> Visits:
    """Each row n_times in a row."""
    rows = torch.arange(len(visits.adjacency), device=visits.adjacency.device).repeat_interleave(n_times)
    return select(visits, rows)


@torch.inference_mode()
def local_log_probs(mac: DAGMAC, visits: Visits, actions: Tensor) -> Array:
    """log pi^i(. | o^i, a^{P^i}) for K joint actions in each of M states: actions [M, K, N] -> [M, K, N, A]."""
    n_states, n_joint, n_agents = actions.shape
    own, _ = mac.encode_step(visits.step, visits.hidden)  # [N, M, .], once a state
    rows, own = repeat(visits, n_joint), mac.actor.repeated(own, n_joint)
    logits = mac.local_logits(rows.adjacency, own, rows.step.obs, actions.reshape(-1, n_agents))  # [N, M * K, A]
    masked = mask_logits(logits.transpose(0, 1), rows.step.avail_actions).double()  # [M * K, N, A]
    result: Array = masked.log_softmax(-1).unflatten(0, (n_states, n_joint)).cpu().numpy()
    return result


def sample_actions(mac: DAGMAC, visits: Visits, n_samples: int, generators: Generators) -> Tensor:
    """Joint actions of the policy in each of M states, along its recorded DAG, [M, n_samples, N]."""
    rows = repeat(visits, n_samples)
    with acting_along(mac, GivenDAG(rows.adjacency)):
        noise = mac.draw_noise(len(rows.adjacency), generators, 1.0)
        step: Step = rows.step
        actions = mac.select_actions(step, rows.hidden, noise, 1.0).actions
    return actions.unflatten(0, (-1, n_samples))


def subset_entropy(probability: Array, joint: Array, subset: Array) -> Array:
    """H(a^S) of R distributions over K joint actions, each with an S of its own, in bits.

    probability [R, K]; joint [K, N]; subset [R, N] bool -> [R]. The joint actions that agree on S add up.
    """
    digits = int(joint.max(initial=0)) + 1
    weights = digits ** np.arange(joint.shape[1])  # [N]
    shape = len(subset), digits ** joint.shape[1]
    place = (subset * weights) @ joint.T + np.arange(shape[0])[:, None] * shape[1]  # [R, K]: a^S as a number
    sums = np.bincount(place.ravel(), probability.ravel(), minlength=shape[0] * shape[1])
    entropy: Array = entr(sums).reshape(shape).sum(-1) / np.log(2)
    return entropy


def exact_information(probability: Array, joint: Array, adjacency: Array) -> Information:
    """From the probabilities [M, K] of all joint actions [K, N] and the DAGs [M, N, N] (bool)."""
    agents, edges = np.zeros(adjacency.shape[:2]), np.zeros(adjacency.shape)
    itself = np.eye(adjacency.shape[1], dtype=bool)

    def entropy(state: Array, subset: Array) -> Array:
        parts = np.array_split(np.arange(len(state)), max(1, probability.shape[1] * len(state) // 2_000_000))
        return np.concatenate([subset_entropy(probability[state[p]], joint, subset[p]) for p in parts])

    state, child = np.nonzero(adjacency.any(1))  # agents that have parents
    seen = adjacency[state, :, child]  # [R, N]
    information = entropy(state, itself[child]) + entropy(state, seen) - entropy(state, seen | itself[child])
    agents[state, child] = np.maximum(information, 0)  # rounding can lead below
    state, parent, child = np.nonzero(adjacency)
    seen, me = adjacency[state, :, child], itself[child]  # [R, N]
    others = seen & ~itself[parent]  # [R, N]
    gain = entropy(state, others | me) - entropy(state, others) - entropy(state, seen | me) + entropy(state, seen)
    edges[state, parent, child] = np.maximum(gain, 0)
    return Information(agents, edges, np.ones(adjacency.shape))


def sampled_information(local: Array, actions: Array, adjacency: Array) -> Information:
    """From K samples in each of M states: local [M, K, N, A] = pi^i(. | o^i, a^{P^i}), actions [M, K, N].

    Both are means of divergences of the local policy, which is known exactly, from its mean over samples:

        I(a^i ; a^{P^i}) = E KL(pi^i(. | a^{P^i}) || mean over all samples)
        I(a^i ; a^j | a^rest) = E KL(pi^i(. | a^{P^i}) || mean over the samples with the same a^rest)

    The mean of m samples lies nearer to each than the truth does; the factor m / (m - 1) corrects that to first order.
    A sample whose a^rest no other one shares has nothing to be compared with and is left out (`comparable`).
    """
    n_states, n_samples, n_agents, _ = local.shape
    agents, edges, comparable = np.zeros((n_states, n_agents)), np.zeros(adjacency.shape), np.ones(adjacency.shape)
    state, child = np.nonzero(adjacency.any(1))
    mine = local[state, :, child]  # [R, K, A]
    agents[state, child] = divergence(mine, mine.mean(1, keepdims=True)).mean(1) * n_samples / (n_samples - 1)
    names = np.random.default_rng(0).integers(2**62, size=n_agents)  # an a^rest is known by a random sum of these
    rows = np.stack(np.nonzero(adjacency), axis=1)  # [R, 3]: state, parent, child
    for state, parent, child in (part.T for part in np.array_split(rows, 1 + len(rows) // 500)):
        rest = adjacency[state, :, child] & ~np.eye(n_agents, dtype=bool)[parent]  # [R, N]
        key = ((actions[state] + 1) * (names * rest)[:, None]).sum(-1)  # [R, K], wraps around
        same = (key[:, :, None] == key[:, None, :]).astype(float)  # [R, K, K]
        size = same.sum(-1)  # [R, K]: m
        mine = local[state, :, child]  # [R, K, A]
        mean = same @ mine / size[..., None]  # [R, K, A]
        counts = size > 1  # [R, K]
        corrected = divergence(mine, mean) * counts * size / np.maximum(size - 1, 1)  # [R, K]
        edges[state, parent, child] = corrected.sum(1) / np.maximum(counts.sum(1), 1)
        comparable[state, parent, child] = counts.mean(1)
    return Information(agents, edges, comparable)


def divergence(p: Array, q: Array) -> Array:
    """KL(p || q) in bits over the last axis; q is above 0 wherever p is."""
    ratio = np.log2(np.where(p > 0, p, 1)) - np.log2(np.where(p > 0, q, 1))
    result: Array = (p * ratio).sum(-1).clip(min=0)  # rounding can lead below
    return result
