"""Your own images in PASCAL VOC's folders, with any classes: image lists, annotations, class files where there are."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import bench
from bench import DataError, Dataset, DatasetRequest, DatasetSpec, Images, Split, UsageError, is_remote, narrow
from bench_datasets.label_lists import (
    ABSENT,
    DROP_ABSENT,
    MARKS,
    labels_kept,
    read_image_names,
    read_lines,
    read_names,
)
from bench_datasets.label_names import ODD_NAMES, check, composed
from bench_datasets.listing import counted, has_image_ending, in_words, is_file, list_images, printable, same_content
from bench_datasets.other_forms import what_is_there
from bench_datasets.own_images import NAMES, K, other_parts, usual_name

if TYPE_CHECKING:
    from xml.etree import ElementTree

    import numpy as np
else:
    np = bench.lazy_import("numpy")

EXPECTS = (
    "ImageSets/Main/<split>.txt, JPEGImages and Annotations as in PASCAL VOC;"
    " ImageSets/Main/<class>_<split>.txt are read instead of Annotations where they are there"
)
FLAGGED = re.compile(r"\s*(\S|\S.*\S)\s+(-1|0|1)\s*")
DECLARED = re.compile(rb"\s*<\?xml[^>]*?encoding\s*=\s*[\"']([\w.:-]+)[\"'][^>]*\?>")
FLAG_LINE = "'<image> <1, 0 or -1>' on each line"


def build(request: DatasetRequest) -> Dataset:
    """Return the data set. Classes are those of ``labels.txt``, else of the class files, else of the annotations."""
    assert request.root is not None
    root = find_root(request.root, "VOC*", EXPECTS)
    parts = _part_names(root, request)
    names = tuple(parts.values())
    for part, name in parts.items():
        if not _main(root, name).is_file():
            there = {path.stem for path in (root / "ImageSets" / "Main").glob("*.txt") if "_" not in path.stem}
            one = f". There is {', '.join(sorted(there)) or 'none'}. Try: lists train.txt and test.txt of its lines"
            other = (len(there) > 1 and other_parts(part, names[:2], there)) or one
            raise UsageError(f"voc-folder: no split '{name}' in ImageSets/Main{other}")
    folder = root / "Annotations"
    if not folder.is_dir() and not any((root / "ImageSets" / "Main").glob(f"*_{names[0]}.txt")):
        alike = next((f". There is {found.name}. Try: call it Annotations" for found in root.glob("*nnotation*")), "")
        raise DataError(f"no folder {folder}, and no class files in ImageSets/Main{alike}")
    places = _classes(root, names)
    notes = check(places, (), request.options, separator=None)
    classes = tuple(places)
    splits = {part: read_split("voc-folder", root, name, classes) for part, name in parts.items()}
    notes += tuple(note for split in splits.values() for note in _otherwise_annotated(root, split))
    kept = labels_kept(splits["train"].truth, str(request.options["absent_labels"]))
    if not kept.all():
        splits = {part: narrow(split, kept) for part, split in splits.items()}
    train, counts = splits["train"], " / ".join(f"{split.name} {len(split):,}" for split in splits.values())
    return Dataset(
        name="voc-folder",
        variant=f"{root.absolute().name}: {counts} images, {len(train.labels)} classes, difficult ignored",
        train=train,
        test=splits["test"],
        protocol=f"top{min(int(request.options['k']), len(train.labels))}@1",
        validation=splits.get("validation"),
        source="your own images",
        notes=(*_passed(root), *notes),
    )


def _part_names(root: Path, request: DatasetRequest) -> dict[str, str]:
    """Return what train, test and perhaps validation are called: as asked for, else as VOC calls its own.

    Without ``test.txt`` val is the test part, as in VOC 2012; beside it val belongs to validation, or to trainval.
    """

    def is_there(name: str) -> bool:
        return _main(root, name).is_file()

    test = request.test_split or usual_name("test", is_there) or "val"
    usual = "trainval" if test != "val" and is_there("trainval") else usual_name("train", is_there)
    train = request.train_split or usual or "train"
    validation = usual_name("validation", is_there, [test]) if train in NAMES["train"] else ""
    return {"train": train, "test": test} | ({"validation": validation} if validation else {})


def _passed(root: Path) -> tuple[str, ...]:
    folder = root / "JPEGImages"
    return in_words("JPEGImages", list_images(folder).passed) if folder.is_dir() else ()


def find_root(root: Path, pattern: str, expects: str) -> Path:
    """Return the folder with ``ImageSets``: ``root``, or one that fits ``pattern`` in it or in its VOCdevkit."""
    places = [root, *sorted((root / "VOCdevkit").glob(pattern)), *sorted(root.glob(pattern))]
    for place in places:
        if (place / "ImageSets" / "Main").is_dir():
            return place
    there = what_is_there(root, "voc-folder")
    raise DataError(f"no folder {root / 'ImageSets' / 'Main'}. '--data-root' should hold {expects}{there}")


def _classes(root: Path, splits: Sequence[str]) -> dict[str, str]:
    """Return the classes in order, each with a file that names it."""
    listed = root / "labels.txt"
    if listed.is_file():
        return dict.fromkeys(read_names(listed), str(listed))
    ending = f"_{splits[0]}.txt"
    of_files = sorted((root / "ImageSets" / "Main").glob(f"*{ending}"))
    if of_files:
        return {path.name.removesuffix(ending): str(path) for path in of_files}
    found: dict[str, str] = {}
    for split in splits:
        for image in _listed(root, split):
            for name, *_ in _objects(root, image, split):
                found.setdefault(name, str(root / "Annotations" / f"{image}.xml"))
    if not found:
        raise DataError(f"{root / 'Annotations'}: no object in any image of {splits[0]}")
    return dict(sorted(found.items()))


def read_split(dataset: str, root: Path, name: str, classes: tuple[str, ...]) -> Split:
    """Return a split from its class files, or from the objects' annotations where there are none.

    Objects that are only difficult are ignored: they count neither way. ``sizes`` come with annotations.
    """
    if is_file(_main(root, f"{classes[0]}_{name}")) or not (root / "Annotations").is_dir():
        flags, sizes = [_flags(root, label, name) for label in classes], None
    else:
        flags, sizes = _read_annotations(root, name, classes)
    images = tuple(flags[0])
    ids = tuple(map(printable, images))
    lists = {f"{label}_{name}.txt": tuple(of_class) for label, of_class in zip(classes, flags, strict=True)}
    if _main(root, name).is_file():
        lists[f"{name}.txt"] = tuple(_listed(root, name))
    for file, names in lists.items():
        if names != images:
            odd = min(set(names) ^ set(images), default="their order")
            raise DataError(
                f"{root}/ImageSets/Main: {file} and {classes[0]}_{name}.txt list different images: {odd}. Try: a line"
                f" '{odd} -1' in each class file whose class it lacks, or without class files, to read Annotations"
            )
    values = np.array([list(of_class.values()) for of_class in flags], dtype=np.int8).T.reshape(len(ids), len(classes))
    return Split(dataset, name, ids, classes, values == 1, _images(root, images, name), values == 0, sizes)


def _otherwise_annotated(root: Path, split: Split) -> tuple[str, ...]:
    """Return a note where annotations tell other labels than the class files, which are read and may be older.

    ``split`` was read of class files if it has no sizes. Annotations elsewhere, as on s3://, would each be fetched.
    """
    folder = root / "Annotations"
    if split.sizes is not None or is_remote(root) or not folder.is_dir():
        return ()
    there, differing = _annotated(folder, folder.stat().st_mtime_ns), []
    for image, true in zip(_listed(root, split.name), split.truth, strict=True):
        try:
            objects = _objects(root, image, split.name) if image in there else []
        except DataError:  # of a file that is not read
            continue
        names = {label for label, is_true in zip(split.labels, true, strict=True) if is_true}
        if image in there and {name for name, difficult, _ in objects if not difficult} != names:
            differing.append(image)
    told = (
        "images whose annotations tell other labels than the class files, which are read; without these they would be"
    )
    return counted(split.name, {told: differing})


def _main(root: Path, name: str) -> Path:
    return root / "ImageSets" / "Main" / f"{name}.txt"


def _listed(root: Path, split: str) -> list[str]:
    """Return the images of a split's list, in its order: a line is a whole name, in which blanks may stand.

    Where there is no such image, a line may also be a file's name, with its ending or below any JPEGImages, or a name
    with the flag 1 behind it, if there is an image of that name. Raises ``DataError`` for a line with another flag.
    """
    path, there = _main(root, split), _stems(root)

    def name(line: str) -> str:
        whole = line.strip()
        if not there or whole in there:
            return whole
        stem = _stem(whole.replace("\\", "/").rpartition("JPEGImages/")[2])
        if stem in there:
            return stem
        flagged = FLAGGED.fullmatch(line)
        if flagged and flagged[1] in there:
            if flagged[2] != "1":
                raise DataError(
                    f"{path}: found '{whole}', an image with the flag {flagged[2]}, allowed: an image's name alone."
                    " Try: leave out the flags, or name the file <class>_<split>.txt"
                )
            return flagged[1]
        same = unicodedata.normalize("NFC", whole)
        return next((stem for stem in there if unicodedata.normalize("NFC", stem) == same), whole)

    return read_image_names(path, name)


def _stems(root: Path) -> frozenset[str]:
    """Return the names of the images that have an annotation or a file; empty where neither folder is there."""
    stems: set[str] = set()
    if (root / "Annotations").is_dir():
        stems.update(_annotated(root / "Annotations", (root / "Annotations").stat().st_mtime_ns))
    if (root / "JPEGImages").is_dir():
        images = list_images(root / "JPEGImages", deep=True).images
        stems.update(_stem(image) for image in images)
    return frozenset(stems)


def _stem(name: str) -> str:
    return name.rpartition(".")[0] if has_image_ending(name) else name


@lru_cache(maxsize=4)
def _annotated(folder: Path, _changed: int) -> frozenset[str]:
    found = folder.rglob("*.xml")
    return frozenset(path.relative_to(folder).with_suffix("").as_posix() for path in found)


def _flags(root: Path, label: str, split: str) -> dict[str, int]:
    """Return image -> 1 (present), 0 (only difficult) or -1, in the file's order."""
    path = _main(root, f"{label}_{split}")
    flags: dict[str, int] = {}
    for number, line in read_lines(path, FLAG_LINE):
        found = FLAGGED.fullmatch(line)
        if found is None:
            raise DataError(f"{path} line {number}: found '{line.strip()}', expected {FLAG_LINE}")
        image = found[1]
        if image in flags:
            raise DataError(f"{path} line {number}: image {image} stands twice")
        flags[image] = int(found[2])
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
                hint = f". Try: a line '{name}' in labels.txt" * (root / "labels.txt").is_file()
                raise DataError(f"{path}: unknown label '{name}', allowed: {', '.join(classes)}{hint}")
            place = classes.index(name)
            flags[place][image] = max(flags[place][image], 0 if difficult else 1)
            sizes[row, place] = max(sizes[row, place], 0.0 if difficult else share)
    return flags, sizes


