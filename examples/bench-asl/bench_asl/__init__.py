"""Asymmetric loss: easy negatives count less, very easy ones not at all (Ridnik et al., ICCV 2021)."""

from typing import Any

import bench

OPTIONS = (
    bench.Option("gamma_positive", 0.0, "focusing of positive labels", minimum=0.0),
    bench.Option("gamma_negative", 4.0, "focusing of negative labels", minimum=0.0),
    bench.Option("margin", 0.05, "probability below which a negative label costs nothing", minimum=0.0, maximum=0.9),
)
"""Defaults as in section 4 of the paper."""


def build(request: bench.ModelRequest) -> Any:
    """Return the untrained classifier; torch is imported here and not before."""
    from bench_asl.network import AsymmetricClassifier

    return AsymmetricClassifier(request)


@bench.hookimpl
def bench_models() -> list[bench.ModelSpec]:
    """Return the one method of this distribution."""
    return [
        bench.ModelSpec(
            name="asl",
            summary="linear classifier, asymmetric loss",
            kind="scores",
            build=build,
            options=OPTIONS,
            source="Ridnik et al., Asymmetric Loss For Multi-Label Classification, ICCV 2021",
        )
    ]
