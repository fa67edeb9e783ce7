"""MAPPO on a BN policy: PPO, with the DAG's density drawn towards an annealed target."""

from typing import ClassVar

from torch import Tensor

from bn_mappo.controllers.basic_controller import MAC, Evaluation
from bn_mappo.controllers.dag_controller import DAGMAC
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.options import options
from bn_mappo.core.ranks import own_share, total
from bn_mappo.core.schedules import FractionSchedule, NonNegativeSchedule
from bn_mappo.core.seeding import Generators
from bn_mappo.core.specs import EnvInfo
from bn_mappo.data.batch import EpisodeBatch
from bn_mappo.learners.learner import Statistics
from bn_mappo.learners.losses import clipped_surrogate, weighted_sum
from bn_mappo.learners.ppo_learner import PPOLearner, PPOOptions, Targets, ratio_error, team_advantage
from bn_mappo.modules.dag.ops import density


@options
class AnnealingOptions:
    """Keys of the section `annealing`: the regulariser alpha * |density - eta| (paper, section 7.4.4)."""

    eta: FractionSchedule
    alpha: NonNegativeSchedule


@options
class BNMAPPOOptions(PPOOptions):
    """Keys of learner=bn_mappo."""

    annealing: AnnealingOptions


class BNMAPPOLearner(PPOLearner):
    """PPO plus alpha * |rho(G) - eta| (paper, section 6.3), with eta and alpha annealed by configuration.

    The DAG networks are part of the controller: the same optimiser and the same gradient clipping as the actor. Where
    the order is an action (dag.permutation=plackett_luce), it has a clipped surrogate of its own with the team's
    advantage, as an agent has. Where the edges are actions (dag.edges=bernoulli), the choice of each agent's parents
    has one, with the agent's advantage, and an entropy bonus; the density is then the expected one.
    """

    Options: ClassVar[type] = BNMAPPOOptions
    options: BNMAPPOOptions
    extra_losses: ClassVar[frozenset[str]] = frozenset({"dag_order", "dag_edges"})

    def __init__(self, options: BNMAPPOOptions, info: EnvInfo, mac: MAC, generators: Generators):
        if not isinstance(mac, DAGMAC):
            raise ConfigError(
                "learner=bn_mappo trains a DAG, so it needs agents that act along one: set mac=dag_controller"
            )
        super().__init__(options, info, mac, generators)

    def extra_loss(
        self, evaluation: Evaluation, batch: EpisodeBatch, targets: Targets, fraction: float
    ) -> tuple[Tensor, Statistics]:
        assert evaluation.adjacency is not None, "dag_controller gives the adjacency"
        eta, alpha = self.options.annealing.eta(fraction), self.options.annealing.alpha(fraction)
        loss = evaluation.log_prob.new_zeros(())
        statistics: Statistics = {}
        edges = evaluation.adjacency if evaluation.edge_probability is None else evaluation.edge_probability
        if alpha > 0:
            loss = own_share(alpha * (weighted_sum(density(edges), targets.step_weight) - eta).abs())
        if evaluation.dag_penalty is not None:
            penalty = (evaluation.dag_penalty * targets.step_weight).sum()
            loss = loss + penalty
        if evaluation.dag_stats is not None:
            statistics = {"dag_eta": loss.new_tensor(eta), "dag_alpha": loss.new_tensor(alpha)}
            statistics["regulariser"] = total(loss.detach())
            if evaluation.dag_penalty is not None:
                statistics["dag_penalty"] = total(penalty.detach())
        if evaluation.order_log_prob is not None:
            log_prob = evaluation.order_log_prob.unsqueeze(-1)  # [B, T, 1]
            weight = targets.step_weight.unsqueeze(-1)  # [B, T, 1]
            surrogate, ratio = clipped_surrogate(
                log_prob,
                batch["dag_order_log_prob"].unsqueeze(-1),
                team_advantage(targets),
                weight,
                self.options.eps_clip,
            )
            loss = loss - surrogate
            statistics["dag_order_ratio_error"] = ratio_error(ratio, weight)
            if evaluation.dag_stats is not None:
                statistics["dag_order_entropy"] = -weighted_sum(log_prob.detach(), weight)  # from the orders drawn
        if evaluation.edge_log_prob is not None and evaluation.edge_entropy is not None:
            surrogate, ratio = clipped_surrogate(
                evaluation.edge_log_prob,
                batch["dag_edge_log_prob"],
                targets.advantage,
                targets.weight,
                self.options.eps_clip,
            )
            entropy = (evaluation.edge_entropy * targets.weight).sum()
            loss = loss - surrogate - self.options.entropy_coef(fraction) * entropy
            statistics["dag_edge_ratio_error"] = ratio_error(ratio, targets.weight)
            if evaluation.dag_stats is not None:
                statistics["dag_edge_entropy"] = total(entropy.detach())
        return loss, statistics
