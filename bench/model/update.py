"""An update of a model's weights: gradients clipped, then the optimiser's rule, in pieces that a core's cache holds."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.model.update_rules import RULES, Pace

if TYPE_CHECKING:
    import torch

PIECE = 2**17
"""Numbers of a parameter that are updated at a time. A rule passes over them, their gradient and what it remembers five
to ten times: pieces stay in the cache meanwhile, where a matrix goes through memory each time."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some numbers of a parameter, what is remembered of them, and where a rule works: views, made once."""

    rows: slice
    values: torch.Tensor
    moments: tuple[torch.Tensor, ...]
    work: torch.Tensor
    decayed: torch.Tensor


class Update:
    """The weights of one model, on whichever device, and what the optimiser remembers of them.

    ``optimizer``, ``momentum``, ``weight_decay`` and ``clip_norm`` are as in ``TRAINING_OPTIONS``. With ``in_pieces``
    large parameters are updated piece by piece, which changes no bit: rules are of each number by itself. That is for
    one thread, as a piece is too small for several.
    """

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        rate: float,
        *,
        optimizer: str,
        momentum: float,
        weight_decay: float,
        clip_norm: float,
        in_pieces: bool,
    ) -> None:
        self._parameters = list(parameters)
        self._most = clip_norm or math.inf
        self._decay = weight_decay
        self._rule = RULES[optimizer]
        self._pace = Pace(rate, momentum)
        self._at_once = PIECE if in_pieces else sys.maxsize
        self._moments: list[torch.Tensor | None] = [None] * len(self._parameters)
        self._steps = [0] * len(self._parameters)
        self._pieces: list[list[_Piece]] = [[] for _ in self._parameters]
        self._work: torch.Tensor | None = None

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Return the weights as torch's ``GradScaler`` asks an optimiser for them."""
        return [{"params": self._parameters}]

    @property
    def state(self) -> dict[str, Any]:
        """Return what the optimiser remembers, as it goes into a checkpoint."""
        return {"moments": list(self._moments), "steps": list(self._steps)}

    def load(self, state: dict[str, Any]) -> None:
        """Continue from the ``state`` of an update of the same weights; a checkpoint's lies on the CPU."""
        held = zip(state["moments"], self._parameters, strict=True)
        self._moments = [None if moments is None else moments.to(parameter.device) for moments, parameter in held]
        self._steps = list(state["steps"])
        self._pieces = [[] for _ in self._parameters]

    def set_rate(self, rate: float) -> None:
        """Update with this learning rate from now on."""
        self._pace.rate = rate

    def clear(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    def clip(self) -> float:
        """Scale the gradients where their norm is above the most, and return what it was; it may not be finite."""
        import torch

        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        if not gradients:
            return 0.0
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(one) for one in gradients]))
        length = float(norm)
        # As torch's clip_grad_norm_, which multiplies by 1 where there is nothing to clip.
        if not length < 0.999 * self._most:
            share = torch.clamp(self._most / (norm + 1e-6), max=1.0)
            for gradient in gradients:
                gradient.mul_(share)
        return length

    def step(self) -> None:
        """Change the weights by their gradients, and forget those."""
        import torch

        with torch.no_grad():
            for number, parameter in enumerate(self._parameters):
                if parameter.grad is not None:
                    self._steps[number] += 1
                    self._change(number, parameter, parameter.grad)
        self.clear()

    def _change(self, number: int, parameter: torch.Tensor, gradient: torch.Tensor) -> None:
        import torch

        pieces, in_place = self._pieces[number], parameter.is_contiguous()
        # A model may have put other memory in the parameter's place.
        if not pieces or not in_place or pieces[0].values.data_ptr() != parameter.data_ptr():
            self._pieces[number] = pieces = list(self._cut(number, parameter))
        gradient = gradient.reshape(-1)
        for piece in pieces:
            part = gradient if len(pieces) == 1 else gradient[piece.rows]
            if self._decay != 0:
                part = torch.add(part, piece.values, alpha=self._decay, out=piece.decayed)
            self._rule.change(piece.values, part, piece.moments, piece.work, self._steps[number], self._pace)
        if not in_place:
            parameter.copy_(torch.cat([piece.values for piece in pieces]).view(parameter.shape))

    def _cut(self, number: int, parameter: torch.Tensor) -> Iterator[_Piece]:
        """Yield the pieces of a parameter, views where it lies row by row in memory."""
        size = parameter.numel()
        moments = self._moments[number]
        if moments is None:
            remembered = self._rule.remembers(self._pace.momentum)
            self._moments[number] = moments = parameter.new_zeros((remembered, size))
        flat = parameter.reshape(-1)
        at_once = max(min(self._at_once, size), 1)
        if self._work is None or self._work.shape[1] < at_once or self._work.dtype != flat.dtype:
            self._work = flat.new_empty((2, at_once))
        for start in range(0, size, at_once):
            rows = slice(start, min(start + at_once, size))
            work, decayed = self._work[:, : rows.stop - start]
            yield _Piece(rows, flat[rows], tuple(moments[:, rows]), work, decayed)
