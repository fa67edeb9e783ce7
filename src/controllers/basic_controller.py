"""What a controller is, and that of independent agents: chooses actions, and evaluates recorded ones."""

from abc import ABC, abstractmethod
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from bn_mappo.core.options import Chosen, Count, options
from bn_mappo.core.schedules import Schedule
from bn_mappo.core.seeding import Generators
from bn_mappo.core.specs import EnvInfo
from bn_mappo.data.batch import EpisodeBatch, Field, Scheme
from bn_mappo.modules.action_selectors import choose, gumbel_noise, log_prob_and_entropy, log_prob_of, mask_logits
from bn_mappo.modules.agents import REGISTRY as AGENTS
from bn_mappo.modules.agents.actor import Actor, ActorSizes, Features
from bn_mappo.modules.layers import AgentLinear

FLOAT_BYTES = 4


class Step(NamedTuple):
    """What B games show at one step."""

    obs: Tensor  # [B, N, D]
    state: Tensor  # [B, S]
    avail_actions: Tensor | None  # [B, N, A]; None: all available
    last_actions: Tensor  # [B, N]; -1 at the start of an episode
    episode_start: Tensor  # [B] float, 1 where an episode starts
    active: Tensor | None = None  # [B, N] bool: the agent is there; None: no agent ever leaves


class Selection(NamedTuple):
    """The joint actions of B games."""

    actions: Tensor  # [B, N] int64
    hidden: Tensor  # [B, N, H_rnn]
    recorded: dict[str, Tensor]  # of the mac's scheme, what is known only now: [B, ...] each
    adjacency: Tensor | None = None  # [B, N, N]; None: agents are independent


class Evaluation(NamedTuple):
    """The policy's view of recorded actions."""

    log_prob: Tensor  # [B, T, N] of the recorded actions
    entropy: Tensor  # [B, T, N] of the local policies
    adjacency: Tensor | None = None  # [B, T, N, N] with the gradient of the DAG networks; None: agents are independent
    order_log_prob: Tensor | None = None  # [B, T] of the recorded orders, where they are actions too
    edge_log_prob: Tensor | None = None  # [B, T, N] of each agent's recorded parents, where they are actions too
    edge_entropy: Tensor | None = None  # [B, T, N] likewise
    edge_probability: Tensor | None = None  # [B, T, N, N] likewise, of each edge
    dag_penalty: Tensor | None = None  # [B, T] that the DAG's generator adds to the loss
    dag_stats: dict[str, Tensor] | None = None  # [B, T] each, without gradient, where asked for
    values: Tensor | None = None  # [B, T, N] of the controller's own network, where it has values
    logits: Tensor | None = None  # [A, B * T, N], masked, of the local policies
    independent: "Evaluation | None" = None  # of the team that this one guides, where it guides one


class ParameterGroup(NamedTuple):
    """Parameters of a controller that are trained alike."""

    name: str
    parameters: list[nn.Parameter]
    lr: Schedule | None = None  # None: the learner's
    is_clipped: bool = True  # its gradient takes part in the learner's clipping


class Exchange(NamedTuple):
    """What agents tell each other to act in one step, as float32, without headers."""

    needs: str  # what an agent needs beside its own observation; "nothing" where it is decentralised
    bytes_a_step: float


