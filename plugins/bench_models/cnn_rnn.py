"""CNN-RNN: labels emitted one after another by a recurrent network that shares their embedding with the image."""

from __future__ import annotations

from typing import Any

from bench import Dimension, ModelRequest, ModelSpec, Option
from bench_models.shared_options import SEQUENCE_SPACE, input_options, sequence_options

CELL = Option(
    "cell",
    "paper",
    "recurrent cell: the paper's with sigmoid gates, the same with ReLU everywhere, a standard LSTM, the slides' GRU;"
    " none: no step knows what was emitted",
    choices=("paper", "paper-literal", "lstm", "gru", "none"),
)
HIDDEN = Option("hidden", 512, "recurrent units", minimum=1)


def build(request: ModelRequest) -> Any:
    """Return the model of paper.md section 1 with the chosen cell."""
    from bench_models.sequences import build_prefix_model

    return build_prefix_model(request, str(request.options["cell"]))


SPEC = ModelSpec(
    name="cnn-rnn",
    summary="label sequences from a recurrent network over a joint image-label embedding",
    kind="sequence",
    build=build,
    options=(
        CELL,
        HIDDEN,
        *sequence_options(),
        *input_options(dropout=0.5),
    ),
    training={},
    space=(Dimension("hidden", (128, 256, 512)), *SEQUENCE_SPACE),
    row="CNN-RNN",
    source="Wang et al., CNN-RNN: A Unified Framework for Multi-label Image Classification, CVPR 2016",
)
