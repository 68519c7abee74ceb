"""Readers of data sets as people keep them: tables, JSON, XML and lists."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from faults import mutations
from faults.targets.target import Opened, builder, pictures, split, target

TABLE = b"path,labels\na.png,cat;dog\nb.png,dog\nc.png,cat\nd.png,cat\n"
HOT = b"path,cat,dog,age\na.png,1,0,0\nb.png,0,1,1\nc.png,1,,1\nd.png,0,1,0\n"


@target("csv", mutations.of_lines, every=64)
def _(root: Path) -> Opened:
    from bench_datasets import csv
    from bench_datasets.label_values import named
    from bench_datasets.own_images import Part
    from bench_datasets.tables import Layout, read_table

    pictures(root)
    (root / "test.csv").write_bytes(TABLE)
    whole, layout, path = builder("csv", root), Layout("path", "labels", "split", ","), root / "train.csv"
    options = {option.name: option.default for option in csv.SPEC.options}

    def read(content: bytes, deep: bool) -> object:
        path.write_bytes(content)
        if deep:
            return whole()
        rows = [csv._inside(root, row, False) for row in read_table(path, layout).rows]
        part = Part("train", (), [row.labels for row in rows], None, lambda number: rows[number].place)
        return named({"train": part}, (), options)

    return [
        TABLE,
        b"path,labels\n\"a.png\",\"['cat', 'dog']\"\nb.png,[\"dog\"]\nc.png,[0 1]\nd.png,{'cat'}\n",
        b'sep=,\npath,labels\n./a.png,cat\n"b.png","cat\n;dog"\n',
        b"\xef\xbb\xbfpath,labels,split\r\na.png,cat,train\r\nb.png,dog,test\r\nc.png,cat,val\r\n",
    ], read


@target("csv-columns", mutations.of_lines, every=64)
def _(root: Path) -> Opened:
    from bench_datasets.cells import meanings
    from bench_datasets.tables import Layout, check_label_columns, read_table

    pictures(root)
    (root / "test.csv").write_bytes(HOT)
    values = "maybe:ignore,-1:ignore"
    whole, path = builder("csv", root, labels_column="", values=values), root / "train.csv"
    layout = Layout("path", "", "split", ",", values=meanings({"values": values}))

    def read(content: bytes, deep: bool) -> object:
        path.write_bytes(content)
        if deep:
            return whole()
        return check_label_columns([read_table(path, layout)], layout, path)

    return [HOT, b"path,cat,dog,age\na.png,1.0,True,0\nb.png,,false,1\nc.png,00,01,1\n"], read


COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 6, "height": 4}, {"id": 2, "file_name": "b.png"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2], "area": 4.0},
        {"id": 2, "image_id": 2, "category_id": 2, "bbox": [0, 0, 2, 2]},
        {"id": 3, "image_id": 1, "category_id": 2},
    ],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
}


@target("coco-json", mutations.of_json, every=64)
def _(root: Path) -> Opened:
    from bench_datasets.coco_json import read_split

    pictures(root / "images")
    (root / "test.json").write_text(json.dumps(COCO))
    whole, path, absent = builder("coco_json", root), root / "train.json", (root / "absent",)
    labels_alone = partial(read_split, "coco-json", "train", path, absent, keep_unlabelled=False, expects="a file")

    def read(content: bytes, deep: bool) -> object:
        path.write_bytes(content)
        return whole() if deep else labels_alone(root=root)

    return [json.dumps(COCO).encode()], read


@target("jsonl", mutations.of_json_lines, every=64)
def _(root: Path) -> Opened:
    from bench_datasets import image_folder
    from bench_datasets.label_values import named
    from bench_datasets.own_images import Part

    for part in ("train", "test"):
        pictures(root / part)
    lines = [{"file_name": f"{name}.png", "labels": ["cat", "dog"][: 1 + (name < "c")]} for name in "abcd"]
    sound = "\n".join(map(json.dumps, lines)).encode()
    (root / "test" / "metadata.jsonl").write_bytes(sound)
    whole, path = builder("image_folder", root), root / "train" / "metadata.jsonl"
    options = {option.name: option.default for option in image_folder.SPEC.options}

    def read(content: bytes, deep: bool) -> object:
        path.write_bytes(content)
        if deep:
            return whole()
        rows, _, _ = image_folder._read_json_lines(path, keep=False)
        part = Part("train", (), [row.labels for row in rows], None, lambda number: rows[number].place)
        return named({"train": part}, (), options)

    return [sound], read


VOC = b"""<?xml version="1.0"?><annotation><filename>a.jpg</filename><size><width>6</width><height>4</height></size>
<object><name>cat</name><difficult>0</difficult><bndbox><xmin>0</xmin><xmax>2</xmax><ymin>1</ymin><ymax>2</ymax></bndbox>
</object><object><name>dog</name></object></annotation>"""


def _voc(root: Path) -> None:
    pictures(root / "JPEGImages", ending="jpg")
    for folder in ("ImageSets/Main", "Annotations"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name in "abcd":
        (root / "Annotations" / f"{name}.xml").write_bytes(VOC)
    (root / "ImageSets" / "Main" / "trainval.txt").write_text("a\nb\n")
    (root / "ImageSets" / "Main" / "test.txt").write_text("c\nd\n")


@target("voc-xml", mutations.of_lines, every=128)
def _(root: Path) -> Opened:
    from bench_datasets import voc_folder

    _voc(root)
    whole, path = builder("voc_folder", root), root / "Annotations" / "a.xml"

    def read(content: bytes, deep: bool) -> object:
        path.write_bytes(content)
        return whole() if deep else voc_folder._objects(root, "a", "trainval")

    entities = b'<!DOCTYPE annotation [<!ENTITY x "y"><!ENTITY z "&x;&x;&x;"><!ENTITY e SYSTEM "file:///etc/passwd">]>'
    return [
        VOC,
        VOC.replace(b'<?xml version="1.0"?>', b'<?xml version="1.0" encoding="gb18030"?>'),
        VOC.replace(b"<annotation>", entities + b"<annotation>").replace(b"dog", b"&z;"),
    ], read


@target("id-list", mutations.of_lines, every=128)
def _(root: Path) -> Opened:
    from bench_datasets import voc_folder

    _voc(root)
    whole, path = builder("voc_folder", root), root / "ImageSets" / "Main" / "trainval.txt"

    def read(content: bytes, deep: bool) -> object:
        path.write_bytes(content)
        return whole() if deep else voc_folder._listed(root, "trainval")

    return [b"a\nb\n", b"a 1\nb 1\n", b"JPEGImages/a.jpg\nb.jpg\n"], read


@target("label-names", mutations.of_lines, every=64)
def _(root: Path) -> Opened:
    from bench_datasets import csv
    from bench_datasets.label_lists import read_names
    from bench_datasets.label_names import check

    pictures(root)
    for part in ("train", "test"):
        (root / f"{part}.csv").write_bytes(b"path,labels\na.png,0 1\nb.png,1\nc.png,0\n")
    whole, path = builder("csv", root, separator=" "), root / "labels.txt"
    options = {option.name: option.default for option in csv.SPEC.options}

    def read(content: bytes, deep: bool) -> object:
        path.write_bytes(content)
        return whole() if deep else check(dict.fromkeys(read_names(path), str(path)), (), options, separator=None)

    return [b"cat\ndog\n", "cat\n\N{SNOWMAN}\n".encode()], read


@target("nuswide", mutations.of_named(lambda name: mutations.of_lines), every=64)
def _(root: Path) -> Opened:
    """A file of the folder, which the first line names; it is put back behind each input that was read whole."""
    from bench_datasets import nuswide
    from bench_datasets.label_lists import read_names

    from bench import DatasetRequest

    truth = root / "Groundtruth" / "TrainTestLabels"
    for folder in (root / "ImageList", truth):
        folder.mkdir(parents=True, exist_ok=True)
    for part in ("Train", "Test"):
        (root / "ImageList" / f"{part}Imagelist.txt").write_text(f"cat\\{part}1.jpg\ncat\\{part}2.jpg\n")
        for name in ("cat", "dog"):
            (truth / f"Labels_{name}_{part}.txt").write_text("1\n1\n")
    (root / "Concepts81.txt").write_text("cat\ndog\n")
    request = DatasetRequest({option.name: option.default for option in nuswide.OPTIONS}, root)
    readers = {
        "Concepts81.txt": read_names,
        "ImageList/TrainImagelist.txt": lambda path: nuswide._image_list(root, path.name),
        "Groundtruth/TrainTestLabels/Labels_cat_Train.txt": lambda path: nuswide._matrix(path, 1, 2, "a list"),
    }
    kept = {name: (root / name).read_bytes() for name in readers}

    def read(content: bytes, deep: bool) -> object:
        name, rest = split(content)
        if name not in readers:
            return None
        path = root / name
        path.write_bytes(rest)
        try:
            return nuswide.build("concepts", request) if deep else readers[name](path)
        finally:
            if deep:
                path.write_bytes(kept[name])

    return [f"{name}\n".encode() + content for name, content in kept.items()], read
