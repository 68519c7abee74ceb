"""What computes a frozen backbone's features: ONNX Runtime where it gives the same ones, at several times the speed.

The choice follows from what was asked for, the device and the backbone alone, never from a timing: two machines choose
alike. It stands in the run's key, and the difference from torch that was measured stands in the run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.contracts import Backbone
from bench.errors import BenchError, ModelError, UsageError
from bench.model import on_gpu
from bench.onnx.files import to_fp16, write_onnx
from bench.onnx.sessions import open_session
from bench.records import FloatArray
from bench.system.environment import versions
from bench.system.files import canonical_json, digest
from bench.system.sealed_files import kept

TORCH, ONNX, HALF, AUTO = "torch", "onnx", "onnx-fp16", "auto"
ENGINES = (AUTO, ONNX, HALF, TORCH)

SMALL = 1_000_000
"""Parameters below which ``auto`` stays with torch: such a network is done before its ONNX form is made."""

LARGE = 32_000_000
"""Parameters from which on reading the weights, once for each call, takes long enough to compute images together."""

ROWS = 8
"""Images of one call for ``LARGE`` networks: as fast as any more, and what each thread holds stays small."""

TOLERANCE = {ONNX: 1e-5, HALF: 2e-2, TORCH: 0.0}
"""Largest difference from torch's features that an engine may have, relative to the largest feature."""

OF_MAPS = 1e-4
"""The same of feature maps: they are kept in half precision, whose rounding is five times this."""

LARGEST_HALF = 65504.0
"""Largest number in half precision, in which maps are kept."""

REASON = b"no ONNX form: "
"""Before the reason, where that is kept in the place of an ONNX file."""


def choose(backbone: Backbone, asked: str, device: str, cache: Path, *, tuned: bool = False) -> Backbone:
    """Return ``backbone`` with the engine that ``asked`` leads to, and a note where that is not the fast one.

    ``auto`` is ONNX Runtime on the CPU, for backbones of ``SMALL`` parameters or more that it computes within
    ``TOLERANCE`` of torch, and else torch, as for one that is yet to be ``tuned``: of those weights nobody knows the
    difference. Raises ``UsageError`` for an unknown word, ``ModelError`` where ONNX was asked for by name and cannot
    be had.
    """
    if asked not in ENGINES:
        raise UsageError(f"--engine: found '{asked}', allowed: {', '.join(ENGINES)}. Try: --engine auto")
    if asked == TORCH or (asked == AUTO and (tuned or device != "cpu" or _parameters(backbone) < SMALL)):
        return replace(backbone, engine=TORCH)
    chosen = replace(backbone, engine=ONNX if asked == AUTO else asked)
    content = onnx_form(chosen, cache)
    if not content.startswith(REASON):
        return chosen
    why = content.removeprefix(REASON).decode()
    if asked != AUTO:
        raise ModelError(f"--engine {asked}: {why}. Try: --engine torch")
    return replace(backbone, engine=TORCH, notes=(*backbone.notes, f"features through torch, the slow way: {why}"))


def open_engine(backbone: Backbone, device: str, cache: Path) -> Callable[[FloatArray], FloatArray]:
    """Return what maps preprocessed pixels (n, 3, size, size) to features (n, dimensions) by the backbone's engine.

    Where the engine ``works_alone`` it may be called from several threads. torch's needs the backbone's module on
    ``device``. Each raises ``ModelError`` for features of another shape than declared, or that are not finite.
    """
    if not has_onnx_form(backbone):
        if works_alone(backbone, device):
            return _of_each_thread(backbone)
        return lambda pixels: forward(backbone, pixels, device)
    session = _session(backbone, device, cache)
    return lambda pixels: _sound(backbone, session.run(None, {"pixels": pixels})[0], len(pixels))


def _of_each_thread(backbone: Backbone) -> Callable[[FloatArray], FloatArray]:
    """Return torch's engine with a copy of the module for each thread, as a module may keep something while it works.

    One that cannot be copied computes for one thread at a time.
    """
    own, turn = threading.local(), threading.Lock()

    def compute(pixels: FloatArray) -> FloatArray:
        if not hasattr(own, "backbone"):
            try:
                own.backbone = replace(backbone, module=deepcopy(backbone.module))
            except Exception:  # whatever a plugin's module raises
                own.backbone = None
        if own.backbone is not None:
            return forward(own.backbone, pixels)
        with turn:
            return forward(backbone, pixels)

    return compute


@dataclass(frozen=True, slots=True)
class OnGpu:
    """A backbone's engine on a GPU: ``compute`` as ``open_engine`` returns it, ``start`` one batch ahead of it."""

    compute: Callable[[FloatArray], FloatArray]
    start: on_gpu.Start


def open_on_gpu(backbone: Backbone, device: str, cache: Path) -> OnGpu:
    """Return the backbone's engine on ``device``, a CUDA one, that starts a batch before the last one is fetched."""
    if not has_onnx_form(backbone):
        start = on_gpu.by_torch(backbone, device)
        return OnGpu(lambda pixels: forward(backbone, pixels, device), _sound_when_done(backbone, start))
    session = _session(backbone, device, cache)
    start = _sound_when_done(backbone, on_gpu.by_onnx(session, device))
    return OnGpu(lambda pixels: start(pixels)(), start)


def _sound_when_done(backbone: Backbone, of_engine: on_gpu.Start) -> on_gpu.Start:
    def start(pixels: FloatArray) -> on_gpu.Finish:
        finish, images = of_engine(pixels), len(pixels)
        return lambda: _sound(backbone, finish(), images)

    return start


