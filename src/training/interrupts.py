"""SIGINT, SIGTERM and SIGHUP end a run between two updates, with a checkpoint, in all of its ranks."""

import signal
from types import FrameType, TracebackType
from typing import Self

import torch

from bn_mappo.core.ranks import largest


class Interrupt:
    """Context in which a signal only sets `signum`; a second Ctrl-C interrupts at once.

    Programs that end many processes may send one of them several signals, so no other repetition means haste.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.signum: int | None = None

    def __enter__(self) -> Self:
        wanted = [number for number in self.SIGNALS if not _is_ignored_hangup(number)]
        self._previous = {number: signal.signal(number, self._receive) for number in wanted}
        return self

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if self.signum == signum == signal.SIGINT:
            raise KeyboardInterrupt
        self.signum = self.signum or signum

    def agreed(self) -> int | None:
        """The signal that any rank has received; the same in all of them, so that they end together."""
        return int(largest(torch.tensor(self.signum or 0))) or None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)


def _is_ignored_hangup(number: signal.Signals) -> bool:
    """Under nohup a run goes on without its terminal."""
    return number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN
