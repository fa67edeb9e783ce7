"""Edge logits by pairs: what they depend on."""

import pytest
import torch

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.specs import EntityGroup
from bn_mappo.modules.dag.nets import PairNet
from helpers import make_config, make_rollout, train_updates

N, WIDTH, FIRST = 4, 3, 2
ALLIES = EntityGroup("allies", FIRST, N - 1, WIDTH, are_agents=True)
OBS = FIRST + (N - 1) * WIDTH + 1


def observations(own: torch.Tensor, sight: torch.Tensor) -> torch.Tensor:
    """own [M, N, 3] and what i sees of j, sight [M, i, j, W] -> obs [M, N, D], the others by number."""
    rows = [sight[:, i, [j for j in range(N) if j != i]].flatten(1) for i in range(N)]
    return torch.cat([own[..., :FIRST], torch.stack(rows, 1), own[..., FIRST:]], -1)


def test_renumbered_agents_have_renumbered_edges():
    net = PairNet(N, OBS, ALLIES, 16, 0.5)
    own, sight, old_of = torch.randn(6, N, 3), torch.randn(6, N, N, WIDTH), torch.tensor([2, 0, 3, 1])
    first = net(observations(own, sight))
    second = net(observations(own[:, old_of], sight[:, old_of][:, :, old_of]))
    torch.testing.assert_close(second, first[:, old_of][:, :, old_of])
    assert first.std() > 0


def test_an_edge_depends_on_what_the_child_sees_of_the_parent():
    net = PairNet(N, OBS, ALLIES, 16, 0.0)
    own, sight = torch.randn(1, N, 3), torch.randn(1, N, N, WIDTH)
    moved = sight.clone()
    moved[:, 3, 1] += 1.0  # agent 3 sees agent 1 elsewhere
    changed = (net(observations(own, moved)) - net(observations(own, sight))).abs()[0] > 1e-6
    assert changed.nonzero().tolist() == [[1, 3]]  # row: parent, column: child


def test_it_trains_on_skirmish_and_is_refused_without_entities():
    config = make_config("bn_mappo", "skirmish", env_args__map_name="3m", dag__edge_net="pairs", lr=0.01)
    assert all(row["first_ratio_error"] < 2e-5 for row in train_updates(config, 3)[2])
    with pytest.raises(ConfigError, match=r"dag\.edge_net=pairs needs"):
        make_rollout(make_config("bn_mappo", "aloha", dag__edge_net="pairs"))
