"""``bench.data.preprocess`` as ONNX operators, put in front of an encoder: one raw uint8 image in.

Pillow resizes along rows, rounds to whole levels, then along columns, and ONNX's antialiased ``Resize`` of uint8 does
the same where nothing outside the image counts (``exclude_outside``; without it, up to 30 levels differ). Pillow's
weights are fixed-point, so a pixel may still differ by one level of 255. Where an image is made lower by more than it
is made narrower, Pillow 13 may begin with the columns: single pixels then differ by more, as between its versions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.records import Preprocessing

FLOAT, INT64, DOUBLE = 1, 7, 11
"""ONNX's numbers of the element types."""


def with_preprocessing(encoder: Path, path: Path, preprocessing: Preprocessing) -> None:
    """Write to ``path`` the model at ``encoder`` with input ``image``, (height, width, 3) uint8, any size."""
    import onnx
    from onnx import TensorProto, compose, helper

    inner = onnx.load(encoder)
    opset = max(entry.version for entry in inner.opset_import if entry.domain in {"", "ai.onnx"})
    built = _build(preprocessing)
    size = preprocessing.size
    graph = helper.make_graph(
        built.nodes,
        "preprocessing",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["height", "width", 3])],
        [helper.make_tensor_value_info("preprocessed", TensorProto.FLOAT, [1, 3, size, size])],
        [onnx.numpy_helper.from_array(value, name) for name, value in built.constants.items()],
    )
    outer = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=inner.ir_version)
    inner = compose.add_prefix(inner, "net_", rename_inputs=False, rename_outputs=False)
    joined = compose.merge_models(outer, inner, io_map=[("preprocessed", "pixels")])
    helper.set_model_props(joined, {entry.key: entry.value for entry in inner.metadata_props})
    onnx.checker.check_model(joined)
    onnx.save(joined, path)


class _Graph:
    """Operators and constants under way; every call adds one operator and returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def constant(self, value: Any, dtype: Any = np.float64) -> str:
        array = np.asarray(value, dtype=dtype)
        name = f"constant_{len(self.constants)}"
        self.constants[name] = array
        return name

    def __call__(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        from onnx import helper

        result = name or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [result], **attributes))
        return result


def _build(preprocessing: Preprocessing) -> _Graph:
    """Return the operators from ``image`` to ``preprocessed``."""
    graph = _Graph()
    size = graph.constant([preprocessing.size], np.int64)
    sides = [graph("Shape", "image", start=axis, end=axis + 1) for axis in (0, 1)]
    if preprocessing.crop == "squash":
        targets = [size, size]
    else:
        # Both sides times resize / short side, rounded down; the short side becomes exactly resize.
        old = [graph("Cast", side, to=DOUBLE) for side in sides]
        short = graph("Min", *old)
        scaled = [graph("Mul", side, graph.constant([preprocessing.resize])) for side in old]
        targets = [graph("Cast", graph("Floor", graph("Div", side, short)), to=INT64) for side in scaled]
    whole = _resized(graph, sides, targets, preprocessing.interpolation)
    starts = []
    for target in targets:
        margin = graph("Cast", graph("Sub", target, size), to=DOUBLE)
        # ONNX's Round takes halves to the even number, as Python's does.
        starts.append(graph("Cast", graph("Round", graph("Mul", margin, graph.constant([0.5]))), to=INT64))
    start = graph("Concat", *starts, axis=0)
    cropped = graph("Slice", whole, start, graph("Add", start, size), graph.constant([2, 3], np.int64))
    unit = graph("Div", graph("Cast", cropped, to=FLOAT), graph.constant(255, np.float32))
    mean, std = (
        graph.constant(np.reshape(values, (1, 3, 1, 1)), np.float32)
        for values in (preprocessing.mean, preprocessing.std)
    )
    graph("Div", graph("Sub", unit, mean), std, name="preprocessed")
    return graph


def _resized(graph: _Graph, sides: list[str], targets: list[str], interpolation: str) -> str:
    """Return ``image`` as (1, 3, height, width) uint8 with the ``targets``' height and width."""
    planes = graph("Transpose", "image", perm=[2, 0, 1])
    batch = graph("Unsqueeze", planes, graph.constant([0], np.int64))
    if interpolation == "nearest":
        for axis, side, target in zip((2, 3), sides, targets, strict=True):
            batch = graph("Gather", batch, _nearest(graph, side, target), axis=axis)
        return batch
    size = graph("Concat", graph.constant([1, 3], np.int64), *targets, axis=0)
    # Keys' cubic with a = -1/2 is Pillow's; ONNX's own is another.
    kind: dict[str, Any] = (
        {"mode": "cubic", "cubic_coeff_a": -0.5} if interpolation == "bicubic" else {"mode": "linear"}
    )
    return graph(
        "Resize",
        *(batch, "", "", size),
        antialias=1,
        exclude_outside=1,
        coordinate_transformation_mode="half_pixel",
        **kind,
    )


def _nearest(graph: _Graph, side: str, target: str) -> str:
    """Return for each of ``target`` places the one of ``side`` that its centre lies on."""
    ratio = graph("Div", graph("Cast", side, to=DOUBLE), graph("Cast", target, to=DOUBLE))
    scalar = graph("Squeeze", target, graph.constant([0], np.int64))
    count = graph("Range", graph.constant(0, np.int64), scalar, graph.constant(1, np.int64))
    centres = graph("Mul", graph("Add", graph("Cast", count, to=DOUBLE), graph.constant([0.5])), ratio)
    return graph("Cast", graph("Floor", centres), to=INT64)
