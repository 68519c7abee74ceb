"""No-RNN: CNN-RNN with its recurrent layer replaced by a linear embedding of the labels emitted so far."""

from __future__ import annotations

from typing import Any

from bench import ModelRequest, ModelSpec, Option
from bench_models.shared_options import SEQUENCE_SPACE, input_options, sequence_options

MEMORY = Option(
    "memory",
    "sum",
    "what is kept of the labels emitted so far: the sum of their embeddings, or the last one's",
    choices=("sum", "last"),
)


def build(request: ModelRequest) -> Any:
    """Return the model of cnn-rnn with that memory in place of a recurrent cell."""
    from bench_models.sequences import build_prefix_model

    return build_prefix_model(request, str(request.options["memory"]))


SPEC = ModelSpec(
    name="no-rnn",
    summary="cnn-rnn without recurrence: it knows which labels were emitted, by the sum of their embeddings",
    kind="sequence",
    build=build,
    options=(MEMORY, *sequence_options(), *input_options(dropout=0.5)),
    training={},
    space=SEQUENCE_SPACE,
    row="No RNN",
    source="Table 3 of Wang et al., CVPR 2016; the sum is our reading of it",
)
