"""PASCAL VOC 2007 from its official folder: 20 classes; objects that are only difficult count neither way."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench import DataError, Dataset, DatasetRequest, DatasetSpec, Images, Split, UsageError
from bench_datasets.label_lists import read_lines

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""In the official order, which is that of Table 4."""

SPLITS = ("trainval", "train", "val", "test")
EXPECTS = "VOC2007/ImageSets/Main/<class>_<split>.txt and VOC2007/JPEGImages, as in the official VOCdevkit"
FLAG_LINE = "'<image> <1, 0 or -1>' on each line"


def build(request: DatasetRequest) -> Dataset:
    """Return the data set; by default trainval and test as in the paper."""
    assert request.root is not None
    root = request.root / "VOC2007" if (request.root / "VOC2007").is_dir() else request.root
    if not (root / "ImageSets" / "Main").is_dir():
        raise DataError(f"no folder {root / 'ImageSets' / 'Main'}. '--data-root' should hold {EXPECTS}")
    train, test = (_split(root, name) for name in (request.train_split or "trainval", request.test_split or "test"))
    return Dataset(
        name="voc2007",
        variant=f"{train.name} {len(train):,} / {test.name} {len(test):,} images, difficult ignored",
        train=train,
        test=test,
        protocol="voc2007@1",
        source="Everingham et al., The PASCAL Visual Object Classes Challenge 2007",
    )


def _split(root: Path, name: str) -> Split:
    if name not in SPLITS:
        raise UsageError(f"voc2007: found split '{name}', allowed: {', '.join(SPLITS)}")
    flags = [_flags(root, label, name) for label in CLASSES]
    ids = tuple(flags[0])
    for label, of_class in zip(CLASSES, flags, strict=True):
        if tuple(of_class) != ids:
            odd = min(set(of_class) ^ set(ids), default="their order")
            raise DataError(
                f"{root}/ImageSets/Main: {label}_{name}.txt and {CLASSES[0]}_{name}.txt list different images: {odd}"
            )
    values = np.array([list(of_class.values()) for of_class in flags], dtype=np.int8).T.reshape(len(ids), len(CLASSES))
    return Split("voc2007", name, ids, CLASSES, values == 1, _images(root, ids, name), values == 0)


def _flags(root: Path, label: str, split: str) -> dict[str, int]:
    """Return image -> 1 (present), 0 (only difficult) or -1, in the file's order."""
    path = root / "ImageSets" / "Main" / f"{label}_{split}.txt"
    flags: dict[str, int] = {}
    for number, line in read_lines(path, FLAG_LINE):
        words = line.split()
        if len(words) != 2 or words[1] not in {"1", "0", "-1"}:
            raise DataError(f"{path} line {number}: found '{line.strip()}', expected {FLAG_LINE}")
        if words[0] in flags:
            raise DataError(f"{path} line {number}: image {words[0]} stands twice")
        flags[words[0]] = int(words[1])
    return flags


def _images(root: Path, ids: tuple[str, ...], split: str) -> Images:
    from bench.images import FolderImages, MissingImages

    folder = root / "JPEGImages"
    if not folder.is_dir():
        # The label lists alone are enough for 'bench data stats'.
        return MissingImages(tuple(f"{image}.jpg" for image in ids), f"there is no folder {folder}")
    return FolderImages(tuple(folder / f"{image}.jpg" for image in ids), f"ImageSets/Main/*_{split}.txt")


SPEC = DatasetSpec(
    name="voc2007",
    summary="PASCAL VOC 2007: 9,963 photographs, 20 classes (Table 4)",
    build=build,
    expects=EXPECTS,
    splits=SPLITS,
    source="Everingham et al., The PASCAL Visual Object Classes Challenge 2007",
)
