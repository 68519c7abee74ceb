"""Every reader of what somebody else may have written: its sound inputs, how they are damaged, and how it is asked."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from faults import mutations


@dataclass(frozen=True, slots=True)
class Target:
    """A reader. ``prepare`` fills a folder and returns the seeds; ``read`` is given the folder and an input."""

    name: str
    prepare: Callable[[Path], list[bytes]]
    read: Callable[[Path, bytes], object]
    mutate: Callable[[bytes, Random], bytes] = mutations.of_bytes


TARGETS: dict[str, Target] = {}
FINDINGS = Path(__file__).parent / "findings"
"""Inputs that once raised another error, took too long or too much memory: seeds of campaigns, and tests."""


def target(name: str, mutate: Callable[[bytes, Random], bytes], prepare: Callable[[Path], list[bytes]]):
    """Register what is decorated as the reader ``name``."""

    def register(read: Callable[[Path, bytes], object]) -> Callable[[Path, bytes], object]:
        TARGETS[name] = Target(name, prepare, read, mutate)
        return read

    return register


def findings(name: str) -> list[bytes]:
    """Return the stored findings of a target."""
    return [path.read_bytes() for path in sorted(FINDINGS.glob(f"{name}-*"))]


def picture(kind: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (6, 4), **options: object) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new(mode, size, 1 if mode == "1" else None).save(buffer, format=kind, **options)
    return buffer.getvalue()


def pictures(folder: Path, names: str = "abcd", ending: str = "png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.{ending}").write_bytes(picture("JPEG" if ending == "jpg" else "PNG"))


def build(name: str, root: Path, **options: object) -> object:
    """Return the data set of a first-party reader, with its default options but for ``options``."""
    import importlib

    from bench import DatasetRequest

    spec = importlib.import_module(f"bench_datasets.{name}").SPEC
    defaults = {option.name: option.default for option in spec.options}
    return spec.build(DatasetRequest(defaults | options, root))


TABLE = b"path,labels\na.png,cat;dog\nb.png,dog\nc.png,cat\nd.png,cat\n"
HOT = b"path,cat,dog,age\na.png,1,0,0\nb.png,0,1,1\nc.png,1,,1\nd.png,0,1,0\n"


def _csv(root: Path) -> list[bytes]:
    pictures(root)
    (root / "test.csv").write_bytes(TABLE)
    return [
        TABLE,
        b"path,labels\n\"a.png\",\"['cat', 'dog']\"\nb.png,[\"dog\"]\nc.png,[0 1]\nd.png,{'cat'}\n",
        b'sep=,\npath,labels\n./a.png,cat\n"b.png","cat\n;dog"\n',
        b"\xef\xbb\xbfpath,labels,split\r\na.png,cat,train\r\nb.png,dog,test\r\nc.png,cat,val\r\n",
    ]


@target("csv", mutations.of_lines, _csv)
def _(root: Path, content: bytes) -> object:
    (root / "train.csv").write_bytes(content)
    return build("csv", root)


def _hot(root: Path) -> list[bytes]:
    pictures(root)
    (root / "test.csv").write_bytes(HOT)
    return [HOT, b"path,cat,dog,age\na.png,1.0,True,0\nb.png,,false,1\nc.png,00,01,1\n"]


@target("csv-columns", mutations.of_lines, _hot)
def _(root: Path, content: bytes) -> object:
    (root / "train.csv").write_bytes(content)
    return build("csv", root, labels_column="", values="maybe:ignore,-1:ignore")


COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 6, "height": 4}, {"id": 2, "file_name": "b.png"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2], "area": 4.0},
        {"id": 2, "image_id": 2, "category_id": 2, "bbox": [0, 0, 2, 2]},
        {"id": 3, "image_id": 1, "category_id": 2},
    ],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
}


def _coco(root: Path) -> list[bytes]:
    pictures(root / "images")
    (root / "test.json").write_text(json.dumps(COCO))
    return [json.dumps(COCO).encode()]


@target("coco-json", mutations.of_json, _coco)
def _(root: Path, content: bytes) -> object:
    (root / "train.json").write_bytes(content)
    return build("coco_json", root)


def _jsonl(root: Path) -> list[bytes]:
    for part in ("train", "test"):
        pictures(root / part)
    lines = [{"file_name": f"{name}.png", "labels": ["cat", "dog"][: 1 + (name < "c")]} for name in "abcd"]
    content = "\n".join(map(json.dumps, lines)).encode()
    (root / "test" / "metadata.jsonl").write_bytes(content)
    return [content]


def _of_jsonl(content: bytes, draw: Random) -> bytes:
    lines = content.split(b"\n")
    at = draw.randrange(len(lines))
    lines[at] = mutations.of_json(lines[at], draw)
    return b"\n".join(lines) if draw.random() < 0.8 else mutations.of_lines(content, draw)


@target("jsonl", _of_jsonl, _jsonl)
def _(root: Path, content: bytes) -> object:
    (root / "train" / "metadata.jsonl").write_bytes(content)
    return build("image_folder", root)


VOC = b"""<?xml version="1.0"?><annotation><filename>a.jpg</filename><size><width>6</width><height>4</height></size>
<object><name>cat</name><difficult>0</difficult><bndbox><xmin>0</xmin><xmax>2</xmax><ymin>1</ymin><ymax>2</ymax></bndbox>
</object><object><name>dog</name></object></annotation>"""


def _voc(root: Path) -> list[bytes]:
    pictures(root / "JPEGImages", ending="jpg")
    for folder in ("ImageSets/Main", "Annotations"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name in "abcd":
        (root / "Annotations" / f"{name}.xml").write_bytes(VOC)
    (root / "ImageSets" / "Main" / "trainval.txt").write_text("a\nb\n")
    (root / "ImageSets" / "Main" / "test.txt").write_text("c\nd\n")
    entities = b'<!DOCTYPE annotation [<!ENTITY x "y"><!ENTITY z "&x;&x;&x;"><!ENTITY e SYSTEM "file:///etc/passwd">]>'
    return [
        VOC,
        VOC.replace(b'<?xml version="1.0"?>', b'<?xml version="1.0" encoding="gb18030"?>'),
        VOC.replace(b"<annotation>", entities + b"<annotation>").replace(b"dog", b"&z;"),
    ]


@target("voc-xml", mutations.of_lines, _voc)
def _(root: Path, content: bytes) -> object:
    (root / "Annotations" / "a.xml").write_bytes(content)
    return build("voc_folder", root)


@target(
    "id-list",
    mutations.of_lines,
    lambda root: [*_voc(root)[:0], b"a\nb\n", b"a 1\nb 1\n", b"JPEGImages/a.jpg\nb.jpg\n"],
)
def _(root: Path, content: bytes) -> object:
    (root / "ImageSets" / "Main" / "trainval.txt").write_bytes(content)
    return build("voc_folder", root)


def _names(root: Path) -> list[bytes]:
    _csv(root)
    (root / "train.csv").write_bytes(b"path,labels\na.png,0 1\nb.png,1\nc.png,0\n")
    return [b"cat\ndog\n", "cat\n\N{SNOWMAN}\n".encode()]


@target("label-names", mutations.of_lines, _names)
def _(root: Path, content: bytes) -> object:
    (root / "labels.txt").write_bytes(content)
    (root / "test.csv").write_bytes((root / "train.csv").read_bytes())
    return build("csv", root, separator=" ")


def _nuswide(root: Path) -> list[bytes]:
    (root / "ImageList").mkdir(exist_ok=True)
    truth = root / "Groundtruth" / "TrainTestLabels"
    truth.mkdir(parents=True, exist_ok=True)
    for part in ("Train", "Test"):
        (root / "ImageList" / f"{part}Imagelist.txt").write_text(f"cat\\{part}1.jpg\ncat\\{part}2.jpg\n")
        for name in ("cat", "dog"):
            (truth / f"Labels_{name}_{part}.txt").write_text("1\n1\n")
    named = (b"Concepts81.txt", b"cat\ndog\n"), (b"ImageList/TrainImagelist.txt", b"cat\\1.jpg\ncat\\2.jpg\n")
    return [
        *(b"\n".join(pair) for pair in named),
        b"Groundtruth/TrainTestLabels/Labels_cat_Train.txt\n1\n0\n",
    ]


@target("nuswide", mutations.of_named(lambda name: mutations.of_lines), _nuswide)
def _(root: Path, content: bytes) -> object:
    from functools import partial

    from bench_datasets import nuswide

    from bench import DatasetRequest

    name, _, rest = content.partition(b"\n")
    path = root / name.decode()
    before = path.read_bytes() if path.is_file() else b""
    path.write_bytes(rest)
    defaults = {option.name: option.default for option in nuswide.OPTIONS}
    try:
        return partial(nuswide.build, "concepts")(DatasetRequest(defaults, root))
    finally:
        path.write_bytes(before)


def tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _tar(root: Path) -> list[bytes]:
    image = picture()
    return [
        tar({"a.png": image, "a.json": b'{"labels": ["cat", "dog"]}', "b.png": image, "b.json": b'{"labels": [0, 1]}'}),
        tar({"x/a.jpg": image, "x/a.cls": b"1 2", "x/a.seg.png": image, "README": b"text"}),
        tar({"a.png": image, "a.txt": b"cat\ndog\n", "é" * 60 + ".png": image, "é" * 60 + ".txt": b"cat"}),
    ]


@target("tar-shard", mutations.of_tar, _tar)
def _(root: Path, content: bytes) -> object:
    from bench_datasets.tar_shards import read_index

    (root / "train-0.tar").write_bytes(content)
    return read_index(root / "train-0.tar")


def _cells(root: Path) -> list[bytes]:
    return [b"['Action', 'Drama']", b'["a", "b"]', b"[1 2 3]", b"{'a', 'b'}", b"(1, 2.0, None, True)", b"'a'"]


@target("cells", mutations.of_bytes, _cells)
def _(root: Path, content: bytes) -> object:
    from bench_datasets.cells import canonical, looks_like_a_list, parse_list, truth

    text = content.decode("utf-8", "replace")
    return looks_like_a_list(text), parse_list(text), canonical(text), truth(text, {"yes": 1})


def _parquet(root: Path) -> list[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    images = [picture(), picture("JPEG"), picture("GIF")]
    found = []
    for options in ({}, {"compression": "none", "use_dictionary": False}, {"data_page_version": "2.0"}):
        table = pa.table(
            {
                "image": [{"bytes": image, "path": "a.png"} for image in images],
                "labels": [["cat"], ["dog", "cat"], []],
            }
        )
        buffer = io.BytesIO()
        pq.write_table(table, buffer, row_group_size=2, **options)
        found.append(buffer.getvalue())
    return found


@target("parquet", mutations.of_bytes, _parquet)
def _(root: Path, content: bytes) -> object:
    from bench_datasets.parquet_check import read_all
    from bench_datasets.parquet_shards import read_checked

    (root / "train-0.parquet").write_bytes(content)
    read_all(root / "train-0.parquet", "", "")  # by a process of its own elsewhere, which it may end
    part, columns = read_checked("train", [root / "train-0.parquet"], "", "")
    return [part.images.encoded(row) for row in range(min(len(part.images), 4))], columns


def npz(**arrays: object) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def npy(array: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _npz(root: Path) -> list[bytes]:
    return [
        npz(truth=np.arange(12, dtype=np.uint8).reshape(4, 3), run=np.array("key")),
        npz(a=np.asfortranarray(np.ones((2, 3))), b=np.array(["x", "yz"]), c=np.zeros((0, 2), np.float16)),
    ]


@target("npz", mutations.of_zip(mutations.of_npy), _npz)
def _(root: Path, content: bytes) -> object:
    """Through a sealed folder, which names the file."""
    from bench.store.sealed import SealedFolder
    from bench.system.npz import load_npz

    folder = SealedFolder(root)
    (root / "truth.npz").write_bytes(content)
    return folder.parse("truth.npz", lambda: load_npz(content))


def _feature(root: Path) -> list[bytes]:
    file = _feature_file(root)
    with file.writing(root / "key.part") as writing:
        for block in writing.missing:
            writing.write(block, np.ones((len(file.rows_of(block)), 3), np.float32))
    return [file.path.read_bytes(), npy(np.ones((5, 3), np.float32))]


def _feature_file(root: Path):
    from bench.model.feature_file import FeatureFile

    return FeatureFile(root / "key.npy", "key", 5, (3,), 2)


@target("feature-file", mutations.of_npy, _feature)
def _(root: Path, content: bytes) -> object:
    file = _feature_file(root)
    file.path.write_bytes(content)
    found = file.open()
    # What is read back is what was written, or it is not read.
    assert found is None or np.array_equal(found, np.ones((5, 3)))
    return found


def _sealed(root: Path) -> list[bytes]:
    from bench.system.sealed_files import write_sealed

    write_sealed(root / "file", "key", b"content")
    return [(root / "file").read_bytes()]


@target("sealed-file", mutations.of_bytes, _sealed)
def _(root: Path, content: bytes) -> object:
    from bench.system.sealed_files import read_sealed

    (root / "file").write_bytes(content)
    found = read_sealed(root / "file", "key")
    assert found in {None, b"content"}
    return found


RECORDS = ("npz", "json", "npy", "safetensors")


def _of_record(name: str) -> Callable[[bytes, Random], bytes]:
    by_ending = {
        "npz": mutations.of_zip(mutations.of_npy),
        "json": mutations.of_json,
        "npy": mutations.of_npy,
        "safetensors": mutations.of_safetensors,
    }
    return by_ending.get(name.rpartition(".")[2], mutations.of_bytes)


def _run(root: Path) -> list[bytes]:
    from example_runs import make_honest, make_run

    folder = make_honest(make_run(root / "runs", "cnn-rnn"))
    names = sorted(folder._files.manifest()["files"])
    return [name.encode() + b"\n" + (folder.path / name).read_bytes() for name in names]


@target("run-record", mutations.of_named(_of_record), _run)
def _(root: Path, content: bytes) -> object:
    """Sealed anew, as a run that somebody hands over may be; read by all that reads a store."""
    from bench.show import tables
    from bench.store.run_folder import RunFolder
    from bench.store.runs import find
    from bench.store.sealed import SealedFolder
    from bench.store.validate import verdict

    (folder,) = find(root / "runs")
    files = SealedFolder(folder.path)
    name, _, rest = content.partition(b"\n")
    name = name.decode("utf-8", "replace")
    kept = {
        each: (folder.path / each).read_bytes() for each in ("manifest.json", name) if (folder.path / each).exists()
    }
    if name not in kept:
        return None
    if name.endswith(".json") and name not in {"config.json", "ids.json", "labels.json", "manifest.json"}:
        try:
            value = json.loads(rest)
            rest = json.dumps(value | {"run": files.key}).encode() if isinstance(value, dict) else rest
        except (ValueError, RecursionError):
            pass
    try:
        _write_sealed(files, name, rest)
        # What computes every measure again is slow, and is asked one time in eight.
        _read_all(folder, tables, verdict, zlib.crc32(content) % 8 == 0)
    finally:
        for each, before in kept.items():
            (folder.path / each).write_bytes(before)
    return RunFolder


def _write_sealed(files: object, name: str, content: bytes) -> None:
    """Write a file and its hash in the manifest, without the flushing that costs a campaign its speed."""
    import hashlib

    path = files.path / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["files"][name] = hashlib.sha256(content).hexdigest()
    (files.path / name).write_bytes(content)
    path.write_text(json.dumps(manifest))


def _read_all(folder: object, tables: object, verdict: Callable[[object], object], thoroughly: bool = True) -> None:
    from bench.errors import BenchError

    reads = (
        *(folder.request, folder.read_about, folder.read_environment, folder.read_truth, folder.read_masks),
        *(folder.read_outcome, folder.read_sizes, folder.read_training, folder.read_weights, folder.read_scores),
        *(folder.read_predicted, folder.read_label_sets, folder.read_validation, folder.read_measures),
        *(folder.read_timings, folder.exhibits.gallery, folder.exhibits.trees, folder.exhibits.label_space),
        folder.exhibits.attention,
        lambda: folder.config,
        lambda: folder.done,
    )
    if thoroughly:
        reads += (lambda: verdict(folder), lambda: tables.build([folder.summary()]))
    refused = None
    for read in reads:
        try:
            read()
        except BenchError as error:
            refused = error
    if refused is not None:
        raise refused


def _manifest(root: Path) -> list[bytes]:
    _run(root)
    return [next((root / "runs").glob("*/*/*/manifest.json")).read_bytes()]


@target("run-manifest", mutations.of_json, _manifest)
def _(root: Path, content: bytes) -> object:
    from bench.show import tables
    from bench.store.runs import find
    from bench.store.validate import verdict

    (folder,) = find(root / "runs")
    (folder.path / "manifest.json").write_bytes(content)
    _read_all(folder, tables, verdict)


def _safetensors(root: Path) -> list[bytes]:
    from safetensors.numpy import save

    arrays = {"0.weight": np.ones((3, 4), np.float32), "0.bias": np.ones(3, np.float32)}
    return [save(arrays), save(arrays, metadata={"bench": json.dumps({"architecture": "resnet18"})})]


@target("safetensors", mutations.of_safetensors, _safetensors)
def _(root: Path, content: bytes) -> object:
    from bench_backbones.described import metadata
    from bench_backbones.weights import load_file

    (root / "weights.safetensors").write_bytes(content)
    metadata(root / "weights.safetensors")
    return load_file(root / "weights.safetensors")


def _described(root: Path) -> list[bytes]:
    (root / "model.safetensors").write_bytes(_safetensors(root)[0])
    return [
        json.dumps(
            {
                "architecture": "resnet18",
                "pretrained_cfg": {
                    "input_size": [3, 224, 224],
                    "mean": [0.5, 0.5, 0.5],
                    "std": [1, 1, 1],
                    "crop_pct": 0.9,
                },
            }
        ).encode()
    ]


@target("weights-config", mutations.of_json, _described)
def _(root: Path, content: bytes) -> object:
    from bench_backbones.described import describe

    (root / "config.json").write_bytes(content)
    return describe(root)


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _archives(root: Path) -> list[bytes]:
    import gzip

    members = {"a/b.txt": b"text" * 50, "c.jpg": picture("JPEG")}
    return [zipped(members), tar(members), gzip.compress(tar(members))]


def _of_archive(content: bytes, draw: Random) -> bytes:
    if content[:2] == b"PK":
        return mutations.of_zip(mutations.of_bytes)(content, draw)
    return mutations.of_tar(content, draw) if content[257:262] == b"ustar" else mutations.of_bytes(content, draw)


@target("archive", _of_archive, _archives)
def _(root: Path, content: bytes) -> object:
    import shutil

    from bench.data.unpack import extract

    (root / "archive").write_bytes(content)
    try:
        return extract(root / "archive", root / "unpacked")
    finally:
        shutil.rmtree(root / "unpacked", ignore_errors=True)


def _pictures(root: Path) -> list[bytes]:
    kinds = [
        ("PNG", "RGB"),
        ("PNG", "P"),
        ("PNG", "I;16"),
        ("JPEG", "RGB"),
        ("JPEG", "CMYK"),
        ("GIF", "P"),
        ("BMP", "RGB"),
    ]
    kinds += [
        ("TIFF", "RGB"),
        ("TIFF", "F"),
        ("WEBP", "RGBA"),
        ("PPM", "L"),
        ("TGA", "RGBA"),
        ("ICO", "RGBA"),
        ("PCX", "P"),
    ]
    kinds += [("JPEG2000", "RGB"), ("AVIF", "RGB"), ("DDS", "RGBA"), ("SGI", "RGB"), ("QOI", "RGB"), ("MPO", "RGB")]
    found = []
    for kind, mode in kinds:
        try:
            found.append(picture(kind, mode, (16, 16)))
        except (KeyError, OSError, ValueError):
            continue  # this Pillow does not write it
    return found


@target("picture", mutations.of_bytes, _pictures)
def _(root: Path, content: bytes) -> object:
    from bench.data.pictures import ImageBytes, read_rgb

    return read_rgb(ImageBytes(content, "picture"))


@target(
    "trial",
    mutations.of_json,
    lambda root: [b'{"options": {}, "score": 0.5, "rates": [0.1], "reason": "", "seconds": 1.0}'],
)
def _(root: Path, content: bytes) -> object:
    from example_runs import run_config

    from bench.system.sealed_files import write_sealed
    from bench.trials.files import TrialFile

    file = TrialFile(root, run_config())
    write_sealed(file.path, file.key, content)
    return file.read()


@target("option", mutations.of_bytes, lambda root: [b"epochs=3", b"cell=gru", b"dropout=0.5", b"order=frequent"])
def _(root: Path, content: bytes) -> object:
    """What stands behind ``--set``."""
    from bench_models.cnn_rnn import SPEC

    from bench.options import resolve

    text = content.decode("utf-8", "replace")
    name, _, value = text.partition("=")
    return resolve(SPEC.options, {name: value}, "model cnn-rnn")
