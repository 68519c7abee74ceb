"""What every first-party model does with image features before its own layers, so that no row gains by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

import bench
from bench import FloatArray

CHUNK = 4096
"""Images read at once for the statistics: memory-mapped features need not fit in memory."""

ROUNDING = 1e-6
"""Deviation, as a share of the largest value, up to which a dimension counts as constant: single precision has 6e-8."""

LEAST = 1e-30
"""Deviation up to which any dimension counts as constant: one over less is infinite in single precision."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw initial weights from ``seed`` and leave torch's global random state as it was.

    One thread draws them: the decompositions behind orthogonal weights take twenty times as long with two.
    """
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


class Dropout(nn.Module):
    """``nn.Dropout`` with sixteen random bits a number, where torch draws a double: several times faster on the CPU.

    ``share`` is rounded to a multiple of 2^-16, and what is left scaled by the share that is.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.kept = round((1.0 - share) * 65536)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return ``values``; while training, some of them 0 and the others larger, so that their mean stays."""
        if not self.training or self.kept == 65536:
            return values
        words = torch.empty((values.numel() + 3) // 4, dtype=torch.int64, device=values.device)
        bits = words.random_(-(2**63), None).view(torch.int16)[: values.numel()].view(values.shape)
        return values * (bits < self.kept - 32768).to(values.dtype).mul_(65536 / self.kept)


def mean_and_scale(values: FloatArray, chunk: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what to subtract and what to multiply by, (dimensions,) each, of (n, dimensions) or (n, dimensions, ...).

    A dimension that is nearly constant in training would blow up the few images where it is not. So a constant one, and
    one whose farthest value lies beyond ten deviations, is divided by a tenth of what the others have at least. Else
    nothing depends on the unit that a dimension is measured in: one with small numbers counts as the others do.
    """
    total = squares = np.zeros(values.shape[1])
    low, high = np.full((2, values.shape[1]), [[np.inf], [-np.inf]])
    others = (0, *range(2, values.ndim))
    for start in range(0, len(values), chunk):
        rows = np.asarray(values[start : start + chunk], dtype=np.float64)
        total = total + rows.sum(axis=others)
        squares = squares + np.square(rows).sum(axis=others)
        low, high = np.minimum(low, rows.min(axis=others)), np.maximum(high, rows.max(axis=others))
    count = values.size // values.shape[1]
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - np.square(mean), 0.0))
    share = 0.1 * float(deviation.mean())
    constant = deviation <= np.maximum(ROUNDING * np.maximum(-low, high), LEAST)
    rare = np.maximum(high - mean, mean - low) > 10.0 * deviation
    least = np.select([constant, rare], [max(share, 1e-6), share], 0.0)
    return torch.from_numpy(mean), torch.from_numpy(1.0 / np.maximum(deviation, least))


class FeatureInput(nn.Module):
    """Normalises (n, dimensions) features, then applies dropout to them while training.

    ``standard`` subtracts each dimension's mean over the training part and divides by its standard
    deviation; ``l2`` divides each image's features by their length, times the root of ``dimensions``
    so that both give entries of about one; ``none`` leaves them.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__()
        self.normalize = str(request.options["normalize"])
        self.dropout = Dropout(float(request.options["dropout"]))
        self.register_buffer("mean", torch.zeros(request.dimensions))
        self.register_buffer("scale", torch.ones(request.dimensions))

    def fit(self, features: FloatArray) -> None:
        """Take mean and standard deviation from the training part; only ``standard`` uses them."""
        if self.normalize != "standard":
            return
        mean, scale = mean_and_scale(features, CHUNK)
        self.mean.copy_(mean)
        self.scale.copy_(scale)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the normalised features, (n, dimensions)."""
        if self.normalize == "l2":
            root = float(features.shape[1]) ** 0.5
            features = nn.functional.normalize(features, dim=1) * root
        else:
            features = (features - self.mean) * self.scale
        dropped: torch.Tensor = self.dropout(features)
        return dropped


FORMS, AUTO = ("l2", "standard"), "auto"
"""Of features of unit length; ``auto``: what is best on the validation part, ``l2`` without one."""


class UnitInput(nn.Module):
    """(n, dimensions) features of unit length: as they are (``l2``), or standardised on the training part first.

    As they are the angle between two images is what the network learnt; standardised, it does not hang on a few large
    dimensions, nor on what all images have in common.
    """

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dimensions))
        self.register_buffer("scale", torch.ones(dimensions))

    def use(self, form: str, features: FloatArray) -> None:
        """Take on ``form`` as the training part's ``features`` ask."""
        standard = form == "standard"
        mean, scale = mean_and_scale(features, CHUNK) if standard else (self.mean * 0, self.scale.new_ones(()))
        self.mean.copy_(mean)
        self.scale.copy_(scale)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features of unit length, (n, dimensions)."""
        return nn.functional.normalize((features - self.mean) * self.scale, dim=1)

    def _load_from_state_dict(self, state_dict: dict[str, torch.Tensor], prefix: str, *rest: Any) -> None:
        """Take weights of before there was a choice as those of features as they are."""
        state_dict.setdefault(prefix + "mean", torch.zeros_like(self.mean))
        state_dict.setdefault(prefix + "scale", torch.ones_like(self.scale))
        super()._load_from_state_dict(state_dict, prefix, *rest)
