"""What every registered environment promises, through every runner; toys make those that no game of ours does."""

import functools

import numpy as np
import pytest

from bn_mappo.cli.listing import listing
from bn_mappo.config.loading import config_names, load_layers
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.specs import Observation, StepResult
from bn_mappo.envs.registry import REGISTRY, fill_env_args, get_env_info, is_batched, make_vec_env
from bn_mappo.envs.vec_env import VecEnv
from bn_mappo.envs.vector.runners import RUNNERS, Games
from helpers import make_config
from toy_envs import LeavingGame

ENV_CONFIGS = config_names("envs")
TOYS = [("leaving_game", "vector"), ("leaving_game", "episode"), ("leaving_single", "episode")]
TOYS_IN_PROCESSES = [
    pytest.param(name, "parallel", marks=pytest.mark.slow) for name in ("leaving_game", "leaving_single")
]
BATCHED = [name for name in ENV_CONFIGS if is_batched(load_layers("mappo", name)["env"])]
PAIRS = [
    *((name, "vector") for name in BATCHED),
    *((name, "episode") for name in ENV_CONFIGS),
    *(pytest.param(name, "parallel", marks=pytest.mark.slow) for name in ENV_CONFIGS),
]
PAIRS_AND_TOYS = [*PAIRS, *TOYS, *TOYS_IN_PROCESSES]
BATCH = 3


def make(env: str, runner: str, seed: int = 0, **updates):
    return make_vec_env(make_config("mappo", env, runner=runner, seed=seed, **updates), BATCH, "test")


def keeps_rewards(env: str) -> dict[str, bool]:
    """The setting under which agents that have rewards of their own keep them."""
    return {"common_reward": not env.startswith("leaving")}


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
    if info.agents_leave:
        assert observation.active.shape == (BATCH, info.n_agents) and observation.active.dtype == bool
        check_absent(observation, ~observation.active, rows)
    else:
        assert observation.active is None


def check_absent(observation: Observation, has_left: np.ndarray, rows) -> None:
    """Agents that have left show nothing and can do nothing."""
    assert not observation.obs[rows][has_left[rows]].any()
    if observation.avail_actions is not None:
        avail = observation.avail_actions[rows][has_left[rows]]
        assert avail[:, 0].all() and not avail[:, 1:].any()


def random_actions(observation: Observation, env, rng) -> np.ndarray:
    scores = rng.random((BATCH, env.info.n_agents, env.info.n_actions))
    return (scores if observation.avail_actions is None else scores * observation.avail_actions).argmax(-1)


@pytest.mark.parametrize(("env_config", "runner"), PAIRS_AND_TOYS)
def test_episodes_restart_by_themselves_and_end_in_time(toys, env_config, runner):
    env, rng = make(env_config, runner, **keeps_rewards(env_config)), np.random.default_rng(0)
    try:
        observation, length = env.reset(), np.zeros(BATCH, dtype=int)
        check(observation, env)
        n_ended = 0
        for _ in range(2 * env.info.episode_limit + 1):
            before = observation
            result = env.step(random_actions(observation, env, rng))
            observation = result.observation
            check(observation, env)
            assert result.terminated.shape == result.truncated.shape == (BATCH,)
            assert result.reward.shape == ((BATCH,) if env.info.n_rewards == 1 else (BATCH, env.info.n_agents))
            assert result.reward.dtype == np.float32
            assert not (result.terminated & result.truncated).any()
            done = result.terminated | result.truncated
            length += 1
            assert (length <= env.info.episode_limit).all()
            assert (result.final is not None) == done.any()
            if result.final is not None:
                check(result.final, env, rows=done)
            assert all(values.shape == (BATCH,) for values in result.info.values())
            if env.info.agents_leave:
                check_leaving(before.active, result)
            length[done] = 0
            n_ended += done.sum()
        assert n_ended >= 2 * BATCH
    finally:
        env.close()
        env.close()


