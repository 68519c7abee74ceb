"""The state that torch holds for a process or a thread: how each piece is read and put back."""

from __future__ import annotations

from typing import Any

from bench.system.library_state import Setting

_HELD: list[Any] = []
"""Modes entered to undo one that was entered and never left; leaving them would bring that one back."""


def torch_settings(torch: Any) -> dict[str, Setting]:
    """Return the settings of the loaded module ``torch``; one that its version lacks raises where it is read.

    Random state comes last, as putting back the others may use it.
    """
    backends = torch.backends
    return {
        "inference mode": Setting(
            torch.is_inference_mode_enabled, lambda value: _enter(torch.inference_mode(mode=value))
        ),
        "gradient mode": Setting(torch.is_grad_enabled, torch.set_grad_enabled),
        "default dtype": Setting(torch.get_default_dtype, torch.set_default_dtype),
        "default device": Setting(
            torch.get_default_device,
            # Nothing set is the same as "cpu", without a look at the device in each call.
            lambda value: torch.set_default_device(None if value.type == "cpu" else value),
        ),
        "threads": Setting(torch.get_num_threads, torch.set_num_threads),
        "deterministic algorithms": Setting(
            lambda: (
                torch.are_deterministic_algorithms_enabled(),
                torch.is_deterministic_algorithms_warn_only_enabled(),
            ),
            lambda value: torch.use_deterministic_algorithms(value[0], warn_only=value[1]),
        ),
        "memory filled": _attribute(torch.utils.deterministic, "fill_uninitialized_memory"),
        "float32 matrix products": Setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        **{f"cudnn {name}": _attribute(backends.cudnn, name) for name in _CUDNN},
        **{f"cuda products {name}": _attribute(backends.cuda.matmul, name) for name in _PRODUCTS},
        "mkldnn": _attribute(backends.mkldnn, "enabled"),
        **{
            f"{name} attention": Setting(
                getattr(backends.cuda, f"{name}_sdp_enabled"), getattr(backends.cuda, f"enable_{name}_sdp")
            )
            for name in ("flash", "mem_efficient", "math")
        },
        "fast path of attention": Setting(backends.mha.get_fastpath_enabled, backends.mha.set_fastpath_enabled),
        "denormal numbers": Setting(_flushes_denormal, torch.set_flush_denormal),
        **{
            f"autocast on {device}": Setting(
                lambda device=device: (torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)),  # type: ignore[misc]
                lambda value, device=device: _set_autocast(torch, device, *value),  # type: ignore[misc]
            )
            for device in ("cpu", "cuda")
        },
        "anomaly detection": Setting(torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
        "random state": Setting(torch.get_rng_state, torch.set_rng_state),
        "random state of devices": Setting(lambda: _device_states(torch), torch.cuda.set_rng_state_all),
    }


_CUDNN = ("enabled", "benchmark", "deterministic", "allow_tf32")
_PRODUCTS = ("allow_tf32", "allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction")


def _attribute(holder: Any, name: str) -> Setting:
    return Setting(lambda: getattr(holder, name), lambda value: setattr(holder, name, value))


def _enter(mode: Any) -> None:
    mode.__enter__()
    _HELD.append(mode)


def _flushes_denormal() -> bool:
    """Return whether this thread takes the smallest numbers for 0; torch can set that and not tell it."""
    smallest = float.fromhex("0x1p-1074")
    return smallest * float("1.0") == 0.0


def _set_autocast(torch: Any, device: str, on: bool, dtype: Any) -> None:
    torch.set_autocast_enabled(device, on)
    torch.set_autocast_dtype(device, dtype)


def _device_states(torch: Any) -> list[Any]:
    """Return the random state of each CUDA device; none where CUDA is not in use, which asking would change."""
    return list(torch.cuda.get_rng_state_all()) if torch.cuda.is_initialized() else []
