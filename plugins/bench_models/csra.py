"""CSRA: each label looks at the places where it scores highest, beside the mean over all places.

Zhu and Wu, Residual Attention: A Simple but Effective Method for Multi-Label Recognition, ICCV 2021. With the score of
a label at each place, the logit is the mean over places plus lambda times a mean weighted by the softmax of temperature
times those scores. Heads differ in their temperature, the last takes the maximum; their logits are added.

Deviations: the backbone stays frozen unless ``--finetune`` says otherwise; the classifiers are not scaled to unit
length and have a bias, since frozen features cannot grow to make up for it; the heads' logits are averaged, not added.
Ablation: ``--set lambda=0`` leaves the mean over places.
"""

from __future__ import annotations

from typing import Any

from bench import Dimension, ModelRequest, ModelSpec, Option
from bench_models.bce import binary_cross_entropy
from bench_models.shared_options import CLASSIFIER_SPACE, CLASSIFIER_TRAINING, map_options


def build(request: ModelRequest) -> Any:
    """Return the classifier; its scores are logits."""
    from bench_models.map_heads import MapClassifier
    from bench_models.residual_attention import ResidualAttention

    return MapClassifier(request, binary_cross_entropy, ResidualAttention)


SPEC = ModelSpec(
    name="csra",
    summary="class-specific residual attention: a label's mean score over places, and its score where it is highest",
    kind="scores",
    build=build,
    options=(
        Option("lambda", 0.5, "weight of the attention beside the mean over places; 0: the mean alone", minimum=0.0),
        Option("heads", 2, "heads; temperatures 1, 2, ... and, from two heads on, a maximum", minimum=1, maximum=8),
        *map_options(dropout=0.0),
    ),
    training=CLASSIFIER_TRAINING,
    space=(Dimension("lambda", low=0.0, high=1.0), Dimension("heads", (1, 2, 4)), *CLASSIFIER_SPACE),
    source="Zhu and Wu, Residual Attention: A Simple but Effective Method for Multi-Label Recognition, ICCV 2021",
    feature_maps=True,
    deviations="frozen features unless --finetune is given; classifiers with a bias and not of unit length",
)
