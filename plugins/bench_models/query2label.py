"""Query2Label: each label is a query that gathers what it needs from the feature map through a transformer decoder.

Liu et al., Query2Label: A Simple Transformer Way to Multi-Label Classification, arXiv 2107.10834, 2021. Embeddings of
the labels attend to one another, then to the places of the map, which have a two-dimensional sine encoding of where
they are; a linear layer of its own turns what each label found into its logit. The loss is asymmetric, gamma 1 for
false labels.

Deviations: one decoder layer of 128 dimensions and four heads where the paper has two of the backbone's width, and no
encoder; the backbone stays frozen unless ``--finetune`` says otherwise; maps of more than eight places a side are
averaged to eight. As there, what answers is a moving average of the weights.
Ablation: ``--set queries=shared``, one query for all labels.

Batches are of 16 images and patience is 10 epochs: training starts at the label prior, and in batches of 128 a set of
126 photographs has one update an epoch, so that it stopped after seven updates and had learnt nothing. On three such
sets of COCO, judged on 1,000 other training photographs, O-F1 was 32.0, below the prior's 32.8, and mAP 5.8; with
these batches at 1e-3 they are 34.9 and 14.7. As of other classifiers the order of each image's labels chooses the
epoch: of few validation images O-F1 is chance.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from bench import Dimension, ModelRequest, ModelSpec, Option
from bench_models.asymmetric_loss import asymmetric_loss
from bench_models.shared_options import map_options


def build(request: ModelRequest) -> Any:
    """Return the classifier; its scores are logits. Raises ``UsageError`` for a width that the heads do not divide."""
    from bench_models.label_queries import LabelQueries
    from bench_models.map_heads import MapClassifier
    from bench_models.weight_average import WeightAverage

    def layers(request: ModelRequest) -> Any:
        decay = float(request.options["average"])
        return WeightAverage(LabelQueries(request), decay) if decay else LabelQueries(request)

    loss = partial(asymmetric_loss, gamma_negative=float(request.options["gamma_negative"]), margin=0.0)
    return MapClassifier(request, loss, layers)


SPEC = ModelSpec(
    name="query2label",
    summary="a transformer decoder whose queries are labels and whose memory is the feature map",
    kind="scores",
    build=build,
    options=(
        Option("queries", "label", "a query for each label, or one for all", choices=("label", "shared")),
        Option("layers", 1, "decoder layers", minimum=1, maximum=6),
        Option("width", 128, "dimensions of queries and places, a multiple of the heads and of 4", minimum=4),
        Option("heads", 4, "heads of each attention", minimum=1),
        Option("gamma_negative", 1.0, "focusing of false labels in the loss", minimum=0.0),
        Option("side", 8, "places a side that larger maps are averaged to, for time; 0: as they are", minimum=0),
        Option(
            "average",
            0.998,
            "share that a moving average of the weights, which answers, keeps at an update; 0: the last weights",
            minimum=0.0,
            maximum=0.99999,
        ),
        *map_options(dropout=0.65),
    ),
    training={
        "optimizer": "adam",
        "learning_rates": "1e-3",
        "batch_size": 16,
        "weight_decay": 1e-5,
        "patience": 10,
        "select_by": "MAP@10",
    },
    space=(
        Dimension("learning_rates", low=1e-4, high=5e-3, log=True),
        Dimension("width", (64, 128, 256)),
        Dimension("layers", (1, 2)),
        Dimension("gamma_negative", low=0.0, high=2.0),
        Dimension("dropout", (0.2, 0.35, 0.5, 0.65, 0.8)),
    ),
    source="Liu et al., Query2Label: A Simple Transformer Way to Multi-Label Classification, arXiv 2107.10834, 2021",
    feature_maps=True,
    deviations="one decoder layer of 128 dimensions; frozen features unless --finetune is given",
)
