"""Agents that act on the values of their actions: the best one known or, to explore, any that is available."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from bn_mappo.controllers.basic_controller import BasicMAC, BasicOptions, Evaluation, Selection, Step
from bn_mappo.core.options import options
from bn_mappo.core.schedules import FractionSchedule
from bn_mappo.core.seeding import Generators
from bn_mappo.data.batch import EpisodeBatch, Scheme
from bn_mappo.modules.agents.actor import Features


@options
class QMACOptions(BasicOptions):
    """Keys of mac=q_controller."""

    epsilon: FractionSchedule


class QMAC(BasicMAC):
    """Controller of N epsilon-greedy agents. What its actor gives are not logits, but values Q_i(o^i, a^i)."""

    Options: ClassVar[type] = QMACOptions
    options: QMACOptions

    def unlearned_by(self, extra_losses: frozenset[str]) -> str:
        return "mac=q_controller acts on values, which no policy gradient trains: set learner=q_learner"

    def scheme(self) -> Scheme:
        return {name: field for name, field in super().scheme().items() if name != "log_prob"}

    def draw_noise(
        self, batch_size: int, generators: Generators, fraction: float, greedy: bool = False
    ) -> dict[str, Tensor]:
        """Who explores [B, N] (bool), and the scores [B, N, A] in [0, 1) by which the actions to explore are chosen."""
        if greedy:
            return {}
        shape, generator, device = (batch_size, self.info.n_agents), generators["exploration"], self.agent_ids.device
        explores = torch.rand(shape, generator=generator, device=device) < self.options.epsilon(fraction)
        scores = torch.rand((*shape, self.info.n_actions), generator=generator, device=device)
        return {"explores": explores, "exploration": scores}

    @torch.inference_mode()
    def select_actions(self, step: Step, hidden: Tensor, noise: dict[str, Tensor], fraction: float = 0.0) -> Selection:
        """Act in B games; without noise greedily."""
        own, hidden = self.encode_step(step, hidden)
        actions = self.best_actions(self.step_values(own, step), step.avail_actions)  # [B, N]
        if noise:
            scores = noise["exploration"]  # [B, N, A]
            if step.avail_actions is not None:
                scores = scores.masked_fill(step.avail_actions == 0, -1.0)
            actions = torch.where(noise["explores"].bool(), scores.max(-1).indices, actions)
        return Selection(actions, hidden, {})

    @property
    def n_terms(self) -> int:
        """How many terms `of_actions` gives."""
        return self.info.n_agents

    def step_values(self, own: Features, step: Step) -> Any:
        """The values of one step, as `values` gives them for recorded ones, from the features of the agents."""
        return self.actor.logits(own)

    def best_actions(self, values: Any, avail_actions: Tensor | None) -> Tensor:
        """Of values [N, M, A] the available actions (avail_actions [M, N, A]; None: all) of the highest one, [M, N]."""
        return self.masked(values, avail_actions).max(0).indices

    def values(self, batch: EpisodeBatch) -> Any:
        """Q_i(o^i, .) of all recorded steps, [N, B * T, A], with gradients."""
        values: Tensor = self.actor.logits(self.encode_batch(batch))
        return values

    def of_actions(self, values: Any, actions: Tensor, active: Tensor | None) -> Tensor:
        """The values [B, T, N] of actions [B, T, N], 0 where agents have left (active [B, T, N]; None: nobody has)."""
        index = actions.flatten(0, 1).T.unsqueeze(-1)  # [N, B * T, 1]
        taken: Tensor = values.gather(-1, index).squeeze(-1).T.view(actions.shape)
        return taken if active is None else taken * active

    def extra_loss(self, values: Any, weight: Tensor) -> Tensor:
        """What is added to the loss besides errors of values; weight [B * T] of the samples sums to 1. Nothing here."""
        return weight.new_zeros(())

    def evaluate(
        self, batch: EpisodeBatch, fraction: float, generators: Generators, with_stats: bool = False
    ) -> Evaluation:
        """The policy that explores: pi(a) = epsilon / n + (1 - epsilon) [a is the best] for n available actions."""
        avail = self.avail_actions(batch)  # [B * T, N, A]
        values, epsilon = self.values(batch), self.options.epsilon(fraction)
        actions = batch["actions"].flatten(0, 1).T.unsqueeze(-1)  # [N, B * T, 1]
        every = torch.ones(*actions.shape[:2], self.info.n_actions, device=actions.device)  # [N, B * T, A]
        allowed = every if avail is None else avail.transpose(0, 1).to(every.dtype)
        best = self.best_actions(values, avail).T.unsqueeze(-1)  # [N, B * T, 1]
        uniform = allowed / allowed.sum(-1, keepdim=True)  # [N, B * T, A]
        policy = (epsilon * uniform).scatter_add(-1, best, torch.full_like(uniform, 1 - epsilon))
        log_prob = policy.gather(-1, actions).squeeze(-1).log()  # [N, B * T]
        entropy = -torch.special.xlogy(policy, policy).sum(-1)  # [N, B * T]
        shape = batch["actions"].shape  # B, T, N
        return Evaluation(log_prob.T.reshape(shape), entropy.T.reshape(shape))
