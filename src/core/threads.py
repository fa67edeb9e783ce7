"""How many threads the numerical libraries use; imports none of them, for they read it when they are imported."""

import os

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def single_threaded() -> None:
    """Many small matrices: more threads cost more than they bring. Has to happen before NumPy is imported."""
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, "1")
