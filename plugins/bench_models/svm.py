"""CNN-SVM: a linear support vector machine per label on features of unit length."""

from __future__ import annotations

from typing import Any

from bench import Dimension, ModelRequest, ModelSpec, Option
from bench_models.shared_options import UNIT_FORM, UNIT_FORMS

COST = Option(
    "C",
    0.0,
    "weight of errors against the margin, as scikit-learn's LinearSVC; 0: the best of 0.05, 0.1, ... 50 on the"
    " validation part",
    minimum=0.0,
)


def build(request: ModelRequest) -> Any:
    """Return the model; its scores are distances from each label's plane, in margins."""
    from bench_models.support_vectors import SupportVectors

    return SupportVectors(request)


SPEC = ModelSpec(
    name="svm",
    summary="a linear support vector machine per label on features of unit length; solved, not trained in epochs",
    kind="scores",
    build=build,
    options=(COST, UNIT_FORM),
    training=None,
    space=(Dimension("C", low=0.03, high=100.0, log=True), UNIT_FORMS),
    row="CNN-SVM",
    source="Razavian et al., CNN features off-the-shelf, CVPRW 2014: one against all, C = 0.2 for VOC 2007",
    deterministic=True,
)
