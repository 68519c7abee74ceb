"""Readers of exported models: manifests sealed anew, descriptions in ONNX files, arrays of the decoder."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from pathlib import Path
from random import Random

import numpy as np
from faults import mutations
from faults.targets.target import Opened, target

LABELS = ("cat", "dog", "cow")


def _array(values: object, kind: str = "float32") -> dict[str, object]:
    found = np.array(values, kind)
    return {"dtype": kind, "shape": list(found.shape), "values": found.ravel().tolist()}


def descriptions() -> list[object]:
    """Return what models of each kind say of themselves, with policies that have thresholds and calibrations."""
    from bench.exported.model_folder import Description
    from bench.exported.policy import ExportedPolicy
    from bench.records import Preprocessing, SearchOptions

    scores = ("logit", Preprocessing(16, 20), "top2@1", 2, False, 0.0, None, None, None)
    ending = ("fp32", "dddd", "aaaa", {"torch": "2.5"})
    thresholds = {"thresholds": _array([0.1, 0.2, 3.0])}
    temperature = thresholds | {"calibration_temperature": _array([1.5], "float64")}
    isotonic = thresholds | {
        "calibration_starts": _array([0, 2], "int64"),
        "calibration_x": _array([0.1, 0.9], "float64"),
        "calibration_y": _array([0.0, 1.0], "float64"),
    }
    goals = [ExportedPolicy("precision>=0.9", state=state) for state in (thresholds, temperature, isotonic)]
    found = [
        Description("bce", "scores", LABELS, *scores, *ending, policy=policy)
        for policy in (None, ExportedPolicy("natural-threshold"), *goals)
    ]
    searched = ("probability", Preprocessing(16, 20), "top2@1", 2, True, None, SearchOptions(), "relu", True)
    found.append(Description("cnn-rnn", "sequence", LABELS, *searched, *ending, annotations=(4, 2, 2)))
    own = "multilabel-bench", "0.1.0"
    states = {"threshold": {"threshold": _array(0.5)}, "at-most-k": {"k": _array(2, "int64"), "threshold": _array(0.5)}}
    plugged = [ExportedPolicy(name, *own, state) for name, state in states.items()]
    return found + [Description("bce", "scores", LABELS, *scores, *ending, policy=policy) for policy in plugged]


def _used(description: object) -> None:
    """Read label sets and probabilities off scores as the description says."""
    from bench.exported.policy import calibrated_by, reader

    scores = np.linspace(0, 1, 2 * len(description.labels), dtype=np.float32).reshape(2, -1)
    if description.policy is None or len(description.labels) > 1000:
        return
    calibrate = calibrated_by(description.policy, description.score_kind)
    if calibrate is not None:
        calibrate(scores)
    read = reader(description.policy, description.k, description.threshold)
    if read is not None:
        read(scores)


@target("onnx-metadata", mutations.of_json)
def _(root: Path) -> Opened:
    """The description in an exported file's metadata, and what is done by it."""
    from bench.exported.model_folder import parse

    def read(content: bytes, deep: bool) -> object:
        return _used(parse(content.decode("utf-8", "replace"), root / "encoder.onnx"))

    return [description.to_json().encode() for description in descriptions()], read


def _of_manifest(content: bytes, draw: Random) -> bytes:
    """Return a manifest changed as JSON is and sealed anew; one time in eight its seal stays."""
    from bench.exported.manifest import _sealed

    changed = mutations.of_json(content, draw)
    if draw.random() < 0.125:
        return changed
    with contextlib.suppress(Exception):  # no object, or one that JSON does not hold
        values = json.loads(changed)
        values.pop("seal", None)
        return _sealed(values).encode()
    return changed


@target("export-manifest", _of_manifest, every=64)
def _(root: Path) -> Opened:
    from bench.exported.manifest import Check, open_whole, read_manifest, write_manifest
    from bench.exported.standalone import predict as program

    for name in ("encoder.onnx", "pixels.onnx"):
        (root / name).write_bytes(b"network")
    path, seeds = root / "manifest.json", []
    checks = (Check("image files = stored scores", "relative", 1e-4, 1e-6, 4, 2), Check("x", "images", 0.1, None))
    for description in descriptions():
        write_manifest(root, description, checks)
        seeds.append(path.read_bytes())

    def read(content: bytes, deep: bool) -> object:
        path.write_bytes(content)
        with contextlib.suppress(program.Refused):  # what the folder's own program says of it
            program.read_manifest(root)
        found = open_whole(root) if deep else read_manifest(root)
        _used(found.description)
        return [(check.passed, check.excess, check.at, check.of, asdict(check)) for check in found.checks]

    return seeds, read


@target("onnx-file", mutations.of_bytes)
def _(root: Path) -> Opened:
    """A network in an exported folder, small and damaged, as ONNX Runtime takes it."""
    import onnx
    from onnx import TensorProto, helper

    from bench.exported.engine import describe
    from bench.onnx.sessions import open_session

    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 3])
    weight = helper.make_tensor("weight", TensorProto.FLOAT, [3, 3], np.eye(3, dtype=np.float32).ravel())
    nodes = [
        helper.make_node("MatMul", ["pixels", "weight"], ["product"]),
        helper.make_node("Relu", ["product"], ["scores"]),
    ]
    graph = helper.make_graph(nodes, "graph", [pixels], [scores], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"multilabel-bench": descriptions()[0].to_json()})
    assert onnx.checker.check_model(model) is None

    def read(content: bytes, deep: bool) -> object:
        return describe(open_session(content, threads=1), root / "encoder.onnx")

    return [model.SerializeToString()], read


@target("decoder-arrays", mutations.of_safetensors)
def _(root: Path) -> Opened:
    from safetensors.numpy import save

    from bench.exported.engine import read_arrays

    arrays = {"output": np.ones((4, 2), np.float32), "bias": np.ones(4, np.float32), "start_states": np.ones((1, 2))}
    path = root / "decoder.safetensors"

    def read(content: bytes, deep: bool) -> object:
        path.write_bytes(content)
        return read_arrays(path)

    return [save(arrays)], read
