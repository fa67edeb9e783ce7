"""Agents that act along a DAG: parents first, children knowing what their parents do."""

from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional

from bn_mappo.controllers.basic_controller import (
    FLOAT_BYTES,
    BasicMAC,
    BasicOptions,
    Evaluation,
    Exchange,
    ParameterGroup,
    Selection,
    Step,
)
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.options import Chosen, options
from bn_mappo.core.schedules import NonNegativeSchedule, PositiveSchedule
from bn_mappo.core.seeding import Generators
from bn_mappo.core.specs import EnvInfo
from bn_mappo.data.batch import EpisodeBatch, Field, Scheme
from bn_mappo.modules.action_selectors import choose, gumbel_noise, kl_divergence, log_prob_of
from bn_mappo.modules.agents.actor import Features
from bn_mappo.modules.dag.generators import DAG, SCALES, DAGGenerator, NoiseScale, StaticDAG
from bn_mappo.modules.dag.generators import REGISTRY as GENERATORS
from bn_mappo.modules.dag.ops import communication, density, depth

EDGE_ACTIONS = "edges that are actions (dag.edges=bernoulli, dag.generator=gcs)"
STATISTICS = ("dag_density", "dag_edges", "dag_depth", "dag_bytes", "kl_to_empty_dag")


@options
class DAGOptions:
    """Keys of the section `dag` that every generator has; the generator's own keys stand beside them."""

    generator: Annotated[Chosen, GENERATORS]
    context: Literal["obs", "state"]
    lr: PositiveSchedule | None
    temperature: PositiveSchedule
    edge_noise: NonNegativeSchedule
    order_noise: NonNegativeSchedule
    noise: Literal["replay", "resample"]
    parent_actions: Literal["recorded", "resampled"]
    clip_gradients: bool
    parent_inputs: Literal["actions", "actions_and_obs"]


@options
class DAGMACOptions(BasicOptions):
    """Keys of mac=dag_controller."""

    dag: DAGOptions


