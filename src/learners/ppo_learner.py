"""PPO for cooperating agents (MAPPO, IPPO): one update from one batch of segments."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from bn_mappo.controllers.basic_controller import MAC, Evaluation
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.options import Chosen, Count, Fraction, Limits, NonNegative, Positive, options
from bn_mappo.core.ranks import add_up, largest, total
from bn_mappo.core.ranks import size as n_ranks
from bn_mappo.core.schedules import NonNegativeSchedule, PositiveSchedule
from bn_mappo.core.seeding import Generators
from bn_mappo.core.specs import EnvInfo
from bn_mappo.data.batch import EpisodeBatch, Field, Scheme
from bn_mappo.learners.flat_parameters import flat_groups
from bn_mappo.learners.learner import Learner, Statistics
from bn_mappo.learners.losses import clipped_surrogate, clipped_value_loss, masked_mean, weighted_sum
from bn_mappo.learners.returns import generalised_advantages
from bn_mappo.learners.running_stats import RunningMoments
from bn_mappo.modules.critics.critics import REGISTRY as CRITICS
from bn_mappo.modules.critics.critics import Critic, MACCritic


class Targets(NamedTuple):
    """What the epochs of one update aim at; V = 1 or N values a step."""

    advantage: Tensor  # [B, T, V]
    target: Tensor  # [B, T, V] returns, in normalised units
    old_value: Tensor  # [B, T, V] likewise
    weight: Tensor  # [B, T, N] 1 where an agent had a choice in a step that is data
    value_weight: Tensor  # [B, T, V] 1 where the step is data
    step_weight: Tensor  # [B, T] likewise; of a mini-batch each of the three weights sums to 1 over all ranks


@options
class PPOOptions:
    """Keys of learner=ppo_learner."""

    hidden_dim: Count
    critic_type: Annotated[Chosen, CRITICS]
    lr: PositiveSchedule
    optim_eps: Positive
    grad_norm_clip: Positive
    gamma: Fraction
    gae_lambda: Fraction
    epochs: Count
    batch_size: Count | None
    eps_clip: Positive
    value_clip: NonNegative
    huber_delta: Positive
    value_coef: NonNegative
    entropy_coef: NonNegativeSchedule
    standardise_advantages: bool
    standardise_returns: bool
    returns_decay: Annotated[float, Limits(ge=0, lt=1)]
    popart: bool
    bootstrap_truncated: bool


class PPOLearner(Learner):
    """Owns critic, optimiser and value normalisation."""

    Options: ClassVar[type] = PPOOptions
    options: PPOOptions
    extra_losses: ClassVar[frozenset[str]] = frozenset()  # parts of a policy, besides actions, that it has a loss for

    def __init__(self, options: PPOOptions, info: EnvInfo, mac: MAC, generators: Generators):
        super().__init__(options, info, mac, generators)
        self.critic = make_critic(options, info, mac, generators)
        learned = {"values"} if isinstance(self.critic, MACCritic) else set()
        if problem := mac.unlearned_by(self.extra_losses | learned):
            raise ConfigError(problem)
        if info.n_rewards > 1 and not self.critic.is_per_agent:
            raise ConfigError(
                f"critic_type={options.critic_type.name} gives one value for all agents, and common_reward=False each "
                "agent a reward of its own: set critic_type=ac_critic or as_critic, or common_reward=True"
            )
        self.value_moments = RunningMoments(options.returns_decay).to(generators.device)
        of_mac = mac.parameter_groups()
        shares_weights = isinstance(self.critic, MACCritic)
        of_critic = [] if shares_weights else [self.critic.parameters()]
        groups, self.gradient = flat_groups([*(group.parameters for group in of_mac), *of_critic])
        actor, self.critic_groups = groups[: len(of_mac)], groups[len(of_mac) :]
        self.clipped_groups = [flat for flat, group in zip(actor, of_mac, strict=True) if group.is_clipped]
        rates = [(group.lr or options.lr) for group in of_mac]
        if not shares_weights:
            rates.append(options.critic_type.options.critic_lr)
        self.rates = list(dict.fromkeys(rates))  # groups of one rate are one group of the optimiser: a call less
        vectors = [flat.vector for flat in groups]
        self.optimiser = torch.optim.Adam(
            [{"params": [v for v, r in zip(vectors, rates, strict=True) if r == rate]} for rate in self.rates],
            lr=options.lr(0.0),
            eps=options.optim_eps,
            fused=True,
        )

    @classmethod
    def check_games(cls, options: PPOOptions, n_games: int) -> None:
        """ConfigError where the games that are played at once cannot be cut into mini-batches."""
        if options.batch_size and n_games % options.batch_size:
            raise ConfigError(
                f"batch_size={options.batch_size} must divide batch_size_run={n_games}: "
                "a gradient step takes whole segments of batch_size games"
            )

    def scheme(self) -> Scheme:
        shapes = {"state": (self.info.state_dim,), "obs": (self.info.n_agents, self.info.obs_dim)}
        observed = {name: Field(shapes[name]) for name in self.critic.fields}
        reward = Field(()) if self.info.n_rewards == 1 else Field((self.info.n_rewards,))
        active = {"active": Field((self.info.n_agents,))} if self.info.agents_leave else {}
        ends = {name: Field(()) for name in ("terminated", "truncated")}
        return {**observed, "reward": reward, **active, **ends}

    def train(self, batch: EpisodeBatch, fraction: float, collect_stats: bool = True) -> Statistics:
        """One update from a batch, which is not needed again."""
        self._set_learning_rates(fraction)
        targets = self.compute_targets(batch)
        statistics: Statistics = {}
        before_first_step: Statistics = {}
        for epoch in range(self.options.epochs):
            is_last = epoch == self.options.epochs - 1
            for part, part_targets in self.mini_batches(batch, targets):
                statistics = self.step(part, part_targets, fraction, collect_stats and is_last)
                if not before_first_step:  # all ratios are 1 to rounding
                    errors = [name for name in statistics if name.endswith("ratio_error")]
                    before_first_step = {f"first_{name}": statistics[name] for name in errors}
        self.refuse_steps()
        return with_largest_errors({**statistics, **before_first_step})

    @property
    def pays_agents(self) -> bool:
        """Whether agents are paid one by one."""
        return self.info.n_rewards > 1

    @torch.no_grad()
    def compute_targets(self, batch: EpisodeBatch) -> Targets:
        """Values, advantages and returns of the batch under the present critic."""
        following = batch.following
        assert following is not None, "advantages are taken of whole segments"
        last = {name: following.last[name].unsqueeze(1) for name in self.critic.fields}  # [B, 1, ...]
        output = self.critic({name: torch.cat([batch[name], last[name]], dim=1) for name in last})  # [B, T + 1, V]
        value = self._in_rewards(output)  # [B, T + 1, V]
        next_value = value[:, 1:].clone()  # [B, T, V]
        if len(following.final_rows):
            games, steps = following.final_rows.unbind(-1)
            next_value[games, steps] = self._in_rewards(self.critic(following.final))
        terminated, truncated = batch["terminated"].unsqueeze(-1), batch["truncated"].unsqueeze(-1)  # [B, T, 1]
        done = torch.maximum(terminated, truncated)
        ends = terminated if self.options.bootstrap_truncated else done
        if self.pays_agents and self.info.agents_leave:  # the episode of an agent ends when it leaves
            left = 1 - batch.next("active")  # [B, T, N]
            ends, done = torch.maximum(ends, left), torch.maximum(done, left)
        reward = batch["reward"] if self.pays_agents else batch["reward"].unsqueeze(-1)  # [B, T, 1 or N]
        advantage = generalised_advantages(
            reward,
            value[:, :-1],
            next_value,
            ends,
            done,
            self.options.gamma,
            self.options.gae_lambda,
        )  # [B, T, V]
        returns, counts = advantage + value[:, :-1], self.value_weight(batch)  # [B, T, V]
        if self.options.standardise_returns:
            before = self.value_moments.moments()
            self.value_moments.update(returns, counts)
            if self.options.popart:
                output = self._keep_values(output, *before)
            returns = self.value_moments.normalise(returns)
        if self.options.standardise_advantages:
            mean = masked_mean(advantage, counts)
            deviation = masked_mean((advantage - mean).square(), counts).sqrt()
            advantage = (advantage - mean) / (deviation + 1e-8)
        # the clipping starts from what the critic puts out, also where the moments have just moved
        return Targets(advantage, returns, output[:, :-1], self.weight(batch), counts, batch["filled"])

    def _keep_values(self, output: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
        """Let the critic say the same in units of rewards as before the moments moved; returns its new output.

        PopArt (van Hasselt et al. 2016b, "Learning values across many orders of magnitude", proposition 1).
        """
        new_mean, new_deviation = self.value_moments.moments()
        scale, shift = deviation / new_deviation, (mean - new_mean) / new_deviation
        self.critic.rescale(scale, shift)
        return scale * output + shift

    def _in_rewards(self, value: Tensor) -> Tensor:
        return self.value_moments.denormalise(value) if self.options.standardise_returns else value

    def mini_batches(self, batch: EpisodeBatch, targets: Targets) -> Iterator[tuple[EpisodeBatch, Targets]]:
        """The batch in random parts of `batch_size` games, each with weights that sum to 1 over all ranks."""
        size = self.options.batch_size // n_ranks() if self.options.batch_size else batch.batch_size
        if size == batch.batch_size:
            (sums,) = total(torch.stack([weight.sum() for weight in weights_of(targets)])[None])
            yield batch, with_sums_of_one(targets, sums)
            return
        shuffled = torch.randperm(batch.batch_size, generator=self.generators["mini_batches"]).to(batch.device)
        of_games = torch.stack([weight.flatten(1).sum(1) for weight in weights_of(targets)], dim=-1)  # [B, 3]
        parts = shuffled.split(size)
        all_sums = total(torch.stack([of_games[games].sum(0) for games in parts]))  # [parts, 3], in one sum over ranks
        for games, sums in zip(parts, all_sums, strict=True):
            yield batch.games(games), with_sums_of_one(Targets(*(target[games] for target in targets)), sums)

    def step(self, batch: EpisodeBatch, targets: Targets, fraction: float, collect_stats: bool) -> Statistics:
        """One gradient step on policy and critic; without `collect_stats` few statistics."""
        options = self.options
        evaluation = self.mac.evaluate(batch, fraction, self.generators, collect_stats)
        weight = targets.weight  # [B, T, N]
        surrogate, ratio = self.surrogate(evaluation, batch, targets)
        entropy = (evaluation.entropy * weight).sum()
        extra, statistics = self.extra_loss(evaluation, batch, targets, fraction)
        value = self.critic(batch.fields) if evaluation.values is None else evaluation.values  # [B, T, V]
        critic_loss = clipped_value_loss(
            value,
            targets.old_value,
            targets.target,
            targets.value_weight,
            options.value_clip,
            options.huber_delta,
        )
        policy_loss = -surrogate - options.entropy_coef(fraction) * entropy + extra
        self.gradient.zero_()
        (policy_loss + options.value_coef * critic_loss).backward()
        add_up(self.gradient)
        losses = {"pg_loss": -surrogate, "entropy": entropy, "extra_loss": extra, "critic_loss": critic_loss}
        statistics["agent_grad_norm"] = self.clip(self.clipped_groups, options.grad_norm_clip, losses)
        if self.critic_groups:
            statistics["critic_grad_norm"] = self.clip(self.critic_groups, options.grad_norm_clip, losses)
        self.optimiser.step()
        statistics["ratio_error"] = ratio_error(ratio, weight)
        if collect_stats:
            sums = total(torch.stack([loss.detach() for loss in losses.values()]))
            statistics |= dict(zip(losses, sums, strict=True))
            statistics["approx_kl"] = weighted_sum(ratio - 1 - ratio.log(), weight)
            statistics["clip_fraction"] = weighted_sum(((ratio - 1).abs() > options.eps_clip).float(), weight)
            statistics["advantage_mean"] = weighted_sum(team_advantage(targets).squeeze(-1), targets.step_weight)
            for name, values in (evaluation.dag_stats or {}).items():
                statistics[name] = weighted_sum(values, targets.step_weight)
        return statistics

    def surrogate(self, evaluation: Evaluation, batch: EpisodeBatch, targets: Targets) -> tuple[Tensor, Tensor]:
        """What the policy gains (the own rank's term), and its ratio [B, T, N] to the one that acted."""
        return clipped_surrogate(
            evaluation.log_prob, batch["log_prob"], targets.advantage, targets.weight, self.options.eps_clip
        )

    def weight(self, batch: EpisodeBatch) -> Tensor:
        """[B, T, N]: 1 where an agent had a choice in a step that is data; dead agents have only one action."""
        weight = batch["filled"].unsqueeze(-1).expand_as(batch["log_prob"])
        if self.info.agents_leave:
            weight = weight * batch["active"]
        if self.info.masks_actions:
            weight = weight * (batch["avail_actions"].sum(-1) > 1)
        return weight

    def value_weight(self, batch: EpisodeBatch) -> Tensor:
        """[B, T, V]: 1 where a step is data and, where agents are paid one by one, the agent is there.

        Where the team is paid, what it earns when an agent has left is still worth something to that agent.
        """
        filled = batch["filled"].unsqueeze(-1)  # [B, T, 1]
        if not self.critic.is_per_agent:
            return filled
        if self.pays_agents and self.info.agents_leave:
            return filled * batch["active"]
        return filled.expand(-1, -1, self.info.n_agents)

    def extra_loss(
        self, evaluation: Evaluation, batch: EpisodeBatch, targets: Targets, fraction: float
    ) -> tuple[Tensor, Statistics]:
        """What else the policy loss holds (the own rank's term), and its statistics; nothing here.

        Names that end in ratio_error are largest errors of the own rank; all others hold over all ranks.
        """
        return evaluation.log_prob.new_zeros(()), {}

    def _set_learning_rates(self, fraction: float) -> None:
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate(fraction)

    def networks(self) -> dict[str, nn.Module]:
        return {"critic": self.critic}

    def other_tensors(self) -> list[Tensor]:
        return list(self.value_moments.buffers())

    def state_dict(self) -> dict[str, Any]:
        return {
            "mac": self.mac.state_dict(),
            "critic": self.critic.state_dict(),
            "value_moments": self.value_moments.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.mac.load_state_dict(state["mac"])
        self.critic.load_state_dict(state["critic"])
        self.value_moments.load_state_dict(state["value_moments"])
        self.optimiser.load_state_dict(state["optimiser"])


def team_advantage(targets: Targets) -> Tensor:
    """Mean advantage of the agents that are there, [B, T, 1]."""
    if targets.advantage.shape[-1] == 1:
        return targets.advantage
    is_there = (targets.value_weight > 0).float()  # [B, T, N]
    return (targets.advantage * is_there).sum(-1, keepdim=True) / is_there.sum(-1, keepdim=True).clamp(min=1)


def weights_of(targets: Targets) -> tuple[Tensor, Tensor, Tensor]:
    """The three weights."""
    return targets.weight, targets.value_weight, targets.step_weight


def with_sums_of_one(targets: Targets, sums: Tensor) -> Targets:
    """Weighted sums are then means over what counts; `sums` [3] of the weights, all 0 where nothing counts."""
    weight, value_weight, step_weight = (w / s.clamp(min=1.0) for w, s in zip(weights_of(targets), sums, strict=True))
    return targets._replace(weight=weight, value_weight=value_weight, step_weight=step_weight)


def ratio_error(ratio: Tensor, weight: Tensor) -> Tensor:
    """max |ratio - 1| over what counts."""
    return ((ratio - 1).abs() * (weight > 0)).amax()


def with_largest_errors(statistics: Statistics) -> Statistics:
    """Ratio errors over all ranks, in one comparison."""
    names = [name for name in statistics if name.endswith("ratio_error")]
    return {**statistics, **dict(zip(names, largest(torch.stack([statistics[n] for n in names])), strict=True))}


def make_critic(options: PPOOptions, info: EnvInfo, mac: MAC, generators: Generators) -> Critic:
    """The critic that critic_type names; ConfigError where the controller has no values for it."""
    entry = CRITICS[options.critic_type.name]
    if entry is MACCritic:
        if not mac.has_values:
            raise ConfigError(
                "critic_type=mac_critic takes the values from the controller, and this one has none: "
                "set mac=mat_controller, or critic_type=cv_critic"
            )
        return MACCritic(mac.obs_values, mac.value_layer)
    critic: Critic = entry(info, options.hidden_dim, generators["critic_init"])
    return critic.to(generators.device)
