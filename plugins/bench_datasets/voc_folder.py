"""Your own images in PASCAL VOC's folders, with any classes: image lists, annotations, class files where there are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from bench import DataError, Dataset, DatasetRequest, DatasetSpec, Images, Split, UsageError, narrow
from bench_datasets.label_lists import ABSENT, DROP_ABSENT, labels_kept, read_image_names, read_lines, read_names
from bench_datasets.own_images import K

EXPECTS = (
    "ImageSets/Main/<split>.txt, JPEGImages and Annotations as in PASCAL VOC;"
    " ImageSets/Main/<class>_<split>.txt are read instead of Annotations where they are there"
)
FLAG_LINE = "'<image> <1, 0 or -1>' on each line"


def build(request: DatasetRequest) -> Dataset:
    """Return the data set. Classes are those of ``labels.txt``, else of the class files, else of the annotations."""
    assert request.root is not None
    root = find_root(request.root, "VOC*", EXPECTS)
    whole = all(_main(root, name).is_file() for name in ("trainval", "test"))
    defaults = ("trainval", "test") if whole else ("train", "val")
    names = request.train_split or defaults[0], request.test_split or defaults[1]
    for name in names:
        if not _main(root, name).is_file():
            there = sorted(path.stem for path in (root / "ImageSets" / "Main").glob("*.txt") if "_" not in path.stem)
            raise UsageError(f"voc-folder: no split '{name}', found: {', '.join(there) or 'none'}. Try: --train-split")
    classes = _classes(root, names)
    train, test = (read_split("voc-folder", root, name, classes) for name in names)
    kept = labels_kept(train.truth, str(request.options["absent_labels"]))
    if not kept.all():
        train, test = narrow(train, kept), narrow(test, kept)
    return Dataset(
        name="voc-folder",
        variant=f"{root.absolute().name}: {train.name} {len(train):,} / {test.name} {len(test):,} images,"
        f" {len(train.labels)} classes, difficult ignored",
        train=train,
        test=test,
        protocol=f"top{min(int(request.options['k']), len(train.labels))}@1",
        source="your own images",
    )


def find_root(root: Path, pattern: str, expects: str) -> Path:
    """Return the folder with ``ImageSets``: ``root``, or one that fits ``pattern`` in it or in its VOCdevkit."""
    places = [root, *sorted((root / "VOCdevkit").glob(pattern)), *sorted(root.glob(pattern))]
    for place in places:
        if (place / "ImageSets" / "Main").is_dir():
            return place
    raise DataError(f"no folder {root / 'ImageSets' / 'Main'}. '--data-root' should hold {expects}")


def _classes(root: Path, splits: Sequence[str]) -> tuple[str, ...]:
    listed = root / "labels.txt"
    if listed.is_file():
        return read_names(listed)
    ending = f"_{splits[0]}.txt"
    of_files = sorted(path.name.removesuffix(ending) for path in (root / "ImageSets" / "Main").glob(f"*{ending}"))
    if of_files:
        return tuple(of_files)
    found = {name for split in splits for image in _listed(root, split) for name, *_ in _objects(root, image, split)}
    if not found:
        raise DataError(f"{root / 'Annotations'}: no object in any image of {splits[0]}")
    return tuple(sorted(found))


def read_split(dataset: str, root: Path, name: str, classes: tuple[str, ...]) -> Split:
    """Return a split from its class files, or from the objects' annotations where there are none.

    Objects that are only difficult are ignored: they count neither way. ``sizes`` come with annotations.
    """
    if _main(root, f"{classes[0]}_{name}").is_file() or not (root / "Annotations").is_dir():
        flags, sizes = [_flags(root, label, name) for label in classes], None
    else:
        flags, sizes = _read_annotations(root, name, classes)
    ids = tuple(flags[0])
    lists = {f"{label}_{name}.txt": tuple(of_class) for label, of_class in zip(classes, flags, strict=True)}
    if _main(root, name).is_file():
        lists[f"{name}.txt"] = tuple(_listed(root, name))
    for file, images in lists.items():
        if images != ids:
            odd = min(set(images) ^ set(ids), default="their order")
            raise DataError(f"{root}/ImageSets/Main: {file} and {classes[0]}_{name}.txt list different images: {odd}")
    values = np.array([list(of_class.values()) for of_class in flags], dtype=np.int8).T.reshape(len(ids), len(classes))
    return Split(dataset, name, ids, classes, values == 1, _images(root, ids, name), values == 0, sizes)


def _main(root: Path, name: str) -> Path:
    return root / "ImageSets" / "Main" / f"{name}.txt"


def _listed(root: Path, split: str) -> list[str]:
    """Return the images of a split's list, in its order."""
    return read_image_names(_main(root, split), lambda line: line.split()[0])


