"""Whether pictures, searches, label space and attention that a run shows agree with its sequences and sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.model.inspection import gallery_rows
from bench.records import LabelSets, SearchOptions
from bench.store.predictions import SLACK, TINY
from bench.store.run_reader import RunReader


def of_gallery(folder: RunReader, images: int) -> list[str]:
    """Return whether other test images are shown than every run shows."""
    if not folder.lists("gallery"):
        return []
    return [] if list(folder.exhibits.gallery()) == gallery_rows(images) else ["its gallery is of other test images"]


def of_sequence_model(folder: RunReader, options: SearchOptions, sequences: LabelSets, labels: int) -> list[str]:
    """Return what is shown of a sequence model's search and does not follow from what it answered."""
    shown = set(gallery_rows(len(sequences.ids)))
    faults = []
    if folder.lists("trees"):
        trees = folder.exhibits.trees()
        rows = [tree["row"] for tree in trees]
        if len(set(rows)) != len(rows) or not set(rows) <= shown:
            faults.append("its searches are of other test images than its gallery")
        elif wrong := [tree["row"] for tree in trees if not _follows(tree, options, sequences, labels)]:
            faults.append(f"the searches shown of test images {wrong} do not lead to their label sequences")
    if folder.lists("embedding"):
        space = folder.exhibits.label_space()
        width = (len(space.start),)
        if (space.labels.shape, space.images.shape) != ((labels, *width), (len(shown), *width)):
            faults.append("its label space has other labels or images than the run")
    if folder.lists("attention"):
        maps = folder.exhibits.attention()
        if not set(maps) <= shown or not all(((values >= 0) & (values <= 1)).all() for values in maps.values()):
            faults.append("its attention maps are of other images, or no shares of attention")
    return faults


def _follows(tree: Mapping[str, Any], options: SearchOptions, sequences: LabelSets, labels: int) -> bool:
    """Return whether the tree's numbers agree with each other and with the stored answer."""
    edges = {(*prefix, label): (share, total) for prefix, label, share, total, _ in tree["edges"]}
    for path, (share, total) in edges.items():
        before = edges[path[:-1]][1] if len(path) > 1 else 1.0
        if not 0.0 <= share <= 1.0 or not _near(total, before * share):
            return False
    if (tree["end"], tree["beam_width"], tree["search"]) != (labels, options.beam_width, options.method):
        return False
    found, row = tuple(tree["answer"]), tree["row"]
    stored = sequences.sequences[row]
    if tuple(label for label in found if label != labels) != tuple(stored[stored >= 0].tolist()):
        return False
    return _near(edges[found][1] if found else 1.0, math.exp(sequences.log_probabilities[row]))


def _near(one: float, other: float) -> bool:
    return bool(np.isclose(one, other, rtol=SLACK, atol=TINY))
