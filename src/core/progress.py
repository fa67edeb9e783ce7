"""Progress of a long computation with the time left: a live bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 10.0

Report = Callable[[float, str], None]  # (work done since the last call, what is going on)


@contextmanager
def progress(total_work: float) -> Iterator[Report]:
    """Gives a function to call with the work done since its last call; `total_work` in the same units."""
    if not sys.stderr.isatty():
        yield _plain_lines(total_work)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("starting", total=total_work)
        yield lambda work, text: bar.update(task, advance=work, description=text)


def _plain_lines(total_work: float) -> Report:
    started = time.monotonic()
    done, next_line = 0.0, started + SECONDS_BETWEEN_LINES

    def report(work: float, text: str) -> None:
        nonlocal done, next_line
        done += work
        now = time.monotonic()
        is_finished = done >= total_work * (1 - 1e-9)
        if (now < next_line and not is_finished) or done <= 0:
            return
        next_line = now + SECONDS_BETWEEN_LINES
        left = (now - started) * max(0.0, total_work - done) / done
        print(
            f"{done / total_work:4.0%}  {text}  {now - started:.0f} s, {left:.0f} s left", file=sys.stderr, flush=True
        )

    return report
