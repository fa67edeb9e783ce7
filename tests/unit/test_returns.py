"""Advantages and lambda returns against slow loops that follow every episode by itself."""

import pytest
import torch

from bn_mappo.learners.returns import generalised_advantages, lambda_returns, sums_by_doubling, sums_by_steps
from bn_mappo.learners.running_stats import RunningMoments
from helpers import make_config, make_rollout

GAMMA, LAMBDA = 0.9, 0.8


def slow_advantage(b, t, reward, value, next_value, terminated, done):
    """sum_k (gamma lambda)^k delta_{t+k} to the end of the episode or of the segment."""
    total, factor = 0.0, 1.0
    for k in range(t, reward.shape[1]):
        bootstrap = 0.0 if terminated[b, k] else next_value[b, k].item()
        total += factor * (reward[b, k].item() + GAMMA * bootstrap - value[b, k].item())
        if done[b, k]:
            break
        factor *= GAMMA * LAMBDA
    return total


def test_advantages_follow_episodes_through_termination_and_truncation():
    rng = torch.Generator().manual_seed(0)
    shape = (6, 15, 1)
    reward, value, next_value = (torch.randn(*shape, generator=rng, dtype=torch.float64) for _ in range(3))
    terminated = (torch.rand(*shape, generator=rng) < 0.15).double()
    truncated = (torch.rand(*shape, generator=rng) < 0.15).double() * (1 - terminated)
    done = torch.maximum(terminated, truncated)
    got = generalised_advantages(reward, value, next_value, terminated, done, GAMMA, LAMBDA)
    for b in range(6):
        for t in range(15):
            expected = slow_advantage(b, t, reward, value, next_value, terminated, done)
            assert got[b, t, 0].item() == pytest.approx(expected, abs=1e-12)


def test_worked_example():
    """Two steps, reward 1 then 2, no discount on either: the last step ends the episode."""
    reward = torch.tensor([[[1.0], [2.0]]])
    value, next_value = torch.tensor([[[0.5], [1.0]]]), torch.tensor([[[1.0], [7.0]]])
    ends = torch.tensor([[[0.0], [1.0]]])
    got = generalised_advantages(reward, value, next_value, ends, ends, 1.0, 1.0)
    assert got.flatten().tolist() == [2.5, 1.0]  # 1 + 2 - 0.5, and 2 - 1


@pytest.mark.parametrize("critic_type", ["cv_critic", "ac_critic", "as_critic"])
@pytest.mark.parametrize("bootstrap", [True, False])
def test_targets_use_the_last_observation_of_a_cut_episode(critic_type, bootstrap):
    """The learner's returns equal a slow loop over the recorded segment, whose episodes are cut in its middle."""
    config = make_config(
        "mappo",
        env_args__episode_limit=4,
        segment_length=10,
        critic_type=critic_type,
        standardise_returns=False,
        standardise_advantages=False,
        bootstrap_truncated=bootstrap,
        gamma=GAMMA,
        gae_lambda=LAMBDA,
    )
    setup, rollout = make_rollout(config)
    batch = rollout.collect(0.0)
    learner = setup.learner
    targets, critic = learner.compute_targets(batch), learner.critic
    assert batch.following.final_rows[:, 1].unique().tolist() == [3, 7]
    rows = [tuple(row) for row in batch.following.final_rows.tolist()]

    def value_of(fields, *index):
        return critic({name: fields[name][index] for name in critic.fields})

    with torch.no_grad():
        value = critic(batch.fields)
        next_value = torch.stack(
            [
                torch.stack(
                    [
                        value_of(batch.following.final, rows.index((b, t)))
                        if (b, t) in rows
                        else value_of(batch.fields, b, t + 1)
                        if t < 9
                        else value_of(batch.following.last, b)
                        for t in range(10)
                    ]
                )
                for b in range(batch.batch_size)
            ]
        )
    truncated = batch["truncated"].unsqueeze(-1).expand_as(value)
    ends = torch.zeros_like(value) if bootstrap else truncated
    for agent in range(value.shape[-1]):
        columns = [x[..., agent : agent + 1] for x in (value, next_value, ends, truncated)]
        reward = batch["reward"].unsqueeze(-1)
        for b in range(batch.batch_size):
            for t in range(10):
                expected = slow_advantage(b, t, reward, columns[0], columns[1], columns[2], columns[3])
                assert targets.advantage[b, t, agent].item() == pytest.approx(expected, rel=1e-4, abs=1e-4)
    torch.testing.assert_close(targets.target, targets.advantage + value)


