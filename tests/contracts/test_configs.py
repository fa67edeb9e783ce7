"""Every algorithm on every environment, and every registry entry: one update runs, moves weights and stays finite."""

import math

import pytest
import torch

from bn_mappo.config.loading import config_names, load_layers, load_preset, merge, overlay, preset_names
from bn_mappo.config.schema import validate
from bn_mappo.controllers import REGISTRY as MACS
from bn_mappo.controllers.dag_controller import DAGMAC, STATISTICS
from bn_mappo.envs.adapters.backends import settle
from bn_mappo.learners import REGISTRY as LEARNERS
from bn_mappo.modules.agents import REGISTRY as AGENTS
from bn_mappo.modules.critics.critics import REGISTRY as CRITICS
from bn_mappo.modules.dag.generators import REGISTRY as DAG_GENERATORS
from bn_mappo.modules.mixers.mixers import REGISTRY as MIXERS
from helpers import make_config, make_rollout

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


def one_update(config) -> None:
    setup, rollout = make_rollout(config)
    before = {name: value.clone() for name, value in setup.mac.named_parameters()}
    statistics = {}
    while not statistics:  # a replay may need more
        statistics = setup.learner.train(rollout.collect(0.0), 0)
    assert all(math.isfinite(float(value)) for value in statistics.values())
    assert any(not torch.equal(value, before[name]) for name, value in setup.mac.named_parameters())
    expected = {"pg_loss", "critic_loss", "entropy", "agent_grad_norm", "first_ratio_error"}
    if config.learner.name == "q_learner":
        expected = {"loss", "grad_norm", "td_error_abs", "q_taken_mean", "target_mean", "epsilon", "buffer_episodes"}
    elif isinstance(setup.mac, DAGMAC):
        expected |= set(STATISTICS)
    if config.learner.name == "bn_mappo":
        expected |= {"dag_eta", "dag_alpha"}
    assert expected <= set(statistics)


QUICK = {"bn_mappo", "mappo", "mat", "qmix"}  # on every environment in the quick part; the others on one


def of_pair(alg: str, env: str):
    is_quick = env == "aloha" or (alg in QUICK and env != "sc2")
    return pytest.param(alg, env, marks=[] if is_quick else [pytest.mark.slow], id=f"{alg}-{env}")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("alg", "env"), [of_pair(alg, env) for alg in config_names("algs") for env in config_names("envs")]
)
def test_every_pair_of_yaml_files_trains(alg, env, device):
    runner = {"runner": "episode"} if env in ("gymma", "pettingzoo") else {}  # their processes import for seconds
    one_update(make_config(alg, env, use_cuda=device == "cuda", **runner))


PRESETS = [(env, name) for env in config_names("envs") for name in preset_names(env)]
SMALL = {"batch_size_run": 8, "segment_length": 6, "hidden_dim": 16, "test_nepisode": 4}


@pytest.mark.parametrize(("env", "preset"), PRESETS)
def test_every_preset_trains(env, preset):
    layers = load_layers("bn_mappo", env)
    given = {"env_args": {"backend": "skirmish"}} if env == "sc2" else {}
    values = settle(overlay(merge(layers, load_preset(preset, env, layers, given)), given)).values
    one_update(validate(merge(values, SMALL)))


@pytest.mark.parametrize("map_name", ["MMM2", "6h_vs_8z"])
@pytest.mark.parametrize("alg", ["bn_mappo", "bn_mappo_annealed", "mappo"])
@pytest.mark.parametrize("env", ["skirmish", "sc2"])
def test_the_papers_settings_on_its_maps(env, alg, map_name):
    """Mini-batches and the weights of the regulariser depend on the map; only bn_mappo_annealed has the latter."""
    given = {"env_args": {"map_name": map_name, **({"backend": "skirmish"} if env == "sc2" else {})}}
    layers = load_layers(alg, env)
    preset = load_preset("paper", env, layers, given)
    values = settle(overlay(merge(layers, preset), given)).values
    config = validate(values)
    assert (config.env, config.runner, config.env_args["map_name"]) == ("skirmish", "vector", map_name)
    assert (config.batch_size_run, config.segment_length, config.t_max) == (8, 400, 20_000_000)
    assert [values[key] for key in ("epochs", "lr", "critic_lr", "gamma", "gae_lambda")] == [5, 5e-4, 5e-4, 0.99, 0.95]
    assert values["batch_size"] == (4 if map_name == "MMM2" else None)
    if alg == "mappo":
        assert "annealing" not in values and "dag" not in values
    else:
        alpha = values["annealing"]["alpha"]
        annealed = (0.05, 0.5) if map_name == "MMM2" else (0.1, 1.0)
        assert (alpha["start"], alpha["end"]) == (annealed if alg == "bn_mappo_annealed" else (0.0, 0.0))
    one_update(validate(merge(values, SMALL)))


