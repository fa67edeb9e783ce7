"""What the stand-in promises of upstream's conventions; with EPYMARL=PATH the same is asked of a real checkout."""

from types import SimpleNamespace

import pytest
import torch as th

pytest.importorskip("gymnasium", reason="the games of the host need Gymnasium")

from epymarl_host import RUNNERS, EpisodeBatch, OneHot, ReplayBuffer

N, A, LIMIT = 3, 4, 8
SCHEME = {
    "state": {"vshape": 12},
    "obs": {"vshape": 4, "group": "agents"},
    "actions": {"vshape": (1,), "group": "agents", "dtype": th.long},
    "avail_actions": {"vshape": (A,), "group": "agents", "dtype": th.int},
    "terminated": {"vshape": (1,), "dtype": th.uint8},
    "reward": {"vshape": (1,)},
}
BATCH = {"groups": {"agents": N}, "preprocess": {"actions": ("actions_onehot", [OneHot(out_dim=A)])}}


class OracleMAC:
    """Goes where agent 0 sees the place (meetings end the game), or stays away; notes how it is called."""

    action_selector = None

    def __init__(self, meets):
        self.meets, self.calls, self.starts = meets, [], []

    def init_hidden(self, batch_size):
        self.starts.append(batch_size)

    def select_actions(self, ep_batch, t_ep, t_env, bs=slice(None), test_mode=False):
        assert ep_batch.max_seq_length == LIMIT + 1  # so a mac can learn the episode limit here
        self.calls.append((t_ep, t_env, bs, test_mode))
        place = ep_batch["obs"][bs, t_ep, 0, 1:].argmax(-1)  # [len(bs)]
        games = th.arange(ep_batch.batch_size)[bs]
        place = th.where(th.tensor([self.meets[game] for game in games]), place, (place + 1) % 3)
        return place.unsqueeze(-1).expand(-1, N).clone()


def play(kind, meets, test_mode=False, **more):
    env_args = {"key": "rendezvous:Rendezvous-v0", "time_limit": LIMIT, "pretrained_wrapper": None, "seed": 0}
    args = {"env": "gymma", "env_args": env_args, "batch_size_run": len(meets), "device": "cpu", "render": False}
    args |= {"dialect": "epymarl", "common_reward": True, "reward_scalarisation": "sum", "test_nepisode": 1}
    args = SimpleNamespace(**args | {"runner_log_interval": 10**9, "n_agents": N} | more)
    logger = SimpleNamespace(log_stat=lambda *args: None)
    runner, mac = RUNNERS[kind](args=args, logger=logger), OracleMAC(meets)
    scheme = {**SCHEME, "reward": {"vshape": (1 if args.common_reward else N,)}}
    runner.setup(scheme=scheme, mac=mac, **BATCH)
    batch = runner.run(test_mode=test_mode)
    runner.close_env()
    return runner, mac, batch


def test_batch_refuses_what_its_scheme_does_not_list():
    batch = EpisodeBatch(SCHEME, BATCH["groups"], 2, 5, preprocess=BATCH["preprocess"])
    assert "log_prob" not in SCHEME and set(batch.scheme) == {*SCHEME, "filled", "actions_onehot"}
    with pytest.raises(KeyError):
        batch.update({"log_prob": th.zeros(2, 1, N)}, ts=0)
    with pytest.raises(ValueError):
        batch["log_prob"]
    with pytest.raises(ValueError):
        batch.update({"reward": th.zeros(2, 1, N)}, ts=0)
    with pytest.raises(IndexError):
        batch.update({"reward": th.zeros(2, 2, 1)}, ts=[0, 1])
    with pytest.raises(AssertionError):
        EpisodeBatch({**SCHEME, "filled": {"vshape": (1,)}}, BATCH["groups"], 2, 5)


def test_sample_of_a_full_ring_is_a_view_in_slot_order():
    buffer = ReplayBuffer(SCHEME, BATCH["groups"], 4, 3, preprocess=BATCH["preprocess"])
    for number in range(3):
        part = EpisodeBatch(SCHEME, BATCH["groups"], 2, 3, preprocess=BATCH["preprocess"])
        part.update({"reward": th.full((2, 1, 1), float(number))}, ts=0)
        buffer.insert_episode_batch(part)
    sample = buffer.sample(4)
    assert sample["reward"][:, 0, 0].tolist() == [2, 2, 1, 1]
    sample["reward"][0] = 7.0
    assert buffer["reward"][0, 0, 0] == 7.0


def test_parallel_runner_asks_once_more_for_a_game_that_has_ended():
    runner, mac, batch = play("parallel", [True, False])
    assert mac.starts == [2] and [call[0] for call in mac.calls] == list(range(LIMIT + 1))
    assert [list(call[2]) for call in mac.calls] == [[0, 1]] * 4 + [[1]] * 5  # game 0 has 3 steps, and is asked at 0..3
    assert all(call[1] == 0 for call in mac.calls) and runner.t_env == 3 + LIMIT
    filled = batch["filled"].squeeze(-1)
    assert filled.sum(1).tolist() == [4, LIMIT + 1]  # one more than its steps
    assert batch["reward"][0, :4, 0].tolist() == [N, N, N, 0]
    assert not batch["avail_actions"][0, 4:].any() and not batch["obs"][0, 4:].any()  # padding is all zeros
    assert batch["terminated"].squeeze(-1).nonzero().tolist() == [[0, 2], [1, LIMIT - 1]]  # the time-out as well


@pytest.mark.parametrize("meets", [True, False])
def test_episode_runner_records_the_action_after_the_last_step(meets):
    runner, mac, batch = play("episode", [meets], test_mode=True)
    n_steps = 3 if meets else LIMIT
    assert [call[0] for call in mac.calls] == list(range(n_steps + 1)) and mac.calls[0][2] == slice(None)
    assert batch["filled"].sum() == n_steps + 1 and batch["terminated"].nonzero()[0, 1] == n_steps - 1
    assert runner.t_env == 0  # tests do not count
    assert batch["actions_onehot"][0, n_steps].sum() == N


def test_rewards_of_their_own():
    _, _, batch = play("parallel", [True], common_reward=False)
    assert batch["reward"][0, 0].tolist() == [1.0] * N
