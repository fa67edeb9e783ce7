"""The entity network: what it must not depend on, what parents tell it, and whether environments declare the truth."""

import pytest
import torch

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.specs import EntityGroup
from bn_mappo.envs.games.skirmish.game import Skirmish
from bn_mappo.modules.agents.actor import ActorSizes
from bn_mappo.modules.agents.entity_actor import EntityActor, EntityOptions, rest_of
from helpers import make_config, train_updates

N, ENEMIES, WIDTH, PLAIN, OWN, SAMPLES = 5, 3, 4, 6, 7, 9
FIGHTERS, HEALERS = (0, 1, 2, 3), (4,)


def sizes_of(n_agents: int = N, n_enemies: int = ENEMIES, message_dim: int = PLAIN + ENEMIES) -> ActorSizes:
    """Observations of 2 entries, enemies, allies, and OWN - 2 more entries; the last agent heals allies."""
    groups = (
        EntityGroup("enemies", 2, n_enemies, WIDTH, PLAIN, tuple(range(n_agents - 1))),
        EntityGroup("allies", 2 + n_enemies * WIDTH, n_agents - 1, WIDTH, PLAIN, (n_agents - 1,), are_agents=True),
    )
    input_dim = OWN + (n_enemies + n_agents - 1) * WIDTH
    return ActorSizes(n_agents, PLAIN + n_enemies, input_dim, message_dim, 16, groups)


def make_actor(sizes: ActorSizes) -> EntityActor:
    """With weights as far from zero as a trained one's."""
    actor = EntityActor(EntityOptions(entity_dim=8), sizes, torch.Generator().manual_seed(1), torch.Generator())
    for name, parameter in actor.named_parameters():
        if name.split(".")[0] in ("head", "aims", "joining"):
            parameter.data.mul_(50)
    return actor


def scene(seed: int = 0) -> dict[str, torch.Tensor]:
    """Random samples: own entries [N, M, OWN], enemies [N, M, E, W], allies by who sees whom [N, M, N, W], ..."""
    generator = torch.Generator().manual_seed(seed)
    edges = torch.rand(SAMPLES, N, N, generator=generator) < 0.6
    return {
        "own": torch.randn(N, SAMPLES, OWN, generator=generator),
        "enemies": torch.randn(N, SAMPLES, ENEMIES, WIDTH, generator=generator),
        "allies": torch.randn(N, SAMPLES, N, WIDTH, generator=generator),
        "adjacency": edges.float().triu(1),
        "actions": torch.randint(PLAIN + ENEMIES, (N, SAMPLES), generator=generator),
    }


def logits_of(actor: EntityActor, scene: dict[str, torch.Tensor]) -> torch.Tensor:
    """The policy of a scene [N, M, A]."""
    others = torch.stack([torch.tensor([j for j in range(N) if j != i]) for i in range(N)])
    allies = torch.stack([scene["allies"][i][:, others[i]] for i in range(N)])  # [N, M, N - 1, W]
    parts = [scene["own"][..., :2], scene["enemies"].flatten(2), allies.flatten(2), scene["own"][..., 2:]]
    own = actor.encode(torch.cat(parts, -1), torch.zeros(N, SAMPLES, 0), torch.zeros(SAMPLES, 1)).features
    inputs = torch.nn.functional.one_hot(scene["actions"], PLAIN + ENEMIES).float()
    return actor.logits(own, actor.from_parents(scene["adjacency"], inputs)).detach()


def test_renumbered_enemies_renumber_the_actions_aimed_at_them_and_nothing_else():
    actor, before = make_actor(sizes_of()), scene()
    shuffled = torch.tensor([2, 0, 1])
    is_aimed = (before["actions"] >= PLAIN) & (torch.arange(N) < N - 1).unsqueeze(1)  # at an enemy
    at_place = torch.cat([torch.arange(PLAIN), PLAIN + shuffled.argsort()])  # old action -> new action
    after = {
        **before,
        "enemies": before["enemies"][:, :, shuffled],
        "actions": torch.where(is_aimed, at_place[before["actions"]], before["actions"]),
    }
    old, new = logits_of(actor, before), logits_of(actor, after)
    assert not torch.allclose(old, new, atol=1e-2)  # else it would be no test
    as_new = torch.cat([torch.arange(PLAIN), PLAIN + shuffled])
    torch.testing.assert_close(old[list(FIGHTERS)][..., as_new], new[list(FIGHTERS)])
    torch.testing.assert_close(old[list(HEALERS)], new[list(HEALERS)])