class DAGMAC(BasicMAC):
    """Controller of the BN policy pi(a|o) = prod_i pi^i(a^i | o^i, a^{P^i}). Owns the actor and the DAG generator."""

    Options = DAGMACOptions
    options: DAGMACOptions
    action_codes: Tensor

    def __init__(self, options: DAGMACOptions, info: EnvInfo, generators: Generators):
        chosen, context = options.dag.generator, options.dag.context
        context_shape = (info.n_agents, info.obs_dim) if context == "obs" else (1, info.state_dim)
        with torch.random.fork_rng(devices=[]):  # the DAG networks take torch's default initialisation
            torch.manual_seed(generators["dag_init"].initial_seed())
            generator: type[DAGGenerator] = GENERATORS[chosen.name]  # type: ignore[assignment]
            dag = generator.for_team(chosen.options, info, context_shape, options.hidden_dim)
        for key in SCALES:
            scale = getattr(options.dag, key)
            if key not in dag.uses and any(scale(share) != 1.0 for share in (0.0, 0.5, 1.0)):
                form = {name: getattr(chosen.options, name, None) for name in ("permutation", "edges")}
                words = [f"dag.generator={chosen.name}", *(f"dag.{name}={x}" for name, x in form.items() if x)]
                raise ConfigError(f"dag.{key} is without effect with {' '.join(words)}: leave it out")
        if dag.edges_are_actions and any(options.dag.edge_noise(share) != 1.0 for share in (0.0, 0.5, 1.0)):
            raise ConfigError(f"{EDGE_ACTIONS} are drawn by their probability: dag.edge_noise must stay at 1")
        sends_obs = options.dag.parent_inputs == "actions_and_obs"
        message_dim = 0 if dag.is_empty else info.n_actions + info.obs_dim * sends_obs
        super().__init__(options, info, generators, message_dim)
        self.dag: DAGGenerator = dag
        self.message_dim = message_dim
        self.register_buffer("action_codes", torch.eye(info.n_actions), persistent=False)  # [A, A]

    def exchange(self, n_edges: float) -> Exchange:
        if self.is_independent or not n_edges:
            return super().exchange(0.0)
        of_messages = FLOAT_BYTES * n_edges * self.message_dim
        if isinstance(self.dag, StaticDAG) or self.dag.is_random:  # nobody has to see anything for it
            return Exchange("messages of parents", of_messages)
        width = self.info.state_dim if self.options.dag.context == "state" else self.info.n_agents * self.info.obs_dim
        return Exchange("messages of parents, and a DAG of all observations", of_messages + FLOAT_BYTES * width)

    def parameter_groups(self) -> list[ParameterGroup]:
        own = self.options.dag
        of_dag = list(self.dag.parameters())
        known = {id(parameter) for parameter in of_dag}
        acting = [parameter for parameter in self.parameters() if id(parameter) not in known]
        groups = [ParameterGroup("acting", acting), ParameterGroup("dag", of_dag, own.lr, own.clip_gradients)]
        return [group for group in groups if group.parameters]

    def unlearned_by(self, extra_losses: frozenset[str]) -> str:
        if self.dag.order_is_action and "dag_order" not in extra_losses:
            return (
                "dag.permutation=plackett_luce is learned by learner=bn_mappo alone: "
                "set learner=bn_mappo, or dag.permutation=identity"
            )
        if self.dag.edges_are_actions and "dag_edges" not in extra_losses:
            return f"{EDGE_ACTIONS} are learned by learner=bn_mappo alone: set learner=bn_mappo, or choose other edges"
        return ""

    @property
    def is_independent(self) -> bool:
        """Whether no agent ever has a parent: then the policy is that of MAPPO, and is computed as such."""
        return self.message_dim == 0 or self.dag.is_empty

    def scheme(self) -> Scheme:
        noise = {name: Field(shape) for name, shape in self.dag.noise_shapes().items()}
        state = {"state": Field((self.info.state_dim,))} if self.options.dag.context == "state" else {}
        order = {"dag_order": Field((self.info.n_agents,), torch.int64)} if self.dag.records_order else {}
        order_log_prob = {"dag_order_log_prob": Field(())} if self.dag.order_is_action else {}
        n_agents, edges = self.info.n_agents, {}
        if self.dag.edges_are_actions:
            edges = {"dag_edges": Field((n_agents, n_agents), torch.bool), "dag_edge_log_prob": Field((n_agents,))}
        return {**super().scheme(), **noise, **state, **order, **order_log_prob, **edges}

    def draw_noise(
        self, batch_size: int, generators: Generators, fraction: float, greedy: bool = False
    ) -> dict[str, Tensor]:
        action_noise = super().draw_noise(batch_size, generators, fraction, greedy)
        if greedy and not self.dag.is_random:
            return action_noise
        dag_noise = self.dag.draw_noise(batch_size, self.noise_scale(fraction), generators["dag"])
        return {**action_noise, **dag_noise}

    def noise_scale(self, fraction: float) -> NoiseScale:
        """How much noise DAGs get when this fraction of the training is done."""
        return NoiseScale(self.options.dag.edge_noise(fraction), self.options.dag.order_noise(fraction))

    def generate(
        self,
        obs: Tensor,
        state: Tensor | None,
        noise: dict[str, Tensor] | None,
        fraction: float,
        recorded_order: Tensor | None = None,
        recorded_edges: Tensor | None = None,
    ) -> DAG:
        """The DAGs of M steps: obs [M, N, D], state [M, S]; of recorded steps the order [M, N] and edges [M, N, N]."""
        context = obs if self.options.dag.context == "obs" or state is None else state.unsqueeze(1)  # [M, K, D]
        edges = {"recorded_edges": recorded_edges} if self.dag.edges_are_actions else {}
        dag: DAG = self.dag(context, noise, self.options.dag.temperature(fraction), recorded_order, **edges)
        return dag

    def message_inputs(self, obs: Tensor, actions: Tensor) -> Tensor:
        """What each agent sends to its children: obs [..., D] and actions [...] -> [..., A] or [..., A + D]."""
        one_hot = functional.embedding(actions, self.action_codes)  # [..., A]
        return torch.cat([one_hot, obs], dim=-1) if self.options.dag.parent_inputs == "actions_and_obs" else one_hot

    @torch.inference_mode()
    def select_actions(self, step: Step, hidden: Tensor, noise: dict[str, Tensor], fraction: float = 0.0) -> Selection:
        """Act in B games, children on what their parents do."""
        if self.is_independent:
            return super().select_actions(step, hidden, noise, fraction)
        dag_noise = {name: noise[name] for name in self.dag.noise_shapes() if name in noise}
        dag = self.generate(step.obs, step.state, dag_noise or None, fraction)
        own, hidden = self.encode_step(step, hidden)
        action_noise = noise.get("action_noise")
        actions, log_prob = self.act_along(dag.adjacency, own, step.obs, step.avail_actions, action_noise)
        recorded = {"log_prob": log_prob, "dag_order": dag.order}
        if dag.order_log_prob is not None:
            recorded["dag_order_log_prob"] = dag.order_log_prob
        if dag.edge_actions is not None:
            recorded |= {"dag_edges": dag.edge_actions.edges, "dag_edge_log_prob": dag.edge_actions.log_prob}
        return Selection(actions, hidden, recorded, dag.adjacency)

    def act_along(
        self, adjacency: Tensor, own: Features, obs: Tensor, avail_actions: Tensor | None, noise: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Actions and their log-probabilities [B, N] of B games.

        From adjacency [B, N, N], the actor's features of these games, obs [B, N, D], avail_actions and noise [B, N, A];
        None stands for: all available, and the likeliest ones.

        All agents choose at once, at first as if they had no parents, then on what their parents chose in the pass
        before. The noise stays the same, so an agent whose parents have settled has settled one pass later: an agent of
        depth d after d + 1 passes, and all of them, N at most, as soon as a pass changes nothing. It is the fixed point
        that acting one after another leads to, and an acyclic graph has only one. A CUDA graph records all N passes:
        what it repeats cannot depend on what it computes.
        """
        logits = self.masked(self.actor.logits(own), avail_actions)  # [A, B, N]
        actions = choose(logits, noise)  # [B, N]
        for _ in range(obs.shape[1] - 1):
            before = actions
            logits = self.masked(self.local_logits(adjacency, own, obs, before), avail_actions)  # [A, B, N]
            actions = choose(logits, noise)
            recording = actions.is_cuda and torch.cuda.is_current_stream_capturing()
            if not recording and torch.equal(actions, before):
                break
        return actions, log_prob_of(logits, actions)

    def evaluate(
        self, batch: EpisodeBatch, fraction: float, generators: Generators, with_stats: bool = False
    ) -> Evaluation:
        """One pass over all recorded steps: every parent's action is known."""
        if self.is_independent:
            evaluation = super().evaluate(batch, fraction, generators)
            nothing = batch["filled"].new_zeros(()).expand_as(batch["filled"])  # [B, T]
            adjacency = nothing[..., None, None].expand(*nothing.shape, self.info.n_agents, self.info.n_agents)
            stats = dict.fromkeys(STATISTICS, nothing) if with_stats else None
            return evaluation._replace(adjacency=adjacency, dag_stats=stats)
        dag = self.rebuild(batch, fraction, generators)
        adjacency = dag.adjacency  # [B*T, N, N]
        own = self.encode_batch(batch, self.deciding(batch))
        parent_actions = self.parent_actions(dag, own, batch, generators)  # [B*T, N]
        logits = self.local_logits(adjacency, own, batch["obs"].flatten(0, 1), parent_actions)
        evaluation = self.score(logits, batch)
        stats = self.dag_stats(adjacency, own, logits, batch) if with_stats else None
        shape = batch["filled"].shape  # B, T
        if dag.order_log_prob is not None:
            evaluation = evaluation._replace(order_log_prob=dag.order_log_prob.view(shape))
        if dag.edge_actions is not None:
            chosen = dag.edge_actions
            evaluation = evaluation._replace(
                edge_log_prob=chosen.log_prob.unflatten(0, shape),
                edge_entropy=chosen.entropy.unflatten(0, shape),
                edge_probability=chosen.probability.unflatten(0, shape),
            )
        if dag.penalty is not None:
            evaluation = evaluation._replace(dag_penalty=dag.penalty.view(shape))
        return evaluation._replace(adjacency=adjacency.unflatten(0, shape), dag_stats=stats)

    @torch.no_grad()
    def parent_actions(self, dag: DAG, own: Features, batch: EpisodeBatch, generators: Generators) -> Tensor:
        """The actions [B*T, N] that children see of their parents: the recorded ones or, on request, new samples."""
        if self.options.dag.parent_actions == "recorded":
            return batch["actions"].flatten(0, 1)
        obs = batch["obs"].flatten(0, 1)  # [B*T, N, D]
        noise = gumbel_noise((*obs.shape[:2], self.info.n_actions), generators["actions_resample"], obs.device)
        return self.act_along(dag.adjacency, own, obs, self.avail_actions(batch), noise)[0]

    def local_logits(self, adjacency: Tensor, own: Features, obs: Tensor, actions: Tensor) -> Tensor:
        """Logits [N, M, A] of every pi^i(. | o^i, a^{P^i}) in M steps whose joint actions are known.

        adjacency [M, N, N], the actor's features of these steps, obs [M, N, D], actions [M, N].
        """
        if self.is_independent:
            return self.actor.logits(own)
        inputs = self.message_inputs(obs, actions).transpose(0, 1)  # [N, M, .]
        return self.actor.logits(own, self.actor.from_parents(adjacency, inputs))

    def rebuild(self, batch: EpisodeBatch, fraction: float, generators: Generators) -> DAG:
        """The DAGs of recorded steps from present logits and recorded (or, on request, fresh) noise."""
        obs = batch["obs"].flatten(0, 1)  # [B*T, N, D]
        state = batch["state"].flatten(0, 1) if self.options.dag.context == "state" else None  # [B*T, S]
        if self.options.dag.noise == "replay":
            noise = {name: batch[name].flatten(0, 1) for name in self.dag.noise_shapes()}
        else:
            noise = self.dag.draw_noise(len(obs), self.noise_scale(fraction), generators["dag_resample"])
        order = batch["dag_order"].flatten(0, 1) if self.dag.records_order else None  # [B*T, N]
        edges = batch["dag_edges"].flatten(0, 1) if self.dag.edges_are_actions else None  # [B*T, N, N]
        return self.generate(obs, state, noise, fraction, order, edges)

    @torch.no_grad()
    def dag_stats(self, adjacency: Tensor, own: Features, logits: Tensor, batch: EpisodeBatch) -> dict[str, Tensor]:
        """Facts of M = B*T DAGs and of what they change in the policy, [B, T] each; see docs/bn_mappo.md."""
        avail = self.avail_actions(batch)
        with_parents = self.masked(logits, avail).log_softmax(0)  # [A, B*T, N]
        without = self.masked(self.actor.logits(own), avail).log_softmax(0)  # [A, B*T, N]
        divergence = kl_divergence(with_parents, without)  # [B*T, N]
        messages, n_bytes = communication(adjacency, message_bytes=FLOAT_BYTES * self.message_dim)
        depths = depth(adjacency).amax(-1).float()  # [B*T]
        values = (density(adjacency), messages, depths, n_bytes, divergence.mean(-1))
        return {name: value.view(batch["filled"].shape) for name, value in zip(STATISTICS, values, strict=True)}
