"""Label prior of methods that are told tags: the most frequent of the labels that are not known."""

from __future__ import annotations

from typing import Any

from bench import ModelRequest, ModelSpec


def build(request: ModelRequest) -> Any:
    """Return the model; what it is told changes no score, and the host leaves known labels out of its sets."""
    from bench_models.controls import PriorOfTold

    return PriorOfTold(request)


SPEC = ModelSpec(
    name="prior-known",
    summary="the prior in the tables of methods that are told tags: the most frequent labels of those not known",
    kind="scores",
    build=build,
    training=None,
    row="Label prior",
    source="a control; in no table of the paper",
    exempt="it has no options",
    every_table=True,
    known_tags=True,
    deterministic=True,
)
