"""How far a computation is, with the time left: a live bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 10.0


class Report(Protocol):
    """Takes the work done since the last call, what is going on, and the shares done of its parts by their names."""

    def __call__(self, work: float, text: str, parts: Mapping[str, float] | None = None) -> None:
        """Show it."""


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
        self.parts: dict[str, TaskID] = {}
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

    def update(self, done: float, text: str, parts: Mapping[str, float] | None = None) -> None:
        """So much is done (with what was done at the start), and this is going on.

        `parts` are the shares done of what is going on, by name: bars of their own on a terminal, names in a line.
        """
        if not self.bar.disable:
            self.bar.update(self.task, completed=done, description=text, amount=self._amount(done))
            self._show_parts(parts or {})
            return
        if parts:
            text = f"{text}, running: {', '.join(sorted(parts))}"
        now, is_complete = time.monotonic(), done >= self.total * (1 - 1e-9)
        if done <= self.start or (now - self.last_line < SECONDS_BETWEEN_LINES and not is_complete):
            return
        self.last_line = now
        left = max(self.total - done, 0.0) / self.rate(done)
        words = f"{self._amount(done)}  {text}  {duration(now - self.begin)} passed, {duration(left)} left"
        print(words, file=self.stream, flush=True)

    def _show_parts(self, parts: Mapping[str, float]) -> None:
        for name in self.parts.keys() - parts.keys():
            self.bar.remove_task(self.parts.pop(name))
        for name, share in parts.items():
            if name not in self.parts:
                self.parts[name] = self.bar.add_task(name, total=1.0, amount="")
            self.bar.update(self.parts[name], completed=share, amount=f"{share:4.0%}")

    def _amount(self, done: float) -> str:
        return self.amount.format(done=done, total=self.total, share=done / self.total if self.total else 1.0)


@contextmanager
def progress(total_work: float) -> Iterator[Report]:
    """Gives a function to call with the work done since its last call; `total_work` in the same units. On stderr."""
    done = 0.0

    def report(work: float, text: str, parts: Mapping[str, float] | None = None) -> None:
        nonlocal done
        done += work
        display.update(done, text, parts)

    with ProgressDisplay(sys.stderr, total_work) as display:
        yield report