def _session(backbone: Backbone, device: str, cache: Path) -> Any:
    content = onnx_form(backbone, cache)
    if content.startswith(REASON):
        raise ModelError(f"engine {backbone.engine}: {content.removeprefix(REASON).decode()}. Try: --engine torch")
    half = backbone.engine == HALF
    return open_session(content, "cpu" if device == "cpu" else "cuda", threads=1 if device == "cpu" else 0, half=half)


def works_alone(backbone: Backbone, device: str) -> bool:
    """Return whether a thread computes a batch by itself: then the number of threads changes no feature."""
    return device == "cpu" and (has_onnx_form(backbone) or _parameters(backbone) < SMALL)


def has_onnx_form(backbone: Backbone) -> bool:
    """Return whether an ONNX engine computes the features of ``backbone``."""
    return backbone.engine in {ONNX, HALF}


def forward(backbone: Backbone, pixels: FloatArray, device: str = "cpu") -> FloatArray:
    """Return the features of preprocessed ``pixels`` by torch; the backbone's module is on ``device`` already.

    Raises ``ModelError`` for features of another shape than declared, not finite, or maps too large for halves.
    """
    import torch

    with torch.inference_mode():
        given = torch.from_numpy(pixels)
        # From pinned memory the copy runs beside the last batch's work.
        on_device = given if device == "cpu" else given.pin_memory().to(device, non_blocking=True)
        with on_gpu.whole_floats():
            # A copy: a network may give the same memory again, or the pixels' own, for the next batch.
            values: FloatArray = backbone.module(on_device).to("cpu", torch.float32, copy=True).numpy()
    return _sound(backbone, values, len(pixels))


def tolerance(backbone: Backbone) -> float:
    """Return how far from torch's the features of ``backbone`` by its engine may be, relative to the largest."""
    allowed = TOLERANCE[backbone.engine]
    return max(allowed, OF_MAPS) if backbone.feature_map and allowed else allowed


def difference(values: FloatArray, expected: FloatArray) -> float:
    """Return the largest difference between two arrays of features, relative to the largest expected."""
    return float(np.abs(values - expected).max() / max(float(np.abs(expected).max()), 1e-6))


def _sound(backbone: Backbone, values: FloatArray, images: int) -> FloatArray:
    if values.shape != (images, *backbone.shape):
        declared = backbone.feature_map or backbone.dimensions
        raise ModelError(f"backbone '{backbone.name}' gave features of shape {values.shape}, declared: {declared} each")
    if backbone.feature_map and np.abs(values).max(initial=0) > LARGEST_HALF:
        raise ModelError(f"backbone '{backbone.name}' gave maps beyond half precision. Try: another backbone")
    if not np.isfinite(values).all():
        raise ModelError(
            f"backbone '{backbone.name}' gave features that are not finite. Are the weights the right ones?"
        )
    return values


def rows_at_once(backbone: Backbone, device: str, batch_size: int) -> int:
    """Return how many images one call computes: by an ONNX engine on the CPU one, or ``ROWS``; others as asked.

    What a network passes from layer to layer of one image stays in a core's cache; of several it goes through memory.
    """
    if device != "cpu" or not has_onnx_form(backbone):
        return batch_size
    return 1 if _parameters(backbone) < LARGE else ROWS


def _parameters(backbone: Backbone) -> int:
    return sum(parameter.numel() for parameter in backbone.module.parameters())


class _NotNowError(Exception):
    """Why there is no ONNX form for the time being, as for want of memory or disk: nothing to keep."""


def onnx_form(backbone: Backbone, cache: Path) -> bytes:
    """Return the backbone as its engine's ONNX file, or ``REASON`` and why it has none; ``cache`` keeps it."""
    network = [backbone.architecture, backbone.weights_hash, backbone.code]
    sizes = [backbone.preprocessing.size, *backbone.shape]
    made_by = {name: found for name, found in versions().items() if name == "torch" or name.startswith("onnx")}
    key = digest(canonical_json([*network, *sizes, backbone.engine, made_by]))
    path = cache / "engines" / f"{key}.onnx"
    try:
        return kept(path, key, lambda: _make(backbone), f"the ONNX form of backbone '{backbone.name}'")
    except _NotNowError as error:
        return REASON + str(error).encode()


def _make(backbone: Backbone) -> bytes:
    import tempfile

    import torch

    module, side = backbone.module.to("cpu").eval(), backbone.preprocessing.size
    noise = torch.randn(5, 3, side, side, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "backbone.onnx"
        try:
            write_onnx(module, (noise[:2],), ["pixels"], ["features"], path)
            if backbone.engine == HALF:
                to_fp16(path)
            content = path.read_bytes()
            # Another batch than the exported one, so what holds for that one only is found.
            values = open_session(content, threads=1).run(None, {"pixels": noise[2:].numpy()})[0]
        except OSError as error:
            raise _NotNowError(f"{folder}: {error.strerror or error}") from error
        except Exception as error:  # onnxruntime raises a dozen unrelated classes
            if isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError):
                raise _NotNowError("not enough memory to make its ONNX form") from error
            if isinstance(error, BenchError):
                return REASON + str(error).encode()
            return REASON + f"ONNX Runtime cannot run it: {str(error).splitlines()[0][:200]}".encode()
    expected = forward(backbone, noise[2:].numpy())
    apart = difference(values, expected) if values.shape == expected.shape else float("inf")
    if not apart <= tolerance(backbone):
        return REASON + f"its features differ from torch's by {apart:.1e}, allowed: {tolerance(backbone):g}".encode()
    return content
