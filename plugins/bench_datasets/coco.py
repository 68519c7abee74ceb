"""MS COCO from its official files: an instances JSON and an image folder for each split, of 2014 or 2017."""

from __future__ import annotations

from functools import partial

from bench import Archive, Dataset, DatasetRequest, DatasetSpec
from bench_datasets.coco_json import KEEP, read_split, same_labels
from bench_datasets.label_lists import ABSENT, DROP_ABSENT

EXPECTS = "annotations/instances_<split>.json and a folder <split> of images, as in train2014 and val2014"
SOURCE = "Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014"


def build(request: DatasetRequest, name: str) -> Dataset:
    """Return the data set ``name``: train and val of its year; ``coco`` is 2014, or 2017 where only that is there."""
    assert request.root is not None
    root = request.root
    keep = bool(request.options["keep_unlabelled"])
    annotations = root / "annotations"
    only_2017 = not (annotations / "instances_train2014.json").is_file() and (
        (annotations / "instances_train2017.json").is_file()
    )
    year = name.removeprefix("coco") or ("2017" if only_2017 else "2014")
    chosen = {"train": request.train_split or f"train{year}", "test": request.test_split or f"val{year}"}
    read = {
        part: read_split(
            name,
            split,
            annotations / f"instances_{split}.json",
            (root / split,),
            keep_unlabelled=keep,
            expects=EXPECTS,
        )
        for part, split in chosen.items()
    }
    splits = {part: split for part, (split, _) in read.items()}
    splits, left_out = same_labels(name, splits, str(request.options["absent_labels"]), keep)
    train, test = splits["train"], splits["test"]
    variant = f"{train.name} {len(train):,} / {test.name} {len(test):,} images,"
    variant += f" unlabelled {'kept' if keep else 'dropped'}{left_out}"
    return Dataset(name, variant, train, test, "coco-top3@1", source=SOURCE)


FILES = {
    "annotations/annotations_trainval2014.zip": (
        252_872_794,
        "031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009",
    ),
    "zips/train2014.zip": (13_510_573_713, "ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775"),
    "zips/val2014.zip": (6_645_013_297, "fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0"),
    "annotations/annotations_trainval2017.zip": (
        252_907_541,
        "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
    ),
    "zips/train2017.zip": (19_336_861_798, "69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929"),
    "zips/val2017.zip": (815_585_330, "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05"),
}
"""Bytes and SHA-256 of the official archives, as TensorFlow Datasets publishes them; COCO's own site has none."""


def archives(*names: str) -> tuple[Archive, ...]:
    """Return these of ``FILES`` as archives of the official site."""
    site = "http://images.cocodataset.org"
    return tuple(Archive(f"{site}/{name}", size=FILES[name][0], sha256=FILES[name][1]) for name in names)


def _archives(year: int) -> tuple[Archive, ...]:
    return archives(f"annotations/annotations_trainval{year}.zip", f"zips/train{year}.zip", f"zips/val{year}.zip")


VARIANTS_2014 = (
    (82_081, 40_137, "2014, labelled images only: the rows of Table 3, as their printed recall implies"),
    (82_783, 40_504, "2014 with unlabelled images: later papers' rows, not Table 3"),
)
VARIANTS_2017 = (
    (117_266, 4_952, "2017, labelled images only: no row of the paper"),
    (118_287, 5_000, "2017 with unlabelled images: no row of the paper"),
)


def _spec(name: str, summary: str, years: tuple[int, ...], variants: tuple[tuple[int, int, str], ...]) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        summary=summary,
        build=partial(build, name=name),
        without_absent_labels=DROP_ABSENT,
        options=(KEEP, ABSENT),
        expects=EXPECTS.replace("2014", str(years[0])),
        splits=tuple(f"{part}{year}" for year in years for part in ("train", "val")),
        archives=_archives(years[0]),
        variants=variants,
        source=SOURCE,
    )


ANY = _spec("coco", "MS COCO, 2014 or the year that is there", (2014, 2017), VARIANTS_2014 + VARIANTS_2017)
COCO_2014 = _spec("coco2014", "MS COCO 2014: 80 object categories (Table 3)", (2014,), VARIANTS_2014)
COCO_2017 = _spec("coco2017", "MS COCO 2017: the same categories, another split", (2017,), VARIANTS_2017)
