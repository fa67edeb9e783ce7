"""The adapter to StarCraft II against a stand-in for its package, and what is said where something is missing."""

import inspect
import sys

import numpy as np
import pytest
import torch

from bn_mappo.config.loading import load_layers, merge
from bn_mappo.core.errors import ConfigError, WorkerError
from bn_mappo.core.specs import EntityGroup
from bn_mappo.envs.adapters.backends import settle
from bn_mappo.envs.adapters.starcraft2 import MOST_STARTS, StarCraft2
from bn_mappo.envs.adapters.starcraft2_install import problems
from bn_mappo.envs.adapters.starcraft2_v2 import TEAMS, StarCraft2V2
from bn_mappo.envs.games.skirmish.game import RULES
from bn_mappo.envs.multiagentenv import EpisodeLostError
from bn_mappo.envs.registry import check_env_args, describe, fill_env_args, get_env_info
from bn_mappo.envs.vec_env import run_metrics
from helpers import make_config, make_rollout

STOP, NORTH, ATTACK = 1, 2, 6
EPYMARL = {  # every argument of EPyMARL's sc2.yaml, with its values
    **{"continuing_episode": False, "difficulty": "7", "game_version": None, "map_name": "3m", "move_amount": 2},
    **{"obs_all_health": True, "obs_instead_of_state": False, "obs_last_action": False, "obs_own_health": True},
    **{"obs_pathing_grid": False, "obs_terrain_height": False, "obs_timestep_number": False, "reward_death_value": 10},
    **{"reward_defeat": 0, "reward_negative_scale": 0.5, "reward_only_positive": True, "reward_scale": True},
    **{"reward_scale_rate": 20, "reward_sparse": False, "reward_win": 200, "replay_dir": "", "replay_prefix": ""},
    **{"state_last_action": False, "state_timestep_number": False, "step_mul": 8, "seed": 0, "heuristic_ai": False},
    **{"heuristic_rest": False, "debug": False},
}


def actions(env, action: int) -> np.ndarray:
    """Everybody alive does this; the dead do nothing."""
    return np.where(env.get_avail_actions()[:, action], action, np.where(env.get_avail_actions()[:, 0], 0, STOP))


def play(env, action: int) -> list:
    """Results of an episode in which everybody does this, or stops where it cannot."""
    env.reset()
    results = [env.step(actions(env, action))]
    while not (results[-1][1] or results[-1][2]):
        results.append(env.step(actions(env, action)))
    return results


@pytest.fixture
def env(starcraft):
    env = StarCraft2(5)
    yield env
    env.close()


@pytest.mark.parametrize(("map_name", "n_agents", "n_enemies", "healers"), [("3m", 3, 3, ()), ("MMM2", 10, 12, (9,))])
def test_it_declares_enemies_and_allies(starcraft, map_name, n_agents, n_enemies, healers):
    env = StarCraft2(5, map_name=map_name)
    fighters = tuple(range(n_agents - len(healers)))
    assert env.info.entities == (
        EntityGroup("enemies", 4, n_enemies, 5, 6, fighters),
        EntityGroup("allies", 4 + 5 * n_enemies, n_agents - 1, 5, 6, healers, are_agents=True, seen=0, distance=1),
    )


def test_observations_have_the_declared_sizes_and_no_game_is_needed_to_know_them(starcraft, env):
    info = env.info
    assert (info.n_agents, info.n_actions, info.obs_dim, info.state_dim, info.episode_limit) == (3, 9, 30, 48, 60)
    assert info.masks_actions and starcraft.launched() == []
    env.reset()
    assert env.get_obs().shape == (3, 30) and env.get_obs().dtype == np.float32
    assert env.get_state().shape == (48,)
    assert env.get_avail_actions().shape == (3, 9) and env.get_avail_actions().dtype == bool


def test_a_win_terminates_and_a_time_limit_truncates(env):
    *before, (reward, terminated, truncated, info) = play(env, STOP)
    assert len(before) == 59 and (reward, terminated, truncated) == (0.0, False, True)
    assert info == {"battle_won": 0.0, "dead_allies": 0.0, "dead_enemies": 0.0, "episode_limit": 1.0}
    env.reset()
    for enemy in range(3):  # of four hit points each; after four steps agent 0 is dead, so that two attack the last one
        for _ in range(2):
            reward, terminated, truncated, info = env.step(actions(env, ATTACK + enemy))
    assert (reward, terminated, truncated) == (2.0, True, False)
    assert info == {"battle_won": 1.0, "dead_allies": 1.0, "dead_enemies": 3.0, "episode_limit": 0.0}


