"""A network that reads an observation as sets of things (enemies, allies), and aims at them by what they look like."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.options import Count, options
from bn_mappo.core.specs import EntityGroup
from bn_mappo.modules.agents.actor import REGISTRY, Actor, ActorSizes, Encoding
from bn_mappo.modules.layers import OUTPUT_GAIN, AgentLinear

Features = tuple[Tensor, list[Tensor]]  # pre-activation of the first layer [N, M, H]; codes of each group [N, M, K, E]


@options
class EntityOptions:
    """Keys of agent=entity."""

    entity_dim: Count


@REGISTRY.register("entity", "feed-forward: reads enemies and allies as sets, and aims at each by its features")
class EntityActor(Actor):
    """Policies that do not depend on the order in which an observation lists the things of a group.

    Every thing k of a group has a code z_k = ReLU(FC(x_k)), by one network for the whole group. With o the rest of the
    observation, h = ReLU FC ReLU(FC(o) + sum_k FC(z_k)), the logit of an action without a target is FC(h), and that of
    an action aimed at thing k is z_k . FC(h).

    A child counts, for every action, the parents that take it. An action that its parents aim at k enters as the code
    that k has for the child: sum_k count_k FC(z_k) is added to the first layer, and count_k FC(h) to the logit of k. So
    renumbering enemies or allies renumbers the policy's actions likewise, and changes nothing else. All agents have the
    same weights, whose shapes do not depend on how many agents and things there are.
    """

    Options = EntityOptions
    aiming: Tensor
    others: Tensor
    unsorted: Tensor

    def __init__(
        self, options: EntityOptions, sizes: ActorSizes, generator: torch.Generator, parent_generator: torch.Generator
    ):
        super().__init__()
        groups, hidden_dim, code_dim = sizes.entities, sizes.hidden_dim, options.entity_dim
        if not groups:
            raise ConfigError(
                "agent=entity needs an environment that declares which entries of an observation belong to which enemy "
                "or ally (EnvInfo.entities), as skirmish and sc2 do: choose agent=mlp or agent=rnn"
            )
        self.sizes, self.groups = sizes, groups
        targets = {group.first_target for group in groups if group.first_target is not None}
        if len(targets) > 1:
            raise ConfigError(f"EnvInfo.entities: all groups need the same first_target, not {sorted(targets)}")
        self.n_plain = targets.pop() if targets else sizes.n_actions  # actions without a target come first
        self.n_targets = sizes.n_actions - self.n_plain
        self.rest = rest_of(sizes.input_dim, groups)
        own_dim = sum(stop - start for start, stop in self.rest)
        self.own = AgentLinear(1, own_dim, hidden_dim, generator)
        self.codes = nn.ModuleList(AgentLinear(1, group.width, code_dim, generator) for group in groups)
        self.pooled = nn.ModuleList(AgentLinear(1, code_dim, hidden_dim, generator, bias=False) for _ in groups)
        self.fc2 = AgentLinear(1, hidden_dim, hidden_dim, generator)
        self.head = AgentLinear(1, hidden_dim, self.n_plain, generator, OUTPUT_GAIN)
        self.aims = nn.ModuleList(AgentLinear(1, hidden_dim, code_dim, generator, OUTPUT_GAIN) for _ in groups)
        self._place_agents()
        if sizes.message_dim:
            self._build_parents(code_dim, parent_generator)

    def _place_agents(self) -> None:
        """Index arrays: who aims at which group, and where the other agents stand among all."""
        n_agents = self.sizes.n_agents
        aiming = torch.zeros(len(self.groups), n_agents)
        for g, group in enumerate(self.groups):
            if group.first_target is not None:
                aiming[g, list(group.targeted_by)] = 1.0
        everyone = torch.arange(n_agents)
        others = torch.stack([everyone[everyone != agent] for agent in range(n_agents)])  # [N, N - 1]
        self.register_buffer("aiming", aiming, persistent=False)  # [G, N]
        self.register_buffer("others", others, persistent=False)
        rows = torch.cat([*(aims.nonzero().flatten() for aims in aiming), (aiming.sum(0) == 0).nonzero().flatten()])
        self.register_buffer("unsorted", rows.argsort(), persistent=False)  # [N]

    def _build_parents(self, code_dim: int, generator: torch.Generator) -> None:
        hidden_dim, sent_obs = self.sizes.hidden_dim, self.sizes.message_dim - self.sizes.n_actions
        self.parents_plain = AgentLinear(1, self.n_plain + 1 + sent_obs, hidden_dim, generator, 1.0, bias=False)
        self.parents_aimed = nn.ModuleList(
            AgentLinear(1, code_dim, hidden_dim, generator, 1.0, bias=False) for _ in self.groups
        )
        self.joining = AgentLinear(1, hidden_dim, len(self.groups), generator, OUTPUT_GAIN)

    def encode(self, obs: Tensor, hidden: Tensor, starts: Tensor) -> Encoding:
        own = torch.cat([obs[..., start:stop] for start, stop in self.rest], dim=-1)  # [N, M, rest]
        first: Tensor = self.own(own)  # [N, M, H]
        codes = []
        for group, layer, pooled in zip(self.groups, self.codes, self.pooled, strict=True):
            things = obs[..., group.start : group.start + group.size * group.width]
            code = torch.relu(layer(things.unflatten(-1, (group.size, group.width))))  # [N, M, K, E]
            first = first + pooled(code.sum(-2))
            codes.append(code)
        return Encoding((first, codes), hidden)

    def from_parents(self, adjacency: Tensor, inputs: Tensor) -> Tensor:
        """How many parents take each action [N, M, plain + G * targets + D]; aimed ones by group; sums of sent obs."""
        plain, aimed, sent = inputs.split([self.n_plain, self.n_targets, inputs.shape[-1] - self.sizes.n_actions], -1)
        by_group = [aimed * aims[:, None, None] for aims in self.aiming]  # G x [N, M, targets]
        sorted_inputs = torch.cat([plain, *by_group, sent], dim=-1)
        if adjacency.stride(0) == 0:  # one DAG, expanded to all samples
            return (adjacency[0].T @ sorted_inputs.flatten(1)).view(sorted_inputs.shape)
        return torch.bmm(adjacency.mT, sorted_inputs.transpose(0, 1)).transpose(0, 1)

    def logits(self, own: Features, from_parents: Tensor | None = None) -> Tensor:
        first, codes = own
        counts: list[Tensor] = []
        if from_parents is not None:
            plain, counts, at_self, sent = self._counts(from_parents)
            first = first + self.parents_plain(torch.cat([plain, at_self, sent], dim=-1))
            for count, code, layer in zip(counts, codes, self.parents_aimed, strict=True):
                first = first + layer((count.unsqueeze(-1) * code).sum(-2))
        h = torch.relu(self.fc2(torch.relu(first)))  # [N, M, H]
        joining = self.joining(h) if counts else None  # [N, M, G]
        aimed = []
        for g, (group, code, layer) in enumerate(zip(self.groups, codes, self.aims, strict=True)):
            agents = list(group.targeted_by) if group.first_target is not None else []
            if not agents:
                continue
            rows = slice(agents[0], agents[-1] + 1) if agents == list(range(agents[0], agents[-1] + 1)) else agents
            score = (code[rows] * layer(h[rows]).unsqueeze(-2)).sum(-1)  # [n, M, K]; the gradient of bmm is slower
            if joining is not None:
                score = score + joining[rows, :, g, None] * counts[g][rows]
            aimed.append(self._as_actions(score, group, rows))
        n_idle = self.sizes.n_agents - sum(map(len, aimed))
        aimed.append(h.new_zeros(n_idle, h.shape[1], self.n_targets))
        return torch.cat([self.head(h), torch.cat(aimed)[self.unsorted]], dim=-1)

    def _as_actions(self, score: Tensor, group: EntityGroup, rows: slice | list[int]) -> Tensor:
        """Scores of a group's things [n, M, K] -> of the actions aimed at them [n, M, targets]; others are 0."""
        if group.are_agents:
            others = self.others[rows].unsqueeze(1).expand_as(score)  # [n, M, N - 1]
            score = score.new_zeros(*score.shape[:-1], self.sizes.n_agents).scatter(-1, others, score)
        missing = self.n_targets - score.shape[-1]
        return nn.functional.pad(score, (0, missing)) if missing > 0 else score[..., : self.n_targets]

    def _counts(self, from_parents: Tensor) -> tuple[Tensor, list[Tensor], Tensor, Tensor]:
        """Of `from_parents`: plain actions; aimed ones for each group's things [N, M, K]; aimed at the child; obs."""
        sections = [self.n_plain, *[self.n_targets] * len(self.groups)]
        plain, *by_group, sent = from_parents.split([*sections, from_parents.shape[-1] - sum(sections)], -1)
        at_self = plain.new_zeros(*plain.shape[:-1], 1)
        counts = []
        for group, count in zip(self.groups, by_group, strict=True):
            n_things = self.sizes.n_agents if group.are_agents else group.size
            count = nn.functional.pad(count, (0, max(n_things - self.n_targets, 0)))[..., :n_things]
            if group.are_agents:
                at_self = at_self + count.diagonal(dim1=0, dim2=2).mT.unsqueeze(-1)  # [N, M, 1]
                count = count.gather(-1, self.others.unsqueeze(1).expand(-1, count.shape[1], -1))
            counts.append(count)
        return plain, counts, at_self, sent


def rest_of(input_dim: int, groups: tuple[EntityGroup, ...]) -> list[tuple[int, int]]:
    """The entries of an agent's input, [start, stop) each, that belong to no group."""
    spans = sorted((group.start, group.start + group.size * group.width) for group in groups)
    edges = [(0, 0), *spans, (input_dim, input_dim)]
    return [(end, start) for (_, end), (start, _) in pairwise(edges) if start > end]
