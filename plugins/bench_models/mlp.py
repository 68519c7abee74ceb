"""MLP: one hidden layer and independent sigmoids, what a sequence model with a hidden layer is to be held against.

``cnn-rnn-tuned`` gives the image a hidden layer; this is that layer without a sequence, trained as it is.
Ablation: ``--set hidden=0`` is linear, as ``bce``.
"""

from __future__ import annotations

from bench import Dimension, ModelSpec
from bench_models.bce import build
from bench_models.shared_options import HIDDEN, input_options, with_defaults

SPEC = ModelSpec(
    name="mlp",
    summary="one hidden layer, then one sigmoid and binary cross-entropy per label",
    kind="scores",
    build=build,
    options=with_defaults((HIDDEN, *input_options(dropout=0.2)), hidden=1024),
    training={
        "optimizer": "adam",
        "learning_rates": "1e-3,3e-4",
        "weight_decay": 1e-5,
        "patience": 15,
        "select_by": "mAP",
    },
    space=(
        Dimension("dropout", (0.1, 0.2, 0.35, 0.5)),
        Dimension("learning_rates", low=2e-4, high=2e-3, log=True),
        Dimension("hidden", (512, 1024, 2048)),
    ),
    row="MLP",
    source="a control; in no table of the paper",
)
