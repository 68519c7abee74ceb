"""Readers of what holds many images or labels in one file: shards, cells of lists, archives."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from random import Random

from faults import mutations
from faults.targets.target import Opened, parquet, picture, tar, target, zipped


@target("tar-shard", mutations.of_tar)
def _(root: Path) -> Opened:
    from bench_datasets.tar_shards import read_index

    path, image = root / "train-0.tar", picture()

    def read(content: bytes, deep: bool) -> object:
        path.write_bytes(content)
        return read_index(path)

    return [
        tar({"a.png": image, "a.json": b'{"labels": ["cat", "dog"]}', "b.png": image, "b.json": b'{"labels": [0, 1]}'}),
        tar({"x/a.jpg": image, "x/a.cls": b"1 2", "x/a.seg.png": image, "README": b"text"}),
        tar({"a.png": image, "a.txt": b"cat\ndog\n", "é" * 60 + ".png": image, "é" * 60 + ".txt": b"cat"}),
    ], read


@target("picture-archive", mutations.of_tar)
def _(root: Path) -> Opened:
    """Pictures in a tar archive, as ``bench predict`` is given them."""
    from bench.data.sources import sources

    path, image = root / "pictures.tar", picture()

    def read(content: bytes, deep: bool) -> object:
        path.write_bytes(content)
        return [source.name for source in sources([str(path)], None)]

    members = {"a.png": image, "b/c.jpg": picture("JPEG"), "notes.txt": b"text", "é" * 60 + ".png": image}
    return [tar(members), gzip.compress(tar(members), 1)], read


@target("cells", mutations.of_bytes)
def _(root: Path) -> Opened:
    from bench_datasets.cells import canonical, looks_like_a_list, parse_list, truth

    def read(content: bytes, deep: bool) -> object:
        text = content.decode("utf-8", "replace")
        return looks_like_a_list(text), parse_list(text), canonical(text), truth(text, {"yes": 1})

    return [b"['Action', 'Drama']", b'["a", "b"]', b"[1 2 3]", b"{'a', 'b'}", b"(1, 2.0, None, True)", b"'a'"], read


@target("parquet", mutations.of_bytes)
def _(root: Path) -> Opened:
    from bench_datasets.parquet_check import read_all
    from bench_datasets.parquet_shards import read_checked

    path = root / "train-0.parquet"
    images = [{"bytes": picture(kind), "path": "a.png"} for kind in ("PNG", "JPEG", "GIF")]
    columns = {"image": images, "labels": [["cat"], ["dog", "cat"], []]}

    def read(content: bytes, deep: bool) -> object:
        path.write_bytes(content)
        read_all([str(path)], "", "")  # by a process of its own elsewhere, which it may end
        part, found = read_checked("train", [path], "", "")
        return [part.images.encoded(row) for row in range(min(len(part.images), 4))], found

    options = ({}, {"compression": "none", "use_dictionary": False}, {"data_page_version": "2.0"})
    return [parquet(columns, **each) for each in options], read


def _of_archive(content: bytes, draw: Random) -> bytes:
    if content[:2] == b"PK":
        return mutations.of_zip(mutations.of_bytes)(content, draw)
    return mutations.of_tar(content, draw) if content[257:262] == b"ustar" else mutations.of_bytes(content, draw)


@target("archive", _of_archive)
def _(root: Path) -> Opened:
    from bench.data.unpack import extract

    path, unpacked = root / "archive", root / "unpacked"

    def read(content: bytes, deep: bool) -> object:
        path.write_bytes(content)
        try:
            return extract(path, unpacked)
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)

    members = {"a/b.txt": b"text" * 50, "c.jpg": picture("JPEG")}
    return [zipped(members), tar(members), gzip.compress(tar(members), 1)], read
