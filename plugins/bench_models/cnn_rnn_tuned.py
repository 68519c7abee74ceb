"""CNN-RNN at its strongest: the paper's model with what was found to help, on the same features.

The label sequence, the joint embedding, the recurrent cell and the beam are the paper's. Other than there: U_I has a
hidden layer, and gives each label a score of its own beside the embedding; any label still to come is a right answer,
in an order drawn for each batch; Adam; the beam is wider and repeats no label; a label's score is the probability that
the sequence has it (``class_score=inclusion``).
Ablation: ``--set cell=none``, where no step knows what was emitted before. docs/results.md has what each is worth.
"""

from __future__ import annotations

from bench import Dimension, ModelSpec, OptionValue
from bench_models.cnn_rnn import CELL, HIDDEN, build
from bench_models.shared_options import input_options, sequence_options, with_defaults

SEARCH: dict[str, OptionValue] = {"beam_width": 10, "mask_repeats": True, "class_score": "inclusion"}
TRAINING: dict[str, OptionValue] = {
    "optimizer": "adam",
    "weight_decay": 1e-5,
    "learning_rates": "1e-3",
    "patience": 15,
    "halve_after": 5,
}

CHOSEN = (Dimension("order", ("free", "frequent")), Dimension("learning_rates", low=2e-4, high=2e-3, log=True))
"""What trials choose beside the image side: little, so that a few trials say much. Sizes and weight decay hardly matter
(docs/results.md), and a thousand features want more dropout and a smaller rate than a hundred."""

SPEC = ModelSpec(
    name="cnn-rnn-tuned",
    summary="cnn-rnn with a hidden layer for the image, no fixed order of labels, and scores that sum over sequences",
    kind="sequence",
    build=build,
    options=with_defaults(
        (CELL, HIDDEN, *sequence_options(), *input_options(dropout=0.2)),
        hidden=128,
        embedding=256,
        order="free",
        image_hidden=1024,
        own_logits=True,
        unrepeated=True,
    ),
    training=TRAINING,
    searching=SEARCH,
    space=(
        Dimension("dropout", (0.1, 0.2, 0.35, 0.5)),
        *CHOSEN,
    ),
    row="CNN-RNN",
    source="Wang et al., CNN-RNN: A Unified Framework for Multi-label Image Classification, CVPR 2016",
    deviations="a hidden layer and own scores of the image, no fixed order, Adam, ten paths, scores summed over them",
)
