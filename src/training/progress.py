"""How far a training run is, with the metrics that a person follows."""

import io
import sys
from types import TracebackType
from typing import Self

from bn_mappo.core.progress import ProgressDisplay

SHOWN = {  # label: metric
    "return": "return_mean",
    "test return": "test_return_mean",
    "won": "test_battle_won_mean",
    "density": "dag_density",
}


class TrainingProgress:
    """Shows steps, steps per second, return, DAG density and time left. Writes past Sacred's capture of stdout."""

    def __init__(self, t_start: int, t_max: int, is_silent: bool = False):
        stream = io.StringIO() if is_silent else sys.__stdout__
        self.display = ProgressDisplay(stream, t_max, t_start, "{done:>10,} / {total:,} steps")
        self.latest: dict[str, float] = {}

    def __enter__(self) -> Self:
        self.display.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.display.__exit__(kind, error, trace)

    def update(self, t_env: int, values: dict[str, float]) -> None:
        """Show step t_env and the latest of the metrics that are shown."""
        self.latest |= values
        words = [f"{label} {self.latest[name]:.2f}" for label, name in SHOWN.items() if name in self.latest]
        self.display.update(t_env, "  ".join([f"{self.display.rate(t_env):,.0f} steps/s", *words]))