PAIRS = [
    ("basic_mac", "ppo_learner"),
    ("dag_controller", "ppo_learner"),
    ("dag_controller", "bn_mappo"),
    ("guided_controller", "magpo"),
]
VALUE_BASED = [("q_controller", "q_learner"), ("graph_controller", "q_learner")]
WITH_VALUES = [("mat_controller", "ppo_learner"), ("mat_dec_controller", "ppo_learner")]  # critic_type=mac_critic


def test_every_registered_controller_and_learner_is_in_a_pair_that_is_tested():
    macs, learners = zip(*PAIRS, *VALUE_BASED, *WITH_VALUES, strict=True)
    assert set(macs) == set(MACS) and set(learners) == set(LEARNERS)


@pytest.mark.parametrize("mini_batch", [4, pytest.param(2, marks=pytest.mark.slow), 1])
@pytest.mark.parametrize("agent", list(AGENTS))
@pytest.mark.parametrize("critic_type", [name for name in CRITICS if name != "mac_critic"])
@pytest.mark.parametrize(("mac", "learner"), PAIRS)
def test_every_registry_entry_trains(mac, learner, critic_type, agent, mini_batch):
    settings = {"mac": mac, "learner": learner, "critic_type": critic_type, "agent": agent, "batch_size": mini_batch}
    order = "plackett_luce" if learner in ("bn_mappo", "magpo") else "identity"  # a learned order needs its own loss
    dag = {"dag__permutation": order} if mac != "basic_mac" else {}
    one_update(make_config("mappo", "skirmish" if agent == "entity" else "aloha", **settings, **dag))


@pytest.mark.parametrize("mixer", list(MIXERS))
@pytest.mark.parametrize("agent", ["mlp", "rnn"])  # entity: with Skirmish, above
@pytest.mark.parametrize("env", ["masked_game", "leaving_game"])
def test_every_mixer_trains(toys, env, agent, mixer):
    mac, learner = VALUE_BASED[0]
    settings = {"mac": mac, "learner": learner, "agent": agent, "mixer": mixer, "share_params": agent == "mlp"}
    one_update(make_config("qmix", env, **settings, obs_last_action=True, double_q=env == "masked_game"))


@pytest.mark.parametrize("env", ["masked_game", "leaving_game"])
def test_coordination_graphs_train_where_agents_leave(toys, env):
    one_update(make_config("casec", env, topology="line"))


@pytest.mark.parametrize("env", ["leaving_game", "leaving_single"])
def test_agents_with_rewards_of_their_own_that_leave_learn_values(toys, env):
    runner = "vector" if env == "leaving_game" else "episode"
    one_update(make_config("iql", env, common_reward=False, runner=runner))


@pytest.mark.parametrize("env", ["masked_game", "leaving_game", "leaving_single"])
@pytest.mark.parametrize(("mac", "learner"), WITH_VALUES)
def test_every_controller_with_values_trains(toys, mac, learner, env):
    settings = {"mac": mac, "learner": learner, "critic_type": "mac_critic", "batch_size": 2}
    runner = "episode" if env == "leaving_single" else "vector"
    one_update(make_config("mappo", env, **settings, runner=runner, obs_layer_norm=True, n_blocks=2, n_heads=4))


@pytest.mark.parametrize("context", ["obs", "state"])
@pytest.mark.parametrize("generator", list(DAG_GENERATORS))
def test_every_dag_generator_trains(generator, context):
    given = {"dag__adjacency": [[int(i > j) for i in range(10)] for j in range(10)]} if generator == "fixed" else {}
    if generator in ("distance", "subteams"):  # needs distances, in observations
        given, context = {"env": "skirmish", "env_args__map_name": "3m"}, "obs"
    one_update(make_config(dag__generator=generator, dag__context=context, **given))


@pytest.mark.parametrize("generator", ["learned", "full"])
def test_one_agent_alone_trains(generator):
    one_update(make_config(env="coordination_game", env_args__n_agents=1, dag__generator=generator))
