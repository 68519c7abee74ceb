"""Paints handwritten digits in coloured ink on a noisy sheet; shared by digit-scenes and its backbone's training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import bench

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = bench.lazy_import("numpy")

SIDE = 64
"""Height and width of a sheet in pixels."""

INKS = ("red", "green", "blue")
COLOURS = ((190, 30, 40), (20, 130, 50), (30, 60, 190))
LABELS = tuple(f"{ink} {digit}" for ink in INKS for digit in range(10))
"""Label ``10 * ink + digit``."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One digit on a sheet: its label, its source's row, its side and top left corner in pixels, how opaque.

    ``faint`` instances are small, pale and half covered: of them one sees that there is something, not what.
    """

    label: int
    source: int
    side: int
    top: int
    left: int
    opacity: float
    faint: bool = False


def blank(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return an empty sheet, (SIDE, SIDE, 3): light, unevenly lit, with noise."""
    light = rng.uniform(200, 245)
    slope = rng.uniform(-25, 25, size=2)
    axis = np.linspace(-0.5, 0.5, SIDE, dtype=np.float32)
    sheet = light + slope[0] * axis[:, None] + slope[1] * axis[None, :]
    noise = rng.normal(0, 6, size=(SIDE, SIDE, 3))
    return np.asarray(sheet[:, :, None] + noise, dtype=np.float32)


def paint(sheet: NDArray[np.float32], opacity: NDArray[np.float32], instance: Instance) -> None:
    """Lay the digit ``opacity``, (8, 8) in [0, 1], over ``sheet`` as ``instance`` says."""
    from PIL import Image

    side, top, left = instance.side, instance.top, instance.left
    resized = np.asarray(Image.fromarray(opacity).resize((side, side), Image.Resampling.BICUBIC))
    alpha = (resized.clip(0, 1) * instance.opacity)[:, :, None]
    if instance.faint:
        alpha = alpha.copy()
        alpha[side // 2 :] = 0  # the lower half lies under something
    place = sheet[top : top + side, left : left + side]
    place += alpha * (np.array(COLOURS[instance.label // 10], dtype=np.float32) - place)


def to_pixels(sheet: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the sheet as an RGB picture, (SIDE, SIDE, 3)."""
    return sheet.clip(0, 255).round().astype(np.uint8)
