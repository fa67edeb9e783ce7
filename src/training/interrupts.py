"""SIGINT and SIGTERM end a run between two updates, with a checkpoint, in all of its ranks."""

import signal
from types import FrameType, TracebackType
from typing import Self

import torch

from bn_mappo.core.ranks import largest


class Interrupt:
    """Context in which the first signal only sets `signum`; a second one interrupts at once."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.signum: int | None = None

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._receive) for number in self.SIGNALS}
        return self

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if self.signum is not None:
            raise KeyboardInterrupt
        self.signum = signum

    def agreed(self) -> int | None:
        """The signal that any rank has received; the same in all of them, so that they end together."""
        return int(largest(torch.tensor(self.signum or 0))) or None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
