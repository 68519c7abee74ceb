"""The training part on the device, laid there once, and its batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from bench.records import BoolArray, FloatArray

if TYPE_CHECKING:
    import torch

IN_MEMORY = 2**30
"""Bytes of training features up to which they are laid on the device once; larger ones are read batch by batch."""

TRUTH_IN_MEMORY = 2**28
"""The same of a mask, truth or ignored pairs: a larger one is in memory once already, and read from there."""

AT_ONCE = 2**24
"""Bytes of features that are put in order at once, for all the batches in them: few copies are cheaper than many."""

Batch = tuple["torch.Tensor", "torch.Tensor", "torch.Tensor | None"]
"""Features (n, ...) float32, truth and the ignored pairs (n, labels)."""


class Batches:
    """The training part as tensors, from which batches are taken by their rows."""

    def __init__(self, values: FloatArray, truth: BoolArray, ignore: BoolArray | None, device: torch.device) -> None:
        import torch

        self.device = device
        # A view without the checks that a memory map makes at every access.
        self._values = np.asarray(values)
        fits = self._values.size * np.dtype(np.float32).itemsize <= IN_MEMORY
        self._features = torch.from_numpy(self._values.astype(np.float32)).to(device) if fits else None
        self._truth = self._laid(truth)
        self._ignore = None if ignore is None else self._laid(ignore)

    def __len__(self) -> int:
        return len(self._values)

    def in_order(self, order: torch.Tensor, size: int) -> Iterator[Batch]:
        """Yield the batches of the first ``size`` rows of ``order`` (n,) int64, of the next ones, and so on."""
        import torch

        of_batch = size * self._values[:1].size * np.dtype(np.float32).itemsize
        for rows in torch.split(order, size * max(AT_ONCE // max(of_batch, 1), 1)):
            features, truth, ignore = self.take(rows)
            parts = torch.split(features, size)
            masks = [None] * len(parts) if ignore is None else torch.split(ignore, size)
            yield from zip(parts, torch.split(truth, size), masks, strict=True)

    def take(self, rows: torch.Tensor) -> Batch:
        """Return the batch of ``rows`` (n,) int64."""
        import torch

        there = rows.to(self.device)
        if self._features is None:
            features = torch.from_numpy(self._values[rows.numpy()]).to(self.device, torch.float32)
        else:
            features = self._features.index_select(0, there)
        ignore = None if self._ignore is None else self._rows(self._ignore, rows, there)
        return features, self._rows(self._truth, rows, there), ignore

    def _laid(self, mask: BoolArray) -> torch.Tensor | BoolArray:
        import torch

        return torch.from_numpy(mask.copy()).to(self.device) if mask.size <= TRUTH_IN_MEMORY else mask

    def _rows(self, mask: torch.Tensor | BoolArray, rows: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        import torch

        if isinstance(mask, torch.Tensor):
            return mask.index_select(0, there)
        return torch.from_numpy(mask[rows.numpy()]).to(self.device)
