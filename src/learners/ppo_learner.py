"""PPO for cooperating agents (MAPPO, IPPO): one update from one batch of segments."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bn_mappo.config.schema import Config, schedule
from bn_mappo.controllers.basic_controller import BasicMAC, Evaluation
from bn_mappo.core.errors import RunError
from bn_mappo.core.seeding import Generators
from bn_mappo.core.specs import EnvInfo
from bn_mappo.data.batch import EpisodeBatch, Field, Scheme
from bn_mappo.learners.flat_parameters import FlatParameters, clip_gradients
from bn_mappo.learners.losses import clipped_surrogate, clipped_value_loss, masked_mean, normalised
from bn_mappo.learners.returns import generalised_advantages
from bn_mappo.learners.running_stats import RunningMoments
from bn_mappo.modules.critics.critics import REGISTRY as CRITICS
from bn_mappo.modules.critics.critics import Critic

Statistics = dict[str, Tensor]


class Targets(NamedTuple):
    """What the epochs of one update aim at; V = 1 or N values a step."""

    advantage: Tensor  # [B, T, V]
    target: Tensor  # [B, T, V] returns, in normalised units
    old_value: Tensor  # [B, T, V] likewise
    weight: Tensor  # [B, T, N] 1 where an agent had a choice in a step that is data
    value_weight: Tensor  # [B, T, V] 1 where the step is data


class PPOLearner:
    """Owns critic, optimisers and value normalisation; knows no logger and no environment."""

    def __init__(self, config: Config, info: EnvInfo, mac: BasicMAC, generators: Generators):
        self.config, self.info, self.mac, self.generators = config, info, mac, generators
        self.critic: Critic = CRITICS[config.critic_type](info, config.hidden_dim, generators["critic_init"])
        self.critic.to(generators.device)
        self.value_moments = RunningMoments(config.returns_decay).to(generators.device)
        self.lr, self.critic_lr = schedule(config.lr), schedule(config.critic_lr)
        self.dag_lr = self.lr if config.dag.lr is None else schedule(config.dag.lr)
        self.entropy_coef = schedule(config.entropy_coef)
        dag = {name for name, _ in mac.named_parameters() if name.startswith("dag.")}
        parts = {
            "acting": [p for name, p in mac.named_parameters() if name not in dag],
            "dag": [p for name, p in mac.named_parameters() if name in dag],
            "critic": list(self.critic.parameters()),
        }
        rates = {"acting": self.lr, "dag": self.dag_lr, "critic": self.critic_lr}
        groups = {name: FlatParameters(part) for name, part in parts.items() if part}
        self.actor_groups = [group for name, group in groups.items() if name != "critic"]
        clips_dag = config.dag.clip_gradients or "dag" not in groups
        self.clipped_groups = self.actor_groups if clips_dag else [groups["acting"]]
        self.critic_groups = [groups["critic"]]
        self.rates = list(dict.fromkeys(rates[name] for name in groups))  # parts of one rate are one group: a call less
        self.optimiser = torch.optim.Adam(
            [{"params": [groups[name].vector for name in groups if rates[name] == rate]} for rate in self.rates],
            lr=self.lr(0.0),
            eps=config.optim_eps,
            fused=True,
        )

    def scheme(self) -> Scheme:
        """What this learner reads from each recorded step, beside the controller's fields."""
        shape = (self.info.state_dim,) if self.critic.field == "state" else (self.info.n_agents, self.info.obs_dim)
        scalars = {name: Field(()) for name in ("reward", "terminated", "truncated")}
        return {self.critic.field: Field(shape), **scalars}

    def train(self, batch: EpisodeBatch, t_env: int, with_stats: bool = True) -> Statistics:
        """One update; returns its statistics as 0-d tensors, few of them where nobody wants them (`with_stats`).

        `t_env` steps were played before the batch was used.
        """
        fraction = min(t_env / self.config.t_max, 1.0)
        self._set_learning_rates(fraction)
        targets = self.compute_targets(batch)
        statistics: Statistics = {}
        before_first_step: Statistics = {}
        for epoch in range(self.config.epochs):
            is_told = with_stats and epoch == self.config.epochs - 1
            for part, part_targets in self.mini_batches(batch, targets):
                statistics = self.step(part, part_targets, fraction, is_told)
                if not before_first_step:  # all ratios are 1 to rounding
                    errors = [name for name in statistics if name.endswith("ratio_error")]
                    before_first_step = {f"first_{name}": statistics[name] for name in errors}
        return {**statistics, **before_first_step}

    @torch.no_grad()
    def compute_targets(self, batch: EpisodeBatch) -> Targets:
        """Values, advantages and returns of the batch under the present critic."""
        field = self.critic.field
        observed = batch[field]  # [B, T, ...]
        both = torch.cat([observed, batch.last[field].unsqueeze(1)], dim=1)  # [B, T + 1, ...]
        output = self.critic(both)  # [B, T + 1, V]
        value = self._in_rewards(output)  # [B, T + 1, V]
        next_value = value[:, 1:].clone()  # [B, T, V]
        if len(batch.final_rows):
            games, steps = batch.final_rows.unbind(-1)
            next_value[games, steps] = self._in_rewards(self.critic(batch.final[field]))
        terminated, truncated = batch["terminated"].unsqueeze(-1), batch["truncated"].unsqueeze(-1)  # [B, T, 1]
        ends = terminated if self.config.bootstrap_truncated else torch.maximum(terminated, truncated)
        advantage = generalised_advantages(
            batch["reward"].unsqueeze(-1),
            value[:, :-1],
            next_value,
            ends,
            torch.maximum(terminated, truncated),
            self.config.gamma,
            self.config.gae_lambda,
        )  # [B, T, V]
        returns, filled = advantage + value[:, :-1], batch["filled"].unsqueeze(-1)
        if self.config.standardise_returns:
            self.value_moments.update(returns, filled.expand_as(returns))
            returns = self.value_moments.normalise(returns)
        if self.config.standardise_advantages:
            mean = masked_mean(advantage, filled)
            deviation = masked_mean((advantage - mean).square(), filled).sqrt()
            advantage = (advantage - mean) / (deviation + 1e-8)
        # the clipping starts from what the critic puts out, also where the moments have just moved
        return Targets(advantage, returns, output[:, :-1], self.weight(batch), filled.expand_as(returns))

    def _in_rewards(self, value: Tensor) -> Tensor:
        return self.value_moments.denormalise(value) if self.config.standardise_returns else value

    def mini_batches(self, batch: EpisodeBatch, targets: Targets) -> Iterator[tuple[EpisodeBatch, Targets]]:
        """The batch in random parts of `batch_size` games; as it is where that is all of them."""
        size = self.config.batch_size or batch.batch_size
        if size == batch.batch_size:
            yield batch, targets
            return
        shuffled = torch.randperm(batch.batch_size, generator=self.generators["mini_batches"]).to(batch.device)
        for games in shuffled.split(size):
            yield batch.games(games), Targets(*(target[games] for target in targets))

    def step(self, batch: EpisodeBatch, targets: Targets, fraction: float, with_stats: bool) -> Statistics:
        """One gradient step on policy, DAG networks (where there are any) and critic; `with_stats` tells all of it."""
        config = self.config
        evaluation = self.mac.evaluate(batch, fraction, self.generators, with_stats)
        weight = normalised(targets.weight)  # [B, T, N]
        surrogate, ratio = clipped_surrogate(
            evaluation.log_prob, batch["log_prob"], targets.advantage, weight, config.eps_clip
        )
        entropy = (evaluation.entropy * weight).sum()
        extra, statistics = self.extra_loss(evaluation, batch, targets, fraction)
        critic_loss = clipped_value_loss(
            self.critic(batch[self.critic.field]),
            targets.old_value,
            targets.target,
            normalised(targets.value_weight),
            config.value_clip,
            config.huber_delta,
        )
        policy_loss = -surrogate - self.entropy_coef(fraction) * entropy + extra
        for group in (*self.actor_groups, *self.critic_groups):
            group.zero_grad()
        (policy_loss + config.value_coef * critic_loss).backward()
        losses = {"pg_loss": -surrogate, "entropy": entropy, "extra_loss": extra, "critic_loss": critic_loss}
        statistics["agent_grad_norm"] = self._clip(self.clipped_groups, losses)
        statistics["critic_grad_norm"] = self._clip(self.critic_groups, losses)
        self.optimiser.step()
        statistics["ratio_error"] = ((ratio - 1).abs() * targets.weight).amax()
        if with_stats:
            statistics |= {name: loss.detach() for name, loss in losses.items()}
            statistics["approx_kl"] = ((ratio - 1 - ratio.log()) * weight).sum()
            statistics["clip_fraction"] = (((ratio - 1).abs() > config.eps_clip) * weight).sum()
            statistics["advantage_mean"] = masked_mean(targets.advantage, batch["filled"].unsqueeze(-1))
        return statistics

    def weight(self, batch: EpisodeBatch) -> Tensor:
        """[B, T, N]: 1 where an agent had a choice in a step that is data; dead agents have only one action."""
        filled = batch["filled"].unsqueeze(-1).expand_as(batch["log_prob"])
        if not self.info.masks_actions:
            return filled
        return filled * (batch["avail_actions"].sum(-1) > 1)

    def extra_loss(
        self, evaluation: Evaluation, batch: EpisodeBatch, targets: Targets, fraction: float
    ) -> tuple[Tensor, Statistics]:
        """What else the policy loss holds, and its statistics; nothing here."""
        return evaluation.log_prob.new_zeros(()), {}

    def _set_learning_rates(self, fraction: float) -> None:
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate(fraction)

    def _clip(self, groups: list[FlatParameters], losses: dict[str, Tensor]) -> Tensor:
        """Clip the gradient of all parameters together; refuses a step that is not finite."""
        norm = clip_gradients(groups, self.config.grad_norm_clip)
        if not torch.isfinite(norm):
            named = {**losses, **{f"gradient of {name}": p.grad for name, p in self._named_parameters()}}
            bad = [name for name, value in named.items() if value is not None and not value.isfinite().all()]
            raise RunError(f"not finite: {', '.join(bad) or 'the norm of the gradient'}. The step was not taken.")
        return norm

    def _named_parameters(self) -> list[tuple[str, nn.Parameter]]:
        return [*self.mac.named_parameters(), *((f"critic.{name}", p) for name, p in self.critic.named_parameters())]

    def snapshot(self) -> list[Tensor]:
        """A copy of everything that an update changes: weights, moments, and the optimiser's state."""
        return [tensor.detach().clone() for tensor in self._changing()]

    @torch.no_grad()
    def restore(self, snapshot: list[Tensor]) -> None:
        """Undo what has happened since `snapshot`."""
        present = self._changing()
        if len(snapshot) < len(present):  # taken before the first gradient step
            self.optimiser.state.clear()
        for tensor, value in zip(present, snapshot, strict=False):
            tensor.copy_(value)

    def _changing(self) -> list[Tensor]:
        weights = [parameter for _, parameter in self._named_parameters()]
        adam = [value for state in self.optimiser.state.values() for value in state.values()]
        return [*weights, *self.value_moments.buffers(), *adam]

    def state_dict(self) -> dict[str, Any]:
        """Everything of the learner and its controller that a resumed run needs."""
        return {
            "mac": self.mac.state_dict(),
            "critic": self.critic.state_dict(),
            "value_moments": self.value_moments.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        self.mac.load_state_dict(state["mac"])
        self.critic.load_state_dict(state["critic"])
        self.value_moments.load_state_dict(state["value_moments"])
        self.optimiser.load_state_dict(state["optimiser"])
