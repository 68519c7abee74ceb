"""An update of a model's weights: gradients clipped, then the optimiser's rule."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from bench.model.update_rules import RULES, Pace

if TYPE_CHECKING:
    import torch


class Update:
    """The weights of one model, on whichever device, and what the optimiser remembers of them.

    ``optimizer``, ``momentum``, ``weight_decay`` and ``clip_norm`` are as in ``TRAINING_OPTIONS``. float32 weights
    on the CPU are updated by the compiled rules, in one pass over memory where torch's operations make eight: to the
    bit the same, but for the root, which is rounded to the nearest there.
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
    ) -> None:
        self._parameters = list(parameters)
        self._most = clip_norm or math.inf
        self._rule = RULES[optimizer]
        self._pace = Pace(rate, momentum, weight_decay)
        self._moments: list[torch.Tensor | None] = [None] * len(self._parameters)
        self._steps = [0] * len(self._parameters)

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

        pace, moments = self._pace, self._moments[number]
        if moments is None:
            remembered = self._rule.remembers(pace.momentum)
            self._moments[number] = moments = parameter.new_zeros((remembered, parameter.numel()))
        # Views where they lie row by row in memory; a gradient may repeat one number, or be a view's negative.
        values, gradient = parameter.contiguous().view(-1), gradient.contiguous().resolve_neg().view(-1)
        steps = self._steps[number]
        if values.device.type == "cpu" and {values.dtype, gradient.dtype, moments.dtype} == {torch.float32}:
            arrays = (values.numpy(), gradient.numpy(), moments.numpy())
            self._rule.compiled(*arrays, steps, pace.rate, pace.momentum, pace.weight_decay)
            # As torch's operations do: a loss whose graph is of before must not be followed back through new weights.
            torch.autograd.graph.increment_version(parameter)
        else:
            if pace.weight_decay != 0:
                gradient = torch.add(gradient, values, alpha=pace.weight_decay)
            self._rule.change(values, gradient, moments, steps, pace)
        if not parameter.is_contiguous():
            parameter.copy_(values.view(parameter.shape))
