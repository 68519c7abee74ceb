"""Linear layers that a recurrence applies at every step, with one product for the gradient of all of them.

Autograd makes a gradient of the whole matrix at every step and adds it to the last: for steps of a few rows that is
most of the time. Within ``unrolled`` a step keeps its rows, and the matrix's gradient is one product over all rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

Rows = list[tuple[torch.Tensor, torch.Tensor]]
"""Gradients of the outputs (n, out) and inputs (n, in) of the steps that the backward pass has reached."""


class _Weight(torch.autograd.Function):
    """(out, in) weight -> the same, as all steps use it; its gradient is taken once every step has kept its rows."""

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, rows: Rows) -> torch.Tensor:
        ctx.rows = rows
        # Steps hang on this in the graph, so that its backward pass comes after all of theirs.
        return weight.new_zeros(())

    @staticmethod
    def backward(ctx: Any, *_: torch.Tensor) -> tuple[torch.Tensor, None]:
        gradients, inputs = zip(*ctx.rows, strict=True)
        ctx.rows.clear()
        return torch.cat(gradients).T @ torch.cat(inputs), None


class _Step(torch.autograd.Function):
    """(n, in) inputs -> (n, out), the product with the weight of one step."""

    @staticmethod
    def forward(ctx: Any, inputs: torch.Tensor, weight: torch.Tensor, hook: torch.Tensor, rows: Rows) -> torch.Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.rows = rows
        return inputs @ weight.T

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, torch.Tensor, None]:
        inputs, weight = ctx.saved_tensors
        ctx.rows.append((gradients[0], inputs))
        return gradients[0] @ weight, None, weight.new_zeros(()), None


class StepLinear(nn.Linear):
    """An ``nn.Linear`` whose weight, within ``unrolled``, has one gradient for all calls; elsewhere just that."""

    _open: tuple[torch.Tensor, Rows] | None = None

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return (n, out) products of (n, in) ``inputs``, plus the bias where there is one."""
        if self._open is None:
            return super().forward(inputs)
        product: torch.Tensor = _Step.apply(inputs, self.weight.detach(), *self._open)
        return product if self.bias is None else product + self.bias


@contextmanager
def unrolled(module: nn.Module) -> Iterator[None]:
    """Let each ``StepLinear`` of ``module`` take one gradient for all its calls in the body."""
    layers = [layer for layer in module.modules() if isinstance(layer, StepLinear) and layer.weight.requires_grad]
    try:
        for layer in layers if torch.is_grad_enabled() else ():
            rows: Rows = []
            layer._open = (_Weight.apply(layer.weight, rows), rows)
        yield
    finally:
        for layer in layers:
            layer._open = None
