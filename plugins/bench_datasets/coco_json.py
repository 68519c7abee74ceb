"""Your own images in COCO's format: train.json and test.json, as most annotation tools export them."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bench
from bench import (
    DataError,
    Dataset,
    DatasetRequest,
    DatasetSpec,
    FolderImages,
    Images,
    MissingImages,
    Option,
    Split,
    narrow,
)
from bench_datasets.coco_file import (
    OTHERS,
    check_unique,
    entries,
    image_id,
    is_ignored,
    is_predicted,
    load,
    text,
    whole_id,
)
from bench_datasets.label_lists import ABSENT, DROP_ABSENT, labels_kept, matrix, read_names
from bench_datasets.label_names import ODD_NAMES, check, composed
from bench_datasets.listing import counted, find_file, is_file, printable, why_absent
from bench_datasets.other_forms import what_is_there
from bench_datasets.own_images import K, other_parts, part_names
from bench_datasets.typed import as_typed

if TYPE_CHECKING:
    import numpy as np

    from bench import FloatArray
else:
    np = bench.lazy_import("numpy")

EXPECTS = (
    "train.json and test.json in COCO's format (also annotations/train.json or train/_annotations.coco.json),"
    " and the images in folders of these names, or in 'images'"
)
ONE_FILE = " Where one file holds all images, lines of docs/your-data.md make a table of it"

IN_FOLDERS = ("_annotations.coco.json", "annotations.json", "labels.json")
"""Annotation files in the folder of a part, the first Roboflow's, the last FiftyOne's."""

KEEP = Option("keep_unlabelled", False, "keep images without an object; the paper's rows imply dropping")


def build(request: DatasetRequest) -> Dataset:
    """Return the data set; ``validation.json`` (or ``valid``, ``val``) is taken where it is there."""
    assert request.root is not None
    root, options = request.root, request.options
    keep = bool(options["keep_unlabelled"])
    listed = root / "labels.txt"
    order = read_names(listed) if listed.is_file() else ()
    names = part_names(request, lambda name: _annotations(root, name).is_file())
    folder = str(options["images"])
    files = {part: _annotations(root, name) for part, name in names.items()}
    for part, path in files.items():
        if not path.is_file():
            there = _splits(root)
            other = other_parts(part, (names["train"], names["test"]), there) if len(there) > 1 else ""
            one = f". There is {printable(min(there))}.{ONE_FILE}" if there else what_is_there(root, "coco-json")
            other = other or one
            raise DataError(f"no file {path}. '--data-root' should hold {EXPECTS}{other}")
    read: dict[str, tuple[Split, tuple[str, ...]]] = {}
    for part, name in names.items():
        read[part] = read_split(
            "coco-json",
            name,
            files[part],
            _folders(root, name, folder),
            keep_unlabelled=keep,
            expects=EXPECTS,
            root=root,
            # Files may number the same categories in other ways.
            order=order or (read["train"][0].labels if read else ()),
        )
        if order and (odd := min({*read[part][0].labels} ^ {*order}, default="")):
            raise DataError(
                f"{files[part]}: its categories are not those of labels.txt, as '{odd}'. Try: without labels.txt"
            )
    listing = str(files["train"])
    notes = [note for name in names.values() for note in _unread(root, name)]
    notes += counted("data root", {"annotation files are of no part": [*_splits(root) - {*names.values()}]})
    notes += [note for _, found in read.values() for note in found]
    notes += check(dict.fromkeys(read["train"][0].labels, listing), (), options, separator=None)
    splits = {part: split for part, (split, _) in read.items()}
    splits, left_out = same_labels("coco-json", splits, str(options["absent_labels"]), keep)
    counts = " / ".join(f"{split.name} {len(split):,}" for split in splits.values())
    k = min(int(options["k"]), len(splits["train"].labels))
    return Dataset(
        name="coco-json",
        variant=f"{root.absolute().name}: {counts} images, {len(splits['train'].labels)} labels,"
        f" unlabelled {'kept' if keep else 'dropped'}{left_out}",
        train=splits["train"],
        test=splits["test"],
        protocol=f"top{k}@1",
        validation=splits.get("validation"),
        source="your own images",
        notes=tuple(notes),
    )


def _annotations(root: Path, split: str) -> Path:
    """Return the annotation file of a split, the first where there are several."""
    places = _places(root, split)
    return next((place for place in places if place.is_file()), places[0])


def _unread(root: Path, split: str) -> tuple[str, ...]:
    """Return a note on the annotation files of a split that are passed over for its first one."""
    first, *others = [str(place.relative_to(root)) for place in _places(root, split) if place.is_file()]
    return counted(split, {f"annotation files not read, as {first} is": others})


def _places(root: Path, split: str) -> tuple[Path, ...]:
    return (
        root / f"{split}.json",
        root / f"instances_{split}.json",
        root / "annotations" / f"{split}.json",
        root / "annotations" / f"instances_{split}.json",
        *(root / split / name for name in IN_FOLDERS),
    )


def _splits(root: Path) -> set[str]:
    """Return what the parts of which there are annotation files are called."""
    files = {path.stem.removeprefix("instances_") for path in (*root.glob("*.json"), *root.glob("annotations/*.json"))}
    return files | {path.parent.name for name in IN_FOLDERS for path in root.glob(f"*/{name}")} - {"annotations"}


def _folders(root: Path, split: str, named: str) -> tuple[Path, ...]:
    """Return where images may lie: of stuff_train2017 also in train2017."""
    if named:
        return (root / named,)
    words = split.split("_")
    called = ["_".join(words[start:]) for start in range(len(words))]
    within = [root / split / name for name in ("images", "data")]
    return (*(place / name for name in called for place in (root, root / "images")), *within, root / "images", root)


def read_split(
    dataset: str,
    name: str,
    path: Path,
    folders: Sequence[Path],
    *,
    keep_unlabelled: bool,
    expects: str,
    root: Path | None = None,
    only: frozenset[int] | None = None,
    order: tuple[str, ...] = (),
) -> tuple[Split, tuple[str, ...]]:
    """Return the split that the instances file ``path`` lists, its images in the first of ``folders`` that has them.

    And notes on images left out. ``only``: the image ids that the split consists of, of those in the file.

    Ids are the file's, or with ``root`` the paths below it: each file of a user's own set may number from 1.
    Labels are in the given ``order`` of their names, others behind in that of their category ids. ``sizes`` are the
    instances' areas, or those of their boxes, over the image's. Labels of objects that are all marked ``ignore`` count
    neither way. Without any of the folders the labels can still be counted. Raises ``DataError`` naming the file.
    """
    content = load(path, expects)
    try:
        found_names = entries(content, "categories")
        categories = [(whole_id(entry, "id"), composed(text(entry, "name"))) for entry in found_names]
        images = [(image_id(entry, "id"), entry) for entry in entries(content, "images")]
        if len({type(image) for image, _ in images}) > 1:
            raise ValueError("some ids of images are whole numbers and others texts, allowed: one of them")
        files = {image: posixpath.normpath(text(entry, "file_name")) for image, entry in images}
        annotations = entries(content, "annotations")
        found = [(image_id(entry, "image_id"), whole_id(entry, "category_id"), entry) for entry in annotations]
    except (KeyError, ValueError) as error:
        reason = f"no {error} where one is needed. {OTHERS}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{path} is no COCO instances file: {reason}") from None
    if only is not None:
        if absent := only - files.keys():
            count = f"{len(absent):,} of {len(only):,} images are not in it, as {min(absent)}"
            raise DataError(f"{path}: {count}. Expected: {expects}")
        files = {image: file for image, file in files.items() if image in only}
        found = [each for each in found if each[0] in only]
    listed, names = dict(images), dict(categories)
    check_unique(path, "image id", [image for image, _ in images])
    check_unique(path, "category id", [category for category, _ in categories])
    check_unique(path, "category", list(names.values()))
    if root is not None:
        check_unique(path, "file_name", list(files.values()))
    ordered = _ordered(names, order)
    column = {category: place for place, category in enumerate(ordered)}
    present, ignored = _labels_of(path, listed, files, found, column)
    chosen = [image for image in sorted(files) if present[image] or keep_unlabelled]
    if not chosen:
        raise DataError(f"{path}: no image with an annotation")
    _check_inside(path, {image: files[image] for image in chosen})
    first = files[chosen[0]]
    places = [folder for folder in folders if folder.is_dir()]
    folder = next((place for place in places if find_file(place, first)), places[0] if places else None)
    own_name = (folder or folders[0]).relative_to(root) if root else None
    names_there = [files[image] for image in chosen]
    images_there: Images = MissingImages(tuple(names_there), f"there is no folder {folders[0]}")
    if folder:
        images_there, names_there = _images(folder, names_there, path)
        check_unique(path, "file_name", names_there)
    truth = matrix([present[image] for image in chosen], len(names))
    ignore = matrix([ignored[image] for image in chosen], len(names)) & ~truth
    split = Split(
        dataset=dataset,
        name=name,
        ids=tuple(
            str(image) if own_name is None else printable((own_name / name).as_posix())
            for image, name in zip(chosen, names_there, strict=True)
        ),
        labels=tuple(names[category] for category in ordered),
        truth=truth,
        images=images_there,
        ignore=ignore if ignore.any() else None,
        sizes=_sizes([present[image] for image in chosen], len(names)),
    )
    of_ignored = [files[image] for image, row in zip(chosen, ignore, strict=True) if row.any()]
    remedy = "without an object that counts are left out, and kept with --set dataset.keep_unlabelled=true"
    marked = "images have labels of objects marked 'ignore' alone, which count neither way"
    left_out = [files[image] for image in files.keys() - {*chosen}]
    notes = counted(name, {f"images {remedy}": left_out, marked: of_ignored})
    return split, notes + _unread_of(name, {files[image]: listed[image] for image in chosen}, files, found)


def _unread_of(
    name: str,
    chosen: Mapping[str, Mapping[str, Any]],
    files: Mapping[Any, str],
    found: Sequence[tuple[Any, int, dict[str, Any]]],
) -> tuple[str, ...]:
    """Return notes on what the entries of images and objects say of labels, and is not read."""
    predicted = "images have objects with a score other than 1, as of predictions, which are labels like others"
    # As LVIS has it, in which each label was looked for on some images.
    federated = "images have neg_category_ids: labels that they lack and that nobody looked for are taken as not there"
    return counted(
        name,
        {
            predicted: [*{files[image] for image, _, entry in found if is_predicted(entry)}],
            federated: [file for file, entry in chosen.items() if "neg_category_ids" in entry],
        },
    )


def _labels_of(
    path: Path,
    listed: Mapping[Any, dict[str, Any]],
    files: Mapping[Any, str],
    found: Sequence[tuple[Any, int, dict[str, Any]]],
    column: Mapping[int, int],
) -> tuple[dict[Any, dict[int, float]], dict[Any, set[int]]]:
    """Return each image's labels with the share of their largest object, and those of objects marked ``ignore``.

    ``found`` are the annotations, as image, category and entry.
    """
    present: dict[Any, dict[int, float]] = {image: {} for image in files}
    ignored: dict[Any, set[int]] = {image: set() for image in files}
    for image, category, entry in found:
        if category not in column:
            raise DataError(f"{path}: an annotation of image {image} has category {category}, which 'categories' lacks")
        if image not in present:
            raise DataError(f"{path}: an annotation names image {image!r}, which 'images' lacks")
        share, label = _share(entry, listed[image]), column[category]
        try:
            out = is_ignored(entry)
        except ValueError as error:
            raise DataError(f"{path} is no COCO instances file: {error}") from None
        if out:
            ignored[image].add(label)
        else:
            present[image][label] = max(present[image].get(label, 0.0), share)
    return present, ignored


def _check_inside(path: Path, files: Mapping[Any, str]) -> None:
    """Raise ``DataError`` for a file's name by id that leaves the folder of images."""
    for image, file in files.items():
        first_part = file.replace("\\", "/").split("/")[0]
        if first_part in {"", ".."} or first_part[1:] == ":":
            raise DataError(f"{path}: image {image} has file_name '{file}', which leaves the image folder")


