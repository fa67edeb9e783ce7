"""Our games behind the interfaces of others: PettingZoo's own tests, Gymnasium's spaces, and SMAC's class."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from pettingzoo.test import parallel_api_test, parallel_seed_test

from bn_mappo.core.errors import ConfigError
from bn_mappo.envs.exports.games import GAMES
from bn_mappo.envs.exports.gymnasium import VectorGames
from bn_mappo.envs.exports.pettingzoo import parallel_env
from bn_mappo.envs.exports.smac import StarCraft2Env, get_map_params
from bn_mappo.envs.games.skirmish import Skirmish
from bn_mappo.envs.games.skirmish.data import map_names
from bn_mappo.envs.vector.batched import BatchedGame

ARGUMENTS = {"skirmish": {"map_name": "3m"}, "aloha": {"episode_limit": 7}, "coordination_game": {"n_agents": 3}}
EXAMPLES = Path(__file__).parents[2] / "examples"


def available(rng: np.random.Generator, avail: np.ndarray) -> np.ndarray:
    """A random available action for each agent, from [..., A]."""
    return (rng.random(avail.shape) * avail).argmax(-1)


def start(name: str, n_games: int, seed: int) -> BatchedGame:
    game = GAMES[name](n_games, seed, **ARGUMENTS[name])
    game.reset()
    return game


# --- PettingZoo ---


@pytest.mark.parametrize("name", list(GAMES))
def test_pettingzoos_own_tests_pass(name):
    parallel_api_test(parallel_env(name, **ARGUMENTS[name]), num_cycles=100)
    parallel_seed_test(lambda: parallel_env(name, **ARGUMENTS[name]))


@pytest.mark.parametrize("name", list(GAMES))
def test_a_parallel_environment_plays_the_game_itself(name):
    """Rewards, ends, last observations and masks, over several episodes."""
    env, game, rng = parallel_env(name, seed=5, **ARGUMENTS[name]), start(name, 1, 5), np.random.default_rng(0)
    observations, _ = env.reset()
    n_ended = 0
    while n_ended < 3:
        masks = [seen["action_mask"] if isinstance(seen, dict) else np.ones(2) for seen in observations.values()]
        actions = available(rng, np.stack(masks))
        result = game.step(actions[None])
        observations, rewards, terminations, truncations, infos = env.step(
            dict(zip(env.agents, actions.tolist(), strict=True))
        )
        now = result.observation if result.final is None else result.final
        for agent, seen in enumerate(observations.values()):
            inner = seen["observation"] if isinstance(seen, dict) else seen
            np.testing.assert_array_equal(inner, now.obs[0, agent])
            if isinstance(seen, dict):
                np.testing.assert_array_equal(seen["action_mask"], now.avail_actions[0, agent])
        np.testing.assert_array_equal(env.state(), now.state[0])
        assert set(rewards.values()) == {float(result.reward[0])}
        assert set(terminations.values()) == {bool(result.terminated[0])}
        assert set(truncations.values()) == {bool(result.truncated[0])}
        if result.final is not None:
            assert env.agents == [] and all(set(info) == set(result.info) for info in infos.values())
            assert env.step({}) == ({}, {}, {}, {}, {}), "nobody is left to act"
            n_ended += 1
            observations, _ = env.reset()
    env.close()


@pytest.mark.slow
def test_a_battle_is_drawn():
    env = parallel_env("skirmish", map_name="3m", render_mode="rgb_array")
    env.reset()
    pixels = env.render()
    assert pixels.ndim == 3 and pixels.dtype == np.uint8 and env.render_mode == "rgb_array"


# --- Gymnasium ---


@pytest.mark.parametrize("name", list(GAMES))
def test_a_vector_environment_plays_the_games_themselves(name):
    n_games = 3
    env, game = VectorGames(name, n_games, seed=5, **ARGUMENTS[name]), start(name, n_games, 5)
    assert env.metadata["autoreset_mode"].value == "SameStep"
    rng, n_ended = np.random.default_rng(0), 0
    observation, _ = env.reset()
    assert observation in env.observation_space
    for _ in range(80):
        if "avail_actions" in observation:
            actions = available(rng, observation["avail_actions"])
        else:
            actions = rng.integers(0, 2, (n_games, game.info.n_agents))
        assert actions in env.action_space
        observation, reward, terminated, truncated, infos = env.step(actions)
        result = game.step(actions)
        assert observation in env.observation_space
        np.testing.assert_array_equal(observation["obs"], result.observation.obs)
        np.testing.assert_array_equal(observation["state"], result.observation.state)
        np.testing.assert_array_equal(reward, result.reward)
        np.testing.assert_array_equal(terminated, result.terminated)
        np.testing.assert_array_equal(truncated, result.truncated)
        done = terminated | truncated
        assert ("final_obs" in infos) == done.any()
        if done.any():
            assert all((last is None) != over for last, over in zip(infos["final_obs"], done, strict=True))
            last = [infos["final_obs"][game] for game in np.flatnonzero(done)]
            assert all(each in env.single_observation_space for each in last)
            np.testing.assert_array_equal(infos["_final_obs"], done)
            np.testing.assert_array_equal([each["obs"] for each in last], result.final.obs[done])
            for fact, values in result.info.items():
                np.testing.assert_array_equal(infos["final_info"][fact], values)
        n_ended += done.sum()
    assert n_ended >= n_games
    env.close()


def test_gymnasiums_wrapper_counts_episodes():
    env = RecordEpisodeStatistics(VectorGames("coordination_game", 4, seed=0, n_agents=2, episode_limit=6))
    env.reset(seed=1)
    for t in range(6):
        *_, infos = env.step(env.action_space.sample())
        assert ("episode" in infos) == (t == 5)
    assert infos["episode"]["l"].tolist() == [6] * 4


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match="Did you mean 'skirmish'"):
        parallel_env("skirmsh")
    with pytest.raises(ConfigError, match="map_name"):
        VectorGames("skirmish", 2, map_nam="3m")
    with pytest.raises(ValueError, match=r"reset\(\) comes before"):
        parallel_env("aloha").step({})


# --- SMAC ---


@pytest.mark.parametrize("map_name", ["3m", "2s3z", "MMM2", "6h_vs_8z"])
def test_smacs_class_answers_as_the_game(map_name):
    """Sizes are SMAC's own (tests/unit/test_skirmish.py); the same seed and actions give the same battles."""
    env, game = StarCraft2Env(map_name=map_name, seed=9), Skirmish(1, 9, map_name=map_name)
    first = game.reset()
    obs, state = env.reset()
    info = env.get_env_info()
    assert info == {
        "state_shape": len(state),
        "obs_shape": len(obs[0]),
        "n_actions": len(env.get_avail_agent_actions(0)),
        "n_agents": len(obs),
        "n_enemies": env.n_enemies,
        "episode_limit": env.episode_limit,
        "agent_features": env.ally_state_attr_names,
        "enemy_features": env.enemy_state_attr_names,
    }
    n_of_units = len(obs) * len(info["agent_features"]) + env.n_enemies * len(info["enemy_features"])
    assert n_of_units + len(obs) * env.n_actions == len(state), "units, then last actions"
    assert env.get_obs_size() == len(env.get_obs_agent(1)) and env.get_state_size() == len(env.get_state())
    np.testing.assert_array_equal(obs, first.obs[0])
    rng, n_ended, n_won = np.random.default_rng(0), 0, 0
    while n_ended < 3:
        avail = env.get_avail_actions()
        assert isinstance(avail[0], list) and set(avail[0]) <= {0, 1}
        actions = available(rng, np.array(avail))
        result = game.step(actions[None])
        reward, terminated, facts = env.step(list(actions))
        now = result.observation if result.final is None else result.final
        np.testing.assert_array_equal(env.get_obs(), now.obs[0])
        np.testing.assert_array_equal(env.get_state(), now.state[0])
        assert reward == float(result.reward[0]) and terminated == bool(result.terminated[0] | result.truncated[0])
        assert type(facts["battle_won"]) is bool and type(facts["dead_allies"]) is type(facts["dead_enemies"]) is int
        assert facts["dead_allies"] == sum(avail[0] for avail in env.get_avail_actions())
        if terminated:
            n_ended += 1
            n_won += facts["battle_won"]
            env.reset()
    stats = env.get_stats()
    assert (stats["battles_game"], stats["battles_won"]) == (3, n_won) and stats["win_rate"] == n_won / 3
    assert env.seed() == 9 and env.render() is None
    env.close()


