"""The adapter to Gymnasium's environments for several agents, on LBF and RWARE themselves, and on toys."""

import sys

import gymnasium
import numpy as np
import pytest

from bn_mappo.core.errors import ConfigError
from bn_mappo.envs.adapters.gymma import Gymma
from bn_mappo.envs.registry import get_env_info, make_vec_env
from contracts.test_configs import one_update
from helpers import make_config, make_rollout, run_main

LBF, RWARE = "lbforaging:Foraging-8x8-2p-3f-v3", "rware:rware-tiny-2ag-v2"
SMALL = "lbforaging:Foraging-5x5-2p-1f-v3"
MANY = "toy_packages.gym_toys:ManySpaces-v0"


def playback(key: str, n_steps: int, **options):
    """Each step of the adapter beside that of the package itself, which is seeded alike and plays the same actions."""
    ours, theirs = Gymma(7, key=key, **options), gymnasium.make(key, disable_env_checker=True).unwrapped
    rng = np.random.default_rng(0)
    ours.reset()
    theirs_obs, _ = theirs.reset(seed=7)
    np.testing.assert_array_equal(ours.get_obs(), np.stack(theirs_obs))
    for _ in range(n_steps):
        actions = rng.integers(0, ours.info.n_actions, ours.info.n_agents)
        step, their_step = ours.step(actions), theirs.step(actions.tolist())
        np.testing.assert_array_equal(ours.get_obs(), np.stack(their_step[0]))
        np.testing.assert_array_equal(ours.get_state(), np.concatenate(their_step[0]))
        np.testing.assert_array_equal(step[0], their_step[1])
        yield step, their_step, theirs
        if step[1] or step[2]:
            ours.reset()
            theirs.reset()
    ours.close()


@pytest.mark.parametrize("key", [LBF, SMALL])
def test_lbf_is_played_as_it_is_and_its_time_limit_is_told_from_its_end(key):
    """The package reports both as the end; the food that is left tells them apart."""
    outcomes = set()
    for (_, terminated, truncated, _), (_, _, done, _, _), theirs in playback(key, 250):
        assert (terminated or truncated) == done
        assert terminated == (theirs.field.sum() == 0)
        outcomes |= {(terminated, truncated)}
    assert (False, True) in outcomes and (key == LBF or (True, False) in outcomes)


def test_rware_is_played_as_it_is_and_cut_off_earlier():
    truncated = [step[2] for step, _, _ in playback(RWARE, 90, time_limit=30)]
    assert [t for t, is_cut in enumerate(truncated) if is_cut] == [29, 59, 89]


@pytest.mark.parametrize(
    ("key", "time_limit", "options", "limit"),
    [
        (LBF, 50, {}, 50),
        (LBF, 30, {}, 30),
        (LBF, 80, {}, 50),
        (LBF, 80, {"max_episode_steps": 70}, 70),
        (RWARE, 600, {}, 500),
        (RWARE, 600, {"max_steps": None}, 600),
        (RWARE, 600, {"max_steps": 30}, 30),
        ("toy_packages.gym_toys:Limited-v0", 9, {}, 2),
    ],
)
def test_the_shortest_limit_counts_and_truncates(key, time_limit, options, limit):
    env = Gymma(0, key=key, time_limit=time_limit, **options)
    assert env.info.episode_limit == limit
    env.reset(seed=3)
    for t in range(limit if limit <= 100 else 0):
        _, terminated, truncated, _ = env.step(np.zeros(env.info.n_agents, dtype=np.int64))
        assert (terminated, truncated) == (False, t == limit - 1)


