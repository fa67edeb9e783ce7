"""Compiled code that plays many games, on several cores: a share of the games for each thread."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.specs import Array


class Shares:
    """Runs code that lets Python's lock go, on shares of the games. Games are independent, so nothing depends on how
    many threads there are. Owns the threads, from the first call on."""

    def __init__(self, n_threads: int):
        """ConfigError where it is less than one thread."""
        if n_threads < 1:
            raise ConfigError(f"env_args.threads={n_threads}: give a number of at least 1")
        self.n_threads = n_threads
        self.pool: ThreadPoolExecutor | None = None

    def run(self, play: Callable[[slice], None], n_games: int) -> None:
        """Calls `play` with ranges that together are all games; returns when all are through."""
        if self.n_threads == 1 or n_games < 2:
            play(slice(0, n_games))
            return
        if self.pool is None:
            self.pool = ThreadPoolExecutor(self.n_threads - 1, "games")
        n_shares = min(self.n_threads, n_games)
        edges = [n_games * share // n_shares for share in range(n_shares + 1)]
        first, *others = (slice(begin, end) for begin, end in pairwise(edges))
        running = [self.pool.submit(play, share) for share in others]
        play(first)
        for share in running:
            share.result()

    def close(self) -> None:
        """End the threads; a later call starts new ones."""
        if self.pool is not None:
            self.pool.shutdown()
            self.pool = None


def own_rows(tables: Array, games: slice) -> Array:
    """The tables [B, ...] of these games; the one table [1, ...] where all games have the same."""
    return tables if len(tables) == 1 else tables[games]
