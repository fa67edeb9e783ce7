"""A batch is whole from the start: equal games and steps in every field, and what follows each step."""

import pytest
import torch

from bn_mappo.data.batch import BatchRecorder, EpisodeBatch, Field
from helpers import make_config, make_rollout

ZEROS = {"filled": torch.zeros(3, 4), "obs": torch.zeros(3, 4, 2)}


@pytest.mark.parametrize(
    ("fields", "hidden", "words"),
    [
        ({"obs": torch.zeros(3, 4)}, torch.zeros(3, 0), "needs the field 'filled'"),
        ({**ZEROS, "reward": torch.zeros(3, 5)}, torch.zeros(3, 0), "'reward'"),
        ({**ZEROS, "reward": torch.zeros(2, 4)}, torch.zeros(3, 0), "'reward'"),
        (ZEROS, torch.zeros(2, 0), "first_hidden is of 2 games"),
    ],
)
def test_fields_of_other_sizes_are_refused(fields, hidden, words):
    with pytest.raises(ValueError, match=words):
        EpisodeBatch(fields, hidden)


def test_a_recorder_keeps_the_scheme_in_its_types_and_begins_anew():
    recorder = BatchRecorder({"actions": Field((2,), torch.int64), "reward": Field(())}, 3, torch.device("cpu"))
    for t in range(4):
        recorder.add({"actions": torch.full((3, 2), t), "reward": torch.full((3,), t), "other": torch.zeros(3)})
    batch = recorder.batch(torch.ones(3, 4), torch.zeros(3, 0))
    assert set(batch.fields) == {"filled", "actions", "reward"}
    assert batch["reward"].dtype == torch.float32 and batch["actions"][:, 2].unique().item() == 2
    with pytest.raises(KeyError):
        recorder.add({"actions": torch.zeros(3, 2)})
    recorder = BatchRecorder({"reward": Field((5,))}, 3, torch.device("cpu"))
    recorder.add({"reward": torch.zeros(3)})
    with pytest.raises(ValueError, match="declared as"):
        recorder.batch(torch.ones(3, 1), torch.zeros(3, 0))


def test_the_next_observation_of_every_step_against_a_slow_loop(toys):
    """Of the step after it; at a time-out that of the episode that was cut off, available actions included."""
    _, rollout = make_rollout(make_config("mappo", "masked_game", env_args__episode_limit=4, segment_length=10))
    seen, finals = [rollout.games.observation], {}

    def step(actions, step=rollout.env.step):
        result = step(actions)
        if result.final is not None:
            for game in result.truncated.nonzero()[0]:
                finals[int(game), len(seen) - 1] = result.final
        seen.append(result.observation)
        return result

    rollout.env.step = step
    batch = rollout.collect(0.0)
    for name in ("obs", "avail_actions"):
        following = batch.next(name)
        for game in range(4):
            for t in range(10):
                shown = finals.get((game, t), seen[t + 1])
                expected = torch.from_numpy(getattr(shown, name)[game])
                assert torch.equal(following[game, t], expected), (name, game, t)
    assert len(finals) == 4 * 2
    with pytest.raises(ValueError, match="part of a batch"):
        batch.games(torch.tensor([1])).next("obs")


def test_parts_and_more_fields_leave_the_batch_as_it_was():
    batch = EpisodeBatch({**ZEROS, "reward": torch.arange(12.0).view(3, 4)}, torch.zeros(3, 2, 5))
    part = batch.games(torch.tensor([2, 0]))
    assert (part.batch_size, part.n_steps) == (2, 4) and part["reward"][0, 0] == 8
    more = batch.with_fields(order=torch.zeros(3, 4, 2))
    assert "order" in more and "order" not in batch
