"""A network that reads an observation as sets of things (enemies, allies), and aims at them by what they look like."""

from itertools import accumulate, groupby, pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.options import Count, options
from bn_mappo.core.specs import EntityGroup
from bn_mappo.modules.agents.actor import REGISTRY, Actor, ActorSizes, Encoding
from bn_mappo.modules.layers import OUTPUT_GAIN, AgentLinear, one_below_the_other, side_by_side
from bn_mappo.modules.sets import Codes, dot_codes, encode_things, has_loops, sum_codes, sum_weighted_codes


class Features(NamedTuple):
    """What R of the N * M pairs of an agent and a sample see; the pairs of an agent follow each other."""

    first: Tensor  # [R, H] pre-activation of the first layer
    codes: list[Codes]  # of the things of each group
    shape: torch.Size  # N, M
    rows: Tensor | None  # [R] which pairs, as n * M + m; None: all of them
    agents: Tensor  # [R] the agent of each
    ends: list[int]  # how many pairs there are of the first n agents, n = 0 to N


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
        aimed_at = [next((g for g in range(len(self.groups)) if aiming[g, agent]), None) for agent in range(n_agents)]
        runs = [(g, list(agents)) for g, agents in groupby(range(n_agents), aimed_at.__getitem__)]
        self.runs = [(g, agents[0], agents[-1] + 1) for g, agents in runs]  # agents start to stop - 1 aim at group g

    def _build_parents(self, code_dim: int, generator: torch.Generator) -> None:
        hidden_dim, sent_obs = self.sizes.hidden_dim, self.sizes.message_dim - self.sizes.n_actions
        self.parents_plain = AgentLinear(1, self.n_plain + 1 + sent_obs, hidden_dim, generator, 1.0, bias=False)
        self.parents_aimed = nn.ModuleList(
            AgentLinear(1, code_dim, hidden_dim, generator, 1.0, bias=False) for _ in self.groups
        )
        self.joining = AgentLinear(1, hidden_dim, len(self.groups), generator, OUTPUT_GAIN)

    def encode(self, obs: Tensor, hidden: Tensor, starts: Tensor, deciding: Tensor | None = None) -> Encoding:
        n_agents, n_samples = obs.shape[:2]
        if deciding is None or not has_loops(obs):
            rows, sizes = None, [n_samples] * n_agents
            agents = torch.arange(n_agents, device=obs.device).unsqueeze(1).expand(-1, n_samples).flatten()
            flat = obs.flatten(0, 1)  # [N * M, D]
        else:
            rows, sizes = deciding.flatten().nonzero().squeeze(-1), deciding.sum(1).tolist()  # [R]
            agents = rows // n_samples
            flat = obs[agents, rows % n_samples]  # [R, D]
        codes = [encode_things(flat, group, layer) for group, layer in zip(self.groups, self.codes, strict=True)]
        parts = [*(flat[:, start:stop] for start, stop in self.rest), *map(sum_codes, codes)]
        first = side_by_side([self.own, *self.pooled], parts)  # [R, H]
        ends = list(accumulate(sizes, initial=0))
        return Encoding(Features(first, codes, obs.shape[:2], rows, agents, ends), hidden)

    def repeated(self, own: Features, n_times: int) -> Features:
        assert own.rows is None, "of all agents"
        n_agents, n_samples = own.shape
        return Features(
            own.first.repeat_interleave(n_times, 0),
            [codes.repeated(n_times) for codes in own.codes],
            torch.Size([n_agents, n_samples * n_times]),
            None,
            own.agents.repeat_interleave(n_times),
            [end * n_times for end in own.ends],
        )

    def from_parents(self, adjacency: Tensor, inputs: Tensor) -> Tensor:
        """How many parents take each action [N, M, plain + G * targets + D]; aimed ones by group; sums of sent obs."""
        plain, aimed, sent = inputs.split([self.n_plain, self.n_targets, inputs.shape[-1] - self.sizes.n_actions], -1)
        by_group = [aimed * aims[:, None, None] for aims in self.aiming]  # G x [N, M, targets]
        sorted_inputs = torch.cat([plain, *by_group, sent], dim=-1)
        if adjacency.stride(0) == 0:  # one DAG, expanded to all samples
            return (adjacency[0].T @ sorted_inputs.flatten(1)).view(sorted_inputs.shape)
        return torch.bmm(adjacency.mT, sorted_inputs.transpose(0, 1)).transpose(0, 1)

    def logits(self, own: Features, from_parents: Tensor | None = None) -> Tensor:
        first, counts = own.first, list[Tensor]()
        if from_parents is not None:
            *plain, counts = self._counts(from_parents.flatten(0, 1), own)
            aimed_at = [sum_weighted_codes(count, codes) for count, codes in zip(counts, own.codes, strict=True)]
            first = side_by_side([self.parents_plain, *self.parents_aimed], [*plain, *aimed_at], first)  # [R, H]
        h = torch.relu(self.fc2(torch.relu(first)))  # [R, H]
        heads = [self.head, *self.aims, *([self.joining] if counts else [])]
        plain_logits, *aims = one_below_the_other(heads, h)
        joining = aims.pop() if counts else None  # [R, G]
        aimed = []
        for g, start, stop in self.runs:
            rows = slice(own.ends[start], own.ends[stop])
            if g is None:
                aimed.append(h.new_zeros(rows.stop - rows.start, self.n_targets))
                continue
            score = dot_codes(aims[g][rows], own.codes[g], rows)  # [r, K]
            if joining is not None:
                score = score + joining[rows, g, None] * counts[g][rows]
            aimed.append(self._as_actions(score, self.groups[g], own.agents[rows]))
        logits = torch.cat([plain_logits, torch.cat(aimed)], dim=-1)  # [R, A]
        if own.rows is not None:
            logits = logits.new_zeros(own.shape.numel(), logits.shape[-1]).index_copy(0, own.rows, logits)
        return logits.unflatten(0, own.shape)

    def _as_actions(self, score: Tensor, group: EntityGroup, agents: Tensor) -> Tensor:
        """Scores of a group's things [r, K] -> of the actions aimed at them [r, targets]; others are 0."""
        if group.are_agents:
            score = score.new_zeros(score.shape[0], self.sizes.n_agents).scatter(-1, self.others[agents], score)
        missing = self.n_targets - score.shape[-1]
        return nn.functional.pad(score, (0, missing)) if missing > 0 else score[:, : self.n_targets]

    def _counts(self, from_parents: Tensor, own: Features) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """Of `from_parents` [N * M, .], how many take plain actions, and one aimed at the child; obs; counts [R, K]."""
        if own.rows is not None:
            from_parents = from_parents[own.rows]  # [R, .]
        sections = [self.n_plain, *[self.n_targets] * len(self.groups)]
        plain, *by_group, sent = from_parents.split([*sections, from_parents.shape[-1] - sum(sections)], -1)
        at_self = plain.new_zeros(plain.shape[0], 1)  # len() would fix it in an export
        counts = []
        for group, count in zip(self.groups, by_group, strict=True):
            n_things = self.sizes.n_agents if group.are_agents else group.size
            count = nn.functional.pad(count, (0, max(n_things - self.n_targets, 0)))[:, :n_things]
            if group.are_agents:
                at_self = at_self + count.gather(-1, own.agents.unsqueeze(-1))  # [R, 1]
                count = count.gather(-1, self.others[own.agents])
            counts.append(count)
        return plain, at_self, sent, counts


def rest_of(input_dim: int, groups: tuple[EntityGroup, ...]) -> list[tuple[int, int]]:
    """The entries of an agent's input, [start, stop) each, that belong to no group."""
    spans = sorted((group.start, group.start + group.size * group.width) for group in groups)
    edges = [(0, 0), *spans, (input_dim, input_dim)]
    return [(end, start) for (_, end), (start, _) in pairwise(edges) if start > end]
