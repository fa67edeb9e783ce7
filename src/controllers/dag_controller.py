"""Agents that act along a DAG: parents first, children knowing what their parents do."""

import torch
from torch import Tensor
from torch.nn import functional

from bn_mappo.config.schema import Config, schedule
from bn_mappo.controllers.basic_controller import BasicMAC, Evaluation, Selection, Step
from bn_mappo.core.schedules import Linear
from bn_mappo.core.seeding import Generators
from bn_mappo.data.batch import EpisodeBatch, Field, Scheme
from bn_mappo.envs.vec_env import EnvInfo
from bn_mappo.modules.action_selectors import choose, gumbel_noise, log_prob_of
from bn_mappo.modules.dag.generators import DAG, DAGGenerator, NoiseScale
from bn_mappo.modules.dag.generators import REGISTRY as GENERATORS
from bn_mappo.modules.dag.ops import communication, density, depth

STATISTICS = ("dag_density", "dag_edges", "dag_depth", "dag_bytes", "kl_to_empty_dag")


class DAGMAC(BasicMAC):
    """Controller of the BN policy pi(a|o) = prod_i pi^i(a^i | o^i, a^{P^i}). Owns the actor and the DAG generator."""

    action_codes: Tensor

    def __init__(self, config: Config, info: EnvInfo, generators: Generators):
        super().__init__(config, info, generators)
        context_shape = (info.n_agents, info.obs_dim) if config.dag.context == "obs" else (1, info.state_dim)
        build = GENERATORS[config.dag.generator]
        with torch.random.fork_rng(devices=[]):  # the DAG networks take torch's default initialisation
            torch.manual_seed(generators["dag_init"].initial_seed())
            self.dag: DAGGenerator = build(config.dag, info.n_agents, context_shape, config.hidden_dim)
        self.register_buffer("action_codes", torch.eye(info.n_actions), persistent=False)  # [A, A]
        self.temperature: Linear = schedule(config.dag.temperature)
        self.edge_noise, self.order_noise = schedule(config.dag.edge_noise), schedule(config.dag.order_noise)

    def parent_dim(self) -> int:
        if self.config.dag.generator == "empty":
            return 0
        hears_obs = self.config.dag.parent_inputs == "actions_and_obs"
        return self.info.n_actions + self.info.obs_dim * hears_obs

    @property
    def hears_nobody(self) -> bool:
        """Whether no agent ever has a parent: then the policy is that of MAPPO, and is computed as such."""
        return self.dag.is_empty or self.config.dag.generator == "empty"

    def scheme(self) -> Scheme:
        noise = {name: Field(shape) for name, shape in self.dag.noise_shapes().items()}
        state = {"state": Field((self.info.state_dim,))} if self.config.dag.context == "state" else {}
        order = {"dag_order": Field((self.info.n_agents,), torch.int64)} if self.dag.records_order else {}
        order_log_prob = {"dag_order_log_prob": Field(())} if self.dag.order_is_action else {}
        return {**super().scheme(), **noise, **state, **order, **order_log_prob}

    def draw_noise(
        self, batch_size: int, generators: Generators, fraction: float, greedy: bool = False
    ) -> dict[str, Tensor]:
        action_noise = super().draw_noise(batch_size, generators, fraction, greedy)
        if greedy and not self.dag.is_random:
            return action_noise
        scale = NoiseScale(self.edge_noise(fraction), self.order_noise(fraction))
        dag_noise = self.dag.draw_noise(batch_size, scale, generators["dag"])
        return {**action_noise, **dag_noise}

    def generate(
        self,
        obs: Tensor,
        state: Tensor | None,
        noise: dict[str, Tensor] | None,
        fraction: float,
        recorded_order: Tensor | None = None,
    ) -> DAG:
        """The DAGs of M steps: obs [M, N, D], state [M, S] and, of recorded steps, the order [M, N]."""
        context = obs if self.config.dag.context == "obs" or state is None else state.unsqueeze(1)  # [M, K, D]
        dag: DAG = self.dag(context, noise, self.temperature(fraction), recorded_order)
        return dag

    def parent_inputs(self, obs: Tensor, actions: Tensor) -> Tensor:
        """What each agent tells its children: obs [..., D] and actions [...] -> [..., A] or [..., A + D]."""
        one_hot = functional.embedding(actions, self.action_codes)  # [..., A]
        return torch.cat([one_hot, obs], dim=-1) if self.config.dag.parent_inputs == "actions_and_obs" else one_hot

    @torch.inference_mode()
    def select_actions(self, step: Step, hidden: Tensor, noise: dict[str, Tensor], fraction: float = 0.0) -> Selection:
        """Act in B games, children on what their parents do."""
        if self.hears_nobody:
            return super().select_actions(step, hidden, noise, fraction)
        dag_noise = {name: noise[name] for name in self.dag.noise_shapes() if name in noise}
        dag = self.generate(step.obs, step.state, dag_noise or None, fraction)
        own, hidden = self.encode_step(step, hidden)
        action_noise = noise.get("action_noise")
        actions, log_prob = self.act_along(dag.adjacency, own, step.obs, step.avail_actions, action_noise)
        recorded = {"log_prob": log_prob, "dag_order": dag.order, **dag_noise}
        if dag.order_log_prob is not None:
            recorded["dag_order_log_prob"] = dag.order_log_prob
        return Selection(actions, hidden, recorded, dag.adjacency)

    def act_along(
        self, adjacency: Tensor, own: Tensor, obs: Tensor, avail_actions: Tensor | None, noise: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Actions and their log-probabilities [B, N] of B games.

        From adjacency [B, N, N], the agents' own part [N, B, .], obs [B, N, D], avail_actions and noise [B, N, A]; None
        stands for: all available, and the likeliest ones.

        All agents choose at once, at first as if they had no parents, then on what their parents chose in the pass
        before. The noise stays the same, so an agent whose parents have settled has settled one pass later: an agent of
        depth d after d + 1 passes, and all of them, N at most, as soon as a pass changes nothing. It is the fixed point
        that acting one after another leads to, and an acyclic graph has only one.
        """
        logits = self.masked(self.actor.logits(own), avail_actions)  # [A, B, N]
        actions = choose(logits, noise)  # [B, N]
        for _ in range(obs.shape[1] - 1):
            before = actions
            logits = self.masked(self.local_logits(adjacency, own, obs, before), avail_actions)  # [A, B, N]
            actions = choose(logits, noise)
            if torch.equal(actions, before):
                break
        return actions, log_prob_of(logits, actions)

    def evaluate(
        self, batch: EpisodeBatch, fraction: float, generators: Generators, with_stats: bool = False
    ) -> Evaluation:
        """One pass over all recorded steps: every parent's action is known."""
        if self.hears_nobody:
            evaluation = super().evaluate(batch, fraction, generators)
            nothing = batch["filled"].new_zeros(()).expand_as(batch["filled"])  # [B, T]
            adjacency = nothing[..., None, None].expand(*nothing.shape, self.info.n_agents, self.info.n_agents)
            stats = dict.fromkeys(STATISTICS, nothing) if with_stats else None
            return evaluation._replace(adjacency=adjacency, dag_stats=stats)
        dag = self.rebuild(batch, fraction, generators)
        adjacency = dag.adjacency  # [B*T, N, N]
        own = self.encode_batch(batch)  # [N, B*T, .]
        heard_actions = self.heard_actions(dag, own, batch, generators)  # [B*T, N]
        logits = self.local_logits(adjacency, own, batch["obs"].flatten(0, 1), heard_actions)
        evaluation = self.score(logits, batch)
        stats = self.dag_stats(adjacency, own, logits, batch) if with_stats else None
        shape = batch["filled"].shape  # B, T
        order_log_prob = None if dag.order_log_prob is None else dag.order_log_prob.view(shape)
        return evaluation._replace(
            adjacency=adjacency.unflatten(0, shape), order_log_prob=order_log_prob, dag_stats=stats
        )

    @torch.no_grad()
    def heard_actions(self, dag: DAG, own: Tensor, batch: EpisodeBatch, generators: Generators) -> Tensor:
        """The parents' actions [B*T, N] that children are told: the recorded ones or, on request, fresh ones."""
        if self.config.dag.parent_actions == "recorded":
            return batch["actions"].flatten(0, 1)
        obs = batch["obs"].flatten(0, 1)  # [B*T, N, D]
        noise = gumbel_noise((*obs.shape[:2], self.info.n_actions), generators["actions_resample"], obs.device)
        return self.act_along(dag.adjacency, own, obs, self.avail_actions(batch), noise)[0]

    def local_logits(self, adjacency: Tensor, own: Tensor, obs: Tensor, actions: Tensor) -> Tensor:
        """Logits [N, M, A] of every pi^i(. | o^i, a^{P^i}) in M steps whose joint actions are known.

        adjacency [M, N, N], the agents' own part [N, M, .], obs [M, N, D], actions [M, N].
        """
        if self.hears_nobody:
            return self.actor.logits(own)
        inputs = self.parent_inputs(obs, actions).transpose(0, 1)  # [N, M, .]
        messages = self.actor.listening.messages(inputs)  # [N, M, .]
        aggregated = self.actor.listening.aggregate_parents(adjacency, messages)  # [N, M, .]
        return self.actor.logits(own, aggregated)

    def rebuild(self, batch: EpisodeBatch, fraction: float, generators: Generators) -> DAG:
        """The DAGs of recorded steps from present logits and recorded (or, on request, fresh) noise."""
        obs = batch["obs"].flatten(0, 1)  # [B*T, N, D]
        state = batch["state"].flatten(0, 1) if self.config.dag.context == "state" else None  # [B*T, S]
        if self.config.dag.noise == "replay":
            noise = {name: batch[name].flatten(0, 1) for name in self.dag.noise_shapes()}
        else:
            scale = NoiseScale(self.edge_noise(fraction), self.order_noise(fraction))
            noise = self.dag.draw_noise(len(obs), scale, generators["dag_resample"])
        recorded_order = batch["dag_order"].flatten(0, 1) if self.dag.records_order else None  # [B*T, N]
        return self.generate(obs, state, noise, fraction, recorded_order)

    @torch.no_grad()
    def dag_stats(self, adjacency: Tensor, own: Tensor, logits: Tensor, batch: EpisodeBatch) -> dict[str, Tensor]:
        """Facts of M = B*T DAGs and of what they change in the policy, [B, T] each; see docs/bn_mappo.md."""
        avail = self.avail_actions(batch)
        with_parents = self.masked(logits, avail).log_softmax(0)  # [A, B*T, N]
        without = self.masked(self.actor.logits(own), avail).log_softmax(0)  # [A, B*T, N]
        divergence = (with_parents.exp() * (with_parents - without)).sum(0)  # [B*T, N]
        messages, n_bytes = communication(adjacency, message_bytes=4 * self.parent_dim())  # float32
        depths = depth(adjacency).amax(-1).float()  # [B*T]
        values = (density(adjacency), messages, depths, n_bytes, divergence.mean(-1))
        return {name: value.view(batch["filled"].shape) for name, value in zip(STATISTICS, values, strict=True)}
