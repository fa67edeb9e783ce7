"""bn_mappo inside the stand-in of EPyMARL; with EPYMARL=PATH the same inside a real checkout."""

import copy

import pytest
import torch

pytest.importorskip("gymnasium", reason="the games of the host need Gymnasium")

from epymarl_host import IS_STAND_IN, EpisodeBatch, Run

from bn_mappo.controllers.basic_controller import BasicMAC
from bn_mappo.core.declared import to_plain
from bn_mappo.core.errors import ConfigError, RunError
from bn_mappo.core.seeding import Generators
from bn_mappo.data.batch import Field
from bn_mappo.hosts.epymarl.recording import Recording
from bn_mappo.hosts.epymarl.segments import make_segments
from bn_mappo.hosts.options import read_options
from bn_mappo.learners.ppo_learner import PPOLearner

PLACKETT_LUCE = {"dag.permutation": "plackett_luce"}
EARLY_ENDS = {"env_args.meetings": 1, "env_args.n_agents": 2, "env_args.time_limit": 60}  # a meeting in 12 steps
VARIANTS = {
    "identity": {},
    "gumbel_sinkhorn": {"dag.permutation": "gumbel_sinkhorn"},
    "plackett_luce": PLACKETT_LUCE,
    "random": {"dag.generator": "random"},
    "full": {"dag.generator": "full"},
    "line": {"dag.generator": "line"},
    "empty": {"dag.generator": "empty"},
    "fixed": {"dag.generator": "fixed", "dag.adjacency": [[0, 0, 0], [1, 0, 1], [1, 0, 0]]},
    "rnn": {**PLACKETT_LUCE, "agent": "rnn", "obs_last_action": True},
    "rnn, early ends": {"agent": "rnn", "obs_last_action": True, **EARLY_ENDS},
    "state": {"dag.context": "state", "dag.parent_inputs": "actions_and_obs"},
    "by rank": {"dag.permutation": "gumbel_sinkhorn", "dag.edge_index": "rank"},
    "mini-batches": {"mini_batch_size": 2},
    "own rewards": {"common_reward": False, "critic_type": "ac_critic"},
    "one game": {**PLACKETT_LUCE, "runner": "episode", "batch_size_run": 1, "agent": "rnn"},
    "two runs": {
        **PLACKETT_LUCE,
        "batch_size_run": 2,
        "lr": "0.001:0.0001:0.8",
        "dag.temperature": {"start": 2.0, "end": 0.5, "begin": 0.0, "until": 0.1, "kind": "cosine", "steps": None},
    },
    "annealed": {"annealing.alpha": 0.3},
}
if IS_STAND_IN:
    VARIANTS["pymarl2"] = {"dialect": "pymarl2"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_ratios_are_one_before_the_first_gradient_step(variant):
    plays_without_gradients = variant == "pymarl2"
    with Run({"lr": 0.01, **VARIANTS[variant]}) as run, torch.set_grad_enabled(not plays_without_gradients):
        before = run.weights()
        run.iterate(3 * run.mac.settings.n_runs)
        assert len(run.log["first_ratio_error"]) == 3, "one update per batch of new episodes"
        errors = {key: max(rows) for key, rows in run.log.rows.items() if key.startswith("first_")}
        assert max(errors.values()) < 1e-5, errors
        order_is_action = VARIANTS[variant].get("dag.permutation") == "plackett_luce"
        assert ("first_dag_order_ratio_error" in errors) == order_is_action
        assert not torch.equal(run.weights(), before)


@pytest.mark.parametrize(
    "variant, field, error",
    [
        ("identity", "dag_edge_noise", "first_ratio_error"),
        ("gumbel_sinkhorn", "dag_order_noise", "first_ratio_error"),
        ("random", "dag_edge_noise", "first_ratio_error"),
        ("identity", "log_prob", "first_ratio_error"),
        ("plackett_luce", "dag_order", "first_dag_order_ratio_error"),
        ("plackett_luce", "dag_order_log_prob", "first_dag_order_ratio_error"),
    ],
)
def test_what_other_games_drew_breaks_the_ratio(variant, field, error):
    """The control: the test above would see it."""
    with Run({**VARIANTS[variant], "lr": 0.03}) as run:
        run.iterate(6)
        segments, _ = run.segments()
        rolled = segments.with_fields(**{field: segments[field].roll(1, 0)})
        core = run.learner.core
        before = core.snapshot()
        assert float(core.train(segments, 0.0)[error]) < 1e-5
        core.restore(before)
        assert float(core.train(rolled, 0.0)[error]) > 1e-3


def test_other_actions_are_refused():
    with Run() as run:
        run.play()
        sample = run.sample()
        sample["actions"][1, 2, 0] = (sample["actions"][1, 2, 0] + 1) % 3
        with pytest.raises(RunError, match="1 actions in 1 of 4 episodes"):
            run.learner.train(sample, run.runner.t_env, 0)


def test_episodes_in_another_order_are_refused():
    with Run() as run:
        run.play()
        with pytest.raises(RunError, match="in another order"):
            run.learner.train(run.sample()[[1, 0, 2, 3]], run.runner.t_env, 0)


MISTAKES = [
    ({"buffer_size": 20}, "buffer_size=20, batch_size=4"),
    ({"batch_size_run": 3}, "multiple of batch_size_run=3"),
    ({"mini_batch_size": 3}, "mini_batch_size=3 must divide batch_size=4"),
    ({"mini_batch_size": 1.5}, "mini_batch_size=1.5: must be an integer"),
    ({"learner": "ppo_learner"}, "learner=ppo_learner"),
    ({"save_probs": True}, "save_probs"),
    ({"common_reward": False}, "critic_type=ac_critic"),
    ({"dag.generator": "lerned"}, "Did you mean 'learned'"),
    ({"dag.generator": "fixed"}, "dag.adjacency"),
    ({"dag.adjacency": [[0, 2]], "dag.generator": "fixed"}, "dag.adjacency"),
    ({"dag.permutation": "sorted"}, "dag.permutation='sorted': must be 'identity' or"),
    ({"gamma": 1.5}, "gamma=1.5: 1.5 must be at most 1"),
    ({"lr": "fast"}, "start:end:until"),
    ({"lr": "0.001:-0.1:0.5"}, "end=-0.1 must be greater than 0"),
    ({"dag.temperature": 0}, "dag.temperature=0: 0 must be greater than 0"),
    ({"annealing.eta": {"kind": "wave"}}, "kind=wave"),
    ({"obs_agent_id": "yes"}, "obs_agent_id='yes': must be a bool"),
    ({"time_outs": "never"}, "time_outs='never'"),
    ({"dag": 3}, "dag=3: must be a section"),
]


@pytest.mark.parametrize("given, message", MISTAKES, ids=[str(given) for given, _ in MISTAKES])
def test_mistakes_are_told_before_anything_is_played(given, message):
    with pytest.raises(ConfigError) as told:
        Run({"runner": "episode", "batch_size_run": 1, **given} if "batch_size_run" not in given else given)
    assert message in str(told.value)


def test_padding_holds_orders_and_changes_nothing():
    """The same episodes in batches of the longest episode's length, and of the limit."""
    runs = [Run({**PLACKETT_LUCE, **EARLY_ENDS}) for _ in range(2)]
    for run, is_cut in zip(runs, (True, False), strict=True):
        with run:
            run.play()
            sample = run.sample() if is_cut else run.buffer.sample(4)
            (recording,) = run.mac.ring.slots
            segments = run.learner.segments(sample, [recording])
            assert is_cut == (segments.n_steps < 60) and not segments["filled"].all()
            assert (segments["dag_order"].sort(-1).values == torch.arange(2)).all()
            assert all(value.isfinite().all() for value in segments.fields.values())
            run.learner.train(sample, run.runner.t_env, 0)
    torch.testing.assert_close(runs[0].weights(), runs[1].weights(), rtol=0, atol=1e-6)


def hand_made(believe_ends):
    """Four episodes, at most 5 steps long: an early end, an end and a cut at the limit, an early cut."""
    lengths, flags, limit = [2, 5, 5, 3], [1, 1, 0, 0], 5
    scheme = {
        "state": {"vshape": 1},
        "obs": {"vshape": 1, "group": "agents"},
        "actions": {"vshape": (1,), "group": "agents", "dtype": torch.long},
        "avail_actions": {"vshape": (2,), "group": "agents", "dtype": torch.int},
        "reward": {"vshape": (1,)},
        "terminated": {"vshape": (1,), "dtype": torch.uint8},
    }
    batch = EpisodeBatch(scheme, {"agents": 1}, 4, limit + 1)
    fields = {"actions": torch.zeros(4, 1, dtype=torch.long), "log_prob": torch.zeros(4, 1)}
    recording = Recording(fields, 0.0, limit)
    for t in range(limit + 1):
        rows = [game for game, length in enumerate(lengths) if t <= length]
        number = torch.tensor([[10.0 * game + t] for game in rows])
        actions = torch.tensor([[(game + t) % 2] for game in rows])
        recording.add(t, torch.tensor(rows), {"actions": actions, "log_prob": number})
        shown = {"state": number.unsqueeze(1), "obs": number.view(-1, 1, 1, 1)}
        shown |= {"avail_actions": torch.ones(len(rows), 1, 1, 2, dtype=torch.int)}
        batch.update({**shown, "actions": actions.unsqueeze(1)}, bs=rows, ts=t)
        playing = [game for game in rows if t < lengths[game]]
        if playing:
            outcome = {
                "reward": torch.ones(len(playing), 1, 1),
                "terminated": torch.tensor([[[flags[g] * (t == lengths[g] - 1)]] for g in playing], dtype=torch.uint8),
            }
            batch.update(outcome, bs=playing, ts=t, mark_filled=False)
    names = ("obs", "state", "reward", "terminated", "truncated", "episode_start", "last_actions", "log_prob")
    own = {name: Field((1,) if name in ("obs", "state", "log_prob", "last_actions") else ()) for name in names}
    own["obs"] = Field((1, 1))
    own["avail_actions"] = Field((1, 2), torch.bool)
    return make_segments(batch, [recording], own, torch.zeros(4, 1, 0), believe_ends)


@pytest.mark.parametrize("believe_ends", [False, True])
def test_segments_by_hand(believe_ends):
    segments = hand_made(believe_ends)
    assert segments["filled"].tolist() == [[1, 1, 0, 0, 0], [1] * 5, [1] * 5, [1, 1, 1, 0, 0]]
    at_limit = 1.0 if believe_ends else 0.0  # the end that the host reports at the limit
    assert segments["terminated"].tolist() == [
        [0, 1, 1, 1, 1],
        [0, 0, 0, 0, at_limit],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 1, 1],
    ]
    assert segments["truncated"].tolist() == [
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1 - at_limit],
        [0, 0, 0, 0, 1],
        [0, 0, 1, 0, 0],
    ]
    following = segments.following
    cut = [2, 3] if believe_ends else [1, 2, 3]
    assert following.final_rows.tolist() == [[game, {1: 4, 2: 4, 3: 2}[game]] for game in cut]
    assert following.final["state"].flatten().tolist() == [{1: 15.0, 2: 25.0, 3: 33.0}[game] for game in cut]
    assert segments["reward"].tolist() == segments["filled"].tolist()
    assert segments["last_actions"][1].flatten().tolist() == [-1, 1, 0, 1, 0]
    assert segments["log_prob"][3].flatten().tolist() == [30, 31, 32, 33, 0]
    assert segments["avail_actions"].all() and segments["episode_start"].sum(1).tolist() == [1] * 4


