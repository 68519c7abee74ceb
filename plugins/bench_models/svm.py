"""CNN-SVM: a linear support vector machine per label on features of unit length."""

from __future__ import annotations

from typing import Any

from bench import Dimension, ModelRequest, ModelSpec, Option


def build(request: ModelRequest) -> Any:
    """Return the model; its scores are distances from each label's plane, margins."""
    from bench_models.support_vectors import SupportVectors

    return SupportVectors(request)


SPEC = ModelSpec(
    name="svm",
    summary="a linear support vector machine per label on features of unit length; solved, not trained in epochs",
    kind="scores",
    build=build,
    options=(Option("C", 0.2, "weight of errors against the margin", minimum=1e-6),),
    training=None,
    space=(Dimension("C", low=0.03, high=30.0, log=True),),
    row="CNN-SVM",
    source="Razavian et al., CNN features off-the-shelf, CVPRW 2014: one against all, C = 0.2 for VOC 2007",
)
