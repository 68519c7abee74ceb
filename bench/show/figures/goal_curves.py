"""Precision over recall of each label on validation and on test, with the point that its threshold chose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.evaluation.thresholds import NEVER, at, curve
from bench.records import BoolArray, FloatArray
from bench.show.figures.base import COLOURS, INK, Figure, canvas, fitting

MOST_DRAWN = 120
COLUMNS = 6
POINTS = 50
"""Most points of a curve that are drawn."""

CELL, GAP, HEAD = 1.0, 0.22, 0.42
"""Side of a label's square, and what is between two of them to the right and above."""


@dataclass(frozen=True, slots=True)
class ScoredImages:
    """Scores, truth and ignore mask of a part, (images, labels), ``ignore`` perhaps ``None``."""

    scores: FloatArray
    truth: BoolArray
    ignore: BoolArray | None

    def of(self, label: int) -> tuple[FloatArray, BoolArray]:
        """Return scores and truth of a label's pairs that count."""
        kept = slice(None) if self.ignore is None else ~self.ignore[:, label]
        return np.asarray(self.scores[:, label])[kept], self.truth[kept, label]


def goal_curves(
    labels: Sequence[str], goals: Sequence[str], thresholds: NDArray[np.float32], parts: dict[str, ScoredImages]
) -> Figure:
    """Return a square for each label: its curve on each of ``parts``, validation first, and where its threshold lies.

    ``goals`` and ``thresholds`` are in the order of ``labels``. Labels with most true images of the last part come
    first; of more than ``MOST_DRAWN`` the others are in the numbers alone.
    """
    from matplotlib.collections import LineCollection

    last = list(parts.values())[-1]
    order = np.argsort(-last.truth.sum(axis=0), kind="stable")
    drawn = order[:MOST_DRAWN]
    columns = min(COLUMNS, len(drawn))
    rows = -(-len(drawn) // columns)
    drawing, (axis,) = canvas(max(3.2, 1.35 * columns), 1.6 * rows + 0.2, grid=False)
    numbers: list[dict[str, Any]] = []
    frames, lines, marks = [], {name: [] for name in parts}, {name: [] for name in parts}  # type: ignore[var-annotated]
    places = {int(label): place for place, label in enumerate(drawn)}
    for label in map(int, order):
        place = places.get(label)
        row, column = divmod(place or 0, columns)
        corner = np.array([column * (CELL + GAP), -row * (CELL + HEAD)])
        for name, part in parts.items():
            points, chosen = _points(part, label, thresholds[label])
            said = {"label": labels[label], "goal": goals[label], "part": name}
            numbers += [said | {"what": "curve", "recall": x, "precision": y} for x, y in points.tolist()]
            numbers += [said | {"what": "chosen", "recall": x, "precision": y} for x, y in chosen.tolist()]
            if place is not None:
                lines[name] += [points + corner] if len(points) else []
                marks[name] += (chosen + corner).tolist()
        if place is not None:
            frames.append(np.array([[0, CELL], [0, 0], [CELL, 0]]) + corner)
            never = " (never)" if thresholds[label] >= NEVER else ""
            left, below = map(float, corner)
            axis.text(left, below + CELL + 0.06, fitting(labels[label])[:18] + never, fontsize=6.5, color=INK)
    axis.add_collection(LineCollection(frames, colors=INK, linewidths=0.6))
    for colour, style, name in zip(COLOURS, ("--", "-"), parts, strict=False):
        axis.add_collection(LineCollection(lines[name], colors=colour, linewidths=1.1, linestyles=style, label=name))
        if marks[name]:
            axis.plot(*np.array(marks[name]).T, "o", color=colour, markersize=4)
    axis.set(xlim=(-0.06, columns * (CELL + GAP)), ylim=(-(rows - 1) * (CELL + HEAD) - 0.06, CELL + HEAD))
    axis.set_axis_off()
    caption = (
        "Each square: precision (up) over recall (right), both from 0 to 1; dashed on validation, where the thresholds"
        " were chosen, whole on test. Dots: what the label's threshold gives there."
    )
    if len(order) > len(drawn):
        caption += f" Drawn are the {len(drawn)} labels with most test images of {len(order)}; the table has all."
    return Figure(
        "goal-curves", "Precision, recall and the chosen threshold of each label", caption, tuple(numbers), drawing
    )


def _points(part: ScoredImages, label: int, threshold: np.float32) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return recall and precision along a label's curve, (n, 2), and at its threshold, (1, 2) or (0, 2)."""
    scores, truth = part.of(label)
    nothing = np.zeros((0, 2))
    if not truth.any():
        return nothing, nothing
    _, predicted, hits = curve(scores, truth)
    # At each of some recalls the highest precision, so that a point that was chosen lies on the line.
    wanted = np.linspace(1, hits[-1], POINTS).round()
    kept = np.unique(np.searchsorted(hits, wanted, side="left"))
    points = np.stack([hits / truth.sum(), hits / predicted], axis=1)[kept]
    point = at(threshold, scores, truth, reached=True)
    chosen = np.array([[point.recall, point.precision]]) if point.predicted and threshold < NEVER else nothing
    return points, chosen
