"""Where the label nodes of a sequence model look, step by step, as the paper's Fig. 10."""

from __future__ import annotations

import numpy as np

from bench.data.preprocess import seen_part
from bench.records import FloatArray, Preprocessing
from bench.show.figures.base import INK, TEXT, Figure, canvas, picture_array

METHODS = ("projected back", "Grad-CAM")


def attention(picture: bytes, maps: FloatArray, first_label: str, preprocessing: Preprocessing) -> Figure:
    """Return the original image and where the label nodes look before and after the first word; as Fig. 10.

    ``maps`` is (2, prefixes, side, side): two methods, each a map per prefix, of the part of the picture that the
    backbone sees by ``preprocessing``. The map lies on that part; what the backbone does not see stays grey.
    """
    image = picture_array(picture)
    left, top, right, bottom = seen_part(image.shape[0], image.shape[1], preprocessing)
    steps = maps.shape[1]
    drawing, axes = canvas(1.6 * (steps + 1), 3.4, rows=2, columns=steps + 1, grid=False)
    titles = ["at first", f"after '{first_label}'"][:steps]
    moments = ("before the first word", "after it")
    rows = []
    for method, name in enumerate(METHODS):
        line = axes[method * (steps + 1) : (method + 1) * (steps + 1)]
        line[0].imshow(image)
        line[0].set_title("image", fontsize=TEXT, color=INK)
        line[0].set_ylabel(name, fontsize=8, color=INK)
        for step, axis in enumerate(line[1:]):
            shown = maps[method, step]
            axis.imshow(image.mean(axis=2), cmap="gray", extent=(0, 1, 0, 1), aspect=image.shape[0] / image.shape[1])
            axis.imshow(
                shown,
                cmap="inferno",
                alpha=0.65,
                extent=(left, right, 1 - bottom, 1 - top),
                aspect=image.shape[0] / image.shape[1],
                vmin=0,
            )
            # A picture drawn on an axis moves its limits to itself.
            axis.set(xlim=(0, 1), ylim=(0, 1))
            axis.set_title(titles[step], fontsize=TEXT, color=INK)
            rows.append({"method": name, "seen": moments[step], "entropy_bits": entropy(shown)})
        for axis in line:
            axis.set_xticks([])
            axis.set_yticks([])
    share = (right - left) * (bottom - top)
    cut = "" if share == 1 else f"The network sees the middle {share:.0%} of the picture; the rest is grey. "
    caption = cut + (
        "The image's features are the same at each step, for the network is frozen: only the weights of the projection"
        " change. Entropy in bits: "
        + ", ".join(f"{row['method']} {row['seen']} {row['entropy_bits']:.2f}" for row in rows)
    )
    return Figure("attention", "What each step looks at", caption + ".", tuple(rows), drawing)


def entropy(values: FloatArray) -> float:
    """Return how spread out a map is, in bits: 0 for one point, log2 of its size where it is even."""
    share = values.astype(np.float64).ravel()
    share = share[share > 0] / max(float(share.sum()), 1e-12)
    return float(-(share * np.log2(share)).sum()) if len(share) else 0.0
