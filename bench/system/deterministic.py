"""Same seed, same result: torch's sums in a fixed order while something is trained."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.errors import ModelError


@contextmanager
def filled(filling: bool) -> Iterator[None]:
    """Let torch, where it is deterministic, fill new memory with NaN in the body or not, and leave it as it was."""
    import torch

    setting: Any = torch.utils.deterministic  # a module with a property
    before = setting.fill_uninitialized_memory
    setting.fill_uninitialized_memory = filling
    try:
        yield
    finally:
        setting.fill_uninitialized_memory = before


@contextmanager
def deterministic() -> Iterator[None]:
    """Use torch's deterministic algorithms in the body, and leave the setting as it was.

    Without it, gradients that several threads add to the same rows come out in the order in which they finish.
    The result still depends on the number of threads, which a run's environment records.
    Raises ``ModelError`` where the body does on a GPU what torch has no deterministic form of.
    """
    import torch

    # What cuBLAS asks for; it is read when the first matrix product on the device is made.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.get_deterministic_debug_mode()
    # The same as use_deterministic_algorithms, which loads torch's compiler: as long as torch itself takes.
    torch.set_deterministic_debug_mode("error")
    try:
        yield
    except RuntimeError as error:
        name, found, _ = str(error).partition(" does not have a deterministic implementation")
        if not found:
            raise
        raise ModelError(
            f"{name}: on a GPU its sums come out in another order each time, and so would the result."
            " Try: --device cpu, or a network without it"
        ) from error
    finally:
        torch.set_deterministic_debug_mode(before)
