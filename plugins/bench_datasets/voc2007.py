"""PASCAL VOC 2007 from its official folder: 20 classes; objects that are only difficult count neither way."""

from __future__ import annotations

import re

from bench import Archive, DataError, Dataset, DatasetRequest, DatasetSpec, UsageError
from bench_datasets.official import OTHER, Official, otherwise
from bench_datasets.voc_folder import find_root, read_split

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""In the official order, which is that of Table 4."""

OFFICIAL = {
    "trainval": Official((5011,), 7306, 607),
    "train": Official((2501,), 3688, 329),
    "val": Official((2510,), 3618, 278),
    "test": Official((4952,), 7013, 619),
}
"""Images, labels, and pairs of which there are difficult objects alone."""

SPLITS = tuple(OFFICIAL)
LATER = re.compile("20[0-9]{2}_[0-9]{6}")
"""Images of later years, whose names begin with it; those of 2007 are six digits."""

EXPECTS = "VOC2007/ImageSets/Main/<class>_<split>.txt and VOC2007/JPEGImages, as in the official VOCdevkit"
SOURCE = "Everingham et al., The PASCAL Visual Object Classes Challenge 2007"


def build(request: DatasetRequest) -> Dataset:
    """Return the data set; by default trainval and test as in the paper."""
    assert request.root is not None
    root = find_root(request.root, "VOC2007", EXPECTS)
    names = request.train_split or "trainval", request.test_split or "test"
    for name in names:
        if name not in SPLITS:
            raise UsageError(f"voc2007: found split '{name}', allowed: {', '.join(SPLITS)}")
    train, test = (read_split("voc2007", root, name, CLASSES) for name in names)
    if other := next((image for image in (*train.ids, *test.ids) if LATER.fullmatch(image)), ""):
        raise DataError(f"{root}: image '{other}' is of VOC {other[:4]}. Try: --dataset voc-folder")
    variant = f"{train.name} {len(train):,} / {test.name} {len(test):,} images, difficult ignored"
    notes = otherwise((train, test), OFFICIAL)
    return Dataset(
        "voc2007", variant, train, test, "voc2007@1", source=SOURCE, notes=notes, part_of=OTHER if notes else ""
    )


SITE = "http://host.robots.ox.ac.uk/pascal/VOC/voc2007"
"""The official site; torchvision publishes the MD5s, TensorFlow Datasets the sizes and SHA-256s."""

SPEC = DatasetSpec(
    name="voc2007",
    summary="PASCAL VOC 2007: 9,963 photographs, 20 classes (Table 4)",
    build=build,
    expects=EXPECTS,
    splits=SPLITS,
    source=SOURCE,
    archives=(
        Archive(
            f"{SITE}/VOCtrainval_06-Nov-2007.tar",
            md5="c52e279531787c972589f7e41ab4ae64",
            sha256="7d8cd951101b0957ddfd7a530bdc8a94f06121cfc1e511bb5937e973020c7508",
            size=460_032_000,
        ),
        Archive(
            f"{SITE}/VOCtest_06-Nov-2007.tar",
            md5="b6e924de25625d8de591ea690078ad9f",
            sha256="6836888e2e01dca84577a849d339fa4f73e1e4f135d312430c4856b5609b4892",
            size=451_020_800,
        ),
    ),
    variants=(
        (5011, 4952, "official trainval and test: the rows of Table 4 and every VOC 2007 classification result"),
        (2501, 2510, "official train and val, for development: no row of the paper"),
    ),
)
