"""Logistic regression per label, its penalty chosen on the validation part: what ``bce`` is, solved to the optimum."""

from __future__ import annotations

from typing import Any

from bench import ModelRequest, ModelSpec, Option

COST = Option(
    "C",
    0.0,
    "inverse of the L2 penalty, as scikit-learn's; 0: the best of 1e-4, 3e-4, ... 10 on the validation part",
    minimum=0.0,
)


def build(request: ModelRequest) -> Any:
    """Return the model; its scores are logits."""
    from bench_models.regressions import Logistic

    return Logistic(request)


SPEC = ModelSpec(
    name="logistic",
    summary="a regularised logistic regression per label, solved; its penalty chosen on the validation part",
    kind="scores",
    build=build,
    options=(COST,),
    training=None,
    row="Logistic regression",
    exempt="it chooses its penalty on the validation part itself",
    source="a control; in no table of the paper. The objective is scikit-learn's LogisticRegression",
    deterministic=True,
)
