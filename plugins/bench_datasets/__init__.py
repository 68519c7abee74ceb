"""First-party data sets."""

import bench
from bench_datasets import coco, corel5k, csv, digit_scenes, nuswide, voc2007


@bench.hookimpl
def bench_datasets() -> list[bench.DatasetSpec]:
    """Return the first-party data sets."""
    return [digit_scenes.SPEC, voc2007.SPEC, coco.SPEC, corel5k.SPEC, csv.SPEC, nuswide.CONCEPTS, nuswide.TAGS]