@pytest.mark.parametrize("continuing_episode", [False, True])
def test_a_time_out_terminates_and_is_told_as_smac_tells_it(continuing_episode):
    env = StarCraft2Env("3m", continuing_episode=continuing_episode, step_mul=1, window_size_x=640)
    env.reset()
    for t in range(env.episode_limit):
        _, terminated, info = env.step([1] * env.n_agents)
        assert terminated == (t == env.episode_limit - 1)
        assert ("episode_limit" in info) == (terminated and continuing_episode)
    assert env.get_stats()["timeouts"] == env.get_stats()["battles_draw"] == 1


def test_epymarls_arguments_and_what_its_wrapper_and_others_read():
    arguments = {
        "continuing_episode": False, "difficulty": "7", "game_version": None, "map_name": "MMM2", "move_amount": 2,
        "obs_all_health": True, "obs_terrain_height": False, "reward_death_value": 10, "reward_win": 200, "seed": 0,
        "reward_scale_rate": 20, "reward_negative_scale": 0.5, "step_mul": 8, "state_last_action": False,
        "heuristic_ai": False, "debug": False, "replay_dir": "", "window_size_x": 1920, "window_size_y": 1200,
    }  # fmt: skip
    env = StarCraft2Env(**arguments)
    assert (env.get_obs_move_feats_size(), env.get_obs_own_feats_size()) == (4, 4)
    assert (env.get_obs_enemy_feats_size(), env.get_obs_ally_feats_size()) == ((12, 8), (9, 8))
    assert (env.get_obs_size(), env.get_state_size(), env.get_total_actions()) == (176, 142, 18)
    assert (env.n_actions_no_attack, env.unit_type_bits, env.shield_bits_ally, env.shield_bits_enemy) == (6, 3, 0, 0)
    obs, _ = env.reset()
    env.seed(0)
    again, _ = env.reset()
    np.testing.assert_array_equal(obs, again)
    assert not np.array_equal(env.reset()[0], again)
    assert StarCraft2Env("3m", step_mul=None).batched.n_loops == 8


