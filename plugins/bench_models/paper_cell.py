"""The paper's cell over all prefixes of a batch at once: forward and backward by hand, for training.

It computes what ``memories.PaperCell`` does step by step, in the memory of two arrays: autograd would keep, and fill,
one for each of some twenty operations of each step.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from bench_models.prefixes import Prefixes

FEW_ROWS = 8
"""Rows up to which a product reads the weight's rows, and above which its columns, in two thirds of the time; of five
to eight either way takes the same."""


class PaperSteps(torch.autograd.Function):
    """Terms of labels (m, 4 H) and the recurrent weight (4 H, H) -> the output o(t) after each prefix, (rows, H).

    ``places`` (rows,) says which of the terms is that of a prefix's last label.
    """

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd passes arguments by place
        ctx: Any,
        terms: torch.Tensor,
        places: torch.Tensor,
        weight: torch.Tensor,
        prefixes: Prefixes,
        literal: bool,
    ) -> torch.Tensor:
        hidden = weight.shape[1]
        squash = torch.relu_ if literal else torch.sigmoid_
        gates = terms.index_select(0, places)
        states = gates.new_empty((len(gates), hidden))
        before = gates.new_zeros((len(gates), hidden))
        earlier = gates.new_empty((len(prefixes.continued), hidden))
        for level, span in zip(prefixes.levels, (slice(0, 0), *prefixes.spans), strict=False):
            rows, state = gates[level], before[level]
            if level.start:
                # Siblings share their parent's state, and so its product with the weight.
                parents, siblings = earlier[span], prefixes.siblings[level]
                torch.index_select(states, 0, prefixes.continued[span], out=parents)
                torch.index_select(parents, 0, siblings, out=state)
                rows += _product(parents, weight).index_select(0, siblings)
            candidate, enter, forget, _ = rows.chunk(4, dim=1)
            candidate.relu_()
            squash(rows[:, hidden:])
            torch.mul(forget, state, out=states[level]).addcmul_(enter, candidate)
        ctx.save_for_backward(places, weight, gates, states, before, earlier)
        ctx.labels, ctx.prefixes, ctx.literal = len(terms), prefixes, literal
        return states * gates[:, 3 * hidden :]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, torch.Tensor, None, None]:
        places, weight, gates, states, before, earlier = ctx.saved_tensors
        prefixes = ctx.prefixes
        through = _through_relu if ctx.literal else _through_sigmoid
        found = torch.empty_like(gates)
        of_siblings = gates.new_zeros((len(earlier), gates.shape[1]))
        parts = found.chunk(4, dim=1)
        candidate, enter, forget, output = gates.chunk(4, dim=1)
        through(gradients[0] * states, output, parts[3])
        wanted = gradients[0] * output
        for level, span in reversed([*zip(prefixes.levels, (slice(0, 0), *prefixes.spans), strict=False)]):
            own = wanted[level]
            _through_relu(own * enter[level], candidate[level], parts[0][level])
            through(own * candidate[level], enter[level], parts[1][level])
            through(own * before[level], forget[level], parts[2][level])
            if level.start:
                siblings = prefixes.siblings[level]
                of_parents = of_siblings[span].index_add_(0, siblings, found[level]) @ weight
                of_parents.index_add_(0, siblings, own * forget[level])
                wanted.index_add_(0, prefixes.continued[span], of_parents)
        of_labels = found.new_zeros((ctx.labels, found.shape[1])).index_add_(0, places, found)
        return of_labels, None, of_siblings.T @ earlier, None, None


def _product(rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return ``rows @ weight.T``, (n, H) and (4 H, H), by whichever of two ways is the faster for so many rows."""
    return rows @ weight.T if len(rows) <= FEW_ROWS else (weight @ rows.T.contiguous()).T


def _through_sigmoid(gradient: torch.Tensor, value: torch.Tensor, out: torch.Tensor) -> None:
    """Put into ``out`` the gradient of what a sigmoid gave ``value`` of."""
    torch.ops.aten.sigmoid_backward.grad_input(gradient, value, grad_input=out)


def _through_relu(gradient: torch.Tensor, value: torch.Tensor, out: torch.Tensor) -> None:
    """Put into ``out`` the gradient of what a ReLU gave ``value`` of."""
    torch.ops.aten.threshold_backward.grad_input(gradient, value, 0, grad_input=out)
