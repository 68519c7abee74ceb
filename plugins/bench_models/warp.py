"""WARP: a linear classifier trained to rank true labels above the others, by Gong et al.'s sampled ranking loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    import torch

    negative = ~truth
    if ignore is not None:
        truth, negative = truth & ~ignore, negative & ~ignore
    image, positive = truth.nonzero(as_tuple=True)
    if not len(image):
        return logits.sum() * 0.0
    with torch.no_grad():
        slack = MARGIN - logits[image, positive].unsqueeze(1) + logits.index_select(0, image)
        violates = (slack > 0) & negative.index_select(0, image)
        count = violates.sum(dim=1)
        chance = count / negative.sum(dim=1).clamp(min=1).index_select(0, image)
        others = (truth | negative).sum(dim=1).index_select(0, image) - 1
        uniform = torch.rand(len(image), generator=generator, device=logits.device)
        # P(s > n) = (1 - chance)^n, inverted. A chance of one gives s = 1, of zero s = infinity.
        draws = (torch.log1p(-uniform) / torch.log1p(-chance.clamp(max=1 - 1e-7))).ceil().clamp(min=1)
        found = (count > 0) & (draws <= others)
        rank = (others[found] / draws[found]).floor().long()
        lottery = torch.rand(violates.shape, generator=generator, device=logits.device)
        violator = lottery.masked_fill(~violates, -1.0).argmax(dim=1)[found]
        harmonic = (1.0 / torch.arange(1, logits.shape[1] + 1, device=logits.device)).cumsum(0)
        weight = harmonic[rank - 1]
    image, positive = image[found], positive[found]
    margin = MARGIN - logits[image, positive] + logits[image, violator]
    return (weight * margin).sum() / len(logits)


def build(request: ModelRequest) -> Any:
    """Return the classifier; its scores are margins, which rank labels and have no threshold."""
    from bench_models.heads import Classifier

    return Classifier(request, warp_loss, "margin")


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
