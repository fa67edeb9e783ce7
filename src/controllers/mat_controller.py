"""The multi-agent transformer (Wen et al. 2022): agents choose in turn, each knowing what was chosen so far."""

from abc import abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from bn_mappo.controllers.basic_controller import FLOAT_BYTES, MAC, Evaluation, Exchange, Selection, Step
from bn_mappo.core.options import Count, options
from bn_mappo.core.seeding import Generators
from bn_mappo.core.specs import EnvInfo
from bn_mappo.data.batch import EpisodeBatch, Field, Scheme
from bn_mappo.modules.action_selectors import choose, log_prob_of, mask_logits
from bn_mappo.modules.layers import AgentLinear
from bn_mappo.modules.transformer.attention import TransformerSizes, perceptron
from bn_mappo.modules.transformer.decoder import Decoder, Past
from bn_mappo.modules.transformer.encoder import Encoder
from bn_mappo.modules.transformer.inputs import OwnInput


@options
class EncoderOptions:
    """Keys of mac=mat_dec_controller: the transformer's sizes, and what it reads of an agent."""

    hidden_dim: Count
    n_blocks: Count
    n_heads: Count
    obs_agent_id: bool
    obs_layer_norm: bool


@options
class MATOptions(EncoderOptions):
    """Keys of mac=mat_controller."""

    order: Literal["fixed", "random"]


class EncoderMAC(MAC):
    """A policy beside an encoder of the joint observation that gives the values. Owns the encoder.

    A subclass says how logits follow from the observations or from the encoder's representations.
    """

    Options: ClassVar[type] = EncoderOptions
    options: EncoderOptions
    has_values = True

    def __init__(self, options: EncoderOptions, info: EnvInfo, generators: Generators):
        super().__init__(options, info)
        self.sizes = TransformerSizes(
            n_agents=info.n_agents,
            n_actions=info.n_actions,
            obs_dim=info.obs_dim,
            names_agents=options.obs_agent_id,
            hidden_dim=options.hidden_dim,
            n_blocks=options.n_blocks,
            n_heads=options.n_heads,
        )
        self.encoder = Encoder(self.sizes, generators["actor_init"])

    def unlearned_by(self, extra_losses: frozenset[str]) -> str:
        if "values" in extra_losses:
            return ""
        return (
            "the controllers of the multi-agent transformer have values of their own, learned by learner=ppo_learner "
            "with critic_type=mac_critic alone: set both, or choose another mac"
        )

    def shown(self, obs: Tensor) -> Tensor:
        """Observations [..., N, D] as the networks see them: [M, N, D]."""
        steps = obs.flatten(0, -3)
        return functional.layer_norm(steps, steps.shape[-1:]) if self.options.obs_layer_norm else steps

    def obs_values(self, obs: Tensor) -> Tensor:
        return self.encoder.values(self.encoder(self.shown(obs))).view(obs.shape[:-1])

    def value_layer(self) -> AgentLinear:
        layer = self.encoder.value_head[-1]
        assert isinstance(layer, AgentLinear)
        return layer

    def evaluate(
        self, batch: EpisodeBatch, fraction: float, generators: Generators, with_stats: bool = False
    ) -> Evaluation:
        obs = self.shown(batch["obs"])  # [B * T, N, D]
        representation = self.encoder(obs)  # [B * T, N, H]
        evaluation = self.score(self.recorded_logits(obs, representation, batch).transpose(0, 1), batch)
        return evaluation._replace(values=self.encoder.values(representation).view(batch["actions"].shape))

    @abstractmethod
    def recorded_logits(self, obs: Tensor, representation: Tensor, batch: EpisodeBatch) -> Tensor:
        """Logits [M, N, A] of M = B * T recorded steps, from obs [M, N, D] and representations [M, N, H]."""


class MATDecMAC(EncoderMAC):
    """MAT-Dec: pi(a|o) = prod_i pi(a^i | o^i). Agents act on their own observations; the encoder only gives values."""

    def __init__(self, options: EncoderOptions, info: EnvInfo, generators: Generators):
        super().__init__(options, info, generators)
        sizes, generator = self.sizes, generators["actor_init"]
        self.head = perceptron(sizes.hidden_dim, sizes.hidden_dim, sizes.n_actions, generator, norm=True)
        self.own = OwnInput(sizes, generator)

    @torch.inference_mode()
    def select_actions(self, step: Step, hidden: Tensor, noise: dict[str, Tensor], fraction: float = 0.0) -> Selection:
        logits = self.head(self.own(self.shown(step.obs))).transpose(0, 1)  # [N, B, A]
        masked = self.masked(logits, step.avail_actions)  # [A, B, N]
        actions = choose(masked, noise.get("action_noise"))  # [B, N]
        return Selection(actions, hidden, {"log_prob": log_prob_of(masked, actions)})

    def recorded_logits(self, obs: Tensor, representation: Tensor, batch: EpisodeBatch) -> Tensor:
        logits: Tensor = self.head(self.own(obs))
        return logits


