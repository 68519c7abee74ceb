"""What every first-party model does with image features before its own layers, so that no row gains by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

import bench
from bench import FloatArray

CHUNK = 4096
"""Images read at once for the statistics: memory-mapped features need not fit in memory."""


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


def deviation_floor(deviation: FloatArray) -> float:
    """Return the least deviation, (dimensions,), to divide by.

    A dimension that is nearly constant in training would blow up the few test images where it is not.
    """
    return max(0.1 * float(deviation.mean()), 1e-6)


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
        total = np.zeros(features.shape[1])
        squares = np.zeros(features.shape[1])
        for start in range(0, len(features), CHUNK):
            rows = np.asarray(features[start : start + CHUNK], dtype=np.float64)
            total += rows.sum(axis=0)
            squares += np.square(rows).sum(axis=0)
        mean = total / len(features)
        deviation = np.sqrt(np.maximum(squares / len(features) - np.square(mean), 0.0))
        self.mean.copy_(torch.from_numpy(mean))
        self.scale.copy_(torch.from_numpy(1.0 / np.maximum(deviation, deviation_floor(deviation))))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the normalised features, (n, dimensions)."""
        if self.normalize == "l2":
            root = float(features.shape[1]) ** 0.5
            features = nn.functional.normalize(features, dim=1) * root
        else:
            features = (features - self.mean) * self.scale
        dropped: torch.Tensor = self.dropout(features)
        return dropped
