"""Agents that choose together, by the values of pairs of their actions on a coordination graph (DCG, CASEC)."""

from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from bn_mappo.controllers.basic_controller import FLOAT_BYTES, Exchange, Step
from bn_mappo.controllers.value_controller import QMAC, QMACOptions
from bn_mappo.core.options import Count, Limits, NonNegative, options
from bn_mappo.core.seeding import Generators
from bn_mappo.core.specs import EnvInfo
from bn_mappo.data.batch import EpisodeBatch
from bn_mappo.modules.agents.actor import Features
from bn_mappo.modules.coordination.graphs import Topology, edges_of
from bn_mappo.modules.coordination.max_plus import max_plus
from bn_mappo.modules.coordination.payoffs import PayoffNet, Payoffs


@options
class GraphOptions(QMACOptions):
    """Keys of mac=graph_controller."""

    topology: Topology
    payoff_rank: Count
    message_rounds: Count
    edge_share: Annotated[float, Limits(gt=0, le=1)]
    payoff_variance_coef: NonNegative


class GraphValues(NamedTuple):
    """The terms of Q_tot for all actions."""

    utilities: Tensor  # [N, M, A]
    payoffs: Payoffs  # of M samples and E edges


class GraphMAC(QMAC):
    """Q_tot(o, a) = 1/N sum_i f_i(a_i) + 1/E sum_(i,j) f_ij(a_i, a_j) on a graph (Böhmer et al. 2020, equation 3).

    Utilities f_i are what the agents' network gives, payoffs f_ij those of a network of both agents' inputs. The joint
    action is found by message passing, which needs a centre, or messages between neighbours. With edge_share below 1
    messages pass only along that share of the edges, those with the largest variance of payoffs (Wang et al. 2022);
    values are learned on all edges.
    """

    Options = GraphOptions
    options: GraphOptions
    edges: Tensor

    def __init__(self, options: GraphOptions, info: EnvInfo, generators: Generators):
        super().__init__(options, info, generators)
        n_agents, n_actions = info.n_agents, info.n_actions
        width = info.obs_dim + n_agents * options.obs_agent_id + n_actions * options.obs_last_action
        self.payoffs = PayoffNet(width, options.hidden_dim, n_actions, options.payoff_rank, generators["payoff_init"])
        self.register_buffer("edges", edges_of(options.topology, n_agents), persistent=False)  # [2, E]

    def exchange(self, n_edges: float) -> Exchange:
        """Of the messages; the payoffs of a pair need the observations of both, and those of all choose the edges."""
        n_floats = 2 * self.options.message_rounds * self.n_kept_edges * self.info.n_actions
        n_floats += self.info.n_agents * self.info.obs_dim
        return Exchange("all observations, and rounds of messages along a graph", FLOAT_BYTES * n_floats)

    @property
    def n_kept_edges(self) -> int:
        """Edges that messages pass along."""
        n_edges = self.edges.shape[1]
        return max(round(self.options.edge_share * n_edges), min(1, n_edges))

    @property
    def n_terms(self) -> int:
        return self.info.n_agents + self.edges.shape[1]

    def step_values(self, own: Features, step: Step) -> GraphValues:
        last_actions = step.last_actions.unsqueeze(1) if self.options.obs_last_action else None
        inputs = self.inputs(step.obs.unsqueeze(1), last_actions)  # [N, B, D]
        return GraphValues(self.actor.logits(own), self.payoffs(inputs, self.edges))

    def values(self, batch: EpisodeBatch) -> GraphValues:
        """The terms of Q_tot in all recorded steps, with gradients."""
        last_actions = batch["last_actions"] if self.options.obs_last_action else None
        inputs = self.inputs(batch["obs"], last_actions)  # [N, B * T, D]
        return GraphValues(self.actor.logits(self.encode_batch(batch)), self.payoffs(inputs, self.edges))

    @torch.no_grad()
    def best_actions(self, values: GraphValues, avail_actions: Tensor | None) -> Tensor:
        """The joint actions of the highest Q_tot that message passing meets, [M, N]."""
        n_agents, n_edges = self.info.n_agents, max(self.edges.shape[1], 1)
        utilities = values.utilities.transpose(0, 1) / n_agents  # [M, N, A]
        tables = values.payoffs.tables() / n_edges  # [M, E, A, A]
        kept = None if self.options.edge_share == 1 else self.kept_edges(tables)
        return max_plus(utilities, tables, self.edges, self.options.message_rounds, avail_actions, kept)

    def kept_edges(self, tables: Tensor) -> Tensor:
        """Which edges messages pass along, [M, E], from payoffs [M, E, A, A]: those of the largest variance."""
        score = largest_variance(tables)  # [M, E]
        return torch.zeros_like(score).scatter(-1, score.topk(self.n_kept_edges).indices, 1.0)

    def of_actions(self, values: GraphValues, actions: Tensor, active: Tensor | None) -> Tensor:
        """All terms of Q_tot for actions [B, T, N], [B, T, N + E]; those of agents that have left are 0."""
        n_agents, n_edges = self.info.n_agents, max(self.edges.shape[1], 1)
        of_agents = super().of_actions(values.utilities, actions, active) / n_agents  # [B, T, N]
        first, second = (actions[..., side].flatten(0, 1) for side in self.edges)  # [M, E]
        of_edges = (values.payoffs.of_actions(first, second) / n_edges).unflatten(0, actions.shape[:2])  # [B, T, E]
        if active is not None:
            of_edges = of_edges * active[..., self.edges[0]] * active[..., self.edges[1]]
        return torch.cat([of_agents, of_edges], dim=-1)

    def extra_loss(self, values: GraphValues, weight: Tensor) -> Tensor:
        """Mean variance of the payoffs over the other agent's actions (Wang et al. 2022, equation 10), times its
        coefficient; weight [M] of the samples sums to 1."""
        if not self.options.payoff_variance_coef or not self.edges.shape[1]:
            return super().extra_loss(values, weight)
        tables = values.payoffs.tables()  # [M, E, A, A]
        variance = 0.5 * (tables.var(-1, correction=0).mean(-1) + tables.var(-2, correction=0).mean(-1))  # [M, E]
        return self.options.payoff_variance_coef * (variance.mean(-1) * weight).sum()


def largest_variance(tables: Tensor) -> Tensor:
    """How much payoffs [..., A, A] depend on the other agent, [...]: the largest variance over its actions that any
    action of either agent has."""
    of_first, of_second = (tables.var(side, correction=0).amax(-1) for side in (-1, -2))
    return torch.maximum(of_first, of_second)
