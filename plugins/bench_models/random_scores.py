"""Random: scores that know nothing of labels. What chance gives under a protocol."""

from __future__ import annotations

from typing import Any

from bench import ModelRequest, ModelSpec


def build(request: ModelRequest) -> Any:
    """Return the model; its scores follow from the seed and the image's features, and from no label."""
    from bench_models.controls import Chance

    return Chance(request)


SPEC = ModelSpec(
    name="random",
    summary="scores drawn from the seed for each image, without a look at any label: what chance gives",
    kind="scores",
    build=build,
    training=None,
    row="Random",
    source="a control; in no table of the paper",
    exempt="it has no options",
)
