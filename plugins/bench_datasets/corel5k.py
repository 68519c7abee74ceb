"""Corel-5k: 5,000 stock photographs with up to five words each, the classic of image annotation."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import bench
from bench import DataError, Dataset, DatasetRequest, DatasetSpec, FolderImages, MissingImages, Option, Split
from bench_datasets.joined_names import unsplit
from bench_datasets.label_lists import matrix, read_lines

if TYPE_CHECKING:
    import numpy as np
else:
    np = bench.lazy_import("numpy")

EXPECTS = "train.tsv and test.tsv ('<file><tab><word>,<word>' on each line) and a folder images"


def build(request: DatasetRequest) -> Dataset:
    """Return the data set with the words that the option ``labels`` asks for."""
    assert request.root is not None
    names = request.train_split or "train", request.test_split or "test"
    train, test = (_read(request.root / f"{name}.tsv") for name in names)
    choice, least = str(request.options["labels"]), int(request.options["min_images"])
    words = _choose(train, test, choice, least)
    if not words:
        raise DataError(f"corel5k: no word is left with labels={choice}, min_images={least}")
    splits = [_split(request.root, name, lines, words) for name, lines in zip(names, (train, test), strict=True)]
    dropped = len(train) + len(test) - sum(map(len, splits))
    meaning = {
        "all": "every word of train",
        "both": "words of both splits",
        "frequent": f"words with {least} or more training images",
    }[choice]
    return Dataset(
        name="corel5k",
        variant=f"{len(words)} labels: {meaning}; {dropped} images without one left out",
        train=splits[0],
        test=splits[1],
        protocol="corel5k-top5@1",
        source="Duygulu et al., ECCV 2002",
    )


def _read(path: Path) -> dict[str, list[str]]:
    """Return file -> words, in the file's order."""
    lines: dict[str, list[str]] = {}
    places: dict[str, str] = {}
    for number, line in read_lines(path, EXPECTS):
        file, tab, words = line.rstrip("\n").partition("\t")
        if not tab:
            raise DataError(f"{path} line {number}: found '{line[:60]}', expected '<file><tab><word>,<word>'")
        file = file.strip().replace("\\", "/")
        if file.startswith("/") or ".." in file.split("/"):
            raise DataError(f"{path} line {number}: '{file}' lies outside the image folder")
        if file in lines:
            raise DataError(f"{path} line {number}: image {file} stands twice")
        lines[file] = [word.strip() for word in words.split(",") if word.strip()]
        places |= {word: f"{path} line {number}" for word in lines[file] if word not in places}
    if not lines:
        raise DataError(f"{path}: no images")
    if odd := unsplit(places, all(len(words) < 2 for words in lines.values()), ","):
        raise DataError(f"{odd[0].partition(' Try: ')[0]} Try: a comma between words")
    return lines


def _choose(train: dict[str, list[str]], test: dict[str, list[str]], choice: str, least: int) -> list[str]:
    counts = Counter(word for words in train.values() for word in words)
    if choice == "both":
        used = {word for words in test.values() for word in words}
        return sorted(word for word in counts if word in used)
    return sorted(word for word, count in counts.items() if choice == "all" or count >= least)


def _split(root: Path, name: str, lines: dict[str, list[str]], words: list[str]) -> Split:
    column = {word: place for place, word in enumerate(words)}
    truth = matrix([[column[word] for word in words if word in column] for words in lines.values()], len(words))
    # An image none of whose words is in the list has no truth to be measured against.
    rows = np.flatnonzero(truth.any(axis=1))
    ids = [list(lines)[row] for row in rows]
    folder = root / "images"
    images = (
        FolderImages(tuple(folder / file for file in ids), str(root / f"{name}.tsv"))
        if folder.is_dir()
        else MissingImages(tuple(ids), f"there is no folder {folder}")
    )
    return Split("corel5k", name, tuple(ids), tuple(words), truth[rows], images)


SPEC = DatasetSpec(
    name="corel5k",
    summary="Corel-5k: 5,000 photographs, 374 words, 3.5 a photograph",
    build=build,
    options=(
        Option(
            "labels", "both", "which words: of both splits, frequent ones, or all", choices=("both", "frequent", "all")
        ),
        Option("min_images", 50, "training images that a frequent word has at least", minimum=1),
    ),
    expects=EXPECTS,
    splits=("train", "test"),
    variants=(
        (4_500, 499, "4,500 / 499 images: published Corel-5k results, if the words are theirs too"),
        (4_499, 499, "4,500 / 499 images less one without a usable word: published Corel-5k results"),
        (
            4_493,
            499,
            "words of both splits: published Corel-5k results, but for 7 training images without one",
        ),
    ),
    source="Duygulu et al., Object Recognition as Machine Translation, ECCV 2002",
)
