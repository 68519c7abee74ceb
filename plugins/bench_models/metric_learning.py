"""Metric learning: Mahalanobis metrics learnt on subsets of the training part, averaged, then neighbours vote.

Li, Lin, Rui, Rui and Tao, A Distributed Approach toward Discriminative Distance Metric Learning, TNNLS 2015 (ADML): on
each subset a metric pulls an image to neighbours with like labels and pushes it from those with others; the positive
semidefinite matrices of the subsets are averaged to one metric, under which the neighbours' labels vote.

Deviations: a subset's metric is the closed form of Koestinger et al. (CVPR 2012), the inverse scatter of the pulled
pairs less that of the pushed ones, and not found by gradients; label sets count as alike by their Jaccard index;
votes are by the cosine under the metric. Ablation: ``--set metric=identity`` is ``knn``.
"""

from __future__ import annotations

from typing import Any

from bench import Dimension, ModelRequest, ModelSpec, Option
from bench_models.knn import NEIGHBOURS
from bench_models.shared_options import UNIT_FORM, UNIT_FORMS


def build(request: ModelRequest) -> Any:
    """Return the model; ``fit`` learns the metric and keeps the training part, and scores are the mean vote."""
    from bench_models.mahalanobis import MetricNeighbours

    return MetricNeighbours(request)


SPEC = ModelSpec(
    name="metric-learning",
    summary="a Mahalanobis metric, the mean of those learnt on subsets of the images; then nearest neighbours vote",
    kind="scores",
    build=build,
    options=(
        NEIGHBOURS,
        UNIT_FORM,
        Option("metric", "learnt", "the metric of the neighbours", choices=("learnt", "identity")),
        Option("subset", 1000, "training images that a metric is learnt on, before all are averaged", minimum=2),
        Option("pairs", 10, "pulled and pushed neighbours of each image", minimum=1),
        Option("shrink", 1.0, "share of the mean variance added to each direction's", minimum=1e-6),
    ),
    training=None,
    space=(
        Dimension("neighbours", low=3, high=200, log=True),
        UNIT_FORMS,
        Dimension("shrink", low=0.03, high=10.0, log=True),
        Dimension("pairs", (5, 10, 20)),
    ),
    row="Metric Learning",
    source="Li et al., A Distributed Approach toward Discriminative Distance Metric Learning, TNNLS 2015",
    deviations="each subset's metric is in closed form, after Koestinger et al., CVPR 2012; votes by cosine on deep"
    " features",
)
