"""First-party data sets."""

import bench
from bench_datasets import (
    coco,
    coco_json,
    coco_part,
    corel5k,
    csv,
    digit_scenes,
    huggingface,
    image_folder,
    nuswide,
    shards,
    voc2007,
    voc_folder,
)


@bench.hookimpl
def bench_datasets() -> list[bench.DatasetSpec]:
    """Return the first-party data sets: those of the paper, then others, then readers of a user's own."""
    return [
        *(digit_scenes.SPEC, voc2007.SPEC, coco.COCO_2014, coco_part.SPEC, coco.COCO_2017, coco.ANY),
        *(nuswide.CONCEPTS, nuswide.TAGS, corel5k.SPEC),
        *(csv.SPEC, image_folder.SPEC, coco_json.SPEC, voc_folder.SPEC, huggingface.SPEC, shards.SPEC),
    ]
