"""Several processes that train one policy together, as torchrun starts them; a process alone is the only rank.

Each rank plays its share of the games. Sums run over all ranks, so that K ranks with B / K games take the gradient
steps of one rank with B games, up to rounding. Nothing here costs anything in a process alone.
"""

import os
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from bn_mappo.core.errors import RunError

TIMEOUT = timedelta(minutes=60)  # that ranks wait for one that evaluates or plays
_joined = False


class LostRankError(RunError):
    """Another process of this run has died."""


def rank() -> int:
    """The number of this process; 0 keeps the record. As torchrun has said, before `join` too."""
    return int(os.environ.get("RANK", "0")) if size() > 1 else 0


def size() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_rank() -> int:
    """The number of this process among those of its machine."""
    return int(os.environ.get("LOCAL_RANK", "0")) if size() > 1 else 0


def join(device: torch.device) -> None:
    """Meet the other ranks; does nothing in a process alone."""
    global _joined
    if size() > 1 and not _joined:
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
        _joined = True


def total(values: Tensor) -> Tensor:
    """Sum over all ranks, without a gradient."""
    return _reduced(values, dist.ReduceOp.SUM)


def largest(values: Tensor) -> Tensor:
    """Largest over all ranks, without a gradient."""
    return _reduced(values, dist.ReduceOp.MAX)


def shared(term: Tensor) -> Tensor:
    """A term of a sum over all ranks: the sum as its value, with the gradient of the own term."""
    return term + (total(term) - term).detach() if _joined else term


def own_share(value: Tensor) -> Tensor:
    """What all ranks have alike, as a term of a sum over them: a K-th of the value, with the whole gradient."""
    return value - value.detach() * (1 - 1 / size()) if _joined else value


def add_up(values: Tensor) -> None:
    """Sum over all ranks, in place."""
    if _joined:
        _call(lambda: dist.all_reduce(values))


def gather(value: Any) -> list[Any]:
    """The values of all ranks in rank 0, and an empty list in the others."""
    if not _joined:
        return [value]
    found: list[Any] = [None] * size()
    _call(lambda: dist.gather_object(value, found if rank() == 0 else None))
    return found if rank() == 0 else []


def _reduced(values: Tensor, operation: Any) -> Tensor:
    if not _joined:
        return values
    result = values.detach().clone()
    _call(lambda: dist.all_reduce(result, operation))
    return result


def _call(operation: Any) -> None:
    try:
        operation()
    except RuntimeError as error:
        raise LostRankError(f"another process of this run has ended: {str(error).splitlines()[0]}") from error
