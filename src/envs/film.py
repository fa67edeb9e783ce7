"""What an environment that can draw itself gives to those who make pictures and replays of a game."""

from pathlib import Path
from typing import Any, Protocol

from bn_mappo.core.specs import Array


class Film(Protocol):
    """One episode of the first game of an environment: its moments, and the DAGs that its agents acted along."""

    replay_dir: str  # where the user wants replays; empty: in the run's own folder
    replay_name: str  # what the user wants them called

    def record(self, adjacency: Array | None) -> None:
        """Keep the game as it stands, with the DAG [N, N] that leads on from here; None: there is none."""

    def highlight(self) -> int:
        """The number of the moment in which most happens."""

    def draw(self, axis: Any, number: int) -> str:
        """Draw a moment with its DAG on axes of matplotlib; returns its caption."""

    def animate(self, path: Path) -> None:
        """Write all of it to a file, as the suffix says (envs/animation.py)."""