def _objects(root: Path, image: str, split: str) -> list[tuple[str, bool, float]]:
    """Return (name, difficult, box's share of the picture's area) of each object; 0 where sizes are not given."""
    from xml.etree.ElementTree import ParseError

    path = root / "Annotations" / f"{image}.xml"
    try:
        top = _parse(path.read_bytes())
    except OSError:
        raise DataError(f"no file {path}, listed in ImageSets/Main/{split}.txt") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no XML: not in its encoding, {error.encoding}. Try: write it as UTF-8") from None
    except LookupError as error:
        raise DataError(f"{path} is no XML: {error}. Try: write it as UTF-8") from None
    except (ParseError, ValueError) as error:
        raise DataError(f"{path} is no XML: {error}. Is the file whole?") from None
    if top.tag != "annotation" and top.find(".//annotation") is not None:
        raise DataError(
            f"{path}: <annotation> lies in <{top.tag}>, allowed: <annotation> at the top, one for each file"
        )
    whole = _number(top, "size/width") * _number(top, "size/height")
    objects: list[tuple[str, bool, float]] = []
    entries = top.findall("object")
    if len(entries) < sum(element.tag.lower() == "object" for element in top.iter()):
        raise DataError(f"{path}: an <object> elsewhere, or in other letters, allowed: <object> in <annotation>")
    for entry in entries:
        deleted, difficult = (entry.findtext(flag, "0").strip() or "0" for flag in ("deleted", "difficult"))
        for flag, value in (("deleted", deleted), ("difficult", difficult)):
            if value not in {"0", "1"}:
                raise DataError(f"{path}: object {len(objects) + 1} has <{flag}>{value:.40}, allowed: 0, 1")
        if deleted == "1":  # LabelMe keeps what was taken out
            continue
        width, height = (_number(entry, f"bndbox/{axis}max") - _number(entry, f"bndbox/{axis}min") for axis in "xy")
        share = min(max(width * height / whole, 0.0), 1.0) if whole > 0 else 0.0
        name = composed(entry.findtext("name", ""))
        if not name or len(entry.findall("name")) > 1:
            found = "several names, allowed: one, and an object for each" if name else "no name"
            raise DataError(f"{path}: object {len(objects) + 1} has {found}")
        objects.append((name, difficult == "1", share))
    return objects