def _ordered(names: Mapping[int, str], order: tuple[str, ...]) -> list[int]:
    """Return the category ids in the ``order`` of their names, and those that it lacks behind, in their own."""
    place = {name: number for number, name in enumerate(order)}
    return sorted(names, key=lambda category: (place.get(names[category], len(order)), category))


def _images(folder: Path, names: list[str], listing: Path) -> tuple[FolderImages, list[str]]:
    """Return the images of ``names``, and what their files are called.

    That may be written with backslashes or in another Unicode form: two names of one file are one image.
    """
    try:
        return FolderImages(tuple(folder / name for name in names), str(listing)), names
    except (DataError, OSError, ValueError):
        there = [find_file(folder, name) or name for name in names]
        absent = next((name for name in there if not is_file(folder / name)), "")
        if why := why_absent(folder, absent) if absent else "":
            below, found, _ = why.partition(f"/{printable(absent)} in ")
            one = found and below.startswith(". There is ")
            why += f", or {as_typed('images', below.removeprefix('. There is '))}" if one else ""
            raise DataError(f"{listing}: no image file {printable(str(folder / absent))}{why}") from None
        return FolderImages(tuple(folder / name for name in there), str(listing)), there


def _share(annotation: dict[str, Any], image: dict[str, Any]) -> float:
    """Return the instance's share of the image's area; 0 where the file does not say."""
    try:
        whole = float(image["width"]) * float(image["height"])
        box = annotation.get("bbox") or (0, 0, 0, 0)
        area = float(annotation.get("area") or float(box[2]) * float(box[3]))
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        return 0.0
    # Written so that NaN and negative areas, which some tools export, are no size.
    return min(area / whole, 1.0) if whole > 0 and area > 0 else 0.0


