"""NUS-WIDE from its official text files: 81 concepts (Table 1) and 1,000 tags (Table 2)."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import bench
from bench import DataError, Dataset, DatasetRequest, DatasetSpec, FolderImages, Images, MissingImages, Option, Split
from bench_datasets.label_lists import ABSENT, DROP_ABSENT, labels_kept, read_image_names, read_names
from bench_datasets.listing import is_file

if TYPE_CHECKING:
    import numpy as np

    from bench import BoolArray

    Ids: TypeAlias = np.ndarray[tuple[int], np.dtype[np.str_]]
else:
    np = bench.lazy_import("numpy")

EXPECTS = (
    "the official ImageList/{,Train,Test}Imagelist.txt, with Concepts81.txt and Groundtruth/ for the concepts, or"
    " TagList1k.txt and AllTags1k.txt for the tags; images in a folder Flickr or images, if they are there"
)
IMAGE_FOLDERS = ("Flickr", "images")
CHUNK = 1 << 25
"""Bytes of a matrix file held at once: the tags' file has 540 MB."""


def build(labels: Literal["concepts", "tags"], request: DatasetRequest) -> Dataset:
    """Return the data set; images without a label are dropped unless ``keep_unlabelled``."""
    root = request.root
    assert root is not None
    names = read_names(_find(root, "Concepts81.txt" if labels == "concepts" else "TagList1k.txt"))
    listed = {part: _image_list(root, f"{part}Imagelist.txt") for part in ("Train", "Test")}
    if labels == "concepts":
        values = np.concatenate([_concepts(root, names, part, len(images)) for part, images in listed.items()])
    else:
        values = _tags(root, names, listed)
    ids = np.concatenate([listed["Train"], listed["Test"]])
    in_train = np.arange(len(ids)) < len(listed["Train"])
    how = str(request.options["split"])
    usable = np.ones(len(ids), dtype=np.bool_) if request.options["keep_unlabelled"] else values.any(axis=1)
    gone, folder = _gone(root, ids)
    usable &= ~gone
    if how == "random150k":
        in_train = _draw(usable, int(request.options["train_images"]), int(request.options["split_seed"]))
    kept = labels_kept(values[usable & in_train], str(request.options["absent_labels"]))
    chosen = tuple(name for name, stays in zip(names, kept, strict=True) if stays)
    name = "nuswide-81" if labels == "concepts" else "nuswide-1000"
    splits = []
    for part, mask in (("train", usable & in_train), ("test", usable & ~in_train)):
        rows = np.flatnonzero(mask)
        if not len(rows):
            raise DataError(f"{name}: no image is left for {part}")
        rows_truth = np.ascontiguousarray(values[rows] if kept.all() else values[np.ix_(rows, kept)])
        files = tuple(map(str, ids[rows]))
        splits.append(Split(name, part, files, chosen, rows_truth, _images(root, folder, files)))
    variant = f"{how} split, {len(splits[0]):,} / {len(splits[1]):,} images, "
    variant += "unlabelled kept" if request.options["keep_unlabelled"] else "unlabelled dropped"
    if gone.any():
        variant += f", {int(gone.sum()):,} listed images are gone (first: {ids[int(gone.argmax())]})"
    if not kept.all():
        variant += f", {int((~kept).sum())} labels without an image in train left out"
    protocol = "nuswide81-top3@1" if labels == "concepts" else "nuswide1000-top10@1"
    left_out = tuple(map(str, ids[gone]))
    source = "Chua et al., NUS-WIDE, CIVR 2009"
    train, test = splits
    return Dataset(name, variant, train, test, protocol, source=source, gone=left_out)


def _find(root: Path, name: str) -> Path:
    """Return the file called ``name`` in the root or in one of the official folders below it."""
    places = (".", "ImageList", "ConceptsList", "NUS_WID_Tags", "Tags")
    for place in places:
        if (root / place / name).is_file():
            return root / place / name
    raise DataError(f"no file {name} in {root} or its folders {', '.join(places[1:])}. Expected there: {EXPECTS}")


