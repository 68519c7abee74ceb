"""The random generators that training may draw from, as values that a checkpoint holds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


def random_states(own: Sequence[torch.Generator], device: torch.device) -> dict[str, Any]:
    """Return the states of ``own`` generators, and of the global ones of torch, its ``device``, NumPy and Python."""
    import torch

    kind, words, place, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002 - the one that plugins use
    return {
        "own": [generator.get_state() for generator in own],
        "torch": torch.get_rng_state(),
        "device": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "numpy": (str(kind), torch.from_numpy(np.asarray(words, dtype=np.int64)), place, has_gauss, gauss),
        "python": random.getstate(),
    }


def set_random_states(states: dict[str, Any], own: Sequence[torch.Generator], device: torch.device) -> None:
    """Put back what ``random_states`` of the same generators returned."""
    import torch

    for generator, state in zip(own, states["own"], strict=True):
        generator.set_state(state)
    torch.set_rng_state(states["torch"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["device"], device)
    kind, words, *rest = states["numpy"]
    np.random.set_state((kind, words.numpy().astype(np.uint32), *rest))  # noqa: NPY002 - as above
    random.setstate(states["python"])
