"""The search of one image as a tree, as the paper's Fig. 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.show.figures.base import COLOURS, INK, TEXT, Figure, canvas

END = "END"

_Edge = tuple[tuple[int, ...], int, float, float, bool]
"""Prefix, label, its probability after the prefix, that of the path, and whether the beam kept it."""

MOST_EDGES = 48
"""Extensions that are drawn; a wide beam has hundreds, and most of them next to no probability."""


def beam_tree(tree: Mapping[str, Any], labels: Sequence[str], title: str) -> Figure:
    """Return the beam search of one image as a tree, probabilities on its edges; as the paper's Fig. 5.

    ``tree`` is what ``bench.model.inspection.search_tree`` returns.
    """
    names = [*labels, END]
    answer, beam = tuple(tree["answer"]), tuple(tree["beam"])
    found_edges = [(tuple(prefix), label, p, whole, kept) for prefix, label, p, whole, kept in tree["edges"]]
    edges = _most_probable(found_edges, answer, beam)
    places, leaves = _places(edges)
    depth = max(x for x, _ in places.values())
    drawing, (axis,) = canvas(1.0 + 1.05 * depth, 0.8 + 0.42 * leaves, grid=False)
    axis.axis("off")
    axis.set(xlim=(-0.25, depth + 0.75), ylim=(leaves - 0.4, -0.6))
    axis.text(*places[()], "START", ha="center", va="center", fontsize=TEXT, color=INK)
    for prefix, label, probability, whole, kept in edges:
        path = (*prefix, label)
        chosen, of_beam = path == answer[: len(path)], path == beam[: len(path)]
        colour = COLOURS[1] if chosen else COLOURS[2] if of_beam else COLOURS[0] if kept else INK
        (x0, y0), (x1, y1) = places[prefix], places[path]
        start = x0 + (0.25 if prefix == () else 0.6)
        width, alpha = 1.8 if chosen else 1.0, 1 if kept or chosen else 0.5
        axis.plot([start, x1 - 0.05], [y0, y1], color=colour, linewidth=width, alpha=alpha)
        middle = (start + x1) / 2, (y0 + y1) / 2 - 0.08
        axis.text(*middle, f"{probability:.2f}", fontsize=8, color=colour, ha="center", va="bottom")
        words = names[label] + (f"  {whole:.3f}" if label == tree["end"] else "")
        axis.text(x1, y1, words, fontsize=TEXT, color=colour, va="center", weight="bold" if chosen else "normal")
    rows = tuple(
        {
            "prefix": " > ".join(names[one] for one in prefix),
            "label": names[label],
            "probability": probability,
            "path_probability": whole,
            "kept": bool(kept),
            "answer": (*prefix, label) == answer[: len(prefix) + 1],
        }
        for prefix, label, probability, whole, kept in found_edges
    )
    found = "the answer, found by exact search" if tree["search"] == "exact" else "the answer"
    missed = "; green: the best path of the beam" if beam != answer else ""
    caption = (
        f"Beam width {tree['beam_width']}. On each edge P(label | image, path); after END that of the whole path."
        f" Orange: {found}{missed}; blue: kept by the beam; grey: dropped."
    )
    if len(edges) < len(found_edges):
        caption += f" The {len(edges)} most probable of {len(found_edges)} extensions are drawn; the numbers have all."
    return Figure("beam-tree", title, caption, rows, drawing)


def _places(edges: Sequence[_Edge]) -> tuple[dict[tuple[int, ...], tuple[float, float]], float]:
    """Return where each path ends, (labels, row), and how many rows of leaves there are; a path lies amid its own."""
    children: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for prefix, label, *_ in edges:
        children.setdefault(prefix, []).append((*prefix, label))
    places: dict[tuple[int, ...], tuple[float, float]] = {}

    def place(path: tuple[int, ...], next_leaf: float) -> float:
        below = children.get(path, [])
        if not below:
            places[path] = (len(path), next_leaf)
            return next_leaf + 1
        for child in below:
            next_leaf = place(child, next_leaf)
        heights = [places[child][1] for child in below]
        places[path] = (len(path), (heights[0] + heights[-1]) / 2)
        return next_leaf

    leaves = place((), 0.0)
    return places, leaves


def _most_probable(edges: Sequence[_Edge], answer: tuple[int, ...], beam: tuple[int, ...]) -> list[_Edge]:
    """Return ``MOST_EDGES`` of the edges by their paths' probability, in their order, and those of both best paths."""
    best = {path[:length] for path in (answer, beam) for length in range(1, len(path) + 1)}

    def place(edge: _Edge) -> tuple[bool, float, int]:
        # A prefix is no less probable than what it becomes, so it is drawn where that is.
        return (*edge[0], edge[1]) not in best, -edge[3], len(edge[0])

    drawn = set(sorted(edges, key=place)[:MOST_EDGES])
    return [edge for edge in edges if edge in drawn]