def test_continuing_episode_false_makes_the_time_limit_an_end(starcraft):
    env = StarCraft2(5, continuing_episode=False)
    _, terminated, truncated, info = play(env, STOP)[-1]
    env.close()
    assert (terminated, truncated, info["episode_limit"]) == (True, False, 1.0)


def test_everybody_dead_is_a_defeat(env):
    results = play(env, NORTH)
    assert results[-1][1:3] == (True, False) and results[-1][3]["dead_allies"] == 3
    assert results[-1][3]["battle_won"] == 0 and env.get_avail_actions()[:, 0].all()


def test_every_argument_of_epymarl_goes_to_the_package(starcraft):
    """The constructor's keywords are the package's, so none is lost; EPyMARL's values are accepted."""
    env = StarCraft2(5, **fill_env_args("sc2", {**EPYMARL, "move_amount": 3.0, "reward_win": 150.0, "difficulty": "A"}))
    package = set(inspect.signature(type(env.game)).parameters)
    assert set(EPYMARL) <= package == set(inspect.signature(StarCraft2).parameters) - {"worker_seed", "backend"}
    given = env.game.arguments
    assert (given["move_amount"], given["reward_win"], given["difficulty"]) == (3, 150.0, "A")
    assert check_env_args("sc2", EPYMARL) == EPYMARL


@pytest.mark.parametrize("name", ["sc2", "skirmish"])
def test_a_level_of_difficulty_may_be_written_as_a_number(name):
    assert check_env_args(name, {"difficulty": 7}) == {"difficulty": "7"}
    with pytest.raises(ConfigError, match="difficulty='10'"):
        check_env_args(name, {"difficulty": 10})


def test_a_number_of_cells_that_the_package_indexes_with_is_an_integer(starcraft):
    env = StarCraft2(5, obs_pathing_grid=True, move_amount=2.0)
    env.reset()
    assert env.get_obs()[0, -8:].all()
    env.close()


def test_seeds_fit_the_game_and_differ_between_workers(starcraft):
    seeds = [StarCraft2(worker, seed=seed).game._seed for worker in (2**62, 2**62 + 1) for seed in (None, 0, 1)]
    assert len(set(seeds)) == 6 and all(0 <= seed < 2**32 for seed in seeds)
    assert StarCraft2(2**62, seed=1).game._seed in seeds


def test_a_crash_loses_the_episode_and_leaves_one_game_running(starcraft, env):
    for n_before in (0, 1):  # in the first episode the package would launch a second game beside the first
        env.reset()
        env.step(actions(env, STOP))
        starcraft.order("crash")
        with pytest.raises(EpisodeLostError):
            env.step(actions(env, STOP))
        assert env.n_ended == n_before
        assert len(play(env, STOP)) == 60, "the next episode is whole"
        assert len(starcraft.running()) == 1
    env.close()
    assert starcraft.running() == []


def test_a_crash_while_an_episode_starts_is_made_good(starcraft, env):
    """The package then goes on with units of the game before, all dead: such an episode must not be seen."""
    play(env, STOP)
    starcraft.order("crash_at_reset")
    env.reset()
    assert env.get_avail_actions()[:, STOP].all() and len(starcraft.running()) == 1
    assert env.step(actions(env, STOP))[1:3] == (False, False)


def test_a_game_that_crashes_at_every_start_ends_the_run(starcraft, env, monkeypatch):
    play(env, STOP)
    monkeypatch.setattr("smac.env.ordered", lambda fault: fault == "crash_at_reset")
    with pytest.raises(WorkerError, match=f"crashed {MOST_STARTS} times"):
        env.reset()


def test_statistics_before_the_first_battle_are_empty(env):
    with pytest.raises(ZeroDivisionError):
        env.game.get_stats()
    assert env.get_stats() == {}
    play(env, STOP)
    assert env.get_stats()["battles_draw"] == 1 and env.get_stats()["win_rate"] == 0


def test_a_replay_lies_where_it_is_said_to(starcraft, tmp_path):
    for folder in ("", str(tmp_path / "replays")):
        env = StarCraft2(5, replay_dir=folder, replay_prefix="first")
        assert env.save_replay() is None, "nothing was played"
        env.reset()
        where = env.save_replay()
        env.close()
        assert where == (folder or str(starcraft.game / "Replays"))
        assert [path.name.startswith("first_") for path in starcraft.game.parent.glob("StarCraftII/Replays/*")] == [
            True
        ]
    assert len(list((tmp_path / "replays").glob("first_*.SC2Replay"))) == 1


