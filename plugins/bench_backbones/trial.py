"""A network tried on an empty picture: what it gives, and whether it takes pictures of that size at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench import BenchError, ModelError

if TYPE_CHECKING:
    from torch import nn


def shape_of(module: nn.Module, side: int, name: str) -> Any:
    """Return the shape of what ``module`` gives of one picture of ``side`` pixels: (dimensions,), or that of a map.

    Raises ``ModelError`` that calls it ``name`` where it takes none of that size.
    """
    import torch

    try:
        with torch.inference_mode():
            return tuple(module.eval()(torch.zeros(1, 3, side, side)).shape[1:])
    except BenchError:
        raise
    except Exception as error:
        # Networks raise whatever their first layer ran into that does not divide.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ModelError(
            f"{name} takes no pictures of {side} pixels: {reason}. Try: --set backbone.size as it was trained with"
        ) from error
