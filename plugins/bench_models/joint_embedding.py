"""Joint embedding: images and labels in one space, ranked by WARP; a WSABIE-style reading of the paper's row [38]."""

from __future__ import annotations

from typing import Any

from bench import Dimension, ModelRequest, ModelSpec, Option
from bench_models.shared_options import CLASSIFIER_SPACE, CLASSIFIER_TRAINING, input_options
from bench_models.warp import warp_loss


def build(request: ModelRequest) -> Any:
    """Return the model; its scores are margins, which rank labels and have no threshold."""
    from bench_models.heads import Classifier, LowRank

    embedding, norm = int(request.options["embedding"]), float(request.options["max_norm"])
    layers = lambda dimensions, labels: LowRank(dimensions, labels, embedding, norm)  # noqa: E731 - a factory
    return Classifier(request, warp_loss, "margin", layers=layers)


SPEC = ModelSpec(
    name="joint-embedding",
    summary="images and labels in one space of 64 dimensions, ranked by scalar products and labels' biases",
    kind="scores",
    build=build,
    options=(
        Option("embedding", 64, "dimensions of the joint space", minimum=1),
        Option("max_norm", 1.0, "largest length of a label's vector", minimum=1e-6),
        *input_options(dropout=0.5),
    ),
    # Products of two matrices move twice as fast as one, so that the larger rate is smaller.
    training=CLASSIFIER_TRAINING | {"learning_rates": "3e-3,3e-4"},
    space=(Dimension("embedding", (32, 64, 128)), Dimension("max_norm", (0.5, 1.0, 2.0, 5.0)), *CLASSIFIER_SPACE),
    row="Joint Embedding",
    source="Weston et al., WSABIE, IJCAI 2011; the paper's reference [38] was not found",
)
