"""`bench run --model cnn-rnn --dataset voc2007` from nothing: the archives, the run, and the row of Table 4."""

import hashlib
import io
import tarfile
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from bench_datasets.voc2007 import CLASSES
from example_commands import bench
from PIL import Image

from bench import plugins

IMAGES = {"trainval": range(1, 41), "test": range(41, 61)}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def official_archive(path, split):
    """A tar file as the VOC's owners publish it, of few photographs."""
    with tarfile.open(path, "w") as archive:

        def add(name, content):
            entry = tarfile.TarInfo(f"VOCdevkit/VOC2007/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))

        for number in IMAGES[split]:
            picture, shown = io.BytesIO(), (CLASSES[number % 20], CLASSES[(number + 1) % 20])
            pixels = np.random.default_rng(number).integers(0, 256, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(picture, "JPEG")
            add(f"JPEGImages/{number:06}.jpg", picture.getvalue())
            objects = "".join(f"<object><name>{name}</name><difficult>0</difficult></object>" for name in shown)
            add(f"Annotations/{number:06}.xml", f"<annotation>{objects}</annotation>".encode())
        add(f"ImageSets/Main/{split}.txt", "".join(f"{number:06}\n" for number in IMAGES[split]).encode())
        for label, name in enumerate(CLASSES):
            rows = (
                f"{number:06} {1 if label in {number % 20, (number + 1) % 20} else -1:2}" for number in IMAGES[split]
            )
            add(f"ImageSets/Main/{name}_{split}.txt", "\n".join(rows).encode())


@pytest.fixture
def site(tmp_path, monkeypatch):
    """The official site, on this machine: ``voc2007``'s archives are small ones there. Yields its folder."""
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    registry = plugins.installed()
    found, archives = registry.dataset("voc2007"), []
    for official, split in zip(found.spec.archives, IMAGES, strict=True):
        name = official.url.rsplit("/", 1)[1]
        official_archive(folder / name, split)
        content = (folder / name).read_bytes()
        hashes = {"md5": hashlib.md5(content).hexdigest(), "sha256": hashlib.sha256(content).hexdigest()}
        url = f"http://127.0.0.1:{server.server_port}/{name}"
        archives.append(replace(official, url=url, size=len(content), **hashes))
    changed = replace(found, spec=replace(found.spec, archives=tuple(archives)))
    monkeypatch.setitem(registry.all(plugins.DATASETS), "voc2007", changed)
    monkeypatch.setattr(plugins, "installed", lambda: registry)
    yield folder
    server.shutdown()
    server.server_close()


def test_the_owners_command_leads_from_nothing_to_the_row_of_table_4(site, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ("run", "--model", "cnn-rnn", "--dataset", "voc2007")
    assert bench(*command) == 2
    assert "Try: bench data download voc2007 --out DIR (" in capsys.readouterr().err
    assert bench("data", "download", "voc2007", "--out", "voc") == 0
    printed = capsys.readouterr().out
    assert "GB to fetch, about 0 minutes at 10 MB/s" in printed
    assert printed.count("SHA-256 as published") == 2
    assert "next        bench data verify voc2007 --data-root voc\n" in printed
    assert "            bench run --model cnn-rnn --dataset voc2007 --data-root voc\n" in printed
    fast = ("--set", "epochs=1", "--set", "backbone.init=random", "--set", "backbone.size=32", "--cache", "cache")
    fast += ("--backbone", "torchvision/mobilenet_v3_small", "--engine", "torch")
    assert bench(*command, "--data-root", "voc", *fast) == 0
    assert bench("table", "4") == 0
    printed = capsys.readouterr().out
    assert "CNN-RNN" in printed
    assert "CNN-RNN         78.6  84.0  not run: no data" not in printed


def test_an_archive_of_another_content_is_refused_and_the_command_begins_again(site, tmp_path, capsys):
    (name,) = (path for path in site.iterdir() if "test" in path.name)
    whole = name.read_bytes()
    name.write_bytes(whole[:-1024] + bytes(1023) + b"x")
    assert bench("data", "download", "voc2007", "--out", tmp_path / "voc") == 2
    assert "expected" in capsys.readouterr().err
    name.write_bytes(whole)
    assert bench("data", "download", "voc2007", "--out", tmp_path / "voc") == 0
    assert (tmp_path / "voc" / "VOCdevkit" / "VOC2007" / "JPEGImages" / "000060.jpg").is_file()


def test_a_disk_without_room_is_told_before_anything_is_fetched(site, tmp_path, capsys, monkeypatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(1, 1, 1000))
    assert bench("data", "download", "voc2007", "--out", tmp_path / "voc") == 2
    assert "free, voc2007 takes" in capsys.readouterr().err
    assert not (tmp_path / "voc" / "downloads").exists()