def _image_list(root: Path, name: str) -> Ids:
    # Written on Windows: folders are separated by backslashes.
    return np.array(read_image_names(_find(root, name), lambda line: line.strip().replace("\\", "/")))


def _concepts(root: Path, names: Sequence[str], part: str, images: int) -> BoolArray:
    """Return one label file per concept as columns, (images, concepts)."""
    folder = next(
        (found for found in (root / "Groundtruth" / "TrainTestLabels", root / "TrainTestLabels") if found.is_dir()),
        root / "Groundtruth" / "TrainTestLabels",
    )
    truth = np.zeros((images, len(names)), dtype=np.bool_)
    for column, name in enumerate(names):
        truth[:, column] = _matrix(folder / f"Labels_{name}_{part}.txt", 1, images, f"{part}Imagelist.txt")[:, 0]
    return truth


def _tags(root: Path, names: Sequence[str], listed: dict[str, Ids]) -> BoolArray:
    """Return the rows of AllTags1k.txt, which follows Imagelist.txt, for train and then test, (images, tags)."""
    everything = _image_list(root, "Imagelist.txt")
    matrix = _matrix(_find(root, "AllTags1k.txt"), len(names), len(everything), "Imagelist.txt")
    order = np.argsort(everything)
    rows = []
    for part, images in listed.items():
        place = np.searchsorted(everything, images, sorter=order).clip(max=len(everything) - 1)
        rows.append(order[place])
        wrong = np.flatnonzero(everything[rows[-1]] != images)
        if len(wrong):
            raise DataError(f"{part}Imagelist.txt line {wrong[0] + 1}: {images[wrong[0]]} is not in Imagelist.txt")
    chosen: BoolArray = matrix[np.concatenate(rows)]
    return chosen


def _matrix(path: Path, columns: int, images: int, listing: str) -> BoolArray:
    """Return a text file of 0 and 1 as (``images``, ``columns``) bool, read by bytes: a number is one of them."""
    if not is_file(path):
        raise DataError(f"no file {path}. Expected there: {EXPECTS}")
    values = np.zeros(images * columns, dtype=np.bool_)
    numbers = 0
    line, unfinished = 1, 0  # the line in hand, and how many of its numbers earlier chunks held
    with path.open("rb") as file:
        if file.read(len(BOM_UTF8)) != BOM_UTF8:
            file.seek(0)
        while chunk := file.read(CHUNK):
            data = np.frombuffer(chunk, dtype=np.uint8)
            digits = (data == ord("0")) | (data == ord("1"))
            strange = np.flatnonzero(~digits & (data > ord(" ")))
            if len(strange):
                number = line + int((data[: strange[0]] == ord("\n")).sum())
                raise DataError(f"{path} line {number}: found {chr(data[strange[0]])!r}, allowed: 0 and 1")
            starts = np.append(0, np.flatnonzero(data == ord("\n")))
            counts = np.add.reduceat(digits, starts, dtype=np.int64)
            counts[0] += unfinished
            unfinished = int(counts[-1])
            _check_rows(path, counts[:-1], columns, line)
            line += len(starts) - 1
            ones = data[digits] == ord("1")
            here = values[numbers : numbers + len(ones)]
            here[:] = ones[: len(here)]
            numbers += len(ones)
    _check_rows(path, np.array([unfinished]), columns, line)
    if not numbers:
        raise DataError(f"{path}: empty file. Expected: {columns:,} numbers, 0 or 1, on each line")
    if numbers != len(values):
        raise DataError(f"{path}: {numbers // columns:,} rows for the {images:,} images of {listing}")
    return values.reshape(images, columns)


