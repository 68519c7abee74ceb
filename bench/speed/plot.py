"""Microseconds an image of every method, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.system.files import atomic_path

COLOURS = {"kernel": "#0b6e4f", "PyTorch, batched": "#d1495b", "ONNX Runtime + NumPy": "#edae49"}
OTHER = "#7a7a7a"


def draw(timings: Sequence[dict[str, Any]], path: Path) -> None:
    """Write horizontal bars with quartiles on a logarithmic axis to ``path``, PNG or SVG by its ending.

    ``timings`` are ``bench.speed.decode.DecodeTiming`` as ``bench speed --json`` prints them.
    """
    from matplotlib.figure import Figure

    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for timing in timings:
        groups.setdefault(tuple(timing[key] for key in ("workload", "beam_width", "images", "tree")), []).append(timing)
    height = sum(len(group) + 1 for group in groups.values()) * 0.24 + 1.2
    figure = Figure(figsize=(9, height), layout="constrained")
    axes = figure.subplots()
    position, ticks, names = 0.0, [], []
    for (workload, width, images, tree), group in groups.items():
        axes.text(
            0.5,
            position - 0.85,
            f"{workload}, beam {width}, {images:,} image{'s' * (images > 1)}, {tree} tree",
            fontsize=8,
            weight="bold",
        )
        for timing in group:
            spread = timing["microseconds"]
            colour = COLOURS.get(timing["method"], OTHER)
            axes.barh(position, spread["median"], color=colour, height=0.75)
            axes.plot([spread["q1"], spread["q3"]], [position, position], color="black", linewidth=1)
            axes.text(spread["q3"] * 1.1, position, f"{spread['median']:,.1f} us", va="center", fontsize=7)
            ticks.append(position)
            names.append(timing["method"])
            position += 1
        position += 1.2
    axes.set(xscale="log", xlabel="microseconds an image (median, line: quartiles); less is better")
    axes.set_xlim(0.5, max(timing["microseconds"]["q3"] for timing in timings) * 6)
    axes.set_yticks(ticks, names, fontsize=7)
    axes.set_ylim(position - 0.8, -1.6)
    axes.spines[["top", "right"]].set_visible(False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix.lstrip(".") or "png", dpi=150)
