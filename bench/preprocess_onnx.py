"""``bench.preprocess`` as ONNX operators, put in front of an encoder: one raw uint8 image in.

Pillow resizes rows and columns one after the other and rounds to whole levels in between and after; ONNX's
antialiased Resize rounds nothing, so a pixel may differ by up to about one level of 255 before normalisation.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.records import Preprocessing


def with_preprocessing(encoder: Path, path: Path, preprocessing: Preprocessing) -> None:
    """Write to ``path`` the model at ``encoder`` with input ``image``, (height, width, 3) uint8, any size."""
    import onnx
    from onnx import TensorProto, compose, helper

    inner = onnx.load(encoder)
    opset = max(entry.version for entry in inner.opset_import if entry.domain in {"", "ai.onnx"})
    nodes, initializers = _nodes(preprocessing)
    size = preprocessing.size
    graph = helper.make_graph(
        nodes,
        "preprocessing",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["height", "width", 3])],
        [helper.make_tensor_value_info("preprocessed", TensorProto.FLOAT, [1, 3, size, size])],
        [onnx.numpy_helper.from_array(value, name) for name, value in initializers.items()],
    )
    outer = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=inner.ir_version)
    inner = compose.add_prefix(inner, "net_", rename_inputs=False, rename_outputs=False)
    joined = compose.merge_models(outer, inner, io_map=[("preprocessed", "pixels")])
    helper.set_model_props(joined, {entry.key: entry.value for entry in inner.metadata_props})
    onnx.checker.check_model(joined)
    onnx.save(joined, path)


def _nodes(preprocessing: Preprocessing) -> tuple[list[object], dict[str, np.ndarray]]:
    """Return the operators from ``image`` to ``preprocessed`` and their constants."""
    from onnx import helper

    size, resize = preprocessing.size, preprocessing.resize
    mode = {"nearest": "nearest", "bilinear": "linear", "bicubic": "cubic"}[preprocessing.interpolation]
    constants = {
        "two": np.array([2], np.int64),
        "sides": np.array([0, 1], np.int64),
        "resize_f": np.array([resize], np.float64),
        "size_i": np.array([size, size], np.int64),
        "crop_axes": np.array([1, 2], np.int64),
        "full": np.array([255.0], np.float32),
        "zero_level": np.array(0.0, np.float32),
        "full_level": np.array(255.0, np.float32),
        "half": np.array([0.5], np.float64),
        "mean": np.array(preprocessing.mean, np.float32).reshape(1, 3, 1, 1),
        "std": np.array(preprocessing.std, np.float32).reshape(1, 3, 1, 1),
        "no_roi": np.array([], np.float32),
        "no_scales": np.array([], np.float32),
        "three": np.array([3], np.int64),
        "batch_axis": np.array([0], np.int64),
        "zero": np.array([0], np.int64),
    }
    node = helper.make_node
    nodes = [
        node("Shape", ["image"], ["shape"]),
        node("Gather", ["shape", "sides"], ["old_sides"], axis=0),
        node("Cast", ["old_sides"], ["old_sides_f"], to=11),
    ]
    if preprocessing.crop == "squash":
        nodes.append(node("Identity", ["size_i"], ["new_sides"]))
    else:
        # Both sides times resize / short side, rounded down; the short side is exactly resize.
        nodes += [
            node("ReduceMin", ["old_sides_f"], ["short"], keepdims=1),
            node("Mul", ["old_sides_f", "resize_f"], ["scaled"]),
            node("Div", ["scaled", "short"], ["exact"]),
            node("Floor", ["exact"], ["floored"]),
            node("Cast", ["floored"], ["new_sides"], to=7),
        ]
    # Pillow's filters are antialiased when they shrink; "nearest" has none to antialias.
    extra = {"antialias": 1} if mode != "nearest" else {"nearest_mode": "floor"}
    if mode == "cubic":
        extra["cubic_coeff_a"] = -0.5
    nodes += [
        node("Cast", ["image"], ["levels"], to=1),
        node("Transpose", ["levels"], ["planes"], perm=[2, 0, 1]),
        node("Unsqueeze", ["planes", "batch_axis"], ["planes4"]),
        node("Concat", ["one_three", "new_sides"], ["new_shape"], axis=0),
        node(
            "Resize",
            ["planes4", "no_roi", "no_scales", "new_shape"],
            ["resized"],
            mode=mode,
            coordinate_transformation_mode="half_pixel",
            exclude_outside=1 if mode == "cubic" else 0,
            **extra,
        ),
        node("Clip", ["resized", "zero_level", "full_level"], ["clipped"]),
        node("Round", ["clipped"], ["whole"]),
        node("Sub", ["new_sides", "size_i"], ["margin"]),
        node("Cast", ["margin"], ["margin_f"], to=11),
        node("Mul", ["margin_f", "half"], ["offset_f"]),
        node("Round", ["offset_f"], ["offset_r"]),
        node("Cast", ["offset_r"], ["offset"], to=7),
        node("Add", ["offset", "size_i"], ["stop"]),
        node("Slice", ["whole", "offset", "stop", "plane_axes"], ["cropped"]),
        node("Div", ["cropped", "full"], ["unit"]),
        node("Sub", ["unit", "mean"], ["centred"]),
        node("Div", ["centred", "std"], ["preprocessed"]),
    ]
    constants["one_three"] = np.array([1, 3], np.int64)
    constants["plane_axes"] = np.array([2, 3], np.int64)
    used = {name for entry in nodes for name in entry.input}
    return nodes, {name: value for name, value in constants.items() if name in used}
