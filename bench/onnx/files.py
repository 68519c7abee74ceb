"""torch modules as ONNX files: written, checked, and turned into half precision."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import ModelError
from bench.system.files import atomic_path


def write_onnx(  # noqa: PLR0917 - in the order of torch.onnx.export
    module: Any,
    inputs: tuple[Any, ...],
    names: Sequence[str],
    outputs: Sequence[str],
    path: Path,
    metadata: Mapping[str, str] | None = None,
    opset: int | None = None,
) -> None:
    """Write ``module`` to ``path``, its first axis free, checked by onnx's own checker, with ``metadata`` in the file.

    ``inputs`` are example tensors, (batch, ...) with a batch of at least 2, as many as ``names``; ``outputs`` names
    what the module returns; ``opset`` is torch's choice where none is given.
    Raises ``ModelError`` where ONNX cannot say what ``module`` does.
    """
    import onnx
    import torch

    batch = torch.export.Dim("batch")
    with atomic_path(path) as temporary, _quiet(), _explained(path), _operators_kept():
        program: Any = torch.onnx.export(
            module,
            inputs,
            input_names=list(names),
            output_names=list(outputs),
            dynamic_shapes=({0: batch},) * len(inputs),
            dynamo=True,
            opset_version=opset,
            verbose=False,
        )
        proto = program.model_proto
        if fixed := [entry.name for entry in proto.graph.input if entry.type.tensor_type.shape.dim[0].dim_value]:
            # The exporter takes a Python int for a constant, and says nothing.
            raise ValueError(f"a fixed number of {fixed[0]}. Try: x.shape[0] in place of len(x) in the model")
        onnx.helper.set_model_props(proto, dict(metadata or {}))
        onnx.checker.check_model(proto)
        onnx.save(proto, temporary)


def append(path: Path, graph: Any, metadata: Mapping[str, str]) -> None:
    """Put ``graph``, ONNX with input ``features``, behind the network at ``path`` whose output that is.

    Both must be of one opset. Raises ``ModelError`` where the two do not fit.
    """
    import onnx
    from onnx import compose

    with _explained(path):
        first = onnx.load(path)
        second = compose.add_prefix(graph, "model_", rename_inputs=False, rename_outputs=False)
        second.ir_version = first.ir_version
        joined = compose.merge_models(first, second, io_map=[("features", "features")])
        onnx.helper.set_model_props(joined, dict(metadata))
        onnx.checker.check_model(joined)
    with atomic_path(path) as temporary:
        onnx.save(joined, temporary)


def to_fp16(path: Path) -> None:
    """Turn weights and arithmetic into half precision; inputs and outputs stay float32."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    with warnings.catch_warnings(), _explained(path):
        warnings.simplefilter("ignore")
        half = convert_float_to_float16(onnx.load(path), keep_io_types=True)
        OnnxModel(half).topological_sort()
    with atomic_path(path) as temporary:
        onnx.save(half, temporary)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn whatever torch and onnx raise into one line that names the file; a full disk is none of theirs."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        lines = [line.strip() for line in str(cause).splitlines() if line.strip()] or ["no reason given"]
        raise ModelError(
            f"this model cannot be exported: {path.name} would need what torch.onnx cannot write:"
            f" {type(cause).__name__}: {lines[0][:200]}"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, which warns and tells of its own internals, and prints the whole graph where it fails."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        none = io.StringIO()
        with warnings.catch_warnings(), contextlib.redirect_stdout(none), contextlib.redirect_stderr(none):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def _operators_kept() -> Iterator[None]:
    """Have torch keep its table of operators in ONNX: it makes it anew for each export, half of a small one's time."""
    registry: Any = None
    with contextlib.suppress(ImportError):
        from torch.onnx._internal.exporter._registration import ONNXRegistry as registry  # noqa: N813
    if not hasattr(registry, "from_torchlib"):  # another torch: as slow as without this, and as right
        yield
        return
    own, make = vars(registry)["from_torchlib"], registry.from_torchlib

    def kept(*args: Any, **opset: Any) -> Any:
        return _operators(make, "torchvision" in sys.modules, *args, **opset)

    registry.from_torchlib = staticmethod(kept)
    try:
        yield
    finally:
        registry.from_torchlib = own


@functools.cache
def _operators(make: Any, with_torchvisions: bool, *args: Any, **opset: Any) -> Any:
    """Return what ``make`` makes, once; ``with_torchvisions`` operators once more, which come when it is imported."""
    return make(*args, **opset)
