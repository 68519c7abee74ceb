"""``bench.data.preprocess`` as ONNX operators, put in front of an encoder: one raw uint8 image in.

Pillow resizes rows, rounds to whole levels, then resizes columns, and so does this, as products with filter
matrices built inside the graph: ONNX Runtime's own antialiased Resize differed by up to 14 levels where the ratios
of the sides differ. Pillow's weights are fixed-point, so a pixel may still differ by one level of 255.
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
    planes = graph("Transpose", graph("Cast", "image", to=FLOAT), perm=[2, 0, 1])
    # Pillow resizes rows first, rounds to whole levels, then resizes columns.
    filters = [_filter(graph, *pair, preprocessing.interpolation) for pair in zip(sides, targets, strict=True)]
    wide = _levels(graph, graph("MatMul", planes, graph("Transpose", filters[1], perm=[1, 0])))
    whole = _levels(graph, graph("MatMul", filters[0], wide))
    starts = []
    for target in targets:
        margin = graph("Cast", graph("Sub", target, size), to=DOUBLE)
        # ONNX's Round takes halves to the even number, as Python's does.
        starts.append(graph("Cast", graph("Round", graph("Mul", margin, graph.constant([0.5]))), to=INT64))
    start = graph("Concat", *starts, axis=0)
    cropped = graph("Slice", whole, start, graph("Add", start, size), graph.constant([1, 2], np.int64))
    unit = graph("Div", graph("Unsqueeze", cropped, graph.constant([0], np.int64)), graph.constant(255, np.float32))
    mean, std = (
        graph.constant(np.reshape(values, (1, 3, 1, 1)), np.float32)
        for values in (preprocessing.mean, preprocessing.std)
    )
    graph("Div", graph("Sub", unit, mean), std, name="preprocessed")
    return graph


def _levels(graph: _Graph, values: str) -> str:
    """Return ``values`` rounded to whole levels from 0 to 255."""
    # Halves go up, as in Pillow; ONNX's Round would take them to the even level.
    rounded = graph("Floor", graph("Add", values, graph.constant(0.5, np.float32)))
    return graph("Clip", rounded, graph.constant(0, np.float32), graph.constant(255, np.float32))


def _filter(graph: _Graph, side: str, target: str, interpolation: str) -> str:
    """Return the (target, side) matrix that resizes one axis as Pillow does, widened where it shrinks."""
    one, half = graph.constant([1.0]), graph.constant([0.5])
    ratio = graph("Div", graph("Cast", side, to=DOUBLE), graph("Cast", target, to=DOUBLE))
    rows, columns = (graph("Add", graph("Cast", _count(graph, length), to=DOUBLE), half) for length in (target, side))
    centres = graph("Unsqueeze", graph("Mul", rows, ratio), graph.constant([1], np.int64))
    if interpolation == "nearest":
        hit = graph("Equal", graph("Floor", centres), graph("Sub", columns, half))
        return graph("Cast", hit, to=FLOAT)
    distance = graph("Abs", graph("Div", graph("Sub", columns, centres), graph("Max", ratio, one)))
    weight = _triangle(graph, distance) if interpolation == "bilinear" else _cubic(graph, distance)
    total = graph("ReduceSum", weight, graph.constant([1], np.int64), keepdims=1)
    return graph("Cast", graph("Div", weight, total), to=FLOAT)


def _count(graph: _Graph, length: str) -> str:
    scalar = graph("Squeeze", length, graph.constant([0], np.int64))
    return graph("Range", graph.constant(0, np.int64), scalar, graph.constant(1, np.int64))


def _triangle(graph: _Graph, distance: str) -> str:
    return graph("Max", graph("Sub", graph.constant([1.0]), distance), graph.constant([0.0]))


def _cubic(graph: _Graph, distance: str) -> str:
    """Return Keys' cubic with a = -1/2: 1.5 d^3 - 2.5 d^2 + 1 below 1, -0.5 d^3 + 2.5 d^2 - 4 d + 2 below 2."""

    def polynomial(*coefficients: float) -> str:
        result = graph.constant([coefficients[0]])
        for coefficient in coefficients[1:]:
            result = graph("Add", graph("Mul", result, distance), graph.constant([coefficient]))
        return result

    near, far = polynomial(1.5, -2.5, 0.0, 1.0), polynomial(-0.5, 2.5, -4.0, 2.0)
    outer = graph("Where", graph("Less", distance, graph.constant([2.0])), far, graph.constant([0.0]))
    return graph("Where", graph("Less", distance, graph.constant([1.0])), near, outer)
