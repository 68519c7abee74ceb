"""dense-sift: no network but SIFT descriptors on a grid, 128 numbers a place; what came before learnt features.

Lowe, IJCV 2004, sampled densely as in Lazebnik, Schmid and Ponce, CVPR 2006. A model that takes maps is given the grid
(``inria`` encodes it), one that takes vectors the mean over it. Nothing is learnt, so there are no weights.
"""

from __future__ import annotations

from bench import MAP_OPTION, Backbone, BackboneRequest, BackboneSpec, Option, Preprocessing, UsageError, digest

CELLS = 4
"""Cells a side of a descriptor."""

DIMENSIONS = 8 * CELLS * CELLS


def build(request: BackboneRequest) -> Backbone:
    """Return the descriptors. Raises ``UsageError`` for weights, or pictures smaller than one descriptor."""
    from bench_backbones.sift import DenseSift

    size, step, cell = (int(request.options[name]) for name in ("size", "step", "cell"))
    if request.weights is not None:
        raise UsageError("backbone 'dense-sift' has no weights. Try: without --weights")
    if size < CELLS * cell:
        raise UsageError(
            f"backbone.size={size}, allowed: from {CELLS * cell}, {CELLS} cells. Try: --set backbone.cell=2"
        )
    as_map = request.options[MAP_OPTION.name] == "map"
    side = (size - CELLS * cell) // step + 1
    shape = f"dense-sift step={step} cell={cell}"
    return Backbone(
        "dense-sift",
        DenseSift(step, cell, as_map=as_map).eval(),
        DIMENSIONS,
        Preprocessing(size, size, "squash", "bilinear", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        digest(shape),
        shape,
        feature_map=(DIMENSIONS, side, side) if as_map else None,
    )


SPEC = BackboneSpec(
    name="dense-sift",
    summary="SIFT descriptors on a grid, no network and no weights; for inria",
    build=build,
    options=(
        Option("size", 160, "side of the picture in pixels", minimum=8),
        Option("step", 8, "pixels from one descriptor to the next", minimum=1),
        Option("cell", 4, "pixels a side of each of a descriptor's 4 x 4 cells", minimum=1),
        MAP_OPTION,
    ),
    source="Lowe, IJCV 2004; on a grid as in Lazebnik et al., CVPR 2006",
)