@pytest.mark.parametrize(
    ("updates", "words"),
    [
        ({"map_name": "MM2"}, ["'MM2'", "Did you mean 'MMM2'?", "3m, 8m, MMM2"]),
        ({"difficulty": "11"}, ["env_args.difficulty='11'"]),
        ({"replay_prefix": "a/b"}, ["replay_prefix=a/b", "replay_dir"]),
        ({"step_mull": 8}, ["env_args.step_mull", "'step_mul'"]),
    ],
)
def test_wrong_arguments_are_told_before_any_game_starts(starcraft, updates, words):
    with pytest.raises(ConfigError) as error:
        get_env_info(make_config(env="sc2", **{f"env_args__{name}": value for name, value in updates.items()}))
    assert all(word in str(error.value) for word in words) and starcraft.launched() == []


def test_what_is_missing_is_named_with_its_remedy(starcraft, monkeypatch, tmp_path):
    assert problems("3m") == []
    for path in (starcraft.game / "Maps" / "SMAC_Maps").glob("*"):
        path.unlink()
    assert [(p.remedy, p.is_map) for p in problems("3m")] == [("./install_sc2.sh --maps-only", True)]
    monkeypatch.setenv("SC2PATH", str(tmp_path))
    assert [p.remedy for p in problems("3m")] == ["./install_sc2.sh"]
    assert str(tmp_path) in problems("3m")[0].what
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if "stand_ins" not in folder])
    assert "requirements-sc2.txt" in problems("3m")[0].remedy
    with pytest.raises(ConfigError, match=r"requirements-sc2.txt\n(.|\n)*install_sc2.sh"):  # of a recorded run, say
        StarCraft2(5)


