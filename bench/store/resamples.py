"""Resampled measures of stored runs, kept in the user's cache folder: a second report or comparison draws nothing.

They lie beside the cached features and not in the run's folder, so that no run that is handed over brings its own error
bars: what is kept was computed here. It is used only if it is, to the byte, what was written for the same predictions,
truth and protocol, and for this code. ``bench validate`` reads none of it, and deleting the folder costs time alone.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from bench.code import resampling_code
from bench.evaluation import significance
from bench.evaluation.bootstrap import Drawn
from bench.evaluation.outcome import Outcome
from bench.evaluation.significance import Draw
from bench.system.files import canonical_json, digest
from bench.system.npz import save_npz
from bench.system.sealed_files import keep, read_sealed
from bench.system.source import UNKNOWN

UNSEEN, IMAGES = "unseen", "images"

PAIR_BUDGET = 1.2e10
"""Image-label pairs times resamples spent on error bars: about 12 seconds of two cores, once."""
FEWEST, MOST = 100, 1000


def affordable(pairs: int, budget: float = PAIR_BUDGET) -> int:
    """Return how many resamples of so many image-label pairs to draw: 1,000, or as many as ``budget`` allows."""
    return max(FEWEST, min(MOST, int(budget / max(pairs, 1))))


def kept_in(folder: Path) -> Draw:
    """Return what draws a run's resamples, or takes them from ``folder`` where as many or more were drawn before."""
    code = _code()

    def draw(outcome: Outcome, resamples: int) -> Drawn:
        if not outcome.seal or code == UNKNOWN:
            return significance.draw(outcome, resamples)
        key = f"{outcome.seal} {canonical_json(asdict(outcome.protocol))} {code}"
        path = folder / "resamples" / f"{digest(key)}.npz"
        found = _parsed(read_sealed(path, key))
        if found is None or any(len(values) < 1 + resamples for values in found.values.values()):
            found = significance.draw(outcome, resamples)
            keep(path, key, _packed(found))
        return found

    return draw


def _code() -> str:
    """Return what, beside the run, decides the values: this code, and the libraries that draw and add up."""
    code = resampling_code()
    versions = " ".join(f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "scipy"))
    return code if code == UNKNOWN else f"{code} {versions}"


def _packed(drawn: Drawn) -> bytes:
    buffer = io.BytesIO()
    beside = {UNSEEN: np.array(json.dumps(drawn.unseen)), IMAGES: np.array(drawn.images)}
    save_npz(buffer, {**beside, **{f"/{name}": v for name, v in drawn.values.items()}})
    return buffer.getvalue()


def _parsed(content: bytes | None) -> Drawn | None:
    """Return what ``_packed`` was given; ``None`` where nothing sound is kept."""
    if content is None:
        return None
    try:
        arrays = dict(np.load(io.BytesIO(content), allow_pickle=False))
        unseen = {name: float(value) for name, value in json.loads(str(arrays.pop(UNSEEN))).items()}
        images = int(arrays.pop(IMAGES))
        return Drawn({name.removeprefix("/"): values for name, values in arrays.items()}, unseen, images)
    except (ValueError, KeyError, TypeError, EOFError, OSError):
        return None  # sealed by another version of this file
