"""First-party backbones."""

import bench
from bench_backbones import digits_cnn


@bench.hookimpl
def bench_backbones() -> list[bench.BackboneSpec]:
    """Return the first-party backbones."""
    return [digits_cnn.SPEC]
