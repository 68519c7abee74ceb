"""INRIA: local descriptors encoded as Fisher vectors, a spatial pyramid, a non-linear SVM, and the best region's score.

Harzallah, Jurie and Schmid, Combining efficient object localization and image classification, ICCV 2009: the score of a
classifier of the whole picture and the best score of a detector over its windows are combined for each label. Here the
picture's classifier is a support vector machine with a Gaussian kernel over a spatial pyramid (whole, 2 x 2, 3 x 1) of
Fisher vectors (Perronnin, Sánchez and Mensink, ECCV 2010); the detector is linear, over overlapping squares.

Deviations: Fisher vectors of one kind of descriptor at one scale, where the paper has bags of words of several; the
detector learns from labels alone, by the best window of each picture, since there are no boxes to learn from, and looks
at a fixed grid of windows; the weight of the two is one number, chosen on the validation part, not one for each label.
Ablations: ``--set pyramid=no`` and ``--set regions=no``.
"""

from __future__ import annotations

from typing import Any

from bench import Dimension, ModelRequest, ModelSpec, Option


def build(request: ModelRequest) -> Any:
    """Return the model; its scores are margins."""
    from bench_models.picture_and_regions import PictureAndRegions

    return PictureAndRegions(request)


SPEC = ModelSpec(
    name="inria",
    summary="Fisher vectors of local descriptors, spatial pyramid, Gaussian-kernel SVM, and the best region's score",
    kind="scores",
    build=build,
    options=(
        Option("pyramid", "yes", "cells 2 x 2 and 3 x 1 beside the whole picture", choices=("yes", "no")),
        Option("regions", "yes", "the best window's score beside the picture's", choices=("yes", "no")),
        Option("gaussians", 16, "components of the mixture behind the Fisher vectors", minimum=1),
        Option("components", 32, "dimensions that the descriptors are reduced to", minimum=1),
        Option("C", 10.0, "weight of errors against the margin of the support vector machines", minimum=1e-6),
    ),
    training=None,
    space=(
        Dimension("C", low=0.3, high=100.0, log=True),
        Dimension("gaussians", (8, 16, 32)),
        Dimension("components", (16, 32, 64)),
    ),
    row="INRIA",
    source="Harzallah et al., Combining efficient object localization and image classification, ICCV 2009",
    feature_maps=True,
    deviations="Fisher vectors of SIFT at one scale; regions are a grid of windows, learnt from labels without boxes",
    backbone="dense-sift",
)