def _flags(root: Path, label: str, split: str) -> dict[str, int]:
    """Return image -> 1 (present), 0 (only difficult) or -1, in the file's order."""
    path = _main(root, f"{label}_{split}")
    flags: dict[str, int] = {}
    for number, line in read_lines(path, FLAG_LINE):
        words = line.split()
        if len(words) != 2 or words[1] not in {"1", "0", "-1"}:
            raise DataError(f"{path} line {number}: found '{line.strip()}', expected {FLAG_LINE}")
        if words[0] in flags:
            raise DataError(f"{path} line {number}: image {words[0]} stands twice")
        flags[words[0]] = int(words[1])
    return flags


def _read_annotations(
    root: Path, split: str, classes: tuple[str, ...]
) -> tuple[list[dict[str, int]], np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
    """Return what ``_flags`` reads, for every class, from the objects' own annotations, and the objects' sizes.

    Copies of the data set often lack the class files; they follow from the image list and ``Annotations``.
    """
    images = _listed(root, split)
    flags: list[dict[str, int]] = [dict.fromkeys(images, -1) for _ in classes]
    sizes = np.zeros((len(images), len(classes)), dtype=np.float32)
    for row, image in enumerate(images):
        for name, difficult, share in _objects(root, image, split):
            if name not in classes:
                path = root / "Annotations" / f"{image}.xml"
                raise DataError(f"{path}: unknown label '{name}', allowed: {', '.join(classes)}")
            place = classes.index(name)
            flags[place][image] = max(flags[place][image], 0 if difficult else 1)
            sizes[row, place] = max(sizes[row, place], 0.0 if difficult else share)
    return flags, sizes


def _objects(root: Path, image: str, split: str) -> list[tuple[str, bool, float]]:
    """Return (name, difficult, box's share of the picture's area) of each object; 0 where sizes are not given."""
    path = root / "Annotations" / f"{image}.xml"
    try:
        top = ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise DataError(f"no file {path}, listed in ImageSets/Main/{split}.txt") from None
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise DataError(f"{path} is no XML: {error}. Is the file whole?") from None
    whole = _number(top, "size/width") * _number(top, "size/height")
    objects: list[tuple[str, bool, float]] = []
    for entry in top.findall("object"):
        width, height = (_number(entry, f"bndbox/{axis}max") - _number(entry, f"bndbox/{axis}min") for axis in "xy")
        share = min(max(width * height / whole, 0.0), 1.0) if whole > 0 else 0.0
        name = entry.findtext("name", "").strip()
        if not name:
            raise DataError(f"{path}: object {len(objects) + 1} has no name")
        objects.append((name, entry.findtext("difficult", "0").strip() == "1", share))
    return objects


def _number(element: ElementTree.Element, path: str) -> float:
    try:
        return float(element.findtext(path, "0"))
    except ValueError:
        return 0.0


def _images(root: Path, ids: tuple[str, ...], split: str) -> Images:
    from bench import FolderImages, MissingImages

    folder = root / "JPEGImages"
    if not folder.is_dir():
        # The label lists alone are enough for 'bench data stats'.
        return MissingImages(tuple(f"{image}.jpg" for image in ids), f"there is no folder {folder}")
    found = {path.stem: path.name for path in sorted(folder.iterdir(), reverse=True)} if ids else {}
    paths = tuple(folder / found.get(image, f"{image}.jpg") for image in ids)
    return FolderImages(paths, f"ImageSets/Main/*_{split}.txt")


SPEC = DatasetSpec(
    name="voc-folder",
    summary="your own images, in PASCAL VOC's folders with any classes",
    build=build,
    without_absent_labels=DROP_ABSENT,
    options=(K, ABSENT),
    expects=EXPECTS,
    splits=("trainval", "train", "val", "test"),
    source="docs/your-data.md",
)
