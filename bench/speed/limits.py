"""What this machine can do at best, and the memory that this process has taken."""

from __future__ import annotations

import numpy as np

from bench.system.clock import seconds
from bench.system.memory import peak


def machine_limits() -> tuple[float, float]:
    """Return the FLOP/s of a float32 matrix product and the bytes/s of a sum over 64 MiB, in NumPy, best of five."""
    a = np.ones((512, 512), dtype=np.float32)
    b = np.ones(16 * 2**20, dtype=np.float32)
    product, total = (min(seconds(call) for _ in range(5)) for call in (lambda: np.matmul(a, a), lambda: np.sum(b)))
    return 2 * 512**3 / product, b.nbytes / total


def peak_memory() -> float:
    """Return the largest resident memory of this process so far, in MiB."""
    return peak() / 2**20