class MAC(nn.Module, ABC):
    """Multi-agent controller: what training needs of the policy of a team. Never keeps hidden state, noise, generators.

    A controller whose network also gives values (`has_values`) is trained with critic_type=mac_critic.
    """

    Options: ClassVar[type]
    has_values: ClassVar[bool] = False
    options: Any  # an instance of `Options`
    agent_ids: Tensor

    def __init__(self, options: Any, info: EnvInfo):
        super().__init__()
        self.options, self.info = options, info
        self.register_buffer("agent_ids", torch.eye(info.n_agents), persistent=False)  # [N, N]

    @property
    def hidden_size(self) -> int:
        """Width of the recurrent state of each agent; 0: none."""
        return 0

    def exchange(self, n_edges: float) -> Exchange:
        """What a step of execution exchanges; `n_edges` is the mean number of edges of its DAGs, where it has any."""
        return Exchange("nothing", 0.0)

    @property
    def deployed(self) -> "MAC":
        """The team that evaluations judge and exports hold: this one, unless it only guides another in training."""
        return self

    @property
    def has_memory(self) -> bool:
        """Whether the actions depend on more than the present observations."""
        return self.hidden_size > 0

    def parameter_groups(self) -> list[ParameterGroup]:
        """All parameters, in groups for the learner's optimiser."""
        return [ParameterGroup("acting", list(self.parameters()))]

    def unlearned_by(self, extra_losses: frozenset[str]) -> str:
        """What a learner with these extra losses would leave untrained, as a text for its user; empty: nothing."""
        return ""

    def scheme(self) -> Scheme:
        """What this controller reads from, and adds to, each recorded step."""
        n_agents = self.info.n_agents
        scheme = {
            "obs": Field((n_agents, self.info.obs_dim)),
            "episode_start": Field(()),
            "actions": Field((n_agents,), torch.int64),
            "log_prob": Field((n_agents,)),
        }
        if self.info.masks_actions:
            scheme["avail_actions"] = Field((n_agents, self.info.n_actions), torch.bool)
        return scheme

    def init_hidden(self, batch_size: int) -> Tensor:
        """The hidden state before an episode, [B, N, H_rnn]."""
        return self.agent_ids.new_zeros(batch_size, self.info.n_agents, self.hidden_size)

    def draw_noise(
        self, batch_size: int, generators: Generators, fraction: float, greedy: bool = False
    ) -> dict[str, Tensor]:
        """All randomness of one step of B games; `fraction` of training is done. A greedy policy needs little of it."""
        if greedy:
            return {}
        shape = (batch_size, self.info.n_agents, self.info.n_actions)
        return {"action_noise": gumbel_noise(shape, generators["actions"], self.agent_ids.device)}

    @abstractmethod
    def select_actions(self, step: Step, hidden: Tensor, noise: dict[str, Tensor], fraction: float = 0.0) -> Selection:
        """Act in B games; without noise for them, the actions are the likeliest ones."""

    @abstractmethod
    def evaluate(
        self, batch: EpisodeBatch, fraction: float, generators: Generators, with_stats: bool = False
    ) -> Evaluation:
        """Log-probabilities of recorded actions, with gradients; `with_stats` also fills `dag_stats`."""

    def obs_values(self, obs: Tensor) -> Tensor:
        """Values of the joint observation, one an agent: [..., N, D] -> [..., N]; only where `has_values`."""
        raise NotImplementedError

    def value_layer(self) -> AgentLinear:
        """The linear layer that puts these values out; only where `has_values`."""
        raise NotImplementedError

    def score(self, logits: Tensor, batch: EpisodeBatch) -> Evaluation:
        """logits [N, B * T, A] -> log-probability and entropy of the recorded actions."""
        shape = batch["actions"].shape  # B, T, N
        masked = self.masked(logits, self.avail_actions(batch))  # [A, B * T, N]
        log_prob, entropy = log_prob_and_entropy(masked, batch["actions"].flatten(0, 1))
        return Evaluation(log_prob.view(shape), entropy.view(shape), logits=masked)

    def avail_actions(self, batch: EpisodeBatch) -> Tensor | None:
        """The recorded ones [B * T, N, A]; None: all available."""
        return batch["avail_actions"].flatten(0, 1) if self.info.masks_actions else None

    def masked(self, logits: Tensor, avail_actions: Tensor | None) -> Tensor:
        """logits [N, M, A] -> [A, M, N], those of unavailable actions (avail_actions [M, N, A]) at the lowest float."""
        of_actions = None if avail_actions is None else avail_actions.permute(2, 0, 1)  # [A, M, N]
        return mask_logits(logits.permute(2, 1, 0).contiguous(), of_actions)


@options
class BasicOptions:
    """Keys of mac=basic_mac: the agents' network and what it sees."""

    agent: Annotated[Chosen, AGENTS]
    hidden_dim: Count
    obs_agent_id: bool
    obs_layer_norm: bool
    obs_last_action: bool


