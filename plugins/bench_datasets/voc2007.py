"""PASCAL VOC 2007 from its official folder: 20 classes; objects that are only difficult count neither way."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from bench import Archive, DataError, Dataset, DatasetRequest, DatasetSpec, Images, Split, UsageError
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
    places = (request.root / "VOCdevkit" / "VOC2007", request.root / "VOC2007")
    root = next((place for place in places if place.is_dir()), request.root)
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
    if _main(root, CLASSES[0], name).is_file() or not (root / "Annotations").is_dir():
        flags = [_flags(root, label, name) for label in CLASSES]
    else:
        flags = _flags_from_xml(root, name)
    ids = tuple(flags[0])
    for label, of_class in zip(CLASSES, flags, strict=True):
        if tuple(of_class) != ids:
            odd = min(set(of_class) ^ set(ids), default="their order")
            raise DataError(
                f"{root}/ImageSets/Main: {label}_{name}.txt and {CLASSES[0]}_{name}.txt list different images: {odd}"
            )
    values = np.array([list(of_class.values()) for of_class in flags], dtype=np.int8).T.reshape(len(ids), len(CLASSES))
    return Split("voc2007", name, ids, CLASSES, values == 1, _images(root, ids, name), values == 0)


def _main(root: Path, label: str, split: str) -> Path:
    return root / "ImageSets" / "Main" / f"{label}_{split}.txt"


def _flags(root: Path, label: str, split: str) -> dict[str, int]:
    """Return image -> 1 (present), 0 (only difficult) or -1, in the file's order."""
    path = _main(root, label, split)
    flags: dict[str, int] = {}
    for number, line in read_lines(path, FLAG_LINE):
        words = line.split()
        if len(words) != 2 or words[1] not in {"1", "0", "-1"}:
            raise DataError(f"{path} line {number}: found '{line.strip()}', expected {FLAG_LINE}")
        if words[0] in flags:
            raise DataError(f"{path} line {number}: image {words[0]} stands twice")
        flags[words[0]] = int(words[1])
    return flags


def _flags_from_xml(root: Path, split: str) -> list[dict[str, int]]:
    """Return what ``_flags`` reads, for every class, from the objects' own annotations.

    Copies of the data set often lack the class files; they follow from the image list and ``Annotations``.
    """
    flags: list[dict[str, int]] = [{} for _ in CLASSES]
    for _, line in read_lines(root / "ImageSets" / "Main" / f"{split}.txt", "an image name on each line"):
        image = line.split()[0]
        path = root / "Annotations" / f"{image}.xml"
        try:
            objects = ElementTree.parse(path).getroot().findall("object")
        except FileNotFoundError:
            raise DataError(f"no file {path}, listed in ImageSets/Main/{split}.txt") from None
        except ElementTree.ParseError as error:
            raise DataError(f"{path} is no XML: {error}. Is the file whole?") from None
        for of_class in flags:
            of_class[image] = -1
        for entry in objects:
            name = entry.findtext("name", "").strip()
            if name not in CLASSES:
                raise DataError(f"{path}: unknown label '{name}', allowed: {', '.join(CLASSES)}")
            of_class = flags[CLASSES.index(name)]
            difficult = entry.findtext("difficult", "0").strip() == "1"
            of_class[image] = max(of_class[image], 0 if difficult else 1)
    return flags


def _images(root: Path, ids: tuple[str, ...], split: str) -> Images:
    from bench.images import FolderImages, MissingImages

    folder = root / "JPEGImages"
    if not folder.is_dir():
        # The label lists alone are enough for 'bench data stats'.
        return MissingImages(tuple(f"{image}.jpg" for image in ids), f"there is no folder {folder}")
    return FolderImages(tuple(folder / f"{image}.jpg" for image in ids), f"ImageSets/Main/*_{split}.txt")


SITE = "http://host.robots.ox.ac.uk/pascal/VOC/voc2007"
"""The official site; torchvision publishes the same checksums."""

SPEC = DatasetSpec(
    name="voc2007",
    summary="PASCAL VOC 2007: 9,963 photographs, 20 classes (Table 4)",
    build=build,
    expects=EXPECTS,
    splits=SPLITS,
    source="Everingham et al., The PASCAL Visual Object Classes Challenge 2007",
    archives=(
        Archive(f"{SITE}/VOCtrainval_06-Nov-2007.tar", "c52e279531787c972589f7e41ab4ae64"),
        Archive(f"{SITE}/VOCtest_06-Nov-2007.tar", "b6e924de25625d8de591ea690078ad9f"),
    ),
    variants=(
        (5011, 4952, "official trainval and test: the rows of Table 4 and every VOC 2007 classification result"),
    ),
)
