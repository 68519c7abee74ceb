"""HCP: a shared network scores each of many windows of a picture, and a label's score is its best window's.

Wei et al., CNN: Single-label to Multi-label, arXiv 1406.5726 (2014; as HCP in TPAMI 2016): hypotheses-CNN-pooling. The
windows come as places of a feature map, from ``--backbone crops/NAME``, which puts each through the network; the
maximum over them is taken of each label's logit, then as in ``i-ft``: softmax, squared loss to 1/c on each of c labels.

Deviations: hypotheses are a fixed grid of overlapping windows and the whole picture, not BING's proposals clustered by
normalised cuts (10 in training, 500 in testing there); the network is frozen unless ``--finetune`` says otherwise, for
each epoch costs as many passes as there are windows. With the plain feature map of another backbone the hypotheses are
its places, which is faster and further from the paper.
Ablation: ``--set backbone.grid=1``, the whole picture alone.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from bench import ModelRequest, ModelSpec
from bench_models.i_ft import squared_loss
from bench_models.shared_options import CLASSIFIER_SPACE, CLASSIFIER_TRAINING, HIDDEN, map_options


def build(request: ModelRequest) -> Any:
    """Return the classifier; its scores are log-probabilities over the labels and have no threshold."""
    import torch

    from bench_models.best_place import BestPlace
    from bench_models.map_heads import MapClassifier

    return MapClassifier(request, squared_loss, BestPlace, "log_probability", partial(torch.log_softmax, dim=1))


SPEC = ModelSpec(
    name="hcp",
    summary="a shared network scores windows of the picture; a label's score is the maximum over them",
    kind="scores",
    build=build,
    options=(HIDDEN, *map_options(dropout=0.5)),
    training=CLASSIFIER_TRAINING,
    space=CLASSIFIER_SPACE,
    row="HCP-1000C",
    source="Wei et al., CNN: Single-label to Multi-label, arXiv 1406.5726, 2014",
    feature_maps=True,
    deviations="hypotheses are a grid of windows, not BING's proposals; frozen features unless --finetune is given",
    backbone="crops/{}",
)
