"""Annealing as the paper describes it (section 7.4.4), in worked numbers."""

import pytest

from bn_mappo.core.schedules import Constant, Cosine, Linear, Staircase, plain, schedule

ETA = Staircase(start=1.0, end=0.0, begin=0.4, until=0.7, steps=3)
ALPHA = Staircase(start=0.1, end=1.0, begin=0.7, until=0.8, steps=2)


@pytest.mark.parametrize(
    ("fraction", "eta", "alpha"),
    [
        (0.0, 1.0, 0.1),
        (0.39, 1.0, 0.1),
        (0.45, 1.0, 0.1),  # the first of three steps comes at 0.5
        (0.55, 2 / 3, 0.1),
        (0.65, 1 / 3, 0.1),
        (0.7, 0.0, 0.1),
        (0.76, 0.0, 0.55),  # the first of two steps of alpha comes at 0.75
        (0.8, 0.0, 1.0),
        (1.0, 0.0, 1.0),
    ],
)
def test_density_target(fraction, eta, alpha):
    assert ETA(fraction) == pytest.approx(eta)
    assert ALPHA(fraction) == pytest.approx(alpha)


def test_staircase_of_no_width_steps_at_once():
    stairs = Staircase(start=1.0, end=0.0, begin=0.5, until=0.5, steps=4)
    assert [stairs(x) for x in (0.0, 0.49, 0.5, 1.0)] == [1.0, 1.0, 0.0, 0.0]


def test_linear_ends_where_it_says():
    ramp = Linear(start=0.1, end=0.001, until=0.5)
    assert [ramp(0.0), ramp(0.25), ramp(0.5), ramp(1.0)] == pytest.approx([0.1, 0.0505, 0.001, 0.001])
    later = Linear(start=1.0, end=0.0, begin=0.5, until=1.0)
    assert [later(0.25), later(0.5), later(0.75), later(1.0)] == pytest.approx([1.0, 1.0, 0.5, 0.0])


def test_cosine_is_halfway_in_the_middle_and_flat_at_both_ends():
    wave = Cosine(start=3.0, end=1.0, until=0.8)
    assert [wave(0.0), wave(0.4), wave(0.8), wave(1.0)] == pytest.approx([3.0, 2.0, 1.0, 1.0])
    assert abs(wave(0.001) - 3.0) < 1e-4 and abs(wave(0.799) - 1.0) < 1e-4


@pytest.mark.parametrize(
    "value",
    [
        0.5,
        {"start": 1.0, "end": 0.0, "until": 0.5},
        {"start": 1.0, "end": 0.0, "until": 0.5, "begin": 0.25, "kind": "cosine"},
        {"start": 1.0, "end": 0.0, "until": 0.5, "steps": 4, "kind": "staircase"},
    ],
)
def test_a_configured_value_comes_back_as_it_was(value):
    made = schedule(value)
    assert plain(made) == value
    assert schedule(made) is made
    assert isinstance(made, Constant) == (value == 0.5)
