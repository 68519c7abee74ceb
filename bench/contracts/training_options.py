"""Options of training, which the host gives to every model beside its own."""

from __future__ import annotations

from bench.options import Option

SELECTING = ("O-F1", "C-F1", "mAP", "MAP@10")
"""Metrics, as the protocol defines them, that learning rate and stopping can be chosen by."""

MAIN_METRIC = "O-F1"
"""What decides where nothing else was said, and between trials."""

OF_LABEL_SETS = frozenset({"O-F1", "C-F1"})
"""Those of them that label sets decide, and not the order of scores."""


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
    Option(
        "epochs",
        0,
        "largest number of passes over the training part; 0: 60, or as many more as make 1,800 updates",
        minimum=0,
    ),
    Option("batch_size", 128, "images per update", minimum=1),
    Option("learning_rates", "1e-3", "comma-separated; each is tried, the best on the validation part is kept"),
    Option("optimizer", "rmsprop", "update rule", choices=("rmsprop", "adam", "sgd")),
    Option("momentum", 0.9, "momentum of rmsprop and sgd", minimum=0.0, maximum=0.999),
    Option("weight_decay", 1e-4, "L2 penalty", minimum=0.0),
    Option("clip_norm", 5.0, "largest gradient norm; 0 turns clipping off", minimum=0.0),
    Option("patience", 6, "epochs without a better validation score before training stops", minimum=1),
    Option("halve_after", 3, "epochs without a better validation score before the learning rate is halved", minimum=1),
    Option("select_by", MAIN_METRIC, "validation score: the metric that is maximised", choices=SELECTING),
)
"""Options of gradient training that every gradient-trained model takes; paper.md section 2 marks each as free.

An epoch counts as 30 updates at least where it is waited: ``bench.model.settings``.
"""


FINETUNING_OPTIONS: tuple[Option, ...] = (
    Option("learning_rate", 1e-3, "highest learning rate of SGD with momentum 0.9", minimum=0.0),
    Option("weight_decay", 5e-4, "L2 penalty", minimum=0.0),
    Option("batch_size", 32, "images that go through the network at once", minimum=1),
    Option("accumulate", 1, "batches whose gradients make one update", minimum=1),
    Option("warmup", 0.0, "epochs, or a part of one, in which the learning rate rises from nearly 0", minimum=0.0),
    Option(
        "schedule",
        "constant",
        "learning rate after the warm-up: as it is, or down to 0",
        choices=("constant", "cosine"),
    ),
    Option(
        "patience",
        0,
        "epochs without a better validation score (select_by) before it stops, with the best epoch's weights; 0: never,"
        " the last epoch's are kept",
        minimum=0,
    ),
    Option(
        "precision",
        "fp32",
        "arithmetic of the backbone; bf16 and fp16 are for --device cuda",
        choices=("fp32", "bf16", "fp16"),
    ),
    Option("horizontal_flip", 0.0, "chance that a picture is mirrored", minimum=0.0, maximum=1.0),
    Option(
        "random_resized_crop",
        1.0,
        "smallest part of a picture's area that is cut out of it at random; 1: the backbone's own crop",
        minimum=0.01,
        maximum=1.0,
    ),
    Option(
        "color_jitter",
        0.0,
        "largest change of brightness, contrast and saturation, as a part of them",
        minimum=0.0,
        maximum=1.0,
    ),
)
"""Options of ``--finetune``, typed as ``--set finetune.NAME=VALUE``. Learning rate, momentum and weight decay are those
of the VGG-16 in Rezatofighi et al., AAAI 2018; its learning rate stays constant."""
