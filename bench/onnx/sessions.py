"""ONNX Runtime sessions: the device that was asked for or an error, never a silent other one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.errors import ModelError, NotRun, UsageError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def choose_device(asked: str) -> str:
    """Return ``cpu`` or ``cuda``; ``auto`` takes CUDA where ONNX Runtime was built with it and finds a device.

    Raises ``UsageError`` for another word, ``NotRun`` where CUDA was asked for and is not there.
    """
    import onnxruntime

    if asked not in {"auto", *PROVIDERS}:
        raise UsageError(f"--device: found '{asked}', allowed: auto, cpu, cuda. Try: --device auto")
    built_with = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    # The GPU package lists its provider on machines without a device too.
    usable = built_with and Path("/dev/nvidiactl").exists()
    if asked == "cuda" and not usable:
        reason = "onnxruntime has no CUDA provider" if not built_with else "no CUDA device is visible"
        raise NotRun(f"--device cuda: {reason}. Try: pip install onnxruntime-gpu, or --device cpu")
    return "cuda" if asked == "cuda" or (asked == "auto" and usable) else "cpu"


def provider(device: str, *, half: bool = False) -> tuple[str, dict[str, str]]:
    """Return ONNX Runtime's provider for ``device``, and its options for a model in fp32, or with ``half`` in fp16."""
    # TF32 keeps 10 bits of fp32: labels would differ from the CPU's. Forbidding it slows fp16, too.
    options = {} if device == "cpu" else {"use_tf32": str(int(half))}
    return PROVIDERS[device], options


def open_session(model: Path | bytes, device: str = "cpu", threads: int = 0, *, half: bool = False) -> Any:
    """Return an ONNX Runtime session of ``model``, a file or its content, on ``device``, ``cpu`` or ``cuda``.

    ``threads`` is how many work on one call, 0: one for each core; ``half`` says that the model is in fp16.
    Raises ``ModelError`` for a file that is not ONNX or damaged, ``NotRun`` where the device's provider fails.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Threads that spin while they wait take the cores from whatever else the process does, such as decoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    if device == "cuda":
        _load_cuda()
    try:
        source = model if isinstance(model, bytes) else str(model)
        session = onnxruntime.InferenceSession(source, options, providers=[provider(device, half=half)])
    except Exception as error:  # onnxruntime raises a dozen unrelated classes
        reason, what = str(error).splitlines()[0][:200], "an ONNX model" if isinstance(model, bytes) else model
        raise ModelError(f"cannot load {what}: {reason}. Is it an ONNX file, and whole?") from error
    if session.get_providers()[0] != PROVIDERS[device]:
        raise NotRun(f"--device {device}: ONNX Runtime fell back to {session.get_providers()[0]}. Try: --device cpu")
    return session


def _load_cuda() -> None:
    """Load CUDA and cuDNN from the packages that pip installed them with, where the system's loader does not look."""
    import contextlib
    import io

    import onnxruntime

    preload = getattr(onnxruntime, "preload_dlls", None)  # since 1.21
    if preload is not None:
        # It prints what it did not find; the session then says which library is missing.
        with contextlib.redirect_stdout(io.StringIO()):
            preload()