def _sizes(present: list[dict[int, float]], labels: int) -> FloatArray | None:
    sizes = np.zeros((len(present), labels), dtype=np.float32)
    for row, shares in enumerate(present):
        sizes[row, list(shares)] = list(shares.values())
    return sizes if sizes.any() else None


def same_labels(
    dataset: str, splits: dict[str, Split], absent: str, keep_unlabelled: bool
) -> tuple[dict[str, Split], str]:
    """Return the splits with the labels that stay, and in words how many were left out.

    Images that have no other label go with them. Raises ``DataError`` where the splits' categories differ.
    """
    train = splits["train"]
    for split in splits.values():
        if split.labels != train.labels:
            odd = min(set(split.labels) ^ set(train.labels), default="their order")
            raise DataError(
                f"{dataset}: {train.name} and {split.name} have different categories, as '{odd}'."
                f" Try: the same 'categories' in both, those that {split.name} has no object of, too"
            )
    kept = labels_kept(train.truth, absent)
    if kept.all():
        return splits, ""
    narrowed = {part: narrow(split, kept, drop_unlabelled=not keep_unlabelled) for part, split in splits.items()}
    return narrowed, f", {int((~kept).sum())} categories without an image in {train.name} left out"


SPEC = DatasetSpec(
    name="coco-json",
    summary="your own images, from annotation files in COCO's format",
    build=build,
    without_absent_labels=DROP_ABSENT,
    options=(
        Option("images", "", "folder of the images, relative to the data root; empty: looked for"),
        K,
        KEEP,
        ODD_NAMES,
        ABSENT,
    ),
    expects=EXPECTS,
    splits=("train", "test"),
    source="docs/your-data.md",
)
