"""Readers of single files: arrays, caches, pictures, weights, and what stands behind ``--set``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from faults import mutations
from faults.targets.target import Opened, npy, npz, picture, target


@target("npz", mutations.of_zip(mutations.of_npy))
def _(root: Path) -> Opened:
    """Through a sealed folder, which names the file."""
    from bench.store.sealed import SealedFolder
    from bench.system.npz import load_npz

    folder = SealedFolder(root)

    def read(content: bytes, deep: bool) -> object:
        return folder.parse("truth.npz", lambda: load_npz(content))

    return [
        npz(truth=np.arange(12, dtype=np.uint8).reshape(4, 3), run=np.array("key")),
        npz(a=np.asfortranarray(np.ones((2, 3))), b=np.array(["x", "yz"]), c=np.zeros((0, 2), np.float16)),
    ], read


@target("feature-file", mutations.of_npy)
def _(root: Path) -> Opened:
    from bench.model.feature_file import FeatureFile

    file = FeatureFile(root / "key.npy", "key", 5, (3,), 2)
    with file.writing(root / "key.part") as writing:
        for block in writing.missing:
            writing.write(block, np.ones((len(file.rows_of(block)), 3), np.float32))

    def read(content: bytes, deep: bool) -> object:
        file.path.write_bytes(content)
        found = file.open()
        # What is read back is what was written, or it is not read.
        assert found is None or np.array_equal(found, np.ones((5, 3)))
        return found

    return [file.path.read_bytes(), npy(np.ones((5, 3), np.float32))], read


@target("sealed-file", mutations.of_bytes)
def _(root: Path) -> Opened:
    from bench.system.sealed_files import read_sealed, write_sealed

    path = root / "file"
    write_sealed(path, "key", b"content")

    def read(content: bytes, deep: bool) -> object:
        path.write_bytes(content)
        found = read_sealed(path, "key")
        assert found in {None, b"content"}
        return found

    return [path.read_bytes()], read


@target("safetensors", mutations.of_safetensors)
def _(root: Path) -> Opened:
    from bench_backbones.described import metadata
    from bench_backbones.weights import load_file
    from safetensors.numpy import save

    path = root / "weights.safetensors"
    arrays = {"0.weight": np.ones((3, 4), np.float32), "0.bias": np.ones(3, np.float32)}

    def read(content: bytes, deep: bool) -> object:
        path.write_bytes(content)
        return metadata(path), load_file(path)

    return [save(arrays), save(arrays, metadata={"bench": json.dumps({"architecture": "resnet18"})})], read


@target("weights-config", mutations.of_json)
def _(root: Path) -> Opened:
    from bench_backbones.described import describe
    from safetensors.numpy import save

    (root / "model.safetensors").write_bytes(save({"0.weight": np.ones((3, 4), np.float32)}))
    sizes = {"input_size": [3, 224, 224], "mean": [0.5, 0.5, 0.5], "std": [1, 1, 1], "crop_pct": 0.9}

    def read(content: bytes, deep: bool) -> object:
        (root / "config.json").write_bytes(content)
        return describe(root)

    return [json.dumps({"architecture": "resnet18", "pretrained_cfg": sizes}).encode()], read


FORMATS = {
    **{"PNG": ("RGB", "P", "I;16"), "JPEG": ("RGB", "CMYK"), "GIF": ("P",), "BMP": ("RGB",), "TIFF": ("RGB", "F")},
    **{"WEBP": ("RGBA",), "PPM": ("L",), "TGA": ("RGBA",), "ICO": ("RGBA",), "PCX": ("P",), "JPEG2000": ("RGB",)},
    **{"AVIF": ("RGB",), "DDS": ("RGBA",), "SGI": ("RGB",), "QOI": ("RGB",), "MPO": ("RGB",)},
}


@target("picture", mutations.of_bytes)
def _(root: Path) -> Opened:
    from bench.data.pictures import ImageBytes, read_rgb

    found = []
    for kind, mode in ((kind, mode) for kind, modes in FORMATS.items() for mode in modes):
        try:
            found.append(picture(kind, mode, (16, 16)))
        except (KeyError, OSError, ValueError):
            continue  # this Pillow does not write it

    def read(content: bytes, deep: bool) -> object:
        return read_rgb(ImageBytes(content, "picture"))

    return found, read


@target("option", mutations.of_bytes)
def _(root: Path) -> Opened:
    """What stands behind ``--set``."""
    from bench_models.cnn_rnn import SPEC

    from bench.options import resolve

    def read(content: bytes, deep: bool) -> object:
        name, _, value = content.decode("utf-8", "replace").partition("=")
        return resolve(SPEC.options, {name: value}, "model cnn-rnn")

    return [b"epochs=3", b"cell=gru", b"dropout=0.5", b"order=frequent"], read


@target("goals", mutations.of_bytes, every=2)
def _(root: Path) -> Opened:
    """What stands behind ``--for``."""
    from bench.contracts import goals

    def read(content: bytes, deep: bool) -> object:
        text = content.decode("utf-8", "replace")
        goals.is_goals(text)
        return goals.parse_goal(text) if deep else goals.parse_goals(text)

    return [b"precision>=0.9", b"recall>=0.8,f1", b"dog:precision>=95%", b"O-F1, latency<=5ms"], read
