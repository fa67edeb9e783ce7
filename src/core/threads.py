"""How many cores and threads a run uses; imports no numerical library, for they read it when they are imported."""

import os

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

CORES_VARIABLE = "BN_MAPPO_CORES"  # of one of several runs that share a machine: its part of the cores


def usable_cores() -> int:
    """How many this run may keep busy."""
    if given := os.environ.get(CORES_VARIABLE):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def single_threaded() -> None:
    """Many small matrices: more threads cost more than they bring. Has to happen before NumPy is imported."""
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")
