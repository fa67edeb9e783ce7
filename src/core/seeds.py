"""Seeds for many purposes from one; apart from the generators, for environment workers need no torch."""

import zlib

import numpy as np


def derive_seed(seed: int, *names: str | int) -> int:
    """A seed for one purpose: the same for the same arguments, unrelated for others."""
    words = [zlib.crc32(str(name).encode()) for name in names]
    return int(np.random.SeedSequence([seed, *words]).generate_state(1, np.uint64)[0] >> np.uint64(1))
