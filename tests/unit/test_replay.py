"""The replay against a slow recorder that watches the games beside it, and against invented games of every kind."""

import numpy as np
import pytest
import torch

from bn_mappo.core.errors import RunError
from bn_mappo.data.batch import EpisodeBatch, Field, Following
from bn_mappo.data.replay import Replay, packed
from helpers import make_config, make_rollout

LIMIT = 7
SCHEME = {
    "obs": Field((2, 1)),
    "avail_actions": Field((2, 3), torch.bool),
    "actions": Field((2,), torch.int64),
    "last_actions": Field((2,), torch.int64),
    "reward": Field(()),
    "terminated": Field(()),
    "truncated": Field(()),
    "episode_start": Field(()),
    "episode_step": Field((), torch.int64),
}


class InventedGames:
    """B games of random lengths that end in every way there is; each step shows a number of its own.

    `episodes` are those that a replay should hold, in the order of their ends, each a list of its steps.
    """

    def __init__(self, n_games: int, seed: int, p_lost: float = 0.1, longest: int = LIMIT):
        self.rng, self.n_games, self.p_lost, self.longest = np.random.default_rng(seed), n_games, p_lost, longest
        self.n_shown = 0
        self.episodes: list[list[dict]] = []
        self.playing = [[self.show()] for _ in range(n_games)]

    def show(self) -> dict:
        self.n_shown += 1
        return {"obs": float(self.n_shown), "avail": [True, *(self.rng.random(2) < 0.5).tolist()]}

    def restart(self) -> None:
        """All games start anew, as after a resume without their states."""
        self.playing = [[self.show()] for _ in range(self.n_games)]

    def segment(self, n_steps: int) -> EpisodeBatch:
        n_games = self.n_games
        fields = {name: torch.zeros(n_games, n_steps, *shape, dtype=dtype) for name, (shape, dtype) in SCHEME.items()}
        filled, begin = torch.ones(n_games, n_steps), [0] * n_games
        cuts, finals = [], []
        for t in range(n_steps):
            for b in range(n_games):
                steps = self.playing[b]
                here = steps[-1]
                here["action"], here["reward"] = self.rng.integers(0, 3, 2).tolist(), float(self.rng.normal())
                is_limit = len(steps) >= self.longest
                terminated, lost = self.rng.random() < 0.15, self.rng.random() < self.p_lost
                here["terminated"], truncated = float(terminated or lost), is_limit and not (terminated or lost)
                fields["obs"][b, t], fields["reward"][b, t] = here["obs"], here["reward"]
                fields["avail_actions"][b, t] = torch.tensor(here["avail"])
                fields["actions"][b, t] = torch.tensor(here["action"])
                fields["terminated"][b, t], fields["truncated"][b, t] = here["terminated"], float(truncated)
                fields["episode_step"][b, t] = len(steps) - 1
                following = self.show()
                if not (here["terminated"] or truncated):
                    steps.append(following)
                    continue
                if truncated:
                    cuts.append([b, t])
                    finals.append(following)
                if lost:
                    filled[b, begin[b] : t + 1] = 0
                else:
                    self.episodes.append([*steps, following] if truncated else [*steps])
                self.playing[b], begin[b] = [self.show()], t + 1
        avail = torch.tensor([f["avail"] for f in finals], dtype=torch.bool).view(-1, 1, 3).expand(-1, 2, 3)
        obs = torch.tensor([f["obs"] for f in finals]).view(-1, 1, 1).expand(-1, 2, 1)
        final = {"obs": obs, "avail_actions": avail}
        rows = torch.tensor(cuts, dtype=torch.int64).view(-1, 2)
        following = Following({name: values[:, -1] for name, values in fields.items()}, rows, final)
        return EpisodeBatch({**fields, "filled": filled}, torch.zeros(n_games, 2, 0), following)


