"""Returns of the team, lengths and infos of finished episodes."""

from typing import Any

import numpy as np

from bn_mappo.core.ranks import gather
from bn_mappo.core.specs import Array, StepResult, team_reward


class EpisodeStats:
    """Adds up running episodes of B games, and keeps what the finished ones came to until it is asked."""

    def __init__(self, n_games: int):
        self.running_return = np.zeros(n_games, dtype=np.float64)
        self.running_length = np.zeros(n_games, dtype=np.int64)
        self.finished: dict[str, list[Array]] = {}

    def add(self, result: StepResult) -> Array:
        """Take in one step; returns the games [K] whose episode has ended with it and counts."""
        self.running_return += team_reward(result.reward)
        self.running_length += 1
        done = result.terminated | result.truncated
        if not done.any():
            return np.zeros(0, dtype=np.int64)
        games = np.flatnonzero(done if result.lost is None else done & ~result.lost)
        outcomes = {"return": self.running_return, "ep_length": self.running_length, **result.info}
        for name, values in outcomes.items():
            self.finished.setdefault(name, []).append(values[games].astype(np.float64))
        self.running_return[done] = 0.0
        self.running_length[done] = 0
        return games

    def pop(self) -> dict[str, float]:
        """Means (and the deviation of the return) over the episodes finished since the last call, if there are any.

        Over the games of all ranks, in rank 0.
        """
        parts = gather(self.finished)
        self.finished = {}
        names = dict.fromkeys(name for part in parts for name in part)
        episodes = {name: np.concatenate([x for part in parts for x in part.get(name, [])]) for name in names}
        if not len(episodes.get("return", ())):
            return {}
        means = {f"{name}_mean": float(values.mean()) for name, values in episodes.items()}
        return {**means, "return_std": float(episodes["return"].std())}

    def state_dict(self) -> dict[str, Any]:
        """Everything, as plain data."""
        finished = {name: np.concatenate(values) for name, values in self.finished.items()}
        return {"return": self.running_return.copy(), "length": self.running_length.copy(), "finished": finished}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        self.running_return, self.running_length = state["return"].copy(), state["length"].copy()
        self.finished = {name: [values.copy()] for name, values in state["finished"].items()}
