"""Multi-edge graph: images are bags of regions, alike regions are edges between images, and labels run along the edges.

Liu, Yan, Rui and Zhang, Unified Tag Analysis with Multi-Edge Graph, ACM MM 2010: vertices are images, each a bag of the
regions of several segmentations; two images have an edge for each pair of alike regions, and an edge has labels of its
own. They are made consistent over edges that share a region, under the vertex-vs-edge equation: a label of an image is
the maximum over its edges.

Deviations: regions are cells of grids over the feature map, not segments; each region keeps the labels of its edges,
and propagation alternates with the equation as a projection in place of cutting planes; test images join the graph one
by one, after the training images. Ablation: ``--set grid=1``, one region an image.
"""

from __future__ import annotations

from typing import Any

from bench import Dimension, ModelRequest, ModelSpec, Option


def build(request: ModelRequest) -> Any:
    """Return the model; ``fit`` labels the training regions and keeps them."""
    from bench_models.region_graph import RegionGraph

    return RegionGraph(request)


SPEC = ModelSpec(
    name="multi-edge-graph",
    summary="images as bags of regions, an edge for each pair of alike regions, labels propagated along the edges",
    kind="scores",
    build=build,
    options=(
        Option("grid", 2, "side of the finest grid of regions; all from 1 to it; 1: the whole image alone", minimum=1),
        Option("edges", 50, "most alike regions of training images that a region has edges to", minimum=1),
        Option("rounds", 3, "rounds of propagation among the training images", minimum=0),
    ),
    training=None,
    space=(
        Dimension("grid", (1, 2, 3)),
        Dimension("edges", low=5, high=150, log=True),
        Dimension("rounds", (0, 1, 3)),
    ),
    row="Multi-edge graph",
    source="Liu et al., Unified Tag Analysis with Multi-Edge Graph, ACM MM 2010",
    feature_maps=True,
    deviations="regions are cells of grids over the feature map; propagation and projection in turn, no cutting planes;"
    " test images join the graph one by one",
    deterministic=True,
)