def check_holds(replay: Replay, episodes: list[list[dict]]) -> None:
    """The newest episodes, the oldest of them first, and nothing else."""
    expected = episodes[-replay.capacity :]
    assert replay.size == len(expected)
    for row, steps in zip(replay.rows_by_age().tolist(), expected, strict=True):
        played = [step for step in steps if "action" in step]
        assert replay.lengths[row] == len(played)
        for t, step in enumerate(steps):  # with what a truncated one has led to
            assert (replay.blocks["obs"][row, t] == step["obs"]).all()
            assert (replay.blocks["avail_actions"][row, t] == torch.tensor(step["avail"])).all()
        for t, step in enumerate(played):
            assert replay.blocks["actions"][row, t].tolist() == step["action"]
            assert replay.blocks["reward"][row, t].item() == np.float32(step["reward"])
            assert replay.blocks["terminated"][row, t] == step["terminated"]


@pytest.mark.parametrize("n_steps", [1, 3, 20])
@pytest.mark.parametrize("capacity", [3, 200])
@pytest.mark.parametrize("longest", [1, LIMIT])
def test_it_holds_the_newest_whole_episodes_and_nothing_else(n_steps, capacity, longest):
    games, replay = InventedGames(4, seed=n_steps, longest=longest), Replay(SCHEME, capacity, 4, LIMIT)
    memory = {name: block.data_ptr() for name, block in replay.blocks.items()}
    for _ in range(60 // n_steps):
        replay.add(games.segment(n_steps))
        check_holds(replay, games.episodes)
    assert len(games.episodes) > 20
    assert {name: block.data_ptr() for name, block in replay.blocks.items()} == memory


def test_an_episode_of_which_a_part_was_not_seen_is_not_kept():
    """After a resume games start anew, or go on from a segment that was never handed over."""
    games, replay = InventedGames(4, seed=0, p_lost=0.0), Replay(SCHEME, 100, 4, LIMIT)
    replay.add(games.segment(3))
    games.restart()
    replay.add(games.segment(3))
    check_holds(replay, games.episodes)
    whole = games.episodes[:]
    games.episodes.clear()
    games.segment(2)
    games.episodes.clear()
    broken = {steps[0]["obs"] for steps in games.playing if len(steps) > 1}
    assert broken
    for _ in range(4):
        replay.add(games.segment(3))
    check_holds(replay, whole + [steps for steps in games.episodes if steps[0]["obs"] not in broken])


def test_a_segment_that_is_not_finite_is_refused_and_changes_nothing():
    games, replay = InventedGames(2, seed=0), Replay(SCHEME, 10, 2, LIMIT)
    replay.add(games.segment(5))
    state, batch = replay.state_dict(), games.segment(5)
    batch["reward"][1, 2] = float("inf")
    with pytest.raises(RunError, match="'reward'"):
        replay.add(batch)
    for name, values in replay.state_dict()["steps"].items():
        assert torch.equal(values, state["steps"][name])


def test_an_episode_beyond_its_limit_is_refused():
    with pytest.raises(RunError, match="longer than the 3 steps"):
        Replay(SCHEME, 10, 2, 3).add(InventedGames(2, seed=0, p_lost=0.0).segment(10))


@pytest.mark.parametrize("capacity", [4, 100])
def test_a_replay_that_is_restored_goes_on_to_the_same_bits(capacity):
    games, whole = InventedGames(3, seed=1), Replay(SCHEME, capacity, 3, LIMIT)
    for _ in range(9):
        whole.add(games.segment(4))
    restored = Replay(SCHEME, capacity, 3, LIMIT)
    restored.load_state_dict(whole.state_dict())
    for _ in range(5):
        segment = games.segment(4)
        for replay in (whole, restored):
            replay.add(segment)
        left, right = (r.sample(4, torch.Generator().manual_seed(5), torch.device("cpu")) for r in (whole, restored))
        for name, values in left.items():
            shown = torch.ones(values.shape[:2], dtype=torch.bool) if name in ("filled",) else left["filled"] > 0
            assert torch.equal(values[shown], right[name][shown]), name
    check_holds(restored, games.episodes)


def test_a_smaller_replay_takes_over_the_newest_episodes():
    games, large = InventedGames(3, seed=1), Replay(SCHEME, 50, 3, LIMIT)
    for _ in range(9):
        large.add(games.segment(4))
    small = Replay(SCHEME, 5, 3, LIMIT)
    small.load_state_dict(large.state_dict())
    check_holds(small, games.episodes)
    small.add(games.segment(4))
    check_holds(small, games.episodes)


def test_samples_are_whole_episodes_side_by_side_and_one_after_another():
    games, replay = InventedGames(4, seed=2), Replay(SCHEME, 30, 4, LIMIT)
    for _ in range(20):
        replay.add(games.segment(5))
    by_first = {steps[0]["obs"]: steps for steps in games.episodes[-30:]}
    seen = set()
    for number in range(20):
        sample = replay.sample(10, torch.Generator().manual_seed(number), torch.device("cpu"))
        starts = (sample["episode_start"] * sample["filled"]).nonzero().tolist()
        assert len(starts) == 10 == len({float(sample["obs"][r, t, 0, 0]) for r, t in starts})
        n_filled = 0
        for r, t in starts:
            steps = by_first[float(sample["obs"][r, t, 0, 0])]
            seen.add(steps[0]["obs"])
            last_action = [-1, -1]
            for k, step in enumerate(steps):
                assert float(sample["obs"][r, t + k, 0, 0]) == step["obs"]
                assert sample["last_actions"][r, t + k].tolist() == last_action
                assert sample["episode_start"][r, t + k] == float(k == 0)
                assert sample["filled"][r, t + k] == float("action" in step)
                if "action" in step:
                    last_action, n_filled = step["action"], n_filled + 1
                    assert sample["terminated"][r, t + k] == step["terminated"]
        assert sample["filled"].sum() == n_filled
    assert len(seen) == 30, "all of them come up"


def test_pieces_are_packed_whole_and_without_overlap():
    rng = np.random.default_rng(0)
    for _ in range(50):
        widths = torch.from_numpy(rng.integers(1, 30, size=rng.integers(1, 40)))
        piece, place = packed(widths)
        assert piece.shape[1] == widths.max()
        assert len(piece) <= 1 + 2 * widths.sum() / widths.max(), "no two rows are half empty"
        for number, width in enumerate(widths.tolist()):
            rows, columns = (piece == number).nonzero().unbind(1)
            assert len(set(rows.tolist())) == 1 and (columns.diff() == 1).all()
            assert place[rows, columns].tolist() == list(range(width))
        assert (piece >= 0).sum() == widths.sum()


@pytest.mark.parametrize("env", ["masked_game", "leaving_game", "aloha"])
def test_what_the_collector_plays_is_kept_as_it_was_played(toys, env):
    """Beside the learner, every call of the environment is written down."""
    limit = {} if env == "leaving_game" else {"env_args__episode_limit": 5}
    config = make_config("qmix", env, segment_length=4, batch_size_run=3, buffer_size=40, **limit)
    setup, rollout = make_rollout(config)
    learner, inner = setup.learner, rollout.env.step
    now, playing, ended = [rollout.games.observation], [[] for _ in range(3)], []

    def watched(actions):
        result = inner(actions)
        for game in range(3):
            playing[game].append((now[0], actions[game].copy(), result))
            if result.terminated[game] or result.truncated[game]:
                ended.append((game, playing[game]))
                playing[game] = []
        now[0] = result.observation
        return result

    rollout.env.step = watched
    for _ in range(12):
        learner.train(rollout.collect(0.0), 0.0)
    replay = learner.replay
    assert replay.size == min(len(ended), 40) > 10
    for row, (game, steps) in zip(replay.rows_by_age().tolist(), ended[-40:], strict=True):
        assert replay.lengths[row] == len(steps)
        shown = [seen for seen, _, _ in steps]
        if steps[-1][2].truncated[game]:
            shown.append(steps[-1][2].final)
        for t, seen in enumerate(shown):
            for name, values in seen._asdict().items():
                if values is not None:
                    np.testing.assert_array_equal(replay.blocks[name][row, t].numpy(), values[game])
        for t, (_, actions, result) in enumerate(steps):
            np.testing.assert_array_equal(replay.blocks["actions"][row, t].numpy(), actions)
            assert replay.blocks["reward"][row, t] == result.reward[game]
            assert replay.blocks["terminated"][row, t] == result.terminated[game]