def check_leaving(was_active: np.ndarray, result: StepResult) -> None:
    """Who has left stays away until the next episode, where all are there, and is paid nothing; [B, N]."""
    done = result.terminated | result.truncated
    now = result.observation.active if result.final is None else result.final.active
    active = np.where(done[:, None], now, result.observation.active)
    assert not (active & ~was_active).any() and was_active.any(-1).all()
    assert result.observation.active[done].all()
    if result.reward.ndim == 2:
        assert not result.reward[~was_active].any()


@pytest.mark.parametrize(("env_config", "runner"), PAIRS_AND_TOYS)
def test_same_seed_same_game_and_state_goes_on_to_the_same_bits(toys, env_config, runner):
    kept = keeps_rewards(env_config)
    envs = [make(env_config, runner, seed, **kept) for seed in (0, 0, 1)]
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
                trace.append(np.concatenate([result.observation.obs.ravel(), result.reward.ravel()]))
        np.testing.assert_array_equal(traces[0], traces[1])
        assert not np.array_equal(traces[0], traces[2])
    finally:
        for env in envs:
            env.close()


@pytest.mark.parametrize(("env_config", "runner"), [*TOYS, *TOYS_IN_PROCESSES])
def test_common_reward_is_the_sum_of_what_the_agents_would_keep(toys, env_config, runner):
    envs = [make(env_config, runner, common_reward=common) for common in (True, False)]
    envs.append(make(env_config, runner, reward_scalarisation="mean"))
    try:
        infos = [
            get_env_info(make_config("mappo", env_config, runner=runner, common_reward=common))
            for common in (True, False)
        ]
        assert [env.info for env in envs[:2]] == infos and [info.n_rewards for info in infos] == [1, 3]
        observation, _, _ = (env.reset() for env in envs)
        rng = np.random.default_rng(0)
        for _ in range(15):
            actions = random_actions(observation, envs[0], rng)
            team, own, mean = (env.step(actions) for env in envs)
            assert team.reward.shape == (BATCH,) and team.reward.dtype == np.float32
            np.testing.assert_array_equal(team.reward, own.reward.sum(-1))
            np.testing.assert_allclose(mean.reward, own.reward.mean(-1), rtol=1e-6)
            np.testing.assert_array_equal(team.observation.active, own.observation.active)
            observation = team.observation
        np.testing.assert_array_equal(envs[0].load_state_dict(envs[0].state_dict()).obs, observation.obs)
    finally:
        for env in envs:
            env.close()


def test_a_reward_of_the_team_cannot_be_kept_by_agents():
    with pytest.raises(ConfigError, match="common_reward=True"):
        get_env_info(make_config("mappo", "aloha", common_reward=False))


def test_agents_that_are_paid_one_by_one_are_all_paid(toys):
    env = make("leaving_single", "episode", common_reward=False)
    env.reset()
    env.envs[1].step = lambda actions: (1.0, False, False, {})
    with pytest.raises(ValueError, match=r"3 rewards expected, one an agent, and got 1\.0"):
        env.step(np.zeros((BATCH, 3), dtype=np.int64))


def test_an_environment_with_other_defaults_can_be_registered(toys):
    REGISTRY.register("short_game", "for this test")(functools.partial(LeavingGame, episode_limit=2))
    try:
        assert fill_env_args("short_game", {}) == {"episode_limit": 2}
        for runner in ("vector", "episode"):
            assert make("short_game", runner).info.episode_limit == 2
    finally:
        REGISTRY.remove("short_game")


def test_a_runner_can_be_added():
    @RUNNERS.register("first_only", "for this test")
    def play(games: Games) -> VecEnv:
        return games.environment.make(1, games.seeds()[0])

    try:
        assert make("aloha", "first_only").batch_size == 1
        assert "first_only" in listing()
    finally:
        RUNNERS.remove("first_only")
    with pytest.raises(ConfigError, match="unknown runner 'first_only'"):
        get_env_info(make_config("mappo", "aloha", runner="first_only"))


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
