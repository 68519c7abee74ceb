"""Readers of predictions that ``bench score`` is given, and their alignment with a data set."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from faults import mutations
from faults.targets.target import Opened, npy, npz, parquet, split, target

IDS, LABELS = ("a.jpg", "b.jpg", "c.jpg"), ("cat", "dog")
SCORES = [[0.1, 0.9], [0.8, 0.25], [0.5, 0.75]]


def _aligned() -> Callable[[object], object]:
    """Return what aligns predictions with a small test part, as probabilities and as label sets."""
    from bench.data.images import MissingImages
    from bench.errors import BenchError
    from bench.external.align import Reading, aligned
    from bench.records import Split

    part = Split("toy", "test", IDS, LABELS, np.eye(3, 2, dtype=np.bool_), MissingImages(IDS, "none"))
    others = {"train": ("x.jpg",)}
    readings = [
        Reading("probability"),
        Reading("logit", "number", 0.0, largest=True),
        Reading("labels", "stem", largest=True),
    ]

    def align(given: object) -> object:
        refused, found = None, []
        for reading in readings:
            try:
                found.append(aligned(given, part, reading, others))
            except BenchError as error:
                refused = error
        if refused is not None and not found:
            raise refused
        return found

    return align


def _reader(name: str) -> Callable[[bytes, bool], object]:
    """Return what reads files whose names end so, and aligns what they hold."""
    from bench.external.given import Names
    from bench.external.read import READERS

    align, parse = _aligned(), READERS[f".{name}"] or _mapped
    given = Names(LABELS), Names(LABELS, IDS, LABELS, {"1": "cat", "2": "dog"})

    def read(content: bytes, deep: bool) -> object:
        from bench.errors import BenchError

        with contextlib.suppress(BenchError):
            align(parse(content, f"scores.{name}", given[0]))
        return align(parse(content, f"scores.{name}", given[1]))

    return read


def _mapped(content: bytes, place: str, names: Any) -> object:
    """Return what a file is read as that is memory-mapped; what is mapped outlives its name."""
    from bench.external.arrays import map_npy

    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        file.write(content)
        file.flush()
        return map_npy(Path(file.name), names)


@target("scores-csv", mutations.of_lines)
def _(root: Path) -> Opened:
    wide = "\n".join(["id,cat,dog", *(f"{one},{row[0]},{row[1]}" for one, row in zip(IDS, SCORES, strict=True))])
    pairs = ["image,label,score", *(f"{one},{label},0.5" for one in IDS for label in LABELS)]
    sets = ["image,labels", "a.jpg,cat;dog", "b.jpg,", 'c.jpg,"dog"']
    return [wide.encode(), "\n".join(pairs).encode(), "\n".join(sets).encode()], _reader("csv")


@target("scores-json", mutations.of_json)
def _(root: Path) -> Opened:
    coco = [{"image_id": one, "category_id": 1 + place, "score": 0.5} for one in IDS for place in range(2)]
    forms = (
        coco,
        [{"image": one, "label": label, "score": 0.25} for one in IDS for label in LABELS],
        {one: dict(zip(LABELS, row, strict=True)) for one, row in zip(IDS, SCORES, strict=True)},
        dict(zip(IDS, SCORES, strict=True)),
        {"a.jpg": ["cat"], "b.jpg": [], "c.jpg": ["cat", "dog"]},
        {"ids": IDS, "labels": LABELS, "scores": SCORES, "kind": "probability"},
    )
    return [json.dumps(form).encode() for form in forms], _reader("json")


@target("scores-npy", mutations.of_npy)
def _(root: Path) -> Opened:
    return [npy(np.array(SCORES, np.float32)), npy(np.array(SCORES)), npy(np.eye(3, 2, dtype=np.bool_))], _reader("npy")


@target("scores-npz", mutations.of_zip(mutations.of_npy))
def _(root: Path) -> Opened:
    named = npz(ids=np.array(IDS), labels=np.array(LABELS), scores=np.array(SCORES), kind=np.array("probability"))
    return [named, npz(ids=np.array(IDS), scores=np.array(SCORES, np.float16))], _reader("npz")


@target("scores-parquet", mutations.of_bytes)
def _(root: Path) -> Opened:
    """By this process, which one of them may end; elsewhere by a process of its own first."""
    from bench.external import tables
    from bench.external.given import Names

    align, names = _aligned(), Names(LABELS)

    def read(content: bytes, deep: bool) -> object:
        return align(tables.of_parquet(content, "scores.parquet", names))

    columns = {"id": IDS, **{label: [row[place] for row in SCORES] for place, label in enumerate(LABELS)}}
    lists = {"id": IDS, "scores": SCORES}
    sets = {"id": IDS, "labels": [["cat"], [], ["cat", "dog"]]}
    plain = {"compression": "none", "use_dictionary": False}
    return [parquet(columns), parquet(lists, **plain), parquet(sets, data_page_version="2.0")], read


@target("scores-voc", mutations.of_named(lambda name: mutations.of_lines))
def _(root: Path) -> Opened:
    """A result file of the VOC devkit, whose name the first line says, beside one of another class."""
    from bench.external import voc

    align, names = _aligned(), ["comp1_cls_test_cat.txt", "comp1_cls_test_dog.txt"]
    rows = "".join(f"{one} {row[0]}\n" for one, row in zip(IDS, SCORES, strict=True)).encode()

    def read(content: bytes, deep: bool) -> object:
        name, rest = split(content)
        return align(voc.read_folder({Path(names[1]): rows, Path(name or "x"): rest}, "results"))

    return [names[0].encode() + b"\n" + rows], read


@target("scores-labels", mutations.of_named(lambda name: mutations.of_json if name == "x.json" else mutations.of_lines))
def _(root: Path) -> Opened:
    """Names that are given beside predictions: of columns, of category ids, of rows."""
    from bench.external.given import read_lines
    from bench.external.json_files import read_labels

    def read(content: bytes, deep: bool) -> object:
        name, rest = split(content)
        path = root / ("x.json" if name == "x.json" else "x.txt")
        path.write_bytes(rest)
        return read_labels(path) if name == "x.json" else (read_labels(path), read_lines(path))

    categories = {"categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]}
    lists = [json.dumps(form).encode() for form in (LABELS, categories, categories["categories"])]
    return [*(b"x.json\n" + content for content in lists), b"x.txt\ncat\ndog\n"], read
