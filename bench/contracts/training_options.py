"""Options of training, which the host gives to every model beside its own."""

from __future__ import annotations

from bench.options import Option

SELECTING = ("O-F1", "C-F1", "mAP", "MAP@10")
"""Metrics, as the protocol defines them, that learning rate and stopping can be chosen by."""


FITTING_OPTIONS: tuple[Option, ...] = (
    Option(
        "ignored",
        "leave_out",
        "training pairs of a data set's ignore mask, as VOC's difficult: neither positive nor negative, or one of them",
        choices=("leave_out", "negative", "positive"),
    ),
)
"""Options of every model, whether it is trained by gradients or has a ``fit`` of its own."""


KNOWN_SHARE = Option(
    "known_share", 0.5, "share of each image's labels that are known beforehand, rounded down", minimum=0.0, maximum=0.9
)
"""The option of models with ``known_tags``, which are told labels of the images that they predict."""


TRAINING_OPTIONS: tuple[Option, ...] = (
    *FITTING_OPTIONS,
    Option("epochs", 60, "largest number of passes over the training part", minimum=1),
    Option("batch_size", 128, "images per update", minimum=1),
    Option("learning_rates", "1e-3", "comma-separated; each is tried, the best on the validation part is kept"),
    Option("optimizer", "rmsprop", "update rule", choices=("rmsprop", "adam", "sgd")),
    Option("momentum", 0.9, "momentum of rmsprop and sgd", minimum=0.0, maximum=0.999),
    Option("weight_decay", 1e-4, "L2 penalty", minimum=0.0),
    Option("clip_norm", 5.0, "largest gradient norm; 0 turns clipping off", minimum=0.0),
    Option("patience", 6, "epochs without a better validation score before training stops", minimum=1),
    Option("halve_after", 3, "epochs without a better validation score before the learning rate is halved", minimum=1),
    Option("select_by", "O-F1", "validation score: the metric that is maximised", choices=SELECTING),
)
"""Options of gradient training that every gradient-trained model takes; paper.md section 2 marks each as free."""