class MATMAC(EncoderMAC):
    """MAT: pi(a|o) = prod_k pi(a^{i_k} | o, a^{i_1}, ..., a^{i_{k-1}}), the chain rule along an order i_1, ..., i_N.

    The order is 1, ..., N or, with order=random, drawn anew for each step of each game; greedy agents act in the order
    1, ..., N. A random order is noise of the step: it is recorded, and actions are scored in the order that acted.
    """

    Options = MATOptions
    options: MATOptions

    def __init__(self, options: MATOptions, info: EnvInfo, generators: Generators):
        super().__init__(options, info, generators)
        self.decoder = Decoder(self.sizes, generators["actor_init"])

    def exchange(self, n_edges: float) -> Exchange:
        seen = self.info.n_agents * self.info.obs_dim
        return Exchange("all observations, and the actions before its own", FLOAT_BYTES * (seen + self.info.n_agents))

    @property
    def draws_order(self) -> bool:
        """Whether the order is part of the noise."""
        return self.options.order == "random"

    def scheme(self) -> Scheme:
        noise = {"order_noise": Field((self.info.n_agents,))} if self.draws_order else {}
        return {**super().scheme(), **noise}

    def draw_noise(
        self, batch_size: int, generators: Generators, fraction: float, greedy: bool = False
    ) -> dict[str, Tensor]:
        """With order=random also numbers [B, N] that are sorted to give the order."""
        noise = super().draw_noise(batch_size, generators, fraction, greedy)
        if noise and self.draws_order:
            shape, generator = (batch_size, self.info.n_agents), generators["order"]
            noise["order_noise"] = torch.rand(shape, generator=generator, device=self.agent_ids.device)
        return noise

    def order(self, noise: Tensor | None, n_steps: int) -> Tensor:
        """Which agent acts k-th, [M, N], from noise [M, N]; without any, or where all of it is equal, 1, ..., N."""
        if noise is None:
            return torch.arange(self.info.n_agents, device=self.agent_ids.device).expand(n_steps, -1)
        return noise.argsort(dim=-1, stable=True)

    @torch.inference_mode()
    def select_actions(self, step: Step, hidden: Tensor, noise: dict[str, Tensor], fraction: float = 0.0) -> Selection:
        """Act in B games, N short passes of the decoder: each computes the keys and values of one agent alone."""
        n_games, n_agents = step.obs.shape[:2]
        order = self.order(noise.get("order_noise"), n_games)  # [B, N]
        representation = in_order(self.encoder(self.shown(step.obs)), order)  # [B, N, H], in the order of acting
        avail, gumbel = (  # [B, N, A] likewise
            None if values is None else in_order(values, order)
            for values in (step.avail_actions, noise.get("action_noise"))
        )
        token, past = self.decoder.first_token(n_games), None  # [B, 1, H]
        chosen, log_probs = [], []  # N of [B]
        for k in range(n_agents):
            logits, past = self.decode_next(token, representation[:, k], past)  # [B, A]
            masked = mask_logits(logits.T, None if avail is None else avail[:, k].T)  # [A, B]
            actions = choose(masked, None if gumbel is None else gumbel[:, k])  # [B]
            chosen.append(actions)
            log_probs.append(log_prob_of(masked, actions))
            token = self.decoder.tokens(actions.unsqueeze(1), order[:, k : k + 1])  # [B, 1, H]
        rank = order.argsort(-1)  # [B, N], where each agent stands in the order
        actions, log_prob = (torch.stack(values, dim=1).gather(1, rank) for values in (chosen, log_probs))  # [B, N]
        return Selection(actions, hidden, {"log_prob": log_prob})

    def decode_next(self, token: Tensor, representation: Tensor, past: list[Past] | None) -> tuple[Tensor, list[Past]]:
        """Logits [B, A] of the next agent from its token [B, 1, H], its representation [B, H] and the past."""
        logits, past = self.decoder(token, representation.unsqueeze(1), past)
        return logits.squeeze(1), past

    def recorded_logits(self, obs: Tensor, representation: Tensor, batch: EpisodeBatch) -> Tensor:
        """All agents in one pass: each has the recorded actions of those before it (teacher forcing)."""
        noise = batch["order_noise"].flatten(0, 1) if self.draws_order else None  # [M, N]
        order = self.order(noise, len(obs))  # [M, N]
        earlier = order[:, :-1]  # [M, N - 1]
        taken = batch["actions"].flatten(0, 1).gather(1, earlier)  # [M, N - 1]
        tokens = [self.decoder.first_token(len(obs)), self.decoder.tokens(taken, earlier)]
        logits, _ = self.decoder(torch.cat(tokens, dim=1), in_order(representation, order))  # [M, N, A], in order
        return in_order(logits, order.argsort(-1))


def in_order(values: Tensor, order: Tensor) -> Tensor:
    """values [M, N, F] of agents, put in an order [M, N]."""
    return values.gather(1, order.unsqueeze(-1).expand(-1, -1, values.shape[-1]))
