"""MS COCO from its official files: an instances JSON and an image folder for each split, of 2014 or 2017."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from bench import Archive, DataError, Dataset, DatasetRequest, DatasetSpec, Option, Split
from bench.images import FolderImages, MissingImages
from bench_datasets.label_lists import ABSENT, labels_kept, matrix

EXPECTS = "annotations/instances_<split>.json and a folder <split> of images, as in train2014 and val2014"


def build(request: DatasetRequest) -> Dataset:
    """Return the data set; by default train2014 and val2014 as in the paper, or 2017 where only that is there."""
    assert request.root is not None
    keep = bool(request.options["keep_unlabelled"])
    year = "2017" if not _annotations(request.root, "train2014").is_file() else "2014"
    if year == "2017" and not _annotations(request.root, "train2017").is_file() and not request.train_split:
        year = "2014"
    names = request.train_split or f"train{year}", request.test_split or f"val{year}"
    train, test = (_split(request.root, name, keep) for name in names)
    if train.labels != test.labels:
        raise DataError(f"coco: {train.name} and {test.name} have different categories")
    kept = labels_kept(train.truth, str(request.options["absent_labels"]))
    left_out = int((~kept).sum())
    train, test = (_with_labels(split, kept, keep) for split in (train, test))
    variant = f"{train.name} {len(train):,} / {test.name} {len(test):,} images,"
    variant += " unlabelled kept" if keep else " unlabelled dropped"
    if left_out:
        variant += f", {left_out} categories without an image in {train.name} left out"
    return Dataset("coco", variant, train, test, "coco-top3@1", source="Lin et al., Microsoft COCO, ECCV 2014")


def _annotations(root: Path, split: str) -> Path:
    return root / "annotations" / f"instances_{split}.json"


def _split(root: Path, name: str, keep_unlabelled: bool) -> Split:
    path = _annotations(root, name)
    content = _load(path)
    try:
        categories = {int(entry["id"]): str(entry["name"]) for entry in content["categories"]}
        files = {int(entry["id"]): str(entry["file_name"]) for entry in content["images"]}
        pairs = [(int(entry["image_id"]), int(entry["category_id"])) for entry in content["annotations"]]
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is no COCO instances file: {type(error).__name__} {error}") from None
    column = {category: place for place, category in enumerate(sorted(categories))}
    present: dict[int, set[int]] = {image: set() for image in files}
    for image, category in pairs:
        if category not in column:
            raise DataError(f"{path}: an annotation of image {image} has category {category}, which 'categories' lacks")
        if image not in present:
            raise DataError(f"{path}: an annotation names image {image}, which 'images' lacks")
        present[image].add(column[category])
    chosen = [image for image in sorted(files) if present[image] or keep_unlabelled]
    if not chosen:
        raise DataError(f"{path}: no image with an annotation")
    folder = root / name
    images = (
        FolderImages(tuple(folder / files[image] for image in chosen), str(path))
        if folder.is_dir()
        else MissingImages(tuple(files[image] for image in chosen), f"there is no folder {folder}")
    )
    return Split(
        dataset="coco",
        name=name,
        ids=tuple(str(image) for image in chosen),
        labels=tuple(categories[category] for category in sorted(categories)),
        truth=matrix([present[image] for image in chosen], len(categories)),
        images=images,
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"no file {path}. '--data-root' should hold {EXPECTS}") from None
    except ValueError as error:
        raise DataError(f"{path} is no JSON: {error}. Is the file whole?") from None
    if not isinstance(content, dict):
        raise DataError(f"{path} is no COCO instances file: its content is a {type(content).__name__}")
    return content


def _with_labels(split: Split, kept: np.ndarray[Any, np.dtype[np.bool_]], keep_unlabelled: bool) -> Split:
    """Return ``split`` with only the labels ``kept``; images that have no other are dropped with them."""
    from bench.data import subset

    if kept.all():
        return split
    labels = tuple(name for name, stays in zip(split.labels, kept, strict=True) if stays)
    narrowed = Split("coco", split.name, split.ids, labels, split.truth[:, kept], split.images)
    if keep_unlabelled:
        return narrowed
    return subset(narrowed, np.flatnonzero(narrowed.truth.any(axis=1)), split.name)


SPEC = DatasetSpec(
    name="coco",
    summary="MS COCO 2014 or 2017: 80 object categories (Table 3)",
    build=build,
    options=(
        Option("keep_unlabelled", False, "keep images without an object; the paper's rows imply dropping"),
        ABSENT,
    ),
    expects=EXPECTS,
    splits=("train2014", "val2014", "train2017", "val2017"),
    archives=tuple(
        Archive(f"http://images.cocodataset.org/{name}")
        for name in ("annotations/annotations_trainval2014.zip", "zips/train2014.zip", "zips/val2014.zip")
    ),
    variants=(
        (82_081, 40_137, "2014, labelled images only: the rows of Table 3, as their printed recall implies"),
        (82_783, 40_504, "2014 with unlabelled images: later papers' rows, not Table 3"),
        (117_266, 4_952, "2017, labelled images only: no row of the paper"),
        (118_287, 5_000, "2017 with unlabelled images: no row of the paper"),
    ),
    source="Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014",
)