def _parse(content: bytes) -> ElementTree.Element:
    """Return an annotation's top element, in whatever encoding that Python knows, names without their namespaces."""
    from xml.etree import ElementTree

    declared = DECLARED.match(content)
    if declared and declared[1].lower() not in {b"utf-8", b"utf8", b"utf-16", b"us-ascii"}:
        # The parser itself knows few encodings; a declaration may not stand before text that is decoded.
        top = ElementTree.fromstring(content[declared.end() :].decode(declared[1].decode()))
    else:
        if not declared and content[:2] not in MARKS:
            content.decode()  # where it is not UTF-8, the parser names a character and no encoding
        top = ElementTree.fromstring(content)
    for element in top.iter():
        element.tag = str(element.tag).rpartition("}")[2]
    return top


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
    found: dict[str, list[Path]] = {}
    for name in list_images(folder).images:
        found.setdefault(_stem(name), []).append(folder / name)
    paths = []
    for image in ids:
        files = found.get(image, [folder / f"{image}.jpg"])
        if len(files) > 1 and len(list(same_content(files))) > 1:
            names = " and ".join(printable(path.name) for path in files[:2])
            raise DataError(f"{folder}: {names} differ, and ImageSets/Main names '{image}'. Try: keep one of them")
        paths.append(files[0])
    return FolderImages(tuple(paths), f"ImageSets/Main/*_{split}.txt")


SPEC = DatasetSpec(
    name="voc-folder",
    summary="your own images, in PASCAL VOC's folders with any classes",
    build=build,
    without_absent_labels=DROP_ABSENT,
    options=(K, ODD_NAMES, ABSENT),
    expects=EXPECTS,
    splits=("trainval", "train", "val", "test"),
    source="docs/your-data.md",
)