class BasicMAC(MAC):
    """Multi-agent controller of the product policy. Owns the actor."""

    Options: ClassVar[type] = BasicOptions
    options: BasicOptions

    def __init__(self, options: BasicOptions, info: EnvInfo, generators: Generators, message_dim: int = 0):
        """`message_dim`: width of what an agent gets from each parent; 0: it has none."""
        super().__init__(options, info)
        n_agents, n_actions = info.n_agents, info.n_actions
        sizes = ActorSizes(
            n_agents=n_agents,
            n_actions=n_actions,
            input_dim=info.obs_dim + n_agents * options.obs_agent_id + n_actions * options.obs_last_action,
            message_dim=message_dim,
            hidden_dim=options.hidden_dim,
            entities=info.entities,
        )
        generator, of_parents = generators["actor_init"], generators["parents_init"]
        self.actor: Actor = AGENTS[options.agent.name](options.agent.options, sizes, generator, of_parents)

    @property
    def hidden_size(self) -> int:
        return self.actor.hidden_size

    @property
    def has_memory(self) -> bool:
        return self.hidden_size > 0 or self.options.obs_last_action

    def scheme(self) -> Scheme:
        seen = {"last_actions": Field((self.info.n_agents,), torch.int64)} if self.options.obs_last_action else {}
        return {**super().scheme(), **seen}

    def encode(
        self,
        obs: Tensor,
        last_actions: Tensor | None,
        hidden: Tensor,
        starts: Tensor,
        deciding: Tensor | None = None,
    ) -> tuple[Features, Tensor]:
        """The actor's features of M = B * T steps, and the hidden state [B, N, H_rnn] after them.

        obs [B, T, N, D]; last_actions [B, T, N], where the agents see them; hidden [B, N, H_rnn]; starts [B, T];
        deciding [N, M], see `Actor.encode`.
        """
        encoding = self.actor.encode(self.inputs(obs, last_actions), hidden.transpose(0, 1), starts, deciding)
        return encoding.features, encoding.hidden.transpose(0, 1)

    def inputs(self, obs: Tensor, last_actions: Tensor | None) -> Tensor:
        """What each agent reads, [N, M, .]: its observation and, as configured, its number and its last action."""
        parts = [obs.flatten(0, 1).transpose(0, 1)]  # [N, M, D]
        if self.options.obs_layer_norm:
            parts[0] = functional.layer_norm(parts[0], parts[0].shape[-1:])
        n_steps = parts[0].shape[1]
        if self.options.obs_agent_id:
            parts.append(self.agent_ids.unsqueeze(1).expand(-1, n_steps, -1))  # [N, M, N]
        if last_actions is not None:
            actions = torch.arange(self.info.n_actions, device=obs.device)  # [A]
            taken = last_actions.flatten(0, 1).T.unsqueeze(-1)  # [N, M, 1]
            parts.append((taken == actions).to(obs.dtype))  # [N, M, A]
        return torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]

    def encode_step(self, step: Step, hidden: Tensor) -> tuple[Features, Tensor]:
        """The actor's features of one step, and the new hidden state."""
        last_actions = step.last_actions.unsqueeze(1) if self.options.obs_last_action else None  # [B, 1, N]
        return self.encode(step.obs.unsqueeze(1), last_actions, hidden, step.episode_start.unsqueeze(1))

    def encode_batch(self, batch: EpisodeBatch, deciding: Tensor | None = None) -> Features:
        """The actor's features of all recorded steps; deciding [N, B * T], see `Actor.encode`."""
        last_actions = batch["last_actions"] if self.options.obs_last_action else None  # [B, T, N]
        return self.encode(batch["obs"], last_actions, batch.first_hidden, batch["episode_start"], deciding)[0]

    def deciding(self, batch: EpisodeBatch) -> Tensor | None:
        """Whether each agent had a choice, [N, B * T]; None: always."""
        avail = self.avail_actions(batch)  # [B * T, N, A]
        return None if avail is None else (avail.sum(-1) > 1).T

    @torch.inference_mode()
    def select_actions(self, step: Step, hidden: Tensor, noise: dict[str, Tensor], fraction: float = 0.0) -> Selection:
        own, hidden = self.encode_step(step, hidden)
        logits = self.masked(self.actor.logits(own), step.avail_actions)  # [A, B, N]
        actions = choose(logits, noise.get("action_noise"))  # [B, N]
        return Selection(actions, hidden, {"log_prob": log_prob_of(logits, actions)})

    def evaluate(
        self, batch: EpisodeBatch, fraction: float, generators: Generators, with_stats: bool = False
    ) -> Evaluation:
        return self.score(self.actor.logits(self.encode_batch(batch, self.deciding(batch))), batch)
