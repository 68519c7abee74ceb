"""Weights of backbones: their hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.files import digest

if TYPE_CHECKING:
    from torch import nn


def weights_hash(module: nn.Module) -> str:
    """Return 16 hex digits over the names, shapes and values of all parameters and buffers."""
    tensors = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in module.state_dict().items()}
    parts = [part for name in sorted(tensors) for part in (name, str(tensors[name].shape), tensors[name].tobytes())]
    return digest(*parts)
