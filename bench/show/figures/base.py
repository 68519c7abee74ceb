"""What a figure is, and how it is written."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.show.csv_text import csv_text
from bench.system.files import write_atomic
from bench.system.text import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

LONGEST = 60
"""Letters of a line that are drawn."""

TEXT = 9
"""Points of words. A page shows a drawing 300 to 500 pixels wide: of more than 5 inches, words are too small there."""

INK = "#777777"
"""Of axes and words: readable on a light page and on a dark one."""
COLOURS = ("#3b78c2", "#d9822b", "#3f9b57", "#b5489a", "#c23b3b", "#6f6fcf", "#8a7a3b", "#3b9b9b")


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing with its ``numbers``: one row for each thing drawn, equal keys in all. ``name`` is its file name."""

    name: str
    title: str
    caption: str
    numbers: tuple[dict[str, Any], ...]
    drawing: Drawing


def canvas(
    width: float, height: float, rows: int = 1, columns: int = 1, *, grid: bool = True
) -> tuple[Drawing, Sequence[Axes]]:
    """Return a drawing of ``width`` x ``height`` inches without background, and its axes in reading order."""
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(width, height), layout="constrained")
    drawing.patch.set_alpha(0.0)
    axes = list(drawing.subplots(rows, columns, squeeze=False).flat)
    for axis in axes:
        axis.patch.set_alpha(0.0)
        axis.tick_params(which="both", colors=INK, labelsize=TEXT)
        axis.spines[["top", "right"]].set_visible(False)
        for words in (axis.xaxis.label, axis.yaxis.label):
            words.set_size(TEXT)
        for part in (*axis.spines.values(), axis.title, axis.xaxis.label, axis.yaxis.label):
            (part.set_color if hasattr(part, "set_color") else part.set_edgecolor)(INK)
        if grid:
            axis.grid(color=INK, alpha=0.2, linewidth=0.6)
            axis.set_axisbelow(True)
    return drawing, axes


def legend(axis: Axes, **settings: Any) -> None:
    """Draw a legend that is readable on any page."""
    axis.legend(fontsize=TEXT, frameon=False, labelcolor=INK, **settings)


def picture_array(jpeg: bytes) -> NDArray[np.uint8]:
    """Return a stored picture as (height, width, 3)."""
    from PIL import Image

    with Image.open(io.BytesIO(jpeg)) as opened:
        return np.asarray(opened.convert("RGB"))


def svg(figure: Figure) -> str:
    """Return the drawing as an ``<svg>`` element, the same for the same figure, to stand in a page."""
    # Words stay words, so that a page's reader can find and copy them; ids follow from the name alone.
    words = {"svg.fonttype": "none", "svg.hashsalt": figure.name, "font.family": "sans-serif"}
    text = _drawn(figure, words, format="svg", metadata={"Date": None, "Creator": None}).decode()
    text = text[text.index("<svg") :]
    # Ids are unique within one drawing only, and a page holds several.
    text = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{figure.name}-", text)
    return re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)


def _drawn(figure: Figure, style: dict[str, str], **settings: Any) -> bytes:
    """Return the drawing as a file's content. Names are drawn as they are: a dollar sign begins no formula."""
    import matplotlib as mpl
    from matplotlib.text import Text

    buffer = io.BytesIO()
    with mpl.rc_context({**style, "text.parse_math": False}), warnings.catch_warnings():
        # Names in a script that the font lacks are drawn as boxes in a PNG; an SVG keeps them as words.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        # Names may leave a drawing no room; it is of use all the same.
        warnings.filterwarnings("ignore", message="constrained_layout not applied")
        for text in figure.drawing.findobj(Text):
            text.set_parse_math(False)
            text.set_text(fitting(text.get_text()))
        with _drawn_once(figure.drawing):
            figure.drawing.savefig(buffer, **settings)
    return buffer.getvalue()


@contextlib.contextmanager
def _drawn_once(drawing: Drawing) -> Iterator[None]:
    """Have ``savefig`` find places for all parts and draw them: it draws twice, first without ink for the places."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    def draw(renderer: Any) -> None:
        engine = drawing.get_layout_engine()
        if isinstance(engine, ConstrainedLayoutEngine):  # none is in the second drawing
            engine.execute(drawing)
        else:
            type(drawing).draw(drawing, renderer)

    drawing.draw = draw  # type: ignore[method-assign]
    try:
        yield
    finally:
        del drawing.draw


def fitting(text: str) -> str:
    """Return what is drawn of ``text``: a name of many letters leaves a drawing no room; the table has it all."""
    lines = (line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..." for line in plain(text).split("\n"))
    return "\n".join(lines)


def table(figure: Figure) -> str:
    """Return the figure's numbers as CSV."""
    names = list(figure.numbers[0]) if figure.numbers else []
    return csv_text(names, ([row[name] for name in names] for row in figure.numbers))


def save(figure: Figure, folder: Path) -> list[Path]:
    """Write ``<name>.png``, ``<name>.svg`` and ``<name>.csv`` into ``folder`` and return their paths."""
    # A file stands alone; on a page the title is the page's.
    figure.drawing.suptitle(figure.title, fontsize=10, color=INK)
    figure.drawing.patch.set_alpha(1.0)
    picture = _drawn(figure, {}, format="png", dpi=150, facecolor="white")
    figure.drawing.patch.set_alpha(0.0)
    contents = {"png": picture, "svg": svg(figure).encode(), "csv": table(figure).encode()}
    for ending, content in contents.items():
        write_atomic(folder / f"{figure.name}.{ending}", content)
    return [folder / f"{figure.name}.{ending}" for ending in contents]
