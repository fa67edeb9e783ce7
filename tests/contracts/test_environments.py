"""What every registered environment promises, through every runner."""

import numpy as np
import pytest

from bn_mappo.config.schema import config_names, load_layers
from bn_mappo.core.specs import Observation
from bn_mappo.envs.registry import REGISTRY, fill_env_args, is_batched, make_vec_env
from helpers import make_config

ENV_CONFIGS = config_names("envs")
BATCHED = [name for name in ENV_CONFIGS if is_batched(load_layers("mappo", name)["env"])]
PAIRS = [
    *((name, "vector") for name in BATCHED),
    *((name, "episode") for name in ENV_CONFIGS),
    *(pytest.param(name, "parallel", marks=pytest.mark.slow) for name in ENV_CONFIGS),
]
BATCH = 3


def make(env: str, runner: str, seed: int = 0):
    return make_vec_env(make_config("mappo", env, runner=runner, seed=seed), BATCH, "test")


def check(observation: Observation, env, rows=slice(None)) -> None:
    """Shapes, types and values; `rows` are those that count."""
    info = env.info
    assert observation.obs.shape == (BATCH, info.n_agents, info.obs_dim)
    assert observation.state.shape == (BATCH, info.state_dim)
    assert observation.obs.dtype == observation.state.dtype == np.float32
    assert np.isfinite(observation.obs).all() and np.isfinite(observation.state).all()
    if info.masks_actions:
        assert observation.avail_actions.shape == (BATCH, info.n_agents, info.n_actions)
        assert observation.avail_actions[rows].any(-1).all()
    else:
        assert observation.avail_actions is None


def random_actions(observation: Observation, env, rng) -> np.ndarray:
    scores = rng.random((BATCH, env.info.n_agents, env.info.n_actions))
    return (scores if observation.avail_actions is None else scores * observation.avail_actions).argmax(-1)


@pytest.mark.parametrize(("env_config", "runner"), PAIRS)
def test_episodes_restart_by_themselves_and_end_in_time(env_config, runner):
    env, rng = make(env_config, runner), np.random.default_rng(0)
    try:
        observation, length = env.reset(), np.zeros(BATCH, dtype=int)
        check(observation, env)
        n_ended = 0
        for _ in range(2 * env.info.episode_limit + 1):
            result = env.step(random_actions(observation, env, rng))
            observation = result.observation
            check(observation, env)
            assert result.reward.shape == result.terminated.shape == result.truncated.shape == (BATCH,)
            assert not (result.terminated & result.truncated).any()
            done = result.terminated | result.truncated
            length += 1
            assert (length <= env.info.episode_limit).all()
            assert (result.final is not None) == done.any()
            if result.final is not None:
                check(result.final, env, rows=done)
            assert all(values.shape == (BATCH,) for values in result.info.values())
            length[done] = 0
            n_ended += done.sum()
        assert n_ended >= 2 * BATCH
    finally:
        env.close()
        env.close()


@pytest.mark.parametrize(("env_config", "runner"), PAIRS)
def test_same_seed_same_game_and_state_goes_on_to_the_same_bits(env_config, runner):
    envs = [make(env_config, runner), make(env_config, runner), make(env_config, runner, seed=1)]
    try:
        rng, traces, observations = np.random.default_rng(0), [[], [], []], [env.reset() for env in envs]
        saved = None
        for t in range(envs[0].info.episode_limit + 5):
            actions = random_actions(observations[0], envs[0], rng)
            if t == 7:
                saved = envs[0].state_dict()
                if saved is None:
                    return  # such an environment starts anew after a resume, and says so
                envs[1].step(actions)  # the twin strays
                observations[1] = envs[1].load_state_dict(saved)
                np.testing.assert_array_equal(observations[0].obs, observations[1].obs)
            for k, (env, trace) in enumerate(zip(envs, traces, strict=True)):
                result = env.step(actions)
                observations[k] = result.observation
                trace.append(np.concatenate([result.observation.obs.ravel(), result.reward]))
        np.testing.assert_array_equal(traces[0], traces[1])
        assert not np.array_equal(traces[0], traces[2])
    finally:
        for env in envs:
            env.close()


@pytest.mark.parametrize("env_config", BATCHED)
def test_reset_with_a_seed_repeats_the_episode(env_config):
    env = make(env_config, "vector")
    first = env.reset(seed=5)
    env.step(np.zeros((BATCH, env.info.n_agents), dtype=np.int64))
    np.testing.assert_array_equal(first.obs, env.reset(seed=5).obs)


@pytest.mark.parametrize("env_config", ENV_CONFIGS)
def test_yaml_arguments_fit_the_constructor(env_config):
    layers = load_layers("mappo", env_config)
    assert layers["env"] in REGISTRY
    assert set(layers["env_args"]) <= set(fill_env_args(layers["env"], {}))


def test_every_environment_has_a_config():
    assert {load_layers("mappo", name)["env"] for name in ENV_CONFIGS} == set(REGISTRY)
