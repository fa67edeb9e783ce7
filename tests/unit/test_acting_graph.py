"""Acting from a recording, here without a GPU: a replay reads and writes the same places, and calls instead."""

import pytest
import torch

from bn_mappo.core.errors import ConfigError
from bn_mappo.training.acting_graph import GraphedPlayer
from bn_mappo.training.build import build
from helpers import make_config, make_rollout

PLAYERS = {
    "mappo": {"alg": "mappo"},
    "rnn": {"alg": "mappo", "agent": "rnn"},
    "learned": {"alg": "bn_mappo"},
    "sinkhorn": {"alg": "bn_mappo", "dag__permutation": "gumbel_sinkhorn"},
    "bernoulli": {"alg": "bn_mappo", "dag__edges": "bernoulli"},
    "line": {"alg": "bn_mappo", "dag__generator": "line"},
    "mat": {"alg": "mat"},
    "qmix": {"alg": "qmix", "batch_size": 2, "buffer_size": 8},
}


@pytest.mark.parametrize("name", PLAYERS)
@pytest.mark.parametrize("env", ["aloha", "skirmish"])  # without and with a mask of actions
def test_a_recording_acts_as_its_player_does_also_when_the_weights_have_changed(env, name):
    config = make_config(env=env, segment_length=4, **PLAYERS[name])
    direct, recorded = make_rollout(config), make_rollout(config)
    player = recorded[1].games.mac = GraphedPlayer(recorded[0].mac)
    for fraction in (0.0, 0.5):
        batches = [rollout.collect(fraction) for _, rollout in (direct, recorded)]
        for field, expected in batches[0].fields.items():
            assert torch.equal(batches[1][field], expected), field
        for setup, batch in zip((direct[0], recorded[0]), batches, strict=True):
            setup.learner.train(batch, fraction)
            with torch.no_grad():
                for weights in setup.mac.parameters():  # far enough to act differently, where nothing was learned yet
                    weights.mul_(-3.0)
    assert len(player.recordings) == 1


def test_recording_on_a_cpu_is_refused():
    with pytest.raises(ConfigError, match="device=cuda"):
        build(make_config("mappo", cuda_graphs=True))
