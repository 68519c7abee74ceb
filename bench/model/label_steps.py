"""The true sequences of a batch, step by step: what the loss of a sequence model is computed of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def label_steps(truth: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Yield ``previous``, ``wanted`` and ``going`` for each step: an image's labels in the data set's order, then END.

    ``truth`` is (n, labels) bool; END is number ``labels``, START ``labels + 1``. ``previous`` (n,) int64 are the
    labels before the step, START at first, and ``wanted`` (n,) int64 those that it must emit. ``going`` (n,) float32
    is 0 where END came before, 1 elsewhere: the cost of such a step counts not.

    >>> import torch
    >>> [wanted.tolist() for _, wanted, _ in label_steps(torch.tensor([[True, False, True], [False, False, False]]))]
    [[0, 3], [2, 3], [3, 3]]
    """
    import torch

    end, left = truth.shape[1], truth
    numbers = torch.arange(end, device=truth.device)
    previous = torch.full((len(truth),), end + 1, device=truth.device)
    for _ in range(int(truth.sum(dim=1).max()) + 1):
        wanted = torch.where(left.any(dim=1), left.int().argmax(dim=1), end)
        yield previous, wanted, (previous != end).float()
        left, previous = left & (numbers != wanted[:, None]), wanted