def test_what_smac_refuses_is_refused():
    env = StarCraft2Env(map_name="3m")
    with pytest.raises(ValueError, match="reset"):
        env.step([1, 1, 1])
    env.reset()
    with pytest.raises(ValueError, match="agent 2 cannot take action 0"):
        env.step([1, 1, 0])
    with pytest.raises(ConfigError, match=r"env_args\.map_nam"):
        StarCraft2Env(map_nam="3m")
    with pytest.raises(ConfigError, match="Did you mean 'corridor'"):
        StarCraft2Env(map_name="coridor")


def test_a_replay_shows_the_episode_that_was_played(tmp_path, monkeypatch):
    """The film is made from a second game, which must go the way of the first."""
    env, rng = StarCraft2Env("3m", seed=3, replay_dir=str(tmp_path)), np.random.default_rng(0)
    env.reset()
    with pytest.raises(ValueError, match="nothing to replay"):
        env.save_replay()
    for episode in range(2):
        terminated, units = False, []
        while not terminated:
            _, terminated, _ = env.step(available(rng, np.array(env.get_avail_actions())))
            units.append(env.batched.units.copy())
        if episode == 0:
            env.reset()
    moments = []
    monkeypatch.setattr(
        "bn_mappo.envs.games.skirmish.film.BattleFilm.animate",
        lambda film, path: (moments.extend(film.moments), path.write_bytes(b"film")),
    )
    path = env.save_replay()
    assert path.parent == tmp_path and path.stem == "3m"
    assert len(moments) == len(units) + 1
    core = env.batched.core
    for moment, unit in zip(moments[1:-1], units[:-1], strict=True):
        np.testing.assert_array_equal(moment.position, unit[0, [core.X, core.Y]].T)
    env.reset()
    assert env.save_replay().stem == "3m_2", "the one before, where the present one has just begun"


def test_facts_of_maps_are_smacs():
    assert get_map_params("MMM2") == {
        "n_agents": 10, "n_enemies": 12, "limit": 180, "a_race": "T", "b_race": "T", "unit_type_bits": 3,
        "map_type": "MMM",
    }  # fmt: skip
    assert get_map_params("6h_vs_8z")["map_type"] == "hydralisks" and get_map_params("2s3z")["a_race"] == "P"
    assert all(get_map_params(name)["n_agents"] for name in map_names())


SMAC_PROGRAM = """
import multiprocessing, sys
import numpy as np
from smac.env import StarCraft2Env
from smac.env.starcraft2.maps import get_map_params
import helper_of_this_program

def sizes(map_name):
    return StarCraft2Env(map_name=map_name).get_env_info()["n_agents"]

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(sys.argv[1:], get_map_params("8m")["n_agents"], pool.map(sizes, ["3m"]))
"""


@pytest.mark.slow
def test_a_program_for_smac_runs_unchanged_with_its_worker_processes(tmp_path):
    (tmp_path / "program.py").write_text(SMAC_PROGRAM)
    (tmp_path / "helper_of_this_program.py").touch()
    launch = [sys.executable, "-m", "bn_mappo.envs.exports.as_smac"]
    done = subprocess.run([*launch, str(tmp_path / "program.py"), "--map=3m"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['--map=3m'] 8 [3]\n" and "not StarCraft II" in done.stderr
    missing = subprocess.run([*launch, "nowhere.py"], capture_output=True, text=True)
    assert missing.returncode == 1 and "no script nowhere.py" in missing.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["skirmish_as_smac", "skirmish_in_pettingzoo", "skirmish_in_gymnasium"])
def test_an_example_runs(tmp_path, name):
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", "3m", "2"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "2 battles" in done.stdout
