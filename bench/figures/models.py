"""What a sequence model does with some test images: its search, its embeddings, and where its label nodes look."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.figures.base import COLOURS, INK, Figure, canvas
from bench.records import FloatArray

NEIGHBOURS = 5
END = "END"
METHODS = ("label nodes projected back", "Grad-CAM")


def beam_tree(tree: Mapping[str, Any], labels: Sequence[str], title: str) -> Figure:
    """Return the beam search of one image as a tree, probabilities on its edges; as the paper's Fig. 5.

    ``tree`` is what ``bench.inspection.search_tree`` returns.
    """
    names = [*labels, END]
    best = tuple(tree["best"])
    edges = [(tuple(prefix), label, p, whole, kept) for prefix, label, p, whole, kept in tree["edges"]]
    children: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for prefix, label, *_ in edges:
        children.setdefault(prefix, []).append((*prefix, label))
    places: dict[tuple[int, ...], tuple[float, float]] = {}

    def place(path: tuple[int, ...], next_leaf: float) -> float:
        below = children.get(path, [])
        start = next_leaf
        for child in below:
            next_leaf = place(child, next_leaf)
        if below:
            heights = [places[child][1] for child in below]
            places[path] = (len(path), (heights[0] + heights[-1]) / 2)
            return next_leaf
        places[path] = (len(path), start)
        return start + 1

    leaves = place((), 0.0)
    depth = max(x for x, _ in places.values())
    drawing, (axis,) = canvas(1.5 + 1.75 * depth, 0.8 + 0.42 * leaves, grid=False)
    axis.axis("off")
    axis.set(xlim=(-0.25, depth + 0.75), ylim=(leaves - 0.4, -0.6))
    axis.text(*places[()], "START", ha="center", va="center", fontsize=8, color=INK)
    for prefix, label, probability, whole, kept in edges:
        path = (*prefix, label)
        chosen = path == best[: len(path)]
        colour = COLOURS[1] if chosen else COLOURS[0] if kept else INK
        (x0, y0), (x1, y1) = places[prefix], places[path]
        start = x0 + (0.2 if prefix == () else 0.55)
        axis.plot(
            [start, x1 - 0.05], [y0, y1], color=colour, linewidth=1.8 if chosen else 1.0, alpha=1 if kept else 0.5
        )
        axis.text(
            (start + x1) / 2,
            (y0 + y1) / 2 - 0.08,
            f"{probability:.2f}",
            fontsize=7,
            color=colour,
            ha="center",
            va="bottom",
        )
        words = names[label] + (f"  {whole:.3f}" if label == tree["end"] else "")
        axis.text(x1, y1, words, fontsize=8, color=colour, va="center", weight="bold" if chosen else "normal")
    rows = tuple(
        {
            "prefix": " > ".join(names[one] for one in prefix),
            "label": names[label],
            "probability": probability,
            "path_probability": whole,
            "kept": bool(kept),
            "answer": (*prefix, label) == best[: len(prefix) + 1],
        }
        for prefix, label, probability, whole, kept in edges
    )
    caption = (
        f"Beam width {tree['beam_width']}. On each edge P(label | image, path); after END that of the whole path."
        " Orange: the answer; blue: kept; grey: dropped."
    )
    return Figure("beam-tree", title, caption, rows, drawing)


def nearest(rows: FloatArray, labels: FloatArray, count: int = NEIGHBOURS) -> tuple[NDArray[np.int64], FloatArray]:
    """Return the labels (n, count) nearest to each of ``rows`` by cosine, and the cosines."""
    unit = labels / np.maximum(np.linalg.norm(labels, axis=1, keepdims=True), 1e-12)
    cosines = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) @ unit.T
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
    return order, np.take_along_axis(cosines, order, axis=1)


def embedding_map(embedding: Mapping[str, FloatArray], labels: Sequence[str]) -> Figure:
    """Return labels, images and their sums with the first prefix term on two principal axes; as the paper's Fig. 3.

    ``numbers`` also hold each label's nearest labels, the paper's table of label-embedding neighbours.
    """
    words, images = embedding["labels"], embedding["images"]
    sums = images + embedding["start"]
    # The axes are those of the labels: an image is then seen where it stands among them.
    centre = words.mean(axis=0)
    axes = np.linalg.svd(words - centre, full_matrices=False)[2][:2].T
    drawing, (axis,) = canvas(7, 5, grid=False)
    rows: list[dict[str, Any]] = []
    order, cosines = nearest(words, words, NEIGHBOURS + 1)
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
            near = ""
            if kind == "label":
                others = zip(order[place].tolist(), cosines[place].tolist(), strict=True)
                near = "; ".join([f"{labels[other]} {cosine:.2f}" for other, cosine in others if other != place])
            rows.append({"kind": kind, "name": name, "x": float(x), "y": float(y), "nearest": near})
            if kind == "label" and len(labels) <= 100:
                axis.annotate(name, (x, y), xytext=(3, 3), textcoords="offset points", fontsize=6.5, color=INK)
    axis.legend(fontsize=8, frameon=False, labelcolor=INK, loc="best")
    caption = "Two principal axes of the label embeddings; each kind scaled to the same extent. Sums: image plus START."
    return Figure("embedding", "Labels and images in the joint embedding", caption, tuple(rows), drawing)


def attention(picture: bytes, maps: FloatArray, first_label: str) -> Figure:
    """Return the original image and where the label nodes look before and after the first word; as Fig. 10.

    ``maps`` is (2, prefixes, side, side): two methods, each a map per prefix.
    """
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as opened:
        image = np.asarray(opened.convert("RGB"))
    steps = maps.shape[1]
    drawing, axes = canvas(2.2 * (steps + 1), 4.6, rows=2, columns=steps + 1, grid=False)
    titles = ["initial attention", f"attention after '{first_label}'"][:steps]
    rows = []
    for method, name in enumerate(METHODS):
        line = axes[method * (steps + 1) : (method + 1) * (steps + 1)]
        line[0].imshow(image)
        line[0].set_title("original image", fontsize=8, color=INK)
        line[0].set_ylabel(name, fontsize=8, color=INK)
        for step, axis in enumerate(line[1:]):
            shown = maps[method, step]
            axis.imshow(image.mean(axis=2), cmap="gray", extent=(0, 1, 0, 1), aspect=image.shape[0] / image.shape[1])
            axis.imshow(
                shown, cmap="inferno", alpha=0.65, extent=(0, 1, 0, 1), aspect=image.shape[0] / image.shape[1], vmin=0
            )
            axis.set_title(titles[step], fontsize=8, color=INK)
            rows.append({"method": name, "step": step, "entropy_bits": entropy(shown)})
        for axis in line:
            axis.set_xticks([])
            axis.set_yticks([])
    caption = (
        "The image's features are the same at each step, for the network is frozen: only the weights of the projection"
        " change. Entropy in bits: "
        + ", ".join(f"{row['method']} step {row['step']} {row['entropy_bits']:.2f}" for row in rows)
    )
    return Figure("attention", "What each step looks at", caption + ".", tuple(rows), drawing)


def entropy(values: FloatArray) -> float:
    """Return how spread out a map is, in bits: 0 for one point, log2 of its size where it is even."""
    share = values.astype(np.float64).ravel()
    share = share[share > 0] / max(float(share.sum()), 1e-12)
    return float(-(share * np.log2(share)).sum()) if len(share) else 0.0
