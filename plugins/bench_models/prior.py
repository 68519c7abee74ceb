"""Label prior: every image gets the labels that most training images have. What any method must beat."""

from __future__ import annotations

from typing import Any

from bench import ModelRequest, ModelSpec


def build(request: ModelRequest) -> Any:
    """Return the model; its scores are each label's share of the training images."""
    from bench_models.controls import Prior

    return Prior(request)


SPEC = ModelSpec(
    name="prior",
    summary="the most frequent labels for every image: what any method must beat",
    kind="scores",
    build=build,
    training=None,
    row="Label prior",
    source="a control; in no table of the paper",
    deterministic=True,
    exempt="it has no options",
    every_table=True,
)
