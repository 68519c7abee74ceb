"""Exhibits made again, and compared with those that a run has stored."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from bench.model import inspection
from bench.rebuilt import Rebuilt
from bench.recompute.compare import alike
from bench.records import Exhibits, Features
from bench.store.run_folder import RunFolder

PICTURE = 2.0
"""Largest mean difference of two JPEGs' pixels, of 255: another version of Pillow may write other bytes."""


def faults(folder: RunFolder, rebuilt: Rebuilt, test: Features) -> list[str]:
    """Return which stored exhibits are not what the weights show of the ``test`` images; none where none is stored."""
    if not folder.lists("gallery"):
        return []
    again = inspection.inspect(
        rebuilt.assembly.parts.test,
        rebuilt.model.to("cpu"),
        test,
        rebuilt.backbone,
        options=rebuilt.assembly.search,
        label_sets=folder.read_label_sets() if rebuilt.assembly.sequence else None,
    )
    return [f"{name} is not what its weights and images show" for name in _other(folder, again)]


def _other(folder: RunFolder, again: Exhibits) -> list[str]:
    stored = folder.exhibits
    pairs: dict[str, tuple[Any, Any]] = {}
    if folder.lists("trees"):
        pairs["trees.json"] = stored.trees(), list(again.trees)
    if folder.lists("embedding") and again.label_space is not None:
        one, other = stored.label_space(), again.label_space
        pairs["embedding.npz"] = [one.labels, one.images, one.start], [other.labels, other.images, other.start]
    if folder.lists("attention"):
        pairs["attention.npz"] = stored.attention(), dict(again.attention)
    wrong = [name for name, (one, other) in pairs.items() if not alike(one, other)]
    pictures = stored.gallery()
    same = pictures.keys() == again.pictures.keys() and all(
        _same_picture(pictures[row], content) for row, content in again.pictures.items()
    )
    return wrong if same else [*wrong, "gallery.npz"]


def _same_picture(one: bytes, other: bytes) -> bool:
    """Return whether two JPEGs show the same; another version of Pillow may write other bytes."""
    from PIL import Image, UnidentifiedImageError

    if one == other:
        return True
    try:
        pictures = [np.asarray(Image.open(io.BytesIO(content)), dtype=np.float32) for content in (one, other)]
    except (UnidentifiedImageError, OSError):
        return False
    return pictures[0].shape == pictures[1].shape and float(np.abs(pictures[0] - pictures[1]).mean()) < PICTURE
