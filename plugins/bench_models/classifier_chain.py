"""Classifier chain: a logistic regression per label that also sees the labels before it, several orders averaged."""

from __future__ import annotations

from typing import Any

from bench import Dimension, ModelRequest, ModelSpec, Option
from bench_models.logistic import COST


def build(request: ModelRequest) -> Any:
    """Return the model; its scores are probabilities, the mean over the orders."""
    from bench_models.regressions import Chain

    return Chain(request)


SPEC = ModelSpec(
    name="classifier-chain",
    summary="logistic regressions in a chain, each sees the labels before it; the mean over several random orders",
    kind="scores",
    build=build,
    options=(Option("orders", 5, "random orders of the labels; 0: no chain, each label alone", minimum=0), COST),
    training=None,
    space=(Dimension("orders", (3, 5, 10)), Dimension("C", low=1e-3, high=3.0, log=True)),
    row="Classifier chain",
    source="Read et al., Classifier chains for multi-label classification, ECML PKDD 2009: an ensemble of chains",
    deviations="links see probabilities of the labels before them, not decisions; all orders see all training images",
)
