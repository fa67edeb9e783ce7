"""Value-based learning for cooperating agents (IQL, VDN, QMIX): gradient steps on replayed episodes."""

import copy
import os
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn

from bn_mappo.controllers.basic_controller import BasicMAC
from bn_mappo.controllers.value_controller import QMAC
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.options import Chosen, Count, Fraction, Limits, Positive, options
from bn_mappo.core.ranks import add_up, largest, total
from bn_mappo.core.ranks import size as n_ranks
from bn_mappo.core.schedules import PositiveSchedule
from bn_mappo.core.seeding import Generators
from bn_mappo.core.specs import EnvInfo
from bn_mappo.data.batch import FILLED, EpisodeBatch, Field, Scheme
from bn_mappo.data.replay import STEP, Replay, n_bytes
from bn_mappo.learners.flat_parameters import FlatParameters
from bn_mappo.learners.learner import Learner, Statistics
from bn_mappo.learners.losses import clipped_value_loss, masked_mean, normalised
from bn_mappo.learners.returns import lambda_returns
from bn_mappo.learners.running_stats import RunningMoments
from bn_mappo.modules.mixers.mixers import REGISTRY as MIXERS
from bn_mappo.modules.mixers.mixers import Mixer

GIB = 2**30


@options
class QOptions:
    """Keys of learner=q_learner."""

    mixer: Annotated[Chosen, MIXERS]
    lr: PositiveSchedule
    optim_eps: Positive
    grad_norm_clip: Positive
    gamma: Fraction
    td_lambda: Fraction
    double_q: bool
    huber_delta: Positive
    batch_size: Count
    samples_per_insert: Positive
    buffer_size: Count
    save_buffer: bool
    target_update_interval: Count
    target_update_tau: Annotated[float, Limits(gt=0, le=1)]
    standardise_rewards: bool
    standardise_returns: bool
    returns_decay: Annotated[float, Limits(ge=0, lt=1)]
    bootstrap_truncated: bool


