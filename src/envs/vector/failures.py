"""How often games broke down: counted in all, and limited in a row."""

import numpy as np

from bn_mappo.core.errors import WorkerError


class Failures:
    """Counts the failures of B games; those of a game in a row until it has ended an episode as it should."""

    def __init__(self, batch_size: int, max_in_a_row: int):
        self.total, self.max_in_a_row = 0, max_in_a_row
        self.failure_count = np.zeros(batch_size, dtype=np.int64)  # [B] in a row

    def add(self, row: int, cause: str) -> None:
        """Game `row` has failed; too often in a row raises WorkerError."""
        self.total += 1
        self.failure_count[row] += 1
        if self.failure_count[row] > self.max_in_a_row:
            raise WorkerError(
                f"environment {row} failed {self.failure_count[row]} times in a row, the last time because {cause}. "
                f"(max_worker_restarts={self.max_in_a_row})"
            )

    def reset(self, ended: np.ndarray) -> None:
        """The games `ended` [B] (bool) have ended an episode as they should: their failures are counted anew."""
        self.failure_count[ended] = 0