def _check_rows(path: Path, counts: np.ndarray[tuple[int], np.dtype[np.int64]], columns: int, first: int) -> None:
    """Raise ``DataError`` for a line that holds neither ``columns`` numbers nor none; ``first`` is the first line."""
    wrong = np.flatnonzero((counts != columns) & (counts != 0))
    if len(wrong):
        raise DataError(
            f"{path} line {first + wrong[0]}: {counts[wrong[0]]:,} numbers, expected {columns:,}. Is the file whole?"
        )


def _gone(root: Path, ids: Ids) -> tuple[BoolArray, Path | None]:
    """Return which listed images are not in the image folder, and that folder; none is gone where it is absent."""
    folder = next((root / name for name in IMAGE_FOLDERS if (root / name).is_dir()), None)
    if folder is None:
        return np.zeros(len(ids), dtype=np.bool_), None
    # One listing for each folder is far quicker than a question for each file.
    images = ids.tolist()
    parents = {image.rpartition("/")[0] for image in images}
    there = {
        f"{parent}/{entry.name}" if parent else entry.name
        for parent in parents
        if (folder / parent).is_dir()
        for entry in (folder / parent).iterdir()
    }
    return np.array([image not in there for image in images]), folder


def _draw(usable: BoolArray, wanted: int, seed: int) -> BoolArray:
    """Return a random training part of ``wanted`` usable images, as Gong et al. drew 150,000."""
    rows = np.flatnonzero(usable)
    if wanted >= len(rows):
        raise DataError(
            f"nuswide: {wanted:,} training images asked for, {len(rows):,} usable. Try: --set dataset.train_images=N"
        )
    mask = np.zeros(len(usable), dtype=np.bool_)
    mask[np.random.default_rng(seed).permutation(rows)[:wanted]] = True
    return mask


def _images(root: Path, folder: Path | None, files: tuple[str, ...]) -> Images:
    if folder is None:
        return MissingImages(files, f"there is no folder {' or '.join(str(root / name) for name in IMAGE_FOLDERS)}")
    return FolderImages(tuple(folder / file for file in files))


OPTIONS = (
    Option(
        "split", "official", "the official train and test lists, or a random draw", choices=("official", "random150k")
    ),
    Option("train_images", 150_000, "images of the random draw", minimum=1),
    Option("split_seed", 0, "of the random draw", minimum=0),
    Option("keep_unlabelled", False, "keep images without a label; the paper's rows imply dropping"),
    ABSENT,
)

CONCEPTS = DatasetSpec(
    name="nuswide-81",
    summary="NUS-WIDE, 81 concepts, three labels an image (Table 1)",
    build=partial(build, "concepts"),
    options=OPTIONS,
    without_absent_labels=DROP_ABSENT,
    expects=EXPECTS,
    splits=("train", "test"),
    source="Chua et al., NUS-WIDE: a real-world web image database, CIVR 2009",
    variants=(
        (125_449, 83_898, "official split, labelled only: closest to Table 1, whose own split is not stated"),
        (161_789, 107_859, "official split with unlabelled images: image-to-set's rows, not Table 1"),
        (150_000, 59_347, "random 150,000 of the labelled: as Gong et al. drew, not the same images"),
        (119_986, 80_283, "the images that SRN still found: rows of SRN and papers after it, not Table 1"),
        (150_000, 50_261, "the images that ASL still found: rows of ASL and papers after it, not Table 1"),
    ),
)

TAGS = DatasetSpec(
    name="nuswide-1000",
    summary="NUS-WIDE, 1,000 tags, ten labels an image (Table 2)",
    build=partial(build, "tags"),
    options=OPTIONS,
    without_absent_labels=DROP_ABSENT,
    expects=EXPECTS,
    splits=("train", "test"),
    source="Chua et al., NUS-WIDE: a real-world web image database, CIVR 2009",
    variants=(
        (
            161_789,
            107_859,
            "official split with untagged images; Table 2 does not say its own, 5.94 tags each",
        ),
    ),
)