class QLearner(Learner):
    """Q-learning on the values of single agents or, through a mixer, of the team (Rashid et al. 2018, equation 6).

    Owns mixer, target networks, optimiser and replay. A segment that comes in goes to the replay. As soon as that holds
    `batch_size` episodes, gradient steps are taken, each on as many of them, until `samples_per_insert` times as many
    recorded steps were learned from as came in. So an environment step costs the same however long episodes are.
    """

    Options: ClassVar[type] = QOptions
    options: QOptions
    mac: QMAC

    def __init__(self, options: QOptions, info: EnvInfo, mac: BasicMAC, generators: Generators):
        if not isinstance(mac, QMAC):
            raise ConfigError(
                "learner=q_learner learns the values that agents act on: set mac=q_controller or graph_controller"
            )
        super().__init__(options, info, mac, generators)
        if mac.n_terms != info.n_agents and options.mixer.name != "vdn":
            raise ConfigError(
                f"mixer={options.mixer.name}: on a coordination graph the value of the team is the sum of its terms: "
                "set mixer=vdn, or mac=q_controller"
            )
        self.mixer: Mixer = MIXERS[options.mixer.name](options.mixer.options, info, generators["mixer_init"])
        if info.n_rewards > 1 and not self.mixer.is_per_agent:
            raise ConfigError(
                f"mixer={options.mixer.name} learns one value of the team, and common_reward=False gives each agent a "
                "reward of its own: set common_reward=True, or mixer=none (iql)"
            )
        self.mixer.to(generators.device)
        self.pays_agents = info.n_rewards > 1
        self.target_mac, self.target_mixer = copy.deepcopy(mac), copy.deepcopy(self.mixer)
        self.trained = FlatParameters([*mac.parameters(), *self.mixer.parameters()])
        self.target = FlatParameters([*self.target_mac.parameters(), *self.target_mixer.parameters()])
        self.value_moments = RunningMoments(options.returns_decay).to(generators.device)
        self.reward_moments: RunningMoments | None = None  # of the rewards of all recorded steps
        if options.standardise_rewards:
            self.reward_moments = RunningMoments(options.returns_decay).to(generators.device)
        self.n_steps = torch.zeros((), dtype=torch.int64)  # gradient steps so far
        self.due = torch.zeros((), dtype=torch.float64)  # recorded steps to be learned from before the next segment
        self.optimiser = torch.optim.Adam([self.trained.vector], lr=options.lr(0.0), eps=options.optim_eps, fused=True)
        self.replay: Replay | None = None  # made when it is known how many games are played
        self.check_memory()

    @classmethod
    def check_games(cls, options: QOptions, n_games: int) -> None:
        if options.batch_size > options.buffer_size:
            raise ConfigError(
                f"batch_size={options.batch_size} must be at most buffer_size={options.buffer_size}: "
                "a gradient step takes batch_size different episodes out of the replay"
            )

    def check_memory(self) -> None:
        """ConfigError where the replay cannot fit into this machine."""
        if not hasattr(os, "sysconf"):  # Windows
            return
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        an_episode = n_bytes(self.replayed(), self.info.episode_limit + 1)
        needed = an_episode * self.options.buffer_size
        if needed > there:
            raise ConfigError(
                f"buffer_size={self.options.buffer_size}: as many episodes of {self.info.episode_limit} steps take "
                f"{needed / GIB:.1f} GiB, and this machine has {there / GIB:.1f}: set buffer_size to at most "
                f"{there // an_episode // 2}"
            )

    def scheme(self) -> Scheme:
        n_agents, of_game = self.info.n_agents, Field(())
        reward = Field((n_agents,)) if self.pays_agents else of_game
        state = {"state": Field((self.info.state_dim,))} if self.mixer.needs_state else {}
        active = {"active": Field((n_agents,))} if self.info.agents_leave else {}
        ends = {"terminated": of_game, "truncated": of_game, STEP: Field((), torch.int64)}
        return {"reward": reward, **state, **active, **ends}

    def replayed(self) -> Scheme:
        """All that is recorded of a step."""
        return {**self.mac.scheme(), **self.scheme()}

    def make_replay(self, n_games: int) -> Replay:
        """An empty replay of n_games that are played at once."""
        return Replay(self.replayed(), self.options.buffer_size // n_ranks(), n_games, self.info.episode_limit)

    @property
    def batch_size(self) -> int:
        """Episodes of a gradient step that this rank takes from its own replay."""
        return self.options.batch_size // n_ranks()

    def fewest_episodes(self) -> int:
        """Episodes in the replay, or in that of the rank which has the fewest."""
        assert self.replay is not None
        return -int(largest(torch.tensor(-self.replay.size)))

    def train(self, batch: EpisodeBatch, fraction: float, collect_stats: bool = True) -> Statistics:
        """Keep a segment, and take the gradient steps that are due; empty where none is, or too little is kept yet."""
        options = self.options
        if self.replay is None:
            self.replay = self.make_replay(batch.batch_size)
        self.replay.add(batch)
        if self.reward_moments is not None:
            filled = batch[FILLED].unsqueeze(-1) if self.pays_agents else batch[FILLED]  # [B, T] or [B, T, 1]
            self.reward_moments.update(batch["reward"], filled.expand_as(batch["reward"]))
        if self.fewest_episodes() < self.batch_size:
            return {}
        self.optimiser.param_groups[0]["lr"] = options.lr(fraction)
        self.due += options.samples_per_insert * batch.batch_size * batch.n_steps * n_ranks()
        statistics: Statistics = {}
        while self.due > 0:
            fields = self.replay.sample(self.batch_size, self.generators["replay"], self.generators.device)
            episodes = EpisodeBatch(fields, self.mac.init_hidden(len(fields[FILLED])))
            statistics = self.step(episodes, collect_stats)
            self.due -= total(episodes[FILLED].sum()).cpu()
        self.refuse_steps()
        if statistics and collect_stats:
            statistics["epsilon"] = torch.tensor(self.mac.options.epsilon(fraction))
            statistics["buffer_episodes"] = torch.tensor(self.replay.size)
        return statistics

    def step(self, episodes: EpisodeBatch, collect_stats: bool) -> Statistics:
        """One gradient step on episodes [B, T + 1] (Replay.sample); few statistics without `collect_stats`."""
        options = self.options
        values = self.mac.values(episodes)  # of B * (T + 1) steps: of single agents [N, B * (T + 1), A]
        target = self.targets(episodes, values)  # [B, T, V]
        taken = self.mixed(self.mixer, values, episodes["actions"], episodes)[:, :-1]  # [B, T, V]
        weight = self.weight(episodes)  # [B, T, V]
        if options.standardise_returns:
            self.value_moments.update(target, weight)
            target = self.value_moments.normalise(target)
        loss = clipped_value_loss(taken, taken.detach(), target, normalised(weight), 0.0, options.huber_delta)
        loss = loss + self.mac.extra_loss(values, normalised(episodes[FILLED]).flatten())
        self.trained.zero_grad()
        loss.backward()
        add_up(self.trained.gradient)
        norm = self.clip([self.trained], options.grad_norm_clip, {"loss": loss})
        self.optimiser.step()
        self.n_steps += 1
        if self.n_steps % options.target_update_interval == 0:
            self.target.vector.data.lerp_(self.trained.vector.data, options.target_update_tau)
        statistics = {"grad_norm": norm}
        if collect_stats:
            taken, target = self.in_rewards(taken.detach()), self.in_rewards(target)
            statistics["loss"] = total(loss.detach())
            statistics["td_error_abs"] = masked_mean((taken - target).abs(), weight)
            statistics["q_taken_mean"] = masked_mean(taken, weight)
            statistics["target_mean"] = masked_mean(target, weight)
        return statistics

    @torch.no_grad()
    def targets(self, episodes: EpisodeBatch, values: Any) -> Tensor:
        """Lambda returns [B, T, V] of the values of greedy actions; `values`: the present ones, as the mac gives them.

        With double_q the present values choose the actions, else those of the target network do (van Hasselt et al.
        2016, equation 4).
        """
        options, avail = self.options, self.mac.avail_actions(episodes)  # avail [B * (T + 1), N, A]
        of_target = self.target_mac.values(episodes)
        best = self.mac.best_actions(values if options.double_q else of_target, avail)  # [B * (T + 1), N]
        best = best.view(episodes["actions"].shape)  # [B, T + 1, N]
        value = self.mixed(self.target_mixer, of_target, best, episodes)  # [B, T + 1, V]
        is_last = self.is_last(episodes)  # [B, T, 1]
        terminated = episodes["terminated"][:, :-1].unsqueeze(-1)  # [B, T, 1]
        if not options.bootstrap_truncated:
            terminated = torch.maximum(terminated, is_last)
        reward = episodes["reward"][:, :-1]  # [B, T] or [B, T, N]
        if self.reward_moments is not None:
            reward = self.reward_moments.normalise(reward)
        if self.pays_agents:
            terminated = terminated.expand_as(reward)  # [B, T, N]
            if self.info.agents_leave:  # who leaves is paid no more
                terminated = torch.maximum(terminated, 1 - episodes["active"][:, 1:])
        else:
            reward = reward.unsqueeze(-1)  # [B, T, 1]
        next_value = self.in_rewards(value[:, 1:])  # [B, T, V]
        return lambda_returns(reward, next_value, terminated, is_last, options.gamma, options.td_lambda)

    def mixed(self, mixer: Mixer, values: Any, actions: Tensor, episodes: EpisodeBatch) -> Tensor:
        """Values of actions [B, T, N] -> [B, T, V]; agents that have left add nothing to the team's value."""
        active = episodes["active"] if self.info.agents_leave and not mixer.is_per_agent else None
        taken = self.mac.of_actions(values, actions, active)  # [B, T, N], or of all terms of a graph
        mixed: Tensor = mixer(taken, episodes["state"] if mixer.needs_state else None)
        return mixed

    def is_last(self, episodes: EpisodeBatch) -> Tensor:
        """1 in the last step of each episode, [B, T, 1]."""
        filled = episodes[FILLED]  # [B, T + 1]
        return (filled[:, :-1] * (1 - filled[:, 1:])).unsqueeze(-1)

    def weight(self, episodes: EpisodeBatch) -> Tensor:
        """[B, T, V]: 1 where a step is data and, where agents are paid one by one, the agent is there.

        Where the team is paid, agents that have left learn what that is worth: it is still theirs.
        """
        weight = episodes[FILLED][:, :-1].unsqueeze(-1)  # [B, T, 1]
        if not self.mixer.is_per_agent:
            return weight
        if self.pays_agents and self.info.agents_leave:
            return weight * episodes["active"][:, :-1]
        return weight.expand(-1, -1, self.info.n_agents)

    def in_rewards(self, value: Tensor) -> Tensor:
        """Values as they are learned, in units of rewards."""
        return self.value_moments.denormalise(value) if self.options.standardise_returns else value

    def networks(self) -> dict[str, nn.Module]:
        return {"mixer": self.mixer}

    def other_tensors(self) -> list[Tensor]:
        moments = [self.value_moments, *filter(None, [self.reward_moments])]
        return [*(b for part in moments for b in part.buffers()), self.target.vector, self.n_steps, self.due]

    def state_dict(self) -> dict[str, Any]:
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        counts = {"n_steps": self.n_steps.clone(), "due": self.due.clone()}
        return {**parts, "optimiser": self.optimiser.state_dict(), **counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.n_steps.copy_(state["n_steps"])
        self.due.copy_(state["due"])

    def _parts(self) -> dict[str, nn.Module]:
        own = {"mac": self.mac, "mixer": self.mixer, "value_moments": self.value_moments}
        of_rewards = {"reward_moments": self.reward_moments} if self.reward_moments is not None else {}
        return {**own, **of_rewards, "target_mac": self.target_mac, "target_mixer": self.target_mixer}

    def experience(self) -> dict[str, Any]:
        return {"replay": self.replay.state_dict()} if self.replay and self.options.save_buffer else {}

    def load_experience(self, state: dict[str, Any]) -> str:
        if "replay" not in state:
            return "the checkpoint has no replay (save_buffer=False): the run collects episodes anew before it learns"
        self.replay = self.make_replay(len(state["replay"]["running"]))
        self.replay.load_state_dict(state["replay"])
        return ""
