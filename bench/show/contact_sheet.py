"""Pictures of a split on one sheet, each with its labels under it."""

from __future__ import annotations

import io
import textwrap
import warnings
from pathlib import Path

import numpy as np

from bench.records import Split
from bench.system.files import write_atomic

COLUMNS = 6
MOST_LINES = 3
"""Lines of label names under a picture; the rest is counted."""


def draw(split: Split, path: Path, *, count: int = 24, seed: int = 0) -> list[int]:
    """Write a PNG of ``count`` images of ``split``, drawn at random from ``seed``, and return which they are."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    chosen = np.sort(np.random.default_rng(seed).permutation(len(split))[:count])
    columns = min(COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(2.1 * columns, 2.55 * rows + 0.5), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, index in zip(axes.flat, chosen, strict=False):
        axis.imshow(split.images.read(int(index)), interpolation="nearest")
        names = [name for name, present in zip(split.labels, split.truth[index], strict=True) if present]
        axis.set_title(split.ids[index], fontsize=7, color="0.4", pad=3, parse_math=False)
        place = {"transform": axis.transAxes, "ha": "center", "va": "top"}
        axis.text(0.5, -0.04, caption(names), fontsize=8, parse_math=False, **place)
    figure.suptitle(f"{split.dataset} / {split.name}: {len(chosen)} of {len(split):,} images", fontsize=11)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Names in a script that the font lacks are drawn as boxes; the picture is still of use.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.tight_layout(rect=(0, 0, 1, 0.98), h_pad=1.6)
        figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    write_atomic(path, buffer.getvalue())
    return [int(index) for index in chosen]


def caption(names: list[str], width: int = 24) -> str:
    """Return label names in at most ``MOST_LINES`` lines of ``width`` characters, with the number of those left out."""
    # A line never breaks inside a name.
    shown = [name.replace(" ", "\N{NO-BREAK SPACE}") for name in names]
    while True:
        left_out = len(names) - len(shown)
        text = ", ".join(shown) + (f" +{left_out}" if left_out else "")
        lines = textwrap.wrap(text, width) or ["no label"]
        if len(lines) <= MOST_LINES or not shown:
            return "\n".join(lines)
        shown.pop()
