"""Figures as pure functions of what is stored: each a drawing, and the numbers it was drawn from.

stored run -> per_class(), object_sizes(), ... -> Figure -> save() as PNG, SVG and CSV
"""

from bench.show.figures.base import Figure, save, svg

__all__ = ["Figure", "save", "svg"]
