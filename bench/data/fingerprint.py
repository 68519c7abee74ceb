"""What a split is known by: a hash over its ids, labels, truth and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError
from bench.records import Split
from bench.system.files import digest


def fingerprint(split: Split) -> str:
    """Return 16 hex digits over ids, labels, truth, ignore mask and the pictures' content, in their order."""
    ignore = b"" if split.ignore is None else np.packbits(split.ignore).tobytes()
    truth = np.packbits(split.truth).tobytes()
    return digest("\n".join(split.ids), "\n".join(split.labels), truth, ignore, split.images.content_hash())


def truth_hash(
    ids: Sequence[str], labels: Sequence[str], truth: NDArray[np.uint8], ignore: NDArray[np.uint8] | None
) -> str:
    """Return 16 hex digits over ids, labels and masks, packed as ``np.packbits(mask, axis=1)``: all but the pictures.

    A run's config holds it of the test part, so that the truth stored with a run is bound to the run's key.
    """
    names = (json.dumps(list(one)) for one in (ids, labels))
    return digest(*names, truth.tobytes(), b"" if ignore is None else ignore.tobytes())


def truth_hash_of(split: Split) -> str:
    """Return ``truth_hash`` of a split."""
    ignore = None if split.ignore is None else np.packbits(split.ignore, axis=1)
    return truth_hash(split.ids, split.labels, np.packbits(split.truth, axis=1), ignore)


def refuse_choosing_on_test(dataset: str, fingerprints: Mapping[str, str]) -> None:
    """Raise ``DataError`` where a data set's validation part is its test part: learning rates and label-set policies
    are chosen on the one, and nothing on the other.
    """  # noqa: D205 - one sentence
    if fingerprints["validation"] == fingerprints["test"]:
        raise DataError(
            f"{dataset}: its validation part is its test part, on which nothing may be chosen."
            " Try: another test split, or none for validation"
        )


def fingerprint_over(split: Split) -> str:
    """Return in words what ``fingerprint`` is over."""
    return f"ids, labels, truth, ignore mask; {split.images.hashed_over()}"