def test_renumbered_agents_renumber_the_policies():
    actor, before = make_actor(sizes_of()), scene()
    old_of = torch.tensor([2, 0, 3, 1, 4])  # the old number of each agent; the healer stays a healer
    heals = before["actions"][4]
    at_place = torch.cat([torch.arange(PLAIN), PLAIN + old_of.argsort()])
    actions = before["actions"][old_of].clone()
    actions[4] = torch.where(heals >= PLAIN, at_place[heals], heals)
    after = {
        "own": before["own"][old_of],
        "enemies": before["enemies"][old_of],
        "allies": before["allies"][old_of][:, :, old_of],
        "adjacency": before["adjacency"][:, old_of][:, :, old_of],
        "actions": actions,
    }
    # a healer aims at agents 0 to targets - 1: keep these three, in old and new numbers
    kept = [k for k in range(ENEMIES) if old_of[k] < ENEMIES]
    unknown = (before["actions"][4] >= PLAIN) & ~torch.isin(at_place[heals] - PLAIN, torch.arange(ENEMIES))
    old, new = logits_of(actor, before)[old_of], logits_of(actor, after)
    samples = ~unknown
    assert samples.sum() > SAMPLES // 2
    torch.testing.assert_close(old[list(FIGHTERS)][:, samples], new[list(FIGHTERS)][:, samples])
    as_old = [*range(PLAIN), *(PLAIN + int(old_of[k]) for k in kept)]
    as_new = [*range(PLAIN), *(PLAIN + k for k in kept)]
    torch.testing.assert_close(old[4][samples][:, as_old], new[4][samples][:, as_new])


def test_no_parents_is_exactly_no_dag_and_a_parent_changes_the_policy():
    actor, some = make_actor(sizes_of()), scene()
    none = {**some, "adjacency": torch.zeros_like(some["adjacency"])}
    other = {**none, "actions": some["actions"].flip(0)}
    assert torch.equal(logits_of(actor, none), logits_of(actor, other))
    assert torch.equal(logits_of(actor, some)[0], logits_of(actor, none)[0])  # agent 0 has no parents
    assert (logits_of(actor, some)[1:] - logits_of(actor, none)[1:]).abs().max() > 0.1


def test_one_dag_for_all_samples_is_the_same_as_many_equal_ones():
    actor, some = make_actor(sizes_of()), scene()
    one = some["adjacency"][:1]
    many = logits_of(actor, {**some, "adjacency": one.repeat(SAMPLES, 1, 1)})
    torch.testing.assert_close(logits_of(actor, {**some, "adjacency": one.expand(SAMPLES, -1, -1)}), many)


def test_weights_fit_teams_of_every_size():
    few, many = make_actor(sizes_of(message_dim=PLAIN + 3)), make_actor(sizes_of(9, 6, message_dim=PLAIN + 6))
    many.load_state_dict(few.state_dict())


def test_the_rest_of_an_observation_is_what_no_group_has():
    groups = sizes_of().entities
    assert rest_of(sizes_of().input_dim, groups) == [(0, 2), (2 + (ENEMIES + N - 1) * WIDTH, sizes_of().input_dim)]
    assert rest_of(groups[1].start + groups[1].size * WIDTH, groups) == [(0, 2)]


def test_an_environment_without_entities_is_refused():
    with pytest.raises(ConfigError, match="declares which entries"):
        train_updates(make_config("mappo", "aloha", agent="entity"), 1)


@pytest.mark.parametrize("generator", ["empty", "full", "learned"])
def test_acting_and_evaluating_agree(generator):
    settings = {"agent": "entity", "env_args__map_name": "MMM", "lr": 0.01, "dag__generator": generator}
    for statistics in train_updates(make_config("bn_mappo", "skirmish", **settings), 4)[2]:
        assert statistics["first_ratio_error"] < 2e-5


@pytest.mark.parametrize("map_name", ["MMM", "2s3z", "6h_vs_8z"])
def test_skirmish_declares_what_its_observations_show(map_name):
    games = Skirmish(8, 0, map_name=map_name, obs_last_action=True, obs_pathing_grid=True, obs_timestep_number=True)
    games.reset()
    generator = torch.Generator().manual_seed(0)
    enemies, allies = games.info.entities
    assert sorted([*enemies.targeted_by, *allies.targeted_by]) == list(range(games.info.n_agents))
    n_seen = 0
    for _ in range(25):
        avail = torch.from_numpy(games.avail_actions())
        actions = torch.multinomial(avail.flatten(0, 1).float(), 1, generator=generator).view(avail.shape[:2])
        observation = games.step(actions.numpy()).observation
        facts, position = games.diagnostics(), torch.from_numpy(games.diagnostics().position)
        for i in range(games.info.n_agents):
            others = [j for j in range(games.info.n_agents) if j != i]
            for group, units, sees in (
                (enemies, range(games.info.n_agents, position.shape[1]), facts.sees_enemy[:, i]),
                (allies, others, facts.sees_ally[:, i][:, others]),
            ):
                shown = observation.obs[:, i, group.start : group.start + group.size * group.width]
                shown = shown.reshape(8, group.size, group.width)
                offset = (position[:, list(units)] - position[:, i, None]).numpy() / 9.0
                assert shown[sees][:, 2:4] == pytest.approx(offset[sees], abs=1e-6)
                assert not shown[~sees].any()
                n_seen += int(sees.sum())
                if i not in group.targeted_by:
                    continue
                targets = observation.avail_actions[:, i, group.first_target :]
                if group.are_agents:  # agent k is aimed at by action first_target + k
                    targets = targets[:, [j for j in others if j < targets.shape[1]]]
                assert not (targets & ~sees[:, : targets.shape[1]]).any()
    assert n_seen > 1000