@pytest.mark.parametrize("time_outs", ["limit", "reported"])
def test_advantages_are_those_of_a_slow_loop(time_outs):
    given = {
        "standardise_advantages": False,
        "standardise_returns": False,
        "time_outs": time_outs,
        "dag.edge_bias": 1.0,
    }
    given |= {"env_args.meetings": 1, "env_args.n_agents": 2, "env_args.time_limit": 12, "batch_size": 8}
    with Run({**given, "buffer_size": 8, "batch_size_run": 8}) as run:
        segments, sample = run.segments()
        advantage = run.learner.core.compute_targets(segments).advantage[..., 0]
        critic, gamma, decay = run.learner.core.critic, 0.99, 0.99 * 0.95
        lengths = [int(filled.sum()) - 1 for filled in sample["filled"]]
        assert min(lengths) < 12 == max(lengths)
        for game, length in enumerate(lengths):
            value = critic({"state": sample["state"][game : game + 1]})[0, :, 0].tolist()
            is_cut = length == 12 and time_outs == "limit"
            following, expected = value[length] if is_cut else 0.0, 0.0
            for t in reversed(range(length)):
                delta = float(sample["reward"][game, t]) + gamma * following - value[t]
                expected = delta + decay * (0.0 if t == length - 1 else expected)
                assert float(advantage[game, t]) == pytest.approx(expected, abs=1e-4)
                following = value[t]


