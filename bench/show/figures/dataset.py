"""What a split holds: how often each label occurs, which occur together, how many an image has."""

from __future__ import annotations

import numpy as np

from bench.data.statistics import cooccurrence
from bench.records import Split
from bench.show.figures.base import COLOURS, INK, Figure, canvas, fitting

MOST_NAMED = 40
"""Labels that are named; of more, only the most frequent are drawn in the heat map."""


def of_split(split: Split) -> list[Figure]:
    """Return label frequency, co-occurrence and label cardinality of ``split``."""
    return [label_frequency(split), label_cooccurrence(split), cardinality(split)]


def label_frequency(split: Split) -> Figure:
    """Return how many images hold each label, the most frequent first; on a log scale where there are many."""
    counts = split.truth.sum(axis=0)
    order = np.argsort(-counts, kind="stable")
    names = [split.labels[label] for label in order]
    many = len(names) > MOST_NAMED
    drawing, (axis,) = canvas(7, 3.2 if many else 0.6 + 0.19 * len(names))
    if many:
        axis.fill_between(
            np.arange(1, len(order) + 1), np.maximum(counts[order], 0.5), 0.5, color=COLOURS[0], step="mid"
        )
        axis.set(yscale="log", xlabel="labels, the most frequent first", ylabel="images")
        axis.yaxis.set_major_formatter("{x:,.0f}")
    else:
        axis.barh(names, counts[order], color=COLOURS[0])
        axis.invert_yaxis()
        axis.set_xlabel("images")
    rows = tuple({"label": split.labels[label], "images": int(counts[label])} for label in order)
    title = f"Label frequency in {split.dataset}/{split.name}"
    return Figure("label-frequency", title, f"{len(split):,} images, {len(names):,} labels.", rows, drawing)


def label_cooccurrence(split: Split) -> Figure:
    """Return how often the label of a column stands beside that of a row: P(column | row)."""
    counts = split.truth.sum(axis=0)
    order = np.argsort(-counts, kind="stable")[:MOST_NAMED]
    together = cooccurrence(split.truth[:, order]).astype(np.float64)
    share = together / np.maximum(np.diag(together)[:, None], 1)
    np.fill_diagonal(share, np.nan)
    side = 2.2 + 0.17 * len(order)
    drawing, (axis,) = canvas(side + 0.8, side, grid=False)
    shown = axis.imshow(share, cmap="viridis", vmin=0)
    names = [split.labels[label] for label in order]
    axis.set_xticks(range(len(names)), list(map(fitting, names)), rotation=90, fontsize=7)
    axis.set_yticks(range(len(names)), list(map(fitting, names)), fontsize=7)
    bar = drawing.colorbar(shown, ax=axis, fraction=0.04)
    bar.ax.tick_params(colors=INK, labelsize=7)
    rows = tuple(
        {"given": names[i], "label": names[j], "images": int(together[i, j]), "probability": float(share[i, j])}
        for i in range(len(names))
        for j in range(len(names))
        if i != j and together[i, j]
    )
    caption = "Share of a row's images that also hold the column's label."
    if len(counts) > len(order):
        caption += f" The {len(order)} most frequent of {len(counts):,} labels."
    return Figure("co-occurrence", f"Co-occurrence in {split.dataset}/{split.name}", caption, rows, drawing)


def cardinality(split: Split) -> Figure:
    """Return how many images have how many labels."""
    per_image = split.truth.sum(axis=1)
    histogram = np.bincount(per_image)
    drawing, (axis,) = canvas(6, 2.8)
    axis.bar(range(len(histogram)), histogram, color=COLOURS[0])
    axis.axvline(per_image.mean(), color=COLOURS[1], linewidth=1.2)
    axis.set(xlabel="labels of an image", ylabel="images")
    rows = tuple({"labels": count, "images": int(images)} for count, images in enumerate(histogram))
    caption = f"The line is the label cardinality, {per_image.mean():.2f} labels an image."
    return Figure("cardinality", f"Labels per image in {split.dataset}/{split.name}", caption, rows, drawing)
