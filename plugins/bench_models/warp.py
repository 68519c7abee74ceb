"""WARP: a linear classifier trained to rank true labels above the others, by Gong et al.'s sampled ranking loss."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from bench import ModelRequest, ModelSpec
from bench_models.shared_options import CLASSIFIER_SPACE, CLASSIFIER_TRAINING, HIDDEN, input_options

if TYPE_CHECKING:
    import torch

MARGIN = 1.0


def warp_loss(
    logits: torch.Tensor, truth: torch.Tensor, generator: torch.Generator, ignore: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the mean over images of sum_j L(r_j) max(0, 1 - f_j + f_k), a true label j against a violator k.

    Negatives are drawn with replacement until one violates the margin, at most labels - 1 times; after s
    draws the rank is r = floor((labels - 1) / s), and L(r) = 1 + 1/2 + ... + 1/r. The number of draws and
    the violator are sampled from their distributions, geometric and uniform, without drawing one by one.
    An ignored label is neither j nor k, and is not counted in ``labels``.
    """
    drawn = _drawn(logits.detach(), truth, generator, ignore)
    margin = MARGIN - logits[drawn.image, drawn.positive] + logits[drawn.image, drawn.violator]
    return (drawn.weight * margin).sum() / len(logits)


def warp_loss_and_slope(
    logits: torch.Tensor, truth: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the same, nothing ignored, and its gradient by the logits: each pair's weight, at k, and at j negative."""
    import torch

    drawn = _drawn(logits, truth, generator, None)
    share, slope = drawn.weight * (1 / len(logits)), torch.zeros_like(logits)
    slope.index_put_((drawn.image, drawn.violator), share, accumulate=True)
    slope.index_put_((drawn.image, drawn.positive), -share)
    return (drawn.weight * drawn.margin).sum() / len(logits), slope


class _Drawn(NamedTuple):
    """True labels j for which a violator k was found: image, j, k, 1 - f_j + f_k and L(r_j), each (found,)."""

    image: torch.Tensor
    positive: torch.Tensor
    violator: torch.Tensor
    margin: torch.Tensor
    weight: torch.Tensor


def _drawn(
    logits: torch.Tensor, truth: torch.Tensor, generator: torch.Generator, ignore: torch.Tensor | None
) -> _Drawn:
    import torch

    negative = ~truth
    if ignore is not None:
        truth, negative = truth & ~ignore, negative & ~ignore
    image, positive = truth.nonzero(as_tuple=True)
    own = logits.index_select(0, image)
    slack = MARGIN - own.gather(1, positive.unsqueeze(1)) + own
    violates = (slack > 0) & negative.index_select(0, image)
    count = violates.sum(dim=1)
    chance = count / negative.sum(dim=1).clamp(min=1).index_select(0, image)
    others = (truth | negative).sum(dim=1).index_select(0, image) - 1
    uniform = torch.rand(len(image), generator=generator, device=logits.device)
    # P(s > n) = (1 - chance)^n, inverted. A chance of one gives s = 1, of zero s = infinity.
    draws = (torch.log1p(-uniform) / torch.log1p(-chance.clamp(max=1 - 1e-7))).ceil().clamp(min=1)
    found = ((count > 0) & (draws <= others)).nonzero().squeeze(1)
    rank = (others / draws).index_select(0, found).long()
    lottery = torch.rand(violates.shape, generator=generator, device=logits.device)
    violator = lottery.masked_fill_(~violates, -1.0).argmax(dim=1, keepdim=True)
    every = (image, positive, violator.squeeze(1), slack.gather(1, violator).squeeze(1))
    image, positive, violator, margin = (one.index_select(0, found) for one in every)
    weight = _harmonic(logits.shape[1], logits.device).index_select(0, rank - 1)
    return _Drawn(image, positive, violator, margin, weight)


@lru_cache(maxsize=2)
def _harmonic(labels: int, device: torch.device) -> torch.Tensor:
    """Return 1, 1 + 1/2, ..., (labels,)."""
    import torch

    return (1.0 / torch.arange(1, labels + 1, device=device)).cumsum(0)


def build(request: ModelRequest) -> Any:
    """Return the classifier; its scores are margins, which rank labels and have no threshold."""
    from bench_models.heads import Classifier

    return Classifier(request, warp_loss, "margin", slope=warp_loss_and_slope)


SPEC = ModelSpec(
    name="warp",
    summary="linear classifier, weighted approximate ranking of true labels above the others, rank sampled",
    kind="scores",
    build=build,
    options=(HIDDEN, *input_options(dropout=0.0)),
    training=CLASSIFIER_TRAINING,
    space=CLASSIFIER_SPACE,
    row="WARP",
    source="Gong et al., Deep Convolutional Ranking for Multilabel Image Annotation, ICLR 2014",
)
