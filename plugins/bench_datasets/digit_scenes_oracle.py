"""How much knowing what goes together is worth on digit-scenes: two oracles that read the same evidence perfectly.

Both see the identity of every plainly painted label and nothing of the faint ones. They learn from scenes of
their own, never from the data set's splits, and are compared on further scenes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import bench
from bench_datasets.digit_painter import LABELS
from bench_datasets.digit_scenes import World, draw_labels, make_world

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = bench.lazy_import("numpy")

LEARNING_SCENES = 60_000


def oracle_f1(seed: int = 0, scenes: int = 10_000) -> dict[str, float]:
    """Return O-F1 of two oracles on ``scenes`` scenes, each label decided by what is most probable.

    ``independent``: P(label | is it plainly there?), label by label. ``co-occurrence``: a label that is not
    plainly there also counts as present where another plain label makes it so in more than half of the scenes.
    """
    world = make_world(seed)
    plain, truth = _draw(world, LEARNING_SCENES, np.random.default_rng([seed, 10]))
    seen, wanted = _draw(world, scenes, np.random.default_rng([seed, 11]))
    unseen_rate = (truth & ~plain).sum(axis=0) / np.maximum((~plain).sum(axis=0), 1)
    # P(label present | not plain itself, other label plain), (other, label).
    hidden = (plain.T.astype(np.float64) @ (truth & ~plain)) / np.maximum(plain.T.astype(np.float64) @ ~plain, 1)
    independent = seen | (unseen_rate > 0.5)
    implied = (seen[:, :, None] & (hidden > 0.5)[None]).any(axis=1)
    return {"independent": _f1(independent, wanted), "co-occurrence": _f1(independent | implied, wanted)}


def _draw(world: World, scenes: int, rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which labels are plainly painted, and which are there, both (scenes, labels)."""
    plain = np.zeros((scenes, len(LABELS)), dtype=np.bool_)
    truth = plain.copy()
    for row in range(scenes):
        drawn, companions = draw_labels(world, rng)
        plain[row, drawn] = True
        truth[row, drawn + companions] = True
    return plain, truth


def _f1(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float(2 * (predicted & truth).sum() / (predicted.sum() + truth.sum()))
