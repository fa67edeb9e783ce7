"""What critics read, and what they must not."""

import pytest
import torch

from bn_mappo.core.specs import EnvInfo
from bn_mappo.modules.critics.critics import AgentSpecificCritic
from helpers import make_config, make_rollout

STATE, OBS, AGENTS = 5, 4, 3


@pytest.fixture
def critic():
    info = EnvInfo(n_agents=AGENTS, n_actions=2, obs_dim=OBS, state_dim=STATE, episode_limit=10)
    return AgentSpecificCritic(info, 16, torch.Generator().manual_seed(0))


def test_an_agents_value_depends_on_the_state_and_its_own_observation_alone(critic):
    state, obs = torch.randn(STATE), torch.randn(AGENTS, OBS)
    jacobian_obs = torch.autograd.functional.jacobian(lambda x: critic({"state": state, "obs": x}), obs)  # [N, N, D]
    others = ~torch.eye(AGENTS, dtype=torch.bool)
    assert (jacobian_obs[others] == 0).all() and (jacobian_obs[~others] != 0).any(-1).all()
    assert (torch.autograd.functional.jacobian(lambda x: critic({"state": x, "obs": obs}), state) != 0).any(-1).all()


def test_the_dead_are_valued_by_their_number_alone(critic):
    obs = torch.randn(2, AGENTS, OBS)
    obs[:, 1] = 0.0
    value = critic({"state": torch.randn(2, STATE), "obs": obs})
    assert value[0, 1] == value[1, 1] and value[0, 0] != value[1, 0]
    assert len(set(critic({"state": torch.randn(STATE), "obs": torch.zeros(AGENTS, OBS)}).tolist())) == AGENTS


def test_the_first_layer_is_that_of_all_inputs_side_by_side(critic):
    state, obs = torch.randn(7, STATE), torch.randn(7, AGENTS, OBS)
    inputs = torch.cat(
        [state.unsqueeze(1).expand(-1, AGENTS, -1), obs, torch.eye(AGENTS).expand(7, -1, -1)], dim=-1
    )  # [7, N, S + D + N]
    weight = torch.cat([critic.state.weight, critic.obs.weight, critic.agent.weight], dim=-1)
    first = torch.relu(inputs @ weight.T + critic.agent.bias)
    expected = critic.head(torch.relu(critic.fc2(first))).squeeze(-1)
    torch.testing.assert_close(critic({"state": state, "obs": obs}), expected)


def test_a_learner_records_what_its_critic_reads():
    setup, rollout = make_rollout(make_config("mappo", critic_type="as_critic"))
    values = setup.learner.critic(rollout.collect(0.0).fields)
    assert values.shape[-1] == setup.info.n_agents