def test_an_empty_dag_is_mappo():
    """On the same segment our mappo, an independent policy with PPO, takes the same step."""
    with Run({"dag.generator": "empty", **EARLY_ENDS}) as run:
        segments, _ = run.segments()
        generators = Generators(1)
        plain = {**to_plain(run.mac.settings.mac), **to_plain(run.mac.settings.learner)}
        mac = BasicMAC(read_options(BasicMAC.Options, plain), run.mac.info, generators)
        mappo = PPOLearner(read_options(PPOLearner.Options, plain), run.mac.info, mac, generators)
        run.learner.core.train(segments, 0.0)
        mappo.train(segments, 0.0)
        of_mappo = torch.cat([p.detach().flatten() for part in (mac, mappo.critic) for p in part.parameters()])
        assert torch.equal(run.weights(), of_mappo)


@pytest.mark.parametrize("is_greedy", [True, False])
@pytest.mark.parametrize("variant", ["plackett_luce", "random"])
def test_tests_leave_training_alone(variant, is_greedy):
    with Run({**VARIANTS[variant], "test_greedy": is_greedy, "batch_size_run": 2}) as run:
        run.iterate(3)
        states = {name: state.clone() for name, state in run.mac.generators.state_dict().items()}
        slots, weights = list(run.mac.ring.slots), run.weights()
        of_tests = copy.deepcopy(run.mac.test_generators.state_dict())
        for _ in range(2):
            run.runner.run(test_mode=True)
        assert all(torch.equal(states[name], state) for name, state in run.mac.generators.state_dict().items())
        assert run.mac.ring.slots == slots and torch.equal(run.weights(), weights)
        draws = any(not torch.equal(of_tests.get(n, s[:0]), s) for n, s in run.mac.test_generators.state_dict().items())
        assert draws == (variant == "random" or not is_greedy)
        run.iterate(1)
        assert run.log["first_ratio_error"][-1] < 1e-5


