"""The optimisers' rules: those of ``torch.optim``, to the bit, in the memory of one work array.

Each changes ``values`` (n,) by their ``gradient`` (n,), and keeps what it remembers in ``moments``, as many arrays (n,)
as ``Rule.moments`` says, zeros at first; ``work`` (n,) is overwritten. ``steps`` counts the updates, this one among
them. ``torch.optim`` makes arrays anew at every update, and loads torch's compiler when first used, which takes as long
as torch itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

TINY = 1e-8
"""What is added to the root of the mean square, so that it can be divided by."""


@dataclass(slots=True)
class Pace:
    """What a rule takes beside arrays: the learning rate in force and the momentum."""

    rate: float
    momentum: float


def rmsprop(  # noqa: PLR0917 - as every rule
    values: torch.Tensor,
    gradient: torch.Tensor,
    moments: Sequence[torch.Tensor],
    work: torch.Tensor,
    steps: int,
    pace: Pace,
) -> None:
    """Divide by the root of the mean square of gradients, each worth 0.95 of the next."""
    import torch

    square, *velocities = moments
    square.mul_(0.95).addcmul_(gradient, gradient, value=1 - 0.95)
    root = torch.sqrt(square, out=work).add_(TINY)
    for velocity in velocities:
        velocity.mul_(pace.momentum).addcdiv_(gradient, root)
        values.add_(velocity, alpha=-pace.rate)
    if not velocities:
        values.addcdiv_(gradient, root, value=-pace.rate)


def adam(  # noqa: PLR0917 - as every rule
    values: torch.Tensor,
    gradient: torch.Tensor,
    moments: Sequence[torch.Tensor],
    work: torch.Tensor,
    steps: int,
    pace: Pace,
) -> None:
    """Divide the mean of gradients by the root of their mean square, both freed of their start at zero."""
    import torch

    mean, square = moments
    mean.lerp_(gradient, 1 - 0.9)
    square.mul_(0.999).addcmul_(gradient, gradient, value=1 - 0.999)
    of_mean, of_square = 1 - 0.9**steps, 1 - 0.999**steps
    root = torch.sqrt(square, out=work).div_(of_square**0.5).add_(TINY)
    values.addcdiv_(mean, root, value=-(pace.rate / of_mean))


def sgd(  # noqa: PLR0917 - as every rule
    values: torch.Tensor,
    gradient: torch.Tensor,
    moments: Sequence[torch.Tensor],
    work: torch.Tensor,
    steps: int,
    pace: Pace,
) -> None:
    """Follow the gradient, or with momentum the sum of gradients, each worth a part of the next."""
    for velocity in moments:
        gradient = velocity.copy_(gradient) if steps == 1 else velocity.mul_(pace.momentum).add_(gradient)
    values.add_(gradient, alpha=-pace.rate)


@dataclass(frozen=True, slots=True)
class Rule:
    """An optimiser's rule; it remembers ``moments`` arrays, and one more where there is momentum ``with_momentum``."""

    change: Callable[[torch.Tensor, torch.Tensor, Sequence[torch.Tensor], torch.Tensor, int, Pace], None]
    moments: int
    with_momentum: int

    def remembers(self, momentum: float) -> int:
        """Return how many numbers are remembered of each weight."""
        return self.moments + (self.with_momentum if momentum > 0 else 0)


RULES: dict[str, Rule] = {
    "rmsprop": Rule(rmsprop, moments=1, with_momentum=1),
    "adam": Rule(adam, moments=2, with_momentum=0),
    "sgd": Rule(sgd, moments=0, with_momentum=1),
}
