"""Agents that act along a DAG: parents first, children knowing what their parents do."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from components.action_selectors import choose, mask_logits
from components.episode_buffer import EpisodeBatch, Field, Scheme
from components.schedules import Linear
from controllers.basic_controller import BasicMAC, Evaluation, Selection, Step
from envs.vec_env import EnvInfo
from modules.dag.generators import DAG, DAGGenerator, NoiseScale
from modules.dag.generators import REGISTRY as GENERATORS
from modules.dag.ops import communication, density, depth
from utils.config import Config, schedule
from utils.seeding import Generators


STATISTICS = ("dag_density", "dag_edges", "dag_depth", "dag_bytes", "kl_to_empty_dag")


class Level(NamedTuple):
    """The agents of B games whose turn it is: all of one depth."""

    games: Tensor  # [R]
    agents: Tensor  # [R]
    rows: Tensor  # [R]: game * N + agent


def levels(adjacency: Tensor) -> list[Level]:
    """Who acts together, shallowest first; adjacency [B, N, N]. Every agent is in exactly one level."""
    n_agents = adjacency.shape[-1]
    depths = depth(adjacency).flatten()  # [B * N]
    by_depth = depths.argsort(stable=True)  # [B * N]
    rows_of = by_depth.split(torch.bincount(depths).tolist())
    return [Level(rows // n_agents, rows % n_agents, rows) for rows in rows_of]


class DAGMAC(BasicMAC):
    """Controller of the BN policy pi(a|o) = prod_i pi^i(a^i | o^i, a^{P^i}). Owns the actor and the DAG generator."""

    def __init__(self, config: Config, info: EnvInfo, generators: Generators):
        super().__init__(config, info, generators)
        context_shape = (info.n_agents, info.obs_dim) if config.dag.context == "obs" else (1, info.state_dim)
        build = GENERATORS[config.dag.generator]
        with torch.random.fork_rng(devices=[]):  # the DAG networks take torch's default initialisation
            torch.manual_seed(generators["dag_init"].initial_seed())
            self.dag: DAGGenerator = build(config.dag, info.n_agents, context_shape, config.hidden_dim)
        self.temperature: Linear = schedule(config.dag.temperature)
        self.edge_noise, self.order_noise = schedule(config.dag.edge_noise), schedule(config.dag.order_noise)

    def parent_dim(self) -> int:
        hears_obs = self.config.dag.parent_inputs == "actions_and_obs"
        return self.info.n_actions + self.info.obs_dim * hears_obs

    def scheme(self) -> Scheme:
        noise = {name: Field(shape) for name, shape in self.dag.noise_shapes().items()}
        state = {"state": Field((self.info.state_dim,))} if self.config.dag.context == "state" else {}
        return {**super().scheme(), **noise, **state}

    def draw_noise(self, batch_size: int, generators: Generators, fraction: float) -> dict[str, Tensor]:
        scale = NoiseScale(self.edge_noise(fraction), self.order_noise(fraction))
        dag_noise = self.dag.draw_noise(batch_size, scale, generators["dag"])
        return {**super().draw_noise(batch_size, generators, fraction), **dag_noise}

    def generate(
        self, obs: Tensor, state: Tensor | None, noise: dict[str, Tensor] | None, fraction: float
    ) -> DAG:
        """The DAGs of M steps: obs [M, N, D], state [M, S] -> adjacency [M, N, N]."""
        context = obs if self.config.dag.context == "obs" or state is None else state.unsqueeze(1)  # [M, K, D]
        dag: DAG = self.dag(context, noise, self.temperature(fraction))
        return dag

    def parent_inputs(self, obs: Tensor, actions: Tensor) -> Tensor:
        """What each agent tells its children: obs [..., D] and actions [...] -> [..., A] or [..., A + D]."""
        one_hot = functional.one_hot(actions, self.info.n_actions).to(obs.dtype)  # [..., A]
        return torch.cat([one_hot, obs], dim=-1) if self.config.dag.parent_inputs == "actions_and_obs" else one_hot

    @torch.no_grad()
    def select_actions(
        self, step: Step, hidden: Tensor, noise: dict[str, Tensor] | None, fraction: float = 0.0
    ) -> Selection:
        """Act in B games, all agents of one depth at once: depth + 1 passes, B * N rows in all of them together."""
        if self.dag.is_empty:
            return super().select_actions(step, hidden, noise, fraction)
        dag = self.generate(step.obs, step.state, noise, fraction)
        features, hidden = self.encode_step(step, hidden)
        actions, log_prob = self.act_along(dag.adjacency, features, step, noise)
        dag_noise = {name: noise[name] for name in self.dag.noise_shapes()} if noise else {}
        return Selection(actions, hidden, {"log_prob": log_prob, **dag_noise}, dag.adjacency)

    def act_along(
        self, adjacency: Tensor, features: Tensor, step: Step, noise: dict[str, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        """Actions and their log-probabilities [B, N] along adjacency [B, N, N], from features [B, N, H]."""
        listening = self.actor.listening
        assert listening is not None, "a DAG controller's actor listens to parents"
        n_games, n_agents, _ = adjacency.shape
        parents = adjacency.mT.flatten(0, 1)  # [B * N, N]
        flat_features, flat_obs = features.flatten(0, 1), step.obs.flatten(0, 1)  # [B * N, .]
        flat_avail = None if step.avail_actions is None else step.avail_actions.flatten(0, 1)  # [B * N, A]
        flat_noise = noise["action_noise"].flatten(0, 1) if noise else None  # [B * N, A]
        messages = features.new_zeros(n_games, n_agents, listening.message_dim)
        actions = torch.zeros(n_games * n_agents, dtype=torch.long, device=features.device)
        log_prob = features.new_zeros(n_games * n_agents)
        schedule_ = levels(adjacency)
        for position, (games, agents, rows) in enumerate(schedule_):
            heard = None
            if position > 0:
                heard = listening.listen(parents[rows].unsqueeze(1), messages[games], agents).squeeze(1)  # [R, .]
            logits = self.actor.logits(flat_features[rows], heard, agents)  # [R, A]
            logits = mask_logits(logits, None if flat_avail is None else flat_avail[rows])
            log_probs = logits.log_softmax(-1)  # [R, A]
            chosen = choose(log_probs, None if flat_noise is None else flat_noise[rows])  # [R]
            actions[rows] = chosen
            log_prob[rows] = log_probs.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
            if position + 1 < len(schedule_):
                said = self.parent_inputs(flat_obs[rows], chosen)  # [R, A] or [R, A + D]
                messages.view(n_games * n_agents, -1)[rows] = listening.messages(said, agents)
        return actions.view(n_games, n_agents), log_prob.view(n_games, n_agents)

    def evaluate(
        self, batch: EpisodeBatch, fraction: float, generators: Generators, with_stats: bool = False
    ) -> Evaluation:
        """One pass over all recorded steps: every parent's action is known."""
        if self.dag.is_empty:
            evaluation = super().evaluate(batch, fraction, generators)
            nothing = torch.zeros_like(batch["filled"])  # [B, T]
            adjacency = nothing.new_zeros(self.info.n_agents, self.info.n_agents).expand(*nothing.shape, -1, -1)
            return evaluation._replace(adjacency=adjacency, dag_stats=dict.fromkeys(STATISTICS, nothing))
        shape = batch["actions"].shape  # B, T, N
        obs = batch["obs"].flatten(0, 1)  # [B*T, N, D]
        adjacency = self.rebuild(batch, fraction, generators).adjacency  # [B*T, N, N]
        features = self.encode_batch(batch).flatten(0, 1)  # [B*T, N, H]
        listening = self.actor.listening
        assert listening is not None, "a DAG controller's actor listens to parents"
        messages = listening.messages(self.parent_inputs(obs, batch["actions"].flatten(0, 1)))  # [B*T, N, .]
        logits = self.actor.logits(features, listening.listen(adjacency.mT, messages))  # [B*T, N, A]
        evaluation = self.score(logits, batch)
        stats = self.dag_stats(adjacency, features, logits, batch) if with_stats else None
        return evaluation._replace(adjacency=adjacency.unflatten(0, shape[:2]), dag_stats=stats)

    def rebuild(self, batch: EpisodeBatch, fraction: float, generators: Generators) -> DAG:
        """The DAGs of recorded steps from present logits and recorded (or, on request, fresh) noise."""
        obs = batch["obs"].flatten(0, 1)  # [B*T, N, D]
        state = batch["state"].flatten(0, 1) if self.config.dag.context == "state" else None  # [B*T, S]
        if self.config.dag.noise == "replay":
            noise = {name: batch[name].flatten(0, 1) for name in self.dag.noise_shapes()}
        else:
            scale = NoiseScale(self.edge_noise(fraction), self.order_noise(fraction))
            noise = self.dag.draw_noise(len(obs), scale, generators["dag_resample"])
        return self.generate(obs, state, noise, fraction)

    @torch.no_grad()
    def dag_stats(
        self, adjacency: Tensor, features: Tensor, logits: Tensor, batch: EpisodeBatch
    ) -> dict[str, Tensor]:
        """Facts of M = B*T DAGs and of what they change in the policy, [B, T] each; see docs/bn_mappo.md."""
        avail = batch["avail_actions"].flatten(0, 1) if self.info.masks_actions else None
        with_parents = mask_logits(logits, avail).log_softmax(-1)  # [B*T, N, A]
        without = mask_logits(self.actor.logits(features), avail).log_softmax(-1)  # [B*T, N, A]
        divergence = (with_parents.exp() * (with_parents - without)).sum(-1)  # [B*T, N]
        messages, n_bytes = communication(adjacency, message_bytes=4 * self.parent_dim())  # float32
        depths = depth(adjacency).amax(-1).float()  # [B*T]
        values = (density(adjacency), messages, depths, n_bytes, divergence.mean(-1))
        return {name: value.view(batch["filled"].shape) for name, value in zip(STATISTICS, values, strict=True)}