def ask(mac, batch, **more):
    mac.init_hidden(batch_size=batch.batch_size)
    return mac.select_actions(batch, t_ep=0, t_env=0, test_mode=True, **more)


def test_greedy_tests_are_deterministic_and_others_sample():
    for is_greedy in (True, False):
        with Run({"test_greedy": is_greedy}) as run:
            run.play()
            batch = run.buffer.sample(4)
            answers = [ask(run.mac, batch) for _ in range(8)]
            assert all(torch.equal(answer, answers[0]) for answer in answers) == is_greedy
            assert answers[0].dtype == torch.int64 and not answers[0].is_inference()


def test_noise_of_a_game_does_not_depend_on_which_others_are_played():
    answers = []
    for games in (slice(None), [1, 3]):
        with Run({"test_greedy": False}) as run:
            run.play()
            answers.append(ask(run.mac, run.buffer.sample(4), bs=games))
    assert torch.equal(answers[0][[1, 3]], answers[1])


def test_the_same_seed_gives_the_same_numbers():
    seen = []
    for seed in (1, 1, 2):
        with Run({**PLACKETT_LUCE, "seed": seed}) as run:
            run.iterate(3)
            seen.append((run.log.rows, run.weights()))
    assert seen[0][0] == seen[1][0] and torch.equal(seen[0][1], seen[1][1])
    assert not torch.equal(seen[0][1], seen[2][1])


