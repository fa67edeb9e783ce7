"""The adapter to PettingZoo's parallel environments, on those of MPE themselves, and on a toy whose agents leave."""

import sys

import numpy as np
import pytest
from mpe2 import simple_spread_v3
from pettingzoo.test import parallel_api_test

from bn_mappo.core.errors import ConfigError
from bn_mappo.envs.adapters.pettingzoo import PettingZoo
from bn_mappo.envs.registry import get_env_info
from contracts.test_configs import one_update
from helpers import make_config, run_main
from toy_packages import leaving_v0

SPREAD, SPEAKER = "mpe2:simple_spread_v3", "mpe2:simple_speaker_listener_v4"
LEAVING = "toy_packages:leaving_v0"


def test_simple_spread_is_played_as_it_is():
    ours, theirs = PettingZoo(7, key=SPREAD, time_limit=10, N=2), simple_spread_v3.parallel_env(max_cycles=10, N=2)
    ours.reset()
    observations, _ = theirs.reset(seed=7)
    rng = np.random.default_rng(0)
    for t in range(30):
        assert ours.get_active().all() and ours.get_avail_actions() is None
        np.testing.assert_array_equal(ours.get_obs(), list(observations.values()))
        np.testing.assert_array_equal(ours.get_state(), np.concatenate(list(observations.values())))
        actions = rng.integers(0, 5, 2)
        reward, terminated, truncated, _ = ours.step(actions)
        observations, rewards, _, truncations, _ = theirs.step(dict(zip(theirs.agents, actions.tolist(), strict=True)))
        np.testing.assert_array_equal(reward, np.float32(list(rewards.values())))
        assert not terminated and truncated == all(truncations.values()) == (t % 10 == 9)
        if truncated:
            np.testing.assert_array_equal(ours.get_obs(), list(observations.values()))
            ours.reset()
            observations, _ = theirs.reset()
    ours.close()


def test_speaker_and_listener_are_padded_and_masked():
    env = PettingZoo(0, key=SPEAKER)
    assert env.names == ["speaker_0", "listener_0"]
    assert (env.info.n_actions, env.info.obs_dim, env.info.state_dim, env.info.n_rewards) == (5, 11, 22, 2)
    env.reset()
    assert not env.get_obs()[0, 3:].any() and env.get_obs()[1].any()
    np.testing.assert_array_equal(env.get_avail_actions(), [[True] * 3 + [False] * 2, [True] * 5])


def test_the_toy_is_a_parallel_environment():
    parallel_api_test(leaving_v0.parallel_env(), num_cycles=20)


@pytest.mark.parametrize("ends_with_chief", [False, True])
def test_agents_leave_and_the_last_ones_tell_a_time_out_from_an_end(ends_with_chief):
    env = PettingZoo(0, key=LEAVING, time_limit=9, max_cycles=5, ends_with_chief=ends_with_chief)
    assert env.info.agents_leave and (env.info.n_actions, env.info.obs_dim) == (4, 7)
    for _ in range(2):
        env.reset()
        actions, rewards, active, ends = np.array([1, 2, 3]), [], [], []
        for t in range(5):
            actions[2] = 3 if t % 2 else 2
            reward, terminated, truncated, _ = env.step(actions)
            rewards.append(reward.tolist())
            active.append(env.get_active().tolist())
            ends.append((terminated, truncated))
            gone = ~env.get_active()
            assert not env.get_obs()[gone].any()
            np.testing.assert_array_equal(env.get_avail_actions()[gone], [[True] + [False] * 3] * gone.sum())
            if env.get_active()[2]:
                assert env.get_avail_actions()[2].tolist() == [action != actions[2] for action in range(4)]
                assert env.get_obs()[2].tolist() == [-(t + 1), 0, 0, 0, 0, 0, 0]
            if t == 1:
                assert env.get_obs()[1].tolist() == [0, 1, 1, 0, 0, 0, 1], "flags 1 and 0, then post 2"
                assert env.get_avail_actions()[1].tolist() == [True, True, True, False]
        assert rewards == [[1, 2, 2], [0, 2, 3], [0, 2, 2], [0, 0, 3], [0, 0, 2]]
        last = [False, False, not ends_with_chief]
        assert active == [[False, True, True]] * 2 + [[False, False, True]] * 2 + [last]
        assert ends == [(False, False)] * 4 + [(ends_with_chief, not ends_with_chief)]


def test_the_time_limit_cuts_an_environment_that_goes_on():
    env = PettingZoo(0, key=LEAVING, time_limit=2, max_cycles=5)
    env.reset()
    assert env.step(np.array([1, 2, 3]))[1:3] == (False, False)
    assert env.step(np.array([1, 2, 2]))[1:3] == (False, True)
    assert PettingZoo(0, key=LEAVING, time_limit=7).game.max_cycles == 7, "it learns the limit where it takes one"


def test_an_agent_that_leaves_against_the_word_of_the_configuration_is_an_error():
    env = PettingZoo(0, key=LEAVING, agents_leave=False)
    env.reset()
    with pytest.raises(ValueError, match="agents_leave=True"):
        env.step(np.array([1, 2, 3]))


@pytest.mark.parametrize(
    ("env_args", "words"),
    [
        ({"key": None}, "env_args.key is missing"),
        ({"key": "simple_spread_v3"}, "MODULE:VERSION is needed"),
        ({"key": "mpe2:simple_sprad_v3"}, "no module 'mpe2.simple_sprad_v3'"),
        ({"key": "toy_packages:gym_toys"}, "no parallel_env()"),
        ({"key": SPREAD, "local_ration": 0.5}, "Did you mean 'local_ratio'"),
        ({"key": SPREAD, "continuous_actions": True}, "actions of 'agent_0' are Box"),
        ({"key": SPREAD, "N": "three"}, "refuses its env_args"),
        ({"key": SPREAD, "time_limit": 0}, "at least 1 step"),
        ({"key": SPREAD, "max_cycles": "many"}, "env_args.max_cycles=many"),
    ],
)
def test_mistakes_are_named(env_args, words):
    given = {f"env_args__{name}": "null" if value is None else value for name, value in env_args.items()}
    with pytest.raises(ConfigError) as caught:
        get_env_info(make_config("mappo", "pettingzoo", **given))
    assert words in str(caught.value)


@pytest.mark.parametrize(("package", "extra"), [("pettingzoo", "pettingzoo"), ("mpe2", "mpe")])
def test_a_package_that_is_missing_is_named_with_its_extra_and_the_command(monkeypatch, capsys, package, extra):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    words = ["--config=mappo", "--env-config=pettingzoo", "with", f"env_args.key={SPREAD}"]
    status, _, error = run_main(words, capsys)
    assert status == 2 and "Traceback" not in error
    assert f"'{package}' is not installed" in error and f"{sys.executable} -m pip install 'bn-mappo[{extra}]'" in error


@pytest.mark.slow
@pytest.mark.parametrize("key", [SPEAKER, LEAVING])
@pytest.mark.parametrize("alg", ["mappo", "bn_mappo"])
def test_it_trains(alg, key):
    one_update(make_config(alg, "pettingzoo", env_args__key=key, env_args__time_limit=5, runner="episode"))
