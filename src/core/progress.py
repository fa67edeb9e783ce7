"""How far a computation is, with the time left: a live bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 10.0

Report = Callable[[float, str], None]  # (work done since the last call, what is going on)


def duration(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if minutes >= 60 else f"{minutes}:{seconds:02d}"


class ProgressDisplay:
    """Shows how much of `total` is done, beginning at `start`, in any unit. Owns the bar, or the clock of the lines.

    A plain line is written every ten seconds, and when all is done. `amount` puts the work done into words.
    """

    def __init__(self, stream: TextIO | None, total: float, start: float = 0.0, amount: str = "{share:4.0%}"):
        self.stream, self.total, self.start, self.amount = stream, total, start, amount
        self.begin = self.last_line = time.monotonic()
        console = Console(file=stream)
        self.bar = Progress(
            TextColumn("{task.fields[amount]}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task("starting", total=total, amount=self._amount(start))
        self.bar.update(self.task, completed=start)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def rate(self, done: float) -> float:
        """Work a second since the display began."""
        return (done - self.start) / max(time.monotonic() - self.begin, 1e-9)

    def update(self, done: float, text: str) -> None:
        """So much is done (with what was done at the start), and this is going on."""
        if not self.bar.disable:
            self.bar.update(self.task, completed=done, description=text, amount=self._amount(done))
            return
        now, is_complete = time.monotonic(), done >= self.total * (1 - 1e-9)
        if done <= self.start or (now - self.last_line < SECONDS_BETWEEN_LINES and not is_complete):
            return
        self.last_line = now
        left = max(self.total - done, 0.0) / self.rate(done)
        words = f"{self._amount(done)}  {text}  {duration(now - self.begin)} passed, {duration(left)} left"
        print(words, file=self.stream, flush=True)

    def _amount(self, done: float) -> str:
        return self.amount.format(done=done, total=self.total, share=done / self.total if self.total else 1.0)


@contextmanager
def progress(total_work: float) -> Iterator[Report]:
    """Gives a function to call with the work done since its last call; `total_work` in the same units. On stderr."""
    done = 0.0

    def report(work: float, text: str) -> None:
        nonlocal done
        done += work
        display.update(done, text)

    with ProgressDisplay(sys.stderr, total_work) as display:
        yield report
