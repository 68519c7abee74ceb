"""Labels and images in the joint embedding: a map, each label's nearest labels, each image's nearest labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.evaluation.bits import Mask
from bench.records import FloatArray, LabelSpace
from bench.show.figures.base import COLOURS, INK, TEXT, Figure, canvas, fitting, legend, picture_array

NEIGHBOURS = 5
MOST_ROWS = 30
"""Labels whose neighbours are drawn; the numbers hold all."""
DRAWN = 3
"""Neighbours that are drawn."""
MOST_PICTURES = 4


def nearest(rows: FloatArray, labels: FloatArray, count: int = NEIGHBOURS) -> tuple[NDArray[np.int64], FloatArray]:
    """Return the labels (n, count) nearest to each of ``rows`` by cosine, and the cosines."""
    unit = labels / np.maximum(np.linalg.norm(labels, axis=1, keepdims=True), 1e-12)
    cosines = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) @ unit.T
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
    return order, np.take_along_axis(cosines, order, axis=1)


def embedding_map(space: LabelSpace, labels: Sequence[str]) -> Figure:
    """Return labels, images and their sums with the first prefix term on two principal axes; as the paper's Fig. 3."""
    words, images = space.labels, space.images
    sums = images + space.start
    # The axes are those of the labels: an image is then seen where it stands among them.
    centre = words.mean(axis=0)
    axes = np.linalg.svd(words - centre, full_matrices=False)[2][:2].T
    drawing, (axis,) = canvas(5, 4.6, grid=False)
    rows: list[dict[str, Any]] = []
    for kind, points, colour, size in (
        ("image", images, COLOURS[0], 14),
        ("sum", sums, INK, 8),
        ("label", words, COLOURS[4], 20),
    ):
        flat = (points - centre) @ axes
        flat = flat / max(float(np.abs(flat).max()), 1e-12)
        axis.scatter(flat[:, 0], flat[:, 1], s=size, color=colour, label=f"{kind}s", alpha=0.8, linewidths=0)
        for place, (x, y) in enumerate(flat):
            name = labels[place] if kind == "label" else str(place)
            rows.append({"kind": kind, "name": name, "x": float(x), "y": float(y)})
            if kind == "label" and len(labels) <= 100:
                axis.annotate(name, (x, y), xytext=(3, 3), textcoords="offset points", fontsize=7, color=INK)
    legend(axis, loc="best")
    caption = "Two principal axes of the label embeddings; each kind scaled to the same extent. Sums: image plus START."
    return Figure("embedding", "Labels and images in the joint embedding", caption, tuple(rows), drawing)


def label_neighbours(space: LabelSpace, labels: Sequence[str], support: NDArray[np.int64]) -> Figure:
    """Return the nearest labels of each label by cosine, as the paper's Tables 5 and 6; ``support`` is (labels,).

    The labels with most test images are drawn, the numbers hold all.
    """
    words = space.labels
    count = min(NEIGHBOURS, len(labels) - 1)
    # A label's nearest is itself, unless another has the very same direction.
    order, cosines = nearest(words, words, len(labels))
    others = order != np.arange(len(labels))[:, None]
    order, cosines = (array[others].reshape(len(labels), -1)[:, :count] for array in (order, cosines))
    shown = np.argsort(-support, kind="stable")[:MOST_ROWS]
    drawn = min(DRAWN, count)
    drawing, (axis,) = canvas(1.1 + 1.25 * drawn, 0.5 + 0.24 * len(shown), grid=False)
    low, high = float(cosines[shown, :drawn].min()), float(cosines[shown, :drawn].max())
    axis.imshow(cosines[shown, :drawn], cmap="Blues", vmin=low, vmax=high, aspect="auto")
    for line, label in enumerate(shown):
        for rank in range(drawn):
            cosine = float(cosines[label, rank])
            # Dark words on light cells and the other way round, whatever the page.
            colour = "#ffffff" if cosine > low + 0.6 * (high - low) else "#1d2127"
            words_shown = f"{labels[order[label, rank]]} {cosine:.2f}"
            axis.text(rank, line, words_shown, ha="center", va="center", fontsize=8, color=colour)
    axis.set_yticks(range(len(shown)), [fitting(labels[label]) for label in shown], fontsize=8)
    axis.set_xticks(range(drawn), [f"nearest {rank + 1}" for rank in range(drawn)], fontsize=8)
    axis.spines[:].set_visible(False)
    rows = tuple(
        {"label": labels[label], "rank": rank + 1, "nearest": labels[order[label, rank]], "cosine": float(cosine)}
        for label in range(len(labels))
        for rank, cosine in enumerate(cosines[label])
    )
    caption = "Cosine of the output embeddings."
    if len(shown) < len(labels):
        caption += f" The {len(shown)} labels with most test images of {len(labels):,}."
    return Figure("label-neighbours", "Nearest labels of each label", caption, rows, drawing)


def image_neighbours(
    space: LabelSpace,
    labels: Sequence[str],
    pictures: Mapping[int, bytes],
    truth: Mask,
    scores: FloatArray,
) -> Figure:
    """Return the labels nearest to an image in the joint embedding beside the best by score, as the paper's Fig. 9.

    ``pictures`` maps a test row to its JPEG, in the order of the embedding's images; ``truth`` and ``scores`` are
    (test images, labels).
    """
    order, cosines = nearest(space.images, space.labels, min(NEIGHBOURS, len(labels)))
    by_score = np.argsort(-scores[list(pictures)], axis=1, kind="stable")[:, : order.shape[1]]
    rows = [
        {
            "row": row,
            "rank": rank + 1,
            "nearest": labels[order[place, rank]],
            "cosine": float(cosines[place, rank]),
            "by_score": labels[by_score[place, rank]],
            "score": float(scores[row, by_score[place, rank]]),
        }
        for place, row in enumerate(pictures)
        for rank in range(order.shape[1])
    ]
    shown = list(pictures)[:MOST_PICTURES]
    drawing, axes = canvas(4.2, 1.7 * len(shown), rows=len(shown), columns=2, grid=False)
    for axis in axes:
        axis.axis("off")
    for place, row in enumerate(shown):
        axes[2 * place].imshow(picture_array(pictures[row]))
        true = [label for label, present in zip(labels, truth[row : row + 1][0], strict=True) if present]
        text = [f"truth: {', '.join(true) or 'none'}", "", "nearest | by score"]
        text += [f"{labels[order[place, n]]} | {labels[by_score[place, n]]}" for n in range(order.shape[1])]
        axes[2 * place + 1].text(0, 1, "\n".join(text), va="top", fontsize=TEXT, color=INK)
    caption = "Left of the bar the labels nearest to the image's own term by cosine, right the best by class score."
    return Figure("image-neighbours", "Nearest labels of an image", caption, tuple(rows), drawing)
