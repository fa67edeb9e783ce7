"""A whole battle, moment by moment with its DAGs, as an animation."""

from pathlib import Path
from typing import Any

from bn_mappo.core.specs import Array
from bn_mappo.envs.animation import write_animation
from bn_mappo.envs.games.skirmish.battles import Battles
from bn_mappo.envs.games.skirmish.drawing import Picture, caption, draw
from bn_mappo.envs.games.skirmish.moments import Moment, between, moment, view_of

STEPS_A_SECOND = 5  # two and a half times "Normal" speed
MOST_FRAMES_A_STEP, MOST_FRAMES = 3, 260  # a long battle has fewer frames a step
LAST_FRAME_S = 3.0  # for which the outcome stays


class BattleFilm:
    """The first game of a Skirmish. Owns the recorded moments; the game plays on without it."""

    def __init__(self, game: Battles, replay_dir: str, replay_name: str):
        self.game, self.replay_dir, self.replay_name = game, replay_dir, replay_name
        self.moments: list[Moment] = []
        self.adjacency: list[Array | None] = []

    def record(self, adjacency: Array | None) -> None:
        """Keep the game as it stands."""
        self.moments.append(moment(self.game))
        self.adjacency.append(adjacency)

    def highlight(self) -> int:
        """The moment with most shots, counted in the step that leads on from it."""
        shots = [int((now.shot_at >= 0).sum()) for now in self.moments[1:]] or [0]
        return shots.index(max(shots))

    def draw(self, axis: Any, number: int) -> str:
        """A moment, with the orders and shots that follow from it."""
        now = self.moments[number]
        if number + 1 < len(self.moments):
            after = self.moments[number + 1]
            now = now._replace(shot_at=after.shot_at, target=after.target, goal=after.goal)
        draw(axis, now, view_of([now]), self.adjacency[number])
        return caption(now)

    def animate(self, path: Path) -> None:
        """All steps, each with some frames between its two moments, under the DAG that the agents acted along."""
        n_steps = max(len(self.moments) - 1, 1)
        each = min(max(MOST_FRAMES // n_steps, 1), MOST_FRAMES_A_STEP)  # frames a step
        has_dag = any(adjacency is not None for adjacency in self.adjacency)
        picture = Picture(self.moments[0], view_of(self.moments), has_dag)
        shown = [(self.moments[0], self.adjacency[0])]
        for number, (first, second) in enumerate(zip(self.moments, self.moments[1:], strict=False)):
            shown += [(between(first, second, (k + 1) / each), self.adjacency[number]) for k in range(each)]

        write_animation(
            path, lambda frame: picture.pixels(*shown[frame]), len(shown), STEPS_A_SECOND * each, LAST_FRAME_S
        )
