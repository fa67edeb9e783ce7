"""The progress display without a terminal and on one."""

import io
import sys

import pytest

from bn_mappo.core import progress as progress_module
from bn_mappo.core.progress import ProgressDisplay, duration, progress
from bn_mappo.training.progress import TrainingProgress


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the test sets."""
    now = [100.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    return now


def test_durations():
    assert [duration(s) for s in (0, 59.6, 61, 3599, 3725)] == ["0:00", "1:00", "1:01", "59:59", "1:02:05"]


def test_a_line_every_ten_seconds_and_one_at_the_end(clock, capsys):
    with progress(40) as report:
        for _ in range(40):
            clock[0] += 0.6
            report(1, "case 1")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        " 42%  case 1  0:10 passed, 0:14 left",
        " 85%  case 1  0:20 passed, 0:04 left",
        "100%  case 1  0:24 passed, 0:00 left",
    ]


def test_a_resumed_run_is_timed_by_its_own_steps(clock, monkeypatch):
    output = io.StringIO()
    monkeypatch.setattr(sys, "__stdout__", output)
    with TrainingProgress(500, 1000) as shown:
        shown.update(500, {"test_return_mean": 2.0})
        clock[0] += 10
        shown.update(600, {"dag_density": 0.25})
    assert output.getvalue() == (
        "       600 / 1,000 steps  10 steps/s  test return 2.00  density 0.25  0:10 passed, 0:40 left\n"
    )


def test_a_terminal_gets_a_bar(clock):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    with ProgressDisplay(terminal, 10) as display:
        display.update(5, "half [of it]")
        display.bar.refresh()
    assert "50%" in terminal.getvalue() and "half [of it]" in terminal.getvalue() and "left" in terminal.getvalue()
