"""First-party data sets."""

import bench
from bench_datasets import digit_scenes


@bench.hookimpl
def bench_datasets() -> list[bench.DatasetSpec]:
    """Return the first-party data sets."""
    return [digit_scenes.SPEC]