def test_the_hosts_scheme_and_buffer_stay_as_they_are():
    with Run(PLACKETT_LUCE) as run:
        scheme = set(run.buffer.scheme)
        run.play()
        sample = run.sample()
        tensors = [*run.buffer.data.transition_data.values()]
        before = [tensor.clone() for tensor in tensors]
        run.learner.train(sample, run.runner.t_env, 0)
        assert all(torch.equal(tensor, old) for tensor, old in zip(tensors, before, strict=True))
        assert set(run.buffer.scheme) == scheme and set(run.runner.batch.scheme) == scheme


def test_a_saved_run_goes_on_as_if_it_had_not_stopped(tmp_path):
    given = {**PLACKETT_LUCE, "agent": "rnn"}
    with Run(given) as first, Run(given) as second:
        first.iterate(2)
        first.learner.save_models(str(tmp_path))
        torch.load(tmp_path / "bn_mappo.th", weights_only=True)
        second.learner.load_models(str(tmp_path))
        assert torch.equal(first.weights(), second.weights())
        segments, _ = first.segments()
        for run in (first, second):
            run.learner.core.train(segments, 0.5)
        assert torch.equal(first.weights(), second.weights())
        noise = [r.mac.policy.draw_noise(2, r.mac.generators, 0.5)["dag_edge_noise"] for r in (first, first)]
        assert not torch.equal(*noise)
        batch = first.buffer.sample(4)
        assert torch.equal(ask(first.mac, batch), ask(second.mac, batch))


def test_a_checkpoint_of_other_sizes_or_of_none_is_refused(tmp_path):
    with Run() as small, Run({"hidden_dim": 8}) as other:
        small.learner.save_models(str(tmp_path))
        with pytest.raises(ConfigError, match=r"does not fit this run: weight .*16.*8"):
            other.learner.load_models(str(tmp_path))
        with pytest.raises(ConfigError, match=r"holds no bn_mappo\.th"):
            other.learner.load_models(str(tmp_path / "elsewhere"))


def test_a_run_that_the_host_never_learned_from_leaves_its_place():
    """Some forks call `train` after every second run only."""
    with Run() as run:
        for _ in range(2):
            run.play()
            run.iterate()
        assert len(run.log["first_ratio_error"]) == 2 and max(run.log["first_ratio_error"]) < 1e-5


def test_a_runner_that_skips_steps_is_refused():
    with Run() as run:
        run.play()
        run.mac.init_hidden(batch_size=4)
        batch = run.buffer.sample(4)
        run.mac.select_actions(batch, t_ep=0, t_env=0)
        with pytest.raises(RunError, match="step 2 after 1"):
            run.mac.select_actions(batch, t_ep=2, t_env=0)


def test_cuda_on_a_cpu_is_refused():
    with Run() as run, pytest.raises(RunError, match=r"args\.device is 'cpu'"):
        run.learner.cuda()


@pytest.mark.slow
def test_agents_learn_to_follow_the_one_that_knows():
    """Agents that do not know the place are right once in three steps: 9 for 3 meetings, where 3 are possible."""
    given = {"batch_size": 10, "batch_size_run": 10, "buffer_size": 10, "hidden_dim": 64, "epochs": 10, "lr": 0.003}
    given |= {"env_args.time_limit": 12, "t_max": 24000, "dag.generator": "full", "entropy_coef": "0.2:0.0:0.7"}
    with Run(given) as run:
        while run.runner.t_env < 24000:
            run.iterate()
        lengths = []
        for _ in range(5):
            batch = run.runner.run(test_mode=True)
            lengths += [int(filled.sum()) - 1 for filled in batch["filled"]]
    assert sum(lengths) / len(lengths) < 5, lengths
