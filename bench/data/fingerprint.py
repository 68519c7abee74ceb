"""What a split is known by: a hash over its ids, labels, truth and pictures."""

from __future__ import annotations

import numpy as np

from bench.records import Split
from bench.system.files import digest


def fingerprint(split: Split) -> str:
    """Return 16 hex digits over ids, labels, truth, ignore mask and the pictures' content, in their order."""
    ignore = b"" if split.ignore is None else np.packbits(split.ignore).tobytes()
    truth = np.packbits(split.truth).tobytes()
    return digest("\n".join(split.ids), "\n".join(split.labels), truth, ignore, split.images.content_hash())


def fingerprint_over(split: Split) -> str:
    """Return in words what ``fingerprint`` is over."""
    return f"ids, labels, truth, ignore mask; {split.images.hashed_over()}"
