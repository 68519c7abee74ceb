"""DLSR: an image is rebuilt sparsely from others, by features and known tags; each tag from the other tags; both add.

Lin, Ding, Hu, Lin and Ge, Image tag completion via dual-view linear sparse reconstructions, CVIU 2014. Image view: the
weights that rebuild an image's features and its tags from those of others carry over their tags. Tag view: each tag's
column of the tagging matrix is rebuilt from the other columns. The prediction is a convex combination of the two.

Deviations: an image is rebuilt from its nearest training images, not from all; weights are sparse one by one, without
groups; tag columns are rebuilt by ridge regression from tags half of which are hidden, as those of a test image are.
Ablation: ``--set views=image`` or ``views=tags``.
"""

from __future__ import annotations

from typing import Any

from bench import Dimension, ModelRequest, ModelSpec, Option


def build(request: ModelRequest) -> Any:
    """Return the model; ``fit`` keeps the training part and learns the tag view."""
    from bench_models.reconstructions import DualView

    return DualView(request)


SPEC = ModelSpec(
    name="dlsr",
    summary="completes known tags: an image sparsely from like images, a tag from the other tags, both views added",
    kind="scores",
    build=build,
    options=(
        Option("views", "both", "what predictions are made of", choices=("both", "image", "tags")),
        Option("balance", 0.5, "weight of the image view beside the tag view", minimum=0.0, maximum=1.0),
        Option("neighbours", 100, "training images that an image is rebuilt from", minimum=1),
        Option("sparsity", 0.05, "L1 penalty of the image view's weights", minimum=0.0),
        Option("ridge", 10.0, "L2 penalty of the tag view's weights", minimum=1e-6),
    ),
    training=None,
    space=(
        Dimension("balance", low=0.0, high=1.0),
        Dimension("neighbours", low=20, high=300, log=True),
        Dimension("sparsity", low=0.005, high=0.5, log=True),
        Dimension("ridge", low=1.0, high=100.0, log=True),
    ),
    row="DLSR",
    source="Lin et al., Image tag completion via dual-view linear sparse reconstructions, CVIU 2014",
    known_tags=True,
    deviations="rebuilt from the nearest training images alone, without groups; tags from tags by ridge regression",
)
