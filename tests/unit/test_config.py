"""The configuration by parts: every key has an owner, and a run has the keys of the parts that it chooses."""

import itertools

import pytest

from bn_mappo.config.loading import default_values, load_layers, merge, overlay
from bn_mappo.config.schema import Config, claimed, prune, used_values, validate
from bn_mappo.controllers import REGISTRY as MACS
from bn_mappo.core.errors import ConfigError
from bn_mappo.core.nested import flatten
from bn_mappo.core.options import Count, options
from bn_mappo.envs.registry import fill_env_args
from bn_mappo.learners import REGISTRY as LEARNERS
from bn_mappo.modules.agents import REGISTRY as AGENTS
from bn_mappo.modules.critics.critics import REGISTRY as CRITICS
from bn_mappo.modules.dag.generators import REGISTRY as DAG_GENERATORS
from bn_mappo.modules.dag.generators import FullDAG
from bn_mappo.modules.mixers.mixers import REGISTRY as MIXERS
from helpers import make_config


def sections(tree: dict, prefix: str = "") -> set[str]:
    """All keys of a tree, with dots; a schedule is one key."""
    keys = set()
    for key, value in tree.items():
        is_section = isinstance(value, dict) and value and "until" not in value
        keys |= sections(value, f"{prefix}{key}.") if is_section else {f"{prefix}{key}"}
    return keys


def test_every_key_of_the_defaults_belongs_to_a_part_and_the_other_way_round():
    owned = set()
    for mac, agent, learner, mixer, generator in itertools.product(MACS, AGENTS, LEARNERS, MIXERS, DAG_GENERATORS):
        chosen = {"mac": mac, "agent": agent, "learner": learner, "mixer": mixer, "dag": {"generator": generator}}
        owned |= sections(claimed(Config, chosen))
    for critic_type in CRITICS:
        owned |= sections(claimed(Config, {"learner": "ppo_learner", "critic_type": critic_type}))
    assert owned == sections(default_values())


def test_a_run_has_the_keys_of_its_parts_alone():
    keys = {alg: set(flatten(make_config(alg).values())) for alg in ("mappo", "bn_mappo")}
    assert not any(key.startswith(("dag.", "annealing.")) for key in keys["mappo"])
    assert {"dag.permutation", "annealing.alpha.steps"} <= keys["bn_mappo"]
    keys |= {alg: set(flatten(make_config(alg).values())) for alg in ("iql", "qmix")}
    assert keys["qmix"] - keys["iql"] == {"mixing_dim", "hypernet_dim", "hypernet_gain", "state_layer_norm"}
    assert {"td_lambda", "buffer_size", "epsilon.start"} <= keys["iql"] - keys["mappo"]
    assert not {"critic_type", "epochs", "entropy_coef"} & keys["iql"]
    full = set(flatten(make_config("bn_mappo", dag__generator="full").values()))
    assert keys["bn_mappo"] - full == {
        "dag.permutation",
        "dag.edges",
        "dag.edge_index",
        "dag.edge_net",
        "dag.edge_bias",
        "dag.sinkhorn_iterations",
    }


@pytest.mark.parametrize("alg", ["mappo", "bn_mappo_annealed"])
@pytest.mark.parametrize("env", ["aloha", "skirmish"])
def test_a_configuration_is_made_anew_from_its_values(alg, env):
    config = make_config(alg, env)
    assert validate(config.values()) == config
    assert validate(merge(config.values(), {"gamma": 0.5})) != config


def test_a_key_without_effect_is_refused_and_names_are_given_first():
    layers = load_layers("mappo", "aloha")
    layers["env_args"] = fill_env_args("aloha", layers["env_args"])
    with pytest.raises(ConfigError, match=r"dag\.generator: without effect in this run \(mac=basic_mac"):
        validate(overlay(layers, {"dag": {"generator": "full"}}))
    chosen = {"mac": "dag_controller", "dag": {"generator": "random", "probability": 0.3}}
    options = validate(overlay(layers, chosen)).mac.options
    assert options.dag.generator.name == "random" and options.dag.generator.options.probability == 0.3


def test_prune_keeps_what_is_in_the_tree():
    assert prune({"a": 1, "b": {"c": 2, "d": 3}, "e": 4}, {"a": None, "b": {"d": None}}) == {"a": 1, "b": {"d": 3}}


def test_a_part_from_outside_brings_its_own_keys_with_their_defaults():
    @options
    class ReachOptions:
        reach: Count = 2

    @DAG_GENERATORS.register("reaching", "for this test")
    class Reaching(FullDAG):
        Options = ReachOptions

    try:
        chosen = {"dag": {"generator": "reaching"}}
        layers = load_layers("bn_mappo", "coordination_game")
        assert validate(overlay(layers, chosen)).mac.options.dag.generator.options.reach == 2
        given = validate(overlay(layers, merge(chosen, {"dag": {"reach": 3}})))
        assert given.values()["dag"]["reach"] == 3
        with pytest.raises(ConfigError, match=r"dag\.reach=0: must be greater than or equal to 1"):
            validate(overlay(layers, merge(chosen, {"dag": {"reach": 0}})))
        assert "reach" not in used_values(layers)["dag"]
    finally:
        DAG_GENERATORS.remove("reaching")
