"""The optimisers' rules: those of ``torch.optim``, by its operations and compiled.

Each changes ``values`` (n,) by their ``gradient`` (n,), and keeps what it remembers in ``moments``, as many arrays (n,)
as ``Rule.moments`` says, zeros at first. ``steps`` counts the updates, this one among them. ``torch.optim`` loads
torch's compiler when first used, which takes as long as torch itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.model import _update

if TYPE_CHECKING:
    import torch

TINY = 1e-8
"""What is added to the root of the mean square, so that it can be divided by."""


@dataclass(slots=True)
class Pace:
    """What a rule takes beside arrays: the learning rate in force, the momentum, and the weights' part in gradients."""

    rate: float
    momentum: float
    weight_decay: float


def rmsprop(values: torch.Tensor, gradient: torch.Tensor, moments: torch.Tensor, steps: int, pace: Pace) -> None:
    """Divide by the root of the mean square of gradients, each worth 0.95 of the next."""
    square, *velocities = moments
    square.mul_(0.95).addcmul_(gradient, gradient, value=1 - 0.95)
    root = square.sqrt().add_(TINY)
    for velocity in velocities:
        velocity.mul_(pace.momentum).addcdiv_(gradient, root)
        values.add_(velocity, alpha=-pace.rate)
    if not velocities:
        values.addcdiv_(gradient, root, value=-pace.rate)


def adam(values: torch.Tensor, gradient: torch.Tensor, moments: torch.Tensor, steps: int, pace: Pace) -> None:
    """Divide the mean of gradients by the root of their mean square, both freed of their start at zero."""
    mean, square = moments
    mean.lerp_(gradient, 1 - 0.9)
    square.mul_(0.999).addcmul_(gradient, gradient, value=1 - 0.999)
    of_mean, of_square = 1 - 0.9**steps, 1 - 0.999**steps
    root = square.sqrt().div_(of_square**0.5).add_(TINY)
    values.addcdiv_(mean, root, value=-(pace.rate / of_mean))


def sgd(values: torch.Tensor, gradient: torch.Tensor, moments: torch.Tensor, steps: int, pace: Pace) -> None:
    """Follow the gradient, or with momentum the sum of gradients, each worth a part of the next."""
    for velocity in moments:
        gradient = velocity.mul_(pace.momentum).add_(gradient)
    values.add_(gradient, alpha=-pace.rate)


@dataclass(frozen=True, slots=True)
class Rule:
    """An optimiser's rule; it remembers ``moments`` arrays, and one more where there is momentum ``with_momentum``.

    ``compiled`` is the same in one pass over memory, by one thread, where operations make one each; weight decay
    included.
    """

    change: Callable[[torch.Tensor, torch.Tensor, torch.Tensor, int, Pace], None]
    compiled: Callable[..., None]
    moments: int
    with_momentum: int

    def remembers(self, momentum: float) -> int:
        """Return how many numbers are remembered of each weight."""
        return self.moments + (self.with_momentum if momentum > 0 else 0)


RULES: dict[str, Rule] = {
    "rmsprop": Rule(rmsprop, _update.rmsprop, moments=1, with_momentum=1),
    "adam": Rule(adam, _update.adam, moments=2, with_momentum=0),
    "sgd": Rule(sgd, _update.sgd, moments=0, with_momentum=1),
}
