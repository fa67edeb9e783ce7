"""Annealing as the paper describes it (section 7.4.4), in worked numbers."""

import pytest

from bn_mappo.core.schedules import DensityTarget, Linear, staircase

TARGET = DensityTarget(a=0.4, b=0.7, c=0.8, l_1=3, l_2=2, eta_start=1, eta_end=0, alpha_start=0.1, alpha_end=1.0)


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
    assert TARGET.eta(fraction) == pytest.approx(eta)
    assert TARGET.alpha(fraction) == pytest.approx(alpha)


def test_staircase_of_no_width_steps_at_once():
    assert [staircase(x, 0.5, 0.5, 4, 1.0, 0.0) for x in (0.0, 0.49, 0.5, 1.0)] == [1.0, 1.0, 0.0, 0.0]


def test_linear_ends_where_it_says():
    ramp = Linear(0.1, 0.001, 0.5)
    assert [ramp(0.0), ramp(0.25), ramp(0.5), ramp(1.0)] == pytest.approx([0.1, 0.0505, 0.001, 0.001])
