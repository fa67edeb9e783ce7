"""How far a run is: a live line on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

PLAIN_INTERVAL_S = 10.0


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if minutes >= 60 else f"{minutes}:{seconds:02d}"


class TrainingProgress:
    """Shows steps, steps per second, return, DAG density and time left. Writes past Sacred's capture of stdout."""

    def __init__(self, t_start: int, t_max: int):
        self.t_start, self.t_max = t_start, t_max
        self.begin = self.last_plain = time.monotonic()
        self.latest: dict[str, float] = {}
        self.console = Console(file=sys.__stdout__)
        columns = ("[bold]{task.completed:,.0f}[/] / {task.total:,.0f} steps", "{task.fields[facts]}")
        self.bar = Progress(
            TextColumn(columns[0]),
            BarColumn(bar_width=24),
            TextColumn(columns[1]),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("train", total=t_max, completed=t_start, facts="")

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def update(self, t_env: int, values: dict[str, float]) -> None:
        """Show step t_env and, of the latest values, those that a person follows."""
        self.latest |= values
        now = time.monotonic()
        if not self.bar.disable:
            self.bar.update(self.task, completed=t_env, facts=self._facts(t_env, now))
        elif now - self.last_plain >= PLAIN_INTERVAL_S or t_env >= self.t_max:
            self.last_plain = now
            done = max(t_env - self.t_start, 1)
            left = (self.t_max - t_env) * (now - self.begin) / done
            print(
                f"{t_env:>10,} / {self.t_max:,} steps  {self._facts(t_env, now)}  {_duration(left)} left",
                file=sys.__stdout__,
                flush=True,
            )

    def _facts(self, t_env: int, now: float) -> str:
        facts = [f"{(t_env - self.t_start) / max(now - self.begin, 1e-9):,.0f} steps/s"]
        shown = {
            "return": "return_mean",
            "test return": "test_return_mean",
            "won": "test_battle_won_mean",
            "density": "dag_density",
        }
        facts += [f"{label} {self.latest[name]:.2f}" for label, name in shown.items() if name in self.latest]
        return "  ".join(facts)