def test_lost_steps_change_nothing():
    """Steps of a worker that died carry no weight: garbage in them leaves losses and gradients as they were."""
    config = make_config("mappo", epochs=1)
    results = []
    for garbage in (0.0, 1e6):
        setup, rollout = make_rollout(config)
        batch = rollout.collect(0.0)
        batch["filled"][1, :4] = 0.0
        batch["reward"][1, :4] = garbage
        batch["terminated"][1, 3] = 1.0
        statistics = setup.learner.train(batch, 0)
        results.append([statistics[name].item() for name in ("pg_loss", "critic_loss", "entropy", "agent_grad_norm")])
    assert results[0] == pytest.approx(results[1], rel=1e-6)


def test_running_moments_equal_moments_of_the_data_and_forget():
    moments = RunningMoments(decay=0.9)
    values = torch.randn(10_000, generator=torch.Generator().manual_seed(0)) * 3 + 5
    assert [x.item() for x in moments.moments()] == [0.0, 1.0]
    moments.update(values, torch.ones_like(values))
    mean, deviation = moments.moments()
    assert mean.item() == pytest.approx(values.mean().item(), rel=1e-5)
    assert deviation.item() == pytest.approx(values.std().item(), rel=1e-3)
    torch.testing.assert_close(moments.denormalise(moments.normalise(values)), values)
    for _ in range(100):
        moments.update(torch.zeros(10), torch.ones(10))
    assert abs(moments.moments()[0].item()) < 1e-3


def slow_lambda_return(b, t, reward, next_value, terminated, is_last, td_lambda, k) -> float:
    """(1 - lambda) sum_n lambda^(n-1) G^(n), G^(n) the n-step return; the last has all weight that is left."""
    total, weight, discounted = 0.0, 1.0, 0.0
    for n in range(1, reward.shape[1] - t + 1):
        now = t + n - 1
        discounted += GAMMA ** (n - 1) * reward[b, now, 0].item()
        ended = terminated[b, now] > 0
        n_step = discounted + (0.0 if ended else GAMMA**n * next_value[b, now, k].item())
        if ended or is_last[b, now] > 0 or now == reward.shape[1] - 1:
            return total + weight * n_step
        total += weight * (1 - td_lambda) * n_step
        weight *= td_lambda
    raise AssertionError("an episode ends with its last step")


@pytest.mark.parametrize("td_lambda", [0.0, 0.6, 1.0])
def test_lambda_returns_are_the_mixture_of_n_step_returns(td_lambda):
    rng = torch.Generator().manual_seed(0)
    reward = torch.randn(5, 14, 1, generator=rng, dtype=torch.float64)
    next_value = torch.randn(5, 14, 2, generator=rng, dtype=torch.float64)
    is_last = (torch.rand(5, 14, 1, generator=rng) < 0.2).double()
    is_last[:, -1] = 1
    terminated = is_last * (torch.rand(5, 14, 1, generator=rng) < 0.5)
    got = lambda_returns(reward, next_value, terminated, is_last, GAMMA, td_lambda)
    for b, t, k in torch.cartesian_prod(torch.arange(5), torch.arange(14), torch.arange(2)).tolist():
        expected = slow_lambda_return(b, t, reward, next_value, terminated, is_last, td_lambda, k)
        assert got[b, t, k].item() == pytest.approx(expected, abs=1e-9)


def test_lambda_zero_and_one():
    """One-step targets, and discounted sums of rewards."""
    reward, next_value = torch.tensor([[[1.0], [2.0], [4.0]]]), torch.tensor([[[10.0], [20.0], [30.0]]])
    is_last = torch.tensor([[[0.0], [0.0], [1.0]]])
    one_step = lambda_returns(reward, next_value, is_last, is_last, 0.5, 0.0)
    assert one_step.flatten().tolist() == [6.0, 12.0, 4.0]
    assert lambda_returns(reward, next_value, is_last, is_last, 0.5, 1.0).flatten().tolist() == [3.0, 4.0, 4.0]
    cut_off = lambda_returns(reward, next_value, torch.zeros_like(is_last), is_last, 0.5, 1.0)
    assert cut_off.flatten().tolist() == [6.75, 11.5, 19.0]


@pytest.mark.parametrize("n_steps", [1, 2, 3, 4, 7, 8, 20])
@pytest.mark.parametrize("width", [1, 3])
def test_sums_by_doubling_are_those_of_a_loop(n_steps, width):
    """Of carries that are zero where episodes end, for one value and for several that share a carry."""
    rng = torch.Generator().manual_seed(n_steps)
    terms = torch.randn(5, n_steps, width, generator=rng, dtype=torch.float64)
    carry = 0.9 * (torch.rand(5, n_steps, 1, generator=rng, dtype=torch.float64) > 0.2)
    before = terms.clone(), carry.clone()
    slow = terms.clone()
    for t in reversed(range(n_steps - 1)):
        slow[:, t] += carry[:, t] * slow[:, t + 1]
    for sums in (sums_by_doubling, sums_by_steps):
        torch.testing.assert_close(sums(terms, carry), slow)
    assert torch.equal(terms, before[0]) and torch.equal(carry, before[1])
