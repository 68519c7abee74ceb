"""A part of MS COCO train2014 that fits a laptop: 9,000 photographs to train on and 3,000 to test on, by their ids."""

from __future__ import annotations

from pathlib import Path

from bench import Dataset, DatasetRequest, DatasetSpec
from bench_datasets.coco import SOURCE, archives
from bench_datasets.coco_json import read_split

IDS = Path(__file__).with_name("coco2014-part.txt")
EXPECTS = "annotations/instances_train2014.json and the folder train2014 of images, as the official archives have them"
PART_OF = "a part of train2014: not the official split"


def build(request: DatasetRequest) -> Dataset:
    """Return the data set. Each photograph holds one of the first 18 categories, and three in four a person."""
    assert request.root is not None
    ids, read = image_ids(), {}
    for part in ("train", "test"):
        path = request.root / "annotations" / "instances_train2014.json"
        folders = (request.root / "train2014",)
        read[part], _ = read_split(
            "coco2014-part", part, path, folders, keep_unlabelled=False, expects=EXPECTS, only=ids[part]
        )
    variant = f"{PART_OF}; train {len(read['train']):,} / test {len(read['test']):,} images"
    return Dataset("coco2014-part", variant, read["train"], read["test"], "coco-top3@1", source=SOURCE, part_of=PART_OF)


def image_ids() -> dict[str, frozenset[int]]:
    """Return the ids of train and of test."""
    found: dict[str, set[int]] = {}
    part = ""
    for line in IDS.read_text().splitlines():
        if line in {"train", "test"}:
            part = line
        elif line and not line.startswith("#"):
            found.setdefault(part, set()).update(map(int, line.split()))
    return {name: frozenset(ids) for name, ids in found.items()}


SPEC = DatasetSpec(
    name="coco2014-part",
    summary="MS COCO 2014: 12,000 photographs of train2014, for Table 3 on small machines",
    build=build,
    expects=EXPECTS,
    splits=("train", "test"),
    archives=archives("annotations/annotations_trainval2014.zip", "zips/train2014.zip"),
    variants=((9000, 3000, f"{PART_OF}; no row of the paper"),),
    source=SOURCE,
)
