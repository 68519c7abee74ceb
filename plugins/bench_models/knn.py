"""KNN: the labels of the nearest training images, each voting by its cosine similarity."""

from __future__ import annotations

from typing import Any

from bench import Dimension, ModelRequest, ModelSpec, Option
from bench_models.shared_options import UNIT_FORM, UNIT_FORMS

NEIGHBOURS = Option(
    "neighbours", 0, "training images that vote; 0: the best of 3, 5, 10, ... 200 on the validation part", minimum=0
)


def build(request: ModelRequest) -> Any:
    """Return the model; ``fit`` keeps the training part, and scores are the mean vote, in [-1, 1]."""
    from bench_models.neighbours import Neighbours

    return Neighbours(request)


SPEC = ModelSpec(
    name="knn",
    summary="labels of the nearest training images, voting by cosine similarity; not trained",
    kind="scores",
    build=build,
    options=(NEIGHBOURS, UNIT_FORM),
    training=None,
    space=(Dimension("neighbours", low=3, high=200, log=True), UNIT_FORMS),
    row="KNN",
    source="Chua et al., NUS-WIDE, CIVR 2009, on deep features",
    deterministic=True,
)