def test_a_package_of_the_same_name_is_not_taken_for_it(no_starcraft, monkeypatch, tmp_path):
    (tmp_path / "smac").mkdir()
    (tmp_path / "smac" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "optimiser" in problems("3m")[0].what and "uninstall smac" in problems("3m")[0].remedy


def test_a_package_that_cannot_be_imported_is_told(starcraft, monkeypatch):
    monkeypatch.setitem(sys.modules, "smac.env", None)
    with pytest.raises(ConfigError, match="cannot be imported"):
        StarCraft2(5)


def settled(**env_args):
    """What settle makes of --env-config=sc2 with these env_args."""
    return settle(merge(load_layers("mappo", "sc2"), {"env_args": env_args}))


def test_auto_takes_the_game_where_it_is(starcraft):
    values, note = settled(map_name="8m")
    assert (values["env"], values["env_args"]["backend"], values["runner"]) == ("sc2", "sc2", "parallel")
    assert "real StarCraft II" in note and "4.10.0" in note and len(note.splitlines()) == 1
    facts = describe(values["env"], values["env_args"])
    assert facts["backend"] == "sc2" and facts["game_version"] == "4.10.0 (Base75689)"
    assert describe("sc2", {"game_version": "4.6.2"})["game_version"] == "4.6.2"
    with pytest.raises(ConfigError, match="no map"):  # the game is there: its missing map is no reason for another game
        settled(map_name="MM2")


def test_without_the_game_the_command_that_plays_the_task_is_told(no_starcraft):
    """The user's own words, where there are any."""
    values = merge(load_layers("mappo", "sc2"), {"env_args": {"backend": "sc2", "map_name": "8m"}})
    words = ["--config=mappo", "--env-config=sc2", "with", "seed=4", "env_args.backend=sc2"]
    start = "python src/main.py --config=mappo --env-config=sc2 with env_args.backend=skirmish"
    for given, command in ((words, f"{start} seed=4"), (words[:2], start), ([], f"{start} env_args.map_name=8m")):
        with pytest.raises(ConfigError) as error:
            settle(values, given)
        assert str(error.value).splitlines()[-1].strip() == command


@pytest.mark.parametrize("backend", ["auto", "skirmish"])
def test_else_skirmish_with_what_it_knows(no_starcraft, backend):
    values, note = settled(backend=backend, map_name="8m", step_mul=4, seed=3, window_size_x=640)
    assert (values["env"], values["runner"]) == ("skirmish", "vector")
    assert {"map_name": "8m", "step_mul": 4}.items() <= values["env_args"].items()
    assert "backend" not in values["env_args"] and "Skirmish" in note and len(note.splitlines()) == 1
    assert "without effect here: seed=3, window_size_x=640" in note
    assert settle(values) == (values, "")


def test_records_say_which_game_it_was(starcraft):
    game, real, aloha = (get_env_info(make_config(env=name)) for name in ("skirmish", "sc2", "aloha"))
    assert (run_metrics(game, 0), run_metrics(real, 0)) == (
        {"real_game": 0.0, "skirmish_rules": float(RULES)},
        {"real_game": 1.0, "sc2_restarts": 0.0},
    )
    assert run_metrics(game, 2) == {"real_game": 0.0, "skirmish_rules": float(RULES), "env_restarts": 2.0}
    assert (run_metrics(aloha, 0), run_metrics(aloha, 1)) == ({}, {"env_restarts": 1.0})
    assert describe("skirmish", {"map_name": "3m"}) == {"backend": "skirmish", "rules": str(RULES)}
    assert describe("aloha", {}) == {}


def test_both_backends_show_the_same_sizes(starcraft):
    """The stand-in has the sizes that the real package answers for these maps."""
    for map_name in ("3m", "8m", "MMM2"):
        game = get_env_info(make_config(env="sc2", env_args__backend="skirmish", env_args__map_name=map_name))
        real = get_env_info(make_config(env="sc2", env_args__map_name=map_name))
        assert game[:2] == real[:2] and game.episode_limit == real.episode_limit
        if map_name != "MMM2":  # the stand-in knows no unit types
            assert game == real._replace(record=game.record)


def test_a_lost_episode_is_no_data_and_advantages_stay_right(starcraft):
    """A crash in the second episode of a segment: its steps have no weight, all others their advantage from a loop."""
    config = make_config(
        "mappo",
        "sc2",
        runner="episode",
        batch_size_run=2,
        batch_size=2,
        segment_length=12,
        standardise_advantages=False,
    )
    setup, rollout = make_rollout(config)
    env, options = rollout.env, setup.learner.options
    n_steps = 0

    def step(joint, step=env.step):
        nonlocal n_steps
        if n_steps == 5:
            env.envs[0].game._episode_steps = 59  # the first game's first episode ends with this step: its 6th
        if n_steps == 9:
            starcraft.order("crash")  # of the first game to play, in the 4th step of its second episode
        n_steps += 1
        return step(joint)

    env.step = step
    batch = rollout.collect(0.0)
    env.close()
    assert batch["filled"].tolist() == [[1.0] * 6 + [0.0] * 4 + [1.0] * 2, [1.0] * 12]
    assert env.restarts() == 1 and batch["terminated"][0, 9] == 1 and batch["truncated"][0, 5] == 1
    assert batch["episode_start"][0].nonzero().flatten().tolist() == [0, 6, 10]

    targets = setup.learner.compute_targets(batch)
    with torch.no_grad():
        value = setup.learner.critic(
            {"state": torch.cat([batch["state"], batch.following.last["state"].unsqueeze(1)], 1)}
        )[..., 0]
        final = setup.learner.critic(batch.following.final)[0, 0]
    for game, steps in ((0, range(0, 6)), (0, range(10, 12)), (1, range(0, 12))):
        advantage = 0.0
        for t in reversed(steps):
            following = final if (game, t) == (0, 5) else value[game, t + 1]
            delta = batch["reward"][game, t] + options.gamma * following - value[game, t]
            advantage = float(delta) + options.gamma * options.gae_lambda * advantage
            assert targets.advantage[game, t, 0].item() == pytest.approx(advantage, rel=1e-4, abs=1e-5)

    statistics = setup.learner.train(batch, 0)
    assert statistics["first_ratio_error"].item() < 1e-5, "acting and learning agree across the crash"
    assert all(torch.isfinite(torch.as_tensor(value)) for value in statistics.values())


def test_what_a_lost_episode_held_changes_no_weight(starcraft):
    """Garbage in its steps leaves the update as it was."""
    weights = []
    for garbage in (0.0, 1e3):
        setup, rollout = make_rollout(make_config("bn_mappo", "sc2", runner="episode", segment_length=8))
        rollout.collect(0.0)
        starcraft.order("crash")
        batch = rollout.collect(0.0)
        rollout.env.close()
        lost = batch["filled"] == 0
        assert lost.sum() == 1, "the part of the episode in the segment before has been learned from"
        for name in ("obs", "state", "reward"):
            batch[name][lost] += garbage
        setup.learner.train(batch, 0)
        weights.append(torch.cat([p.flatten() for _, p in setup.learner._named_parameters()]))
    torch.testing.assert_close(weights[0], weights[1])


def test_smacv2_draws_new_teams_in_each_episode(starcraft):
    """Their sizes are those of the map's name; the dead have no choice, as always, and a battle ends as in SMAC."""
    env = StarCraft2V2(5, map_name="zerg_5_vs_6")
    assert (env.info.n_agents, env.info.n_actions, env.info.episode_limit) == (5, 12, 200)
    for _ in range(3):
        *_, (_, terminated, truncated, info) = play(env, NORTH)
    assert (terminated, truncated, info["battle_won"], info["dead_allies"]) == (True, False, 0.0, 5.0)
    assert env.get_avail_actions().tolist() == [[True] + [False] * 11] * 5
    teams = env.game.env.teams
    assert len(teams) == 3 and len(set(map(tuple, teams))) > 1
    assert all(set(team) <= set(TEAMS["zerg"]) and set(team) != {"baneling"} for team in teams)
    facts = dict(env.info.record.description)
    assert facts["backend"] == "sc2" and facts["smacv2_package"] == "unknown" and "smac_package" not in facts
    assert len(starcraft.running()) == 1
    env.close()
    assert starcraft.running() == []


def test_smacv2_takes_its_packages_other_arguments_and_its_own_teams(starcraft):
    mine = {"n_units": 2, "n_enemies": 3, "team_gen": {"unit_types": ["marine"], "weights": [1.0], "observe": True}}
    mine["team_gen"]["exception_unit_types"] = []
    checked = check_env_args("sc2v2", {"prob_obs_enemy": 0.0, "capability_config": mine, "difficulty": 7})
    env = StarCraft2V2(5, **checked)
    assert (env.info.n_agents, env.game.n_enemies, env.game.prob_obs_enemy) == (2, 3, 0.0)
    assert env.game.arguments["difficulty"] == "7" and env.game.arguments["continuing_episode"] is True
    names = StarCraft2V2(5, conic_fov=True, num_fov_actions=3).info.record.action_names
    assert names[5:10] == ("west", "look 0", "look 1", "look 2", "target 0") and len(names) == 14


@pytest.mark.parametrize(("map_name", "is_declared"), [("protoss_5_vs_5", True), ("terran_5_vs_5", False)])
def test_smacv2_declares_entities_where_no_slot_is_a_healer_of_chance(starcraft, map_name, is_declared):
    enemies, allies = StarCraft2V2(5, map_name=map_name).info.entities or (None, None)
    if not is_declared:
        assert enemies is None
        return
    assert enemies == EntityGroup("enemies", 4, 5, 5, 6, (0, 1, 2, 3, 4))
    assert allies == EntityGroup("allies", 29, 4, 5, None, (), are_agents=True, seen=0, distance=1)


@pytest.mark.parametrize(
    ("updates", "words"),
    [
        ({"map_name": "terran5_vs_5"}, ["terran5_vs_5", "RACE_N_vs_M", "'terran_5_vs_5'"]),
        ({"map_name": "human_5_vs_5"}, ["protoss, terran, zerg"]),
        ({"prob_obs_enemies": 1}, ["prob_obs_enemies", "'prob_obs_enemy'"]),
        ({"replay_prefix": "a/b"}, ["replay_dir"]),
    ],
)
def test_wrong_arguments_of_smacv2_are_told_before_any_game_starts(starcraft, updates, words):
    with pytest.raises(ConfigError) as error:
        get_env_info(make_config(env="sc2v2", **{f"env_args__{name}": value for name, value in updates.items()}))
    assert all(word in str(error.value) for word in words) and starcraft.launched() == []


def test_what_is_missing_of_smacv2_is_named_with_its_remedy(starcraft, monkeypatch, tmp_path):
    (starcraft.game / "Maps" / "SMAC_Maps" / "32x32_flat.SC2Map").unlink()
    with pytest.raises(ConfigError, match=r"install_sc2.sh --maps-only --smacv2(.|\n)*env_args.teams=random"):
        StarCraft2V2(5)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if "stand_ins" not in folder])
    monkeypatch.setenv("SC2PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"smacv2.env(.|\n)*requirements-sc2v2.txt\n(.|\n)*install_sc2.sh --smacv2"):
        StarCraft2V2(5)


@pytest.mark.parametrize("alg", ["mappo", "bn_mappo", "qmix"])
def test_methods_learn_from_smacv2(starcraft, alg):
    config = make_config(alg, "sc2v2", runner="episode", batch_size_run=2, batch_size=2, segment_length=8)
    setup, rollout = make_rollout(config)
    batch = rollout.collect(0.0)
    rollout.env.close()
    statistics = setup.learner.train(batch, 0)
    assert all(torch.isfinite(torch.as_tensor(value)) for value in (statistics or {}).values())
