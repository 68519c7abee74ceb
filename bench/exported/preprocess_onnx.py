"""``bench.data.preprocess`` as ONNX operators, put in front of an encoder: one raw uint8 image in.

ONNX's antialiased Resize is Pillow's resize where it leaves out what lies beyond the image (``exclude_outside``) and
its cubic has Pillow's coefficient: of uint8, ONNX Runtime sums fixed-point weights and rounds to whole levels after
each pass, as Pillow does. Its weights come from single precision, Pillow's from double, so a pixel may still differ by
one level of 255. Beside the image there is one copy of it in memory, a plane for each channel, and never one as floats.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.records import Preprocessing

FLOAT, INT64, DOUBLE = 1, 7, 11
"""ONNX's numbers of the element types."""

FILTERS: dict[str, dict[str, Any]] = {
    "bilinear": {"mode": "linear"},
    "bicubic": {"mode": "cubic", "cubic_coeff_a": -0.5},
}
"""Attributes of ONNX's Resize that make it Pillow's filter."""


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
        self.results = 0

    def constant(self, value: Any, dtype: Any = np.float64) -> str:
        array = np.asarray(value, dtype=dtype)
        name = f"constant_{len(self.constants)}"
        self.constants[name] = array
        return name

    def branch(self, build: Callable[[], str]) -> Any:
        """Return the operators that ``build`` adds as a graph of their own, for If; its result is what they give."""
        from onnx import helper

        outside, self.nodes = self.nodes, []
        value = helper.make_empty_tensor_value_info(build())
        inside, self.nodes = self.nodes, outside
        return helper.make_graph(inside, f"branch_{value.name}", [], [value])

    def __call__(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        from onnx import helper

        self.results += 1
        result = name or f"{operator.lower()}_{self.results}"
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
    if preprocessing.interpolation == "nearest":
        whole = _nearest(graph, sides, targets)
    else:
        whole = _filtered(graph, sides, targets, FILTERS[preprocessing.interpolation])
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


def _filtered(graph: _Graph, sides: list[str], targets: list[str], kind: dict[str, Any]) -> str:
    """Return ``image`` resized to ``targets`` by a filter that widens where it shrinks: (1, 3, height, width) uint8."""

    def resize(image: str, channels: int, height: str, width: str) -> str:
        shape = graph("Concat", graph.constant([1, channels], np.int64), height, width, axis=0)
        return graph("Resize", image, "", "", shape, antialias=1, exclude_outside=1, **kind)

    def rows_first() -> str:
        return resize(_planes(graph, "image"), 3, *targets)

    def columns_first() -> str:
        # To a filter of columns, the three channels of a row are so many more columns: no plane of each is needed yet.
        wide = graph("Mul", sides[1], graph.constant([3], np.int64))
        flat = graph("Reshape", "image", graph("Concat", graph.constant([1, 1], np.int64), sides[0], wide, axis=0))
        low = resize(flat, 1, targets[0], wide)
        image = graph("Reshape", low, graph("Concat", targets[0], sides[1], graph.constant([3], np.int64), axis=0))
        return resize(_planes(graph, image), 3, *targets)

    if not pillow_may_resize_columns_first():
        return rows_first()
    condition = _shrinks_much_more_in_height(graph, sides, targets)
    return graph("If", condition, then_branch=graph.branch(columns_first), else_branch=graph.branch(rows_first))


def pillow_may_resize_columns_first() -> bool:
    """Return whether the installed Pillow resizes columns before rows in some images: from version 13 on."""
    import PIL

    return int(PIL.__version__.split(".")[0]) >= 13


def _shrinks_much_more_in_height(graph: _Graph, sides: list[str], targets: list[str]) -> str:
    """Return whether the height loses pixels, and more than twice as many as the width: then columns come first."""
    lost = [graph("Sub", side, target) for side, target in zip(sides, targets, strict=True)]
    twice = graph("Mul", lost[1], graph.constant([2], np.int64))
    return graph("Greater", lost[0], graph("Max", twice, graph.constant([0], np.int64)))


def _nearest(graph: _Graph, sides: list[str], targets: list[str]) -> str:
    """Return ``image`` with the pixel nearest to each of ``targets``' centres: (1, 3, height, width) uint8."""
    image, zero, zeros = "image", graph.constant(0, np.int64), graph.constant([0], np.int64)
    for axis, (side, target) in enumerate(zip(sides, targets, strict=True)):
        step = graph("Div", graph("Cast", side, to=DOUBLE), graph("Cast", target, to=DOUBLE))
        # Step added to step, as Pillow does it: a product would round differently where a centre meets a border.
        steps = graph("Concat", graph("Mul", step, graph.constant([0.5])), graph("Expand", step, target), axis=0)
        centres = graph("Slice", graph("CumSum", steps, zero), zeros, target)
        image = graph("Gather", image, graph("Cast", centres, to=INT64), axis=axis)
    return _planes(graph, image)


def _planes(graph: _Graph, image: str) -> str:
    """Return (height, width, 3) as (1, 3, height, width)."""
    return graph("Unsqueeze", graph("Transpose", image, perm=[2, 0, 1]), graph.constant([0], np.int64))
