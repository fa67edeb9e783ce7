"""MAGPO (Li et al. 2025): PPO for a guide that stays near an independent team, and a team that follows its guide."""

import math
from typing import Annotated, ClassVar

import torch
from torch import Tensor

from bn_mappo.controllers.basic_controller import MAC, Evaluation
from bn_mappo.controllers.guided_controller import GuidedMAC
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.options import Limits, NonNegative, options
from bn_mappo.core.seeding import Generators
from bn_mappo.core.specs import EnvInfo
from bn_mappo.data.batch import EpisodeBatch
from bn_mappo.learners.bn_mappo import BNMAPPOLearner, BNMAPPOOptions
from bn_mappo.learners.learner import Statistics
from bn_mappo.learners.losses import clipped_surrogate, weighted_sum
from bn_mappo.learners.ppo_learner import Targets
from bn_mappo.modules.action_selectors import kl_divergence


@options
class GuideOptions:
    """Keys of the section `guide`."""

    delta: Annotated[float, Limits(gt=1)]
    alpha: NonNegative


@options
class MAGPOOptions(BNMAPPOOptions):
    """Keys of learner=magpo."""

    guide: GuideOptions


class MAGPOLearner(BNMAPPOLearner):
    """Trains the guide mu and the independent team pi of a GuidedMAC on the games that mu played.

    With r = mu / mu_old of a recorded action, A its advantage and m = mu / pi, the guide's loss of an agent is

        -min(r A, clip(clip(m, 1 / delta, delta) pi / mu_old, 1 - eps, 1 + eps) A) + [m is outside] KL(mu || pi)

    with [m is outside] 1 where m < 1 / delta or m > delta: it gains nothing from leaving the neighbourhood of pi, and
    is drawn back into it. The loss of pi is KL(mu || pi) minus alpha times PPO's clipped surrogate of pi / mu_old. Each
    takes the other as given. What learner=bn_mappo adds for a learned DAG and its density is part of the guide's loss.
    """

    Options = MAGPOOptions
    options: MAGPOOptions
    extra_losses: ClassVar[frozenset[str]] = BNMAPPOLearner.extra_losses | {"independent"}

    def __init__(self, options: MAGPOOptions, info: EnvInfo, mac: MAC, generators: Generators):
        if not isinstance(mac, GuidedMAC):
            raise ConfigError("learner=magpo trains a guide and the team that it guides: set mac=guided_controller")
        super().__init__(options, info, mac, generators)
        self.log_delta = math.log(options.guide.delta)

    def surrogate(self, evaluation: Evaluation, batch: EpisodeBatch, targets: Targets) -> tuple[Tensor, Tensor]:
        assert evaluation.independent is not None, "guided_controller evaluates both teams"
        return guide_surrogate(
            evaluation.log_prob,
            batch["log_prob"],
            evaluation.independent.log_prob.detach(),
            targets.advantage,
            targets.weight,
            self.options.eps_clip,
            self.log_delta,
        )

    def extra_loss(
        self, evaluation: Evaluation, batch: EpisodeBatch, targets: Targets, fraction: float
    ) -> tuple[Tensor, Statistics]:
        loss, statistics = super().extra_loss(evaluation, batch, targets, fraction)
        guide, independent = evaluation, evaluation.independent
        assert independent is not None and guide.logits is not None and independent.logits is not None
        shape = guide.log_prob.shape  # B, T, N
        mu, pi = guide.logits.log_softmax(0), independent.logits.log_softmax(0)  # [A, B * T, N]
        to_independent = kl_divergence(mu, pi.detach()).view(shape)
        outside = ((guide.log_prob - independent.log_prob).detach().abs() > self.log_delta).float()  # [B, T, N]
        imitation = (kl_divergence(mu.detach(), pi).view(shape) * targets.weight).sum()
        surrogate, _ = clipped_surrogate(
            independent.log_prob, batch["log_prob"], targets.advantage, targets.weight, self.options.eps_clip
        )
        back = (to_independent * outside * targets.weight).sum()
        loss = loss + back + imitation - self.options.guide.alpha * surrogate
        if evaluation.dag_stats is not None:
            statistics["guide_kl"] = weighted_sum(to_independent.detach(), targets.weight)
            statistics["guide_outside"] = weighted_sum(outside, targets.weight)
        return loss, statistics


def guide_surrogate(
    log_prob: Tensor,
    old_log_prob: Tensor,
    independent: Tensor,
    advantage: Tensor,
    weight: Tensor,
    eps_clip: float,
    log_delta: float,
) -> tuple[Tensor, Tensor]:
    """The guide's sum of doubly clipped surrogates, and its ratio mu / mu_old [B, T, N].

    log_prob, old_log_prob and independent [B, T, N] are of mu, mu_old and pi; advantage [B, T, N] or [B, T, 1].
    """
    ratio = (log_prob - old_log_prob).exp()  # [B, T, N]
    near = (log_prob - independent).clamp(-log_delta, log_delta) + independent - old_log_prob  # [B, T, N]
    clipped = near.exp().clamp(1 - eps_clip, 1 + eps_clip)  # [B, T, N]
    surrogate = torch.minimum(ratio * advantage, clipped * advantage)
    return (surrogate * weight).sum(), ratio.detach()
