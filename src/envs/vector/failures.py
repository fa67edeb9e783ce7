"""How often games broke down: counted, and no more than so often in a row."""

import numpy as np

from bn_mappo.core.errors import WorkerError


class Failures:
    """Counts the failures of B games. An episode that ends as it should breaks the row of its game."""

    def __init__(self, batch_size: int, most_in_a_row: int):
        self.total, self.most_in_a_row = 0, most_in_a_row
        self.in_a_row = np.zeros(batch_size, dtype=np.int64)

    def add(self, row: int, cause: str) -> None:
        """Game `row` has failed; too often in a row raises WorkerError."""
        self.total += 1
        self.in_a_row[row] += 1
        if self.in_a_row[row] > self.most_in_a_row:
            raise WorkerError(
                f"environment {row} failed {self.in_a_row[row]} times in a row, the last time because {cause}. "
                f"(max_worker_restarts={self.most_in_a_row})"
            )

    def forgive(self, ended: np.ndarray) -> None:
        """The games [B] (bool) have ended an episode as they should."""
        self.in_a_row[ended] = 0