def test_agents_of_other_spaces_are_flattened_padded_and_masked():
    env = Gymma(0, key=MANY, time_limit=9)
    assert (env.info.n_agents, env.info.n_actions, env.info.obs_dim, env.info.state_dim) == (3, 4, 7, 21)
    assert env.info.masks_actions and env.info.n_rewards == 1
    env.reset()
    np.testing.assert_array_equal(
        env.get_avail_actions(), [[True, True, False, False], [True, True, True, False], [True] * 4]
    )
    reward, *_ = env.step(np.array([1, 2, 3]))
    first, second, third = env.game.unwrapped.given[0]
    assert (reward, first, second, list(third)) == (0.5, 1, 7, [1, 1])
    env.step(np.array([0, 0, 2]))
    assert [list(action) for action in [env.game.unwrapped.given[1][2]]] == [[1, 0]]
    expected = [[2, 2, 2, 2, 0, 0, 0], [0, 0, 1, 0, 1, 1, 0], [-2, 0, 0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(env.get_obs(), expected)
    np.testing.assert_array_equal(env.get_state(), np.ravel(expected))
    env.step(np.zeros(3, dtype=np.int64))
    assert env.step(np.zeros(3, dtype=np.int64))[1:3] == (True, False), "the environment's own end"


def test_the_key_may_leave_out_the_module_of_known_packages():
    assert Gymma(0, key="Foraging-8x8-2p-3f-v3").info == Gymma(0, key=LBF).info
    assert Gymma(0, key="rware-tiny-2ag-v2", time_limit=500).info == Gymma(0, key=RWARE, time_limit=500).info


def test_other_arguments_go_to_the_environment():
    env = Gymma(0, key=LBF, observe_agent_levels=False)
    assert env.info.obs_dim == 3 * 3 + 2 * 2, "food with levels, and agents without"


def test_rewards_are_summed_or_kept():
    for common_reward in (True, False):
        config = make_config("ippo", "gymma", env_args__key=SMALL, common_reward=common_reward, runner="episode")
        env, rng, paid = make_vec_env(config, 2, "test"), np.random.default_rng(0), 0.0
        env.reset()
        for _ in range(150):
            reward = env.step(rng.integers(0, 6, (2, 2))).reward
            assert reward.shape == ((2,) if common_reward else (2, 2))
            paid += reward.sum()
        assert paid > 0.5


@pytest.mark.parametrize(
    ("env_args", "words"),
    [
        ({"key": None}, "env_args.key is missing"),
        ({"key": "lbforaging:Foraging-8x8-2p-3f-v4"}, "Did you mean 'Foraging-8x8-2p-3f-v3'"),
        ({"key": "toy_packages.gym_toys:ManySpace-v0"}, "Did you mean 'ManySpaces-v0'"),
        ({"key": "no_such_module:Game-v0"}, "'no_such_module' is not installed"),
        ({"key": "lbforaging.no_such_part:Game-v0"}, "no module 'lbforaging.no_such_part'"),
        ({"key": "CartPole-v1"}, "for one agent"),
        ({"key": "toy_packages.gym_toys:Continuous-v0"}, "actions of 'agent 1' are Box"),
        ({"key": "pz-mpe-simple-spread-v3"}, "--env-config=pettingzoo"),
        ({"key": LBF, "sigth": 1}, "Did you mean 'sight'"),
        ({"key": LBF, "time_limt": 1}, "Did you mean 'time_limit'"),
        ({"key": LBF, "players": 0}, "refuses its env_args"),
        ({"key": LBF, "time_limit": 0}, "at least 1 step"),
        ({"key": LBF, "time_limit": "long"}, "env_args.time_limit"),
        ({"key": LBF, "max_episode_steps": "long"}, "env_args.max_episode_steps=long"),
        ({"key": LBF, "sight": "far"}, "with these env_args"),
        ({"key": LBF, "pretrained_wrapper": "PretrainedTag"}, "Only null is allowed"),
    ],
)
def test_mistakes_are_named(env_args, words):
    given = {f"env_args__{name}": "null" if value is None else value for name, value in env_args.items()}
    with pytest.raises(ConfigError) as caught:
        get_env_info(make_config("mappo", "gymma", **given))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("package", "key", "extra"),
    [("gymnasium", LBF, "gymnasium"), ("lbforaging", LBF, "lbf"), ("rware", "rware-tiny-2ag-v2", "rware")],
)
def test_a_package_that_is_missing_is_named_with_its_extra_and_the_command(monkeypatch, capsys, package, key, extra):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    for name in [name for name in gymnasium.registry if name.startswith("rware")]:
        monkeypatch.delitem(gymnasium.registry, name)
    words = ["--config=mappo", "--env-config=gymma", "with", f"env_args.key={key}"]
    status, _, error = run_main(words, capsys)
    assert status == 2 and "Traceback" not in error
    assert f"'{package}' is not installed" in error and f"{sys.executable} -m pip install 'bn-mappo[{extra}]'" in error


@pytest.mark.slow
@pytest.mark.parametrize("key", [RWARE, MANY])
@pytest.mark.parametrize("alg", ["mappo", "bn_mappo"])
def test_it_trains(alg, key):
    one_update(make_config(alg, "gymma", env_args__key=key, env_args__time_limit=5, runner="episode"))


def test_a_resumed_run_plays_other_games_than_the_first():
    """These games cannot be saved, so new ones are started."""
    _, collector = make_rollout(make_config("mappo", "gymma", runner="episode", batch_size_run=4))
    first = collector.games.observation.obs.copy()
    assert not collector.load_state_dict(collector.state_dict(), seed=7)
    assert not any(
        np.array_equal(ours, theirs) for ours, theirs in zip(collector.games.observation.obs, first, strict=True)
    )
