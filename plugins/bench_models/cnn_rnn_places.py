"""CNN-RNN on feature maps: as ``cnn-rnn-tuned``, and each label looks for itself at the places of the image.

The paper's image is one vector, in which a small object is averaged away. Here the joint space has, beside the
dimensions that labels share, one for each label, in which the image has the soft maximum of that label's score over the
places of the map. The recurrence sees labels only, as in the paper, so that decoding is as fast.
Ablation: ``--set cell=none``, where no step knows what was emitted before.
"""

from __future__ import annotations

from bench import Dimension, ModelSpec
from bench_models.cnn_rnn import CELL, HIDDEN, build
from bench_models.cnn_rnn_tuned import CHOSEN, SEARCH, TRAINING
from bench_models.shared_options import map_options, sequence_options, with_defaults

SPEC = ModelSpec(
    name="cnn-rnn-places",
    summary="cnn-rnn-tuned on feature maps: each label has the soft maximum of its score over the places",
    kind="sequence",
    build=build,
    options=with_defaults(
        (CELL, HIDDEN, *sequence_options(), *map_options(dropout=0.1)),
        hidden=128,
        embedding=256,
        order="free",
        unrepeated=True,
        image_hidden=128,
    ),
    training={**TRAINING, "batch_size": 64},
    searching=SEARCH,
    space=(
        Dimension("image_hidden", (0, 128, 256)),
        Dimension("dropout", (0.1, 0.2, 0.35)),
        *CHOSEN,
    ),
    row="CNN-RNN",
    source="Wang et al., CNN-RNN: A Unified Framework for Multi-label Image Classification, CVPR 2016",
    feature_maps=True,
    deviations="feature maps, whose places each label looks at, and what cnn-rnn-tuned has",
)
