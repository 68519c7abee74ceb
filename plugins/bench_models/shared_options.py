"""Options that the first-party models share; every model states its own default."""

from dataclasses import replace

from bench import Dimension, Option, OptionValue

HIDDEN = Option("hidden", 0, "units of a hidden layer; 0: a linear classifier", minimum=0)


def with_defaults(options: tuple[Option, ...], **defaults: OptionValue) -> tuple[Option, ...]:
    """Return ``options``, those named with another default."""
    return tuple(replace(one, default=defaults.get(one.name, one.default)) for one in options)


def input_options(dropout: float, normalize: str = "standard") -> tuple[Option, ...]:
    """Return the options of ``bench_models.inputs.FeatureInput``."""
    return (
        Option("dropout", dropout, "share of activations dropped while training", minimum=0.0, maximum=0.95),
        Option(
            "normalize",
            normalize,
            "image features: standardised per dimension on the training part, scaled to unit length, or as they are",
            choices=("standard", "l2", "none"),
        ),
    )


UNIT_FORM = Option(
    "normalize",
    "auto",
    "image features: scaled to unit length, standardised per dimension before that, or what of both is best on the"
    " validation part",
    choices=("auto", "l2", "standard"),
)
UNIT_FORMS = Dimension("normalize", ("l2", "standard"))


def map_options(dropout: float) -> tuple[Option, ...]:
    """Return the options of ``bench_models.map_heads.MapInput``."""
    return (
        Option("dropout", dropout, "share of an image's channels dropped while training", minimum=0.0, maximum=0.95),
        Option(
            "normalize",
            "standard",
            "feature maps: standardised per channel over the training part's places, or as they are",
            choices=("standard", "none"),
        ),
    )


LEARNING_RATE = Dimension("learning_rates", low=2e-4, high=5e-3, log=True)
DROPOUT = Dimension("dropout", (0.2, 0.35, 0.5, 0.65))
OPTIMIZER = Dimension("optimizer", ("rmsprop", "adam"))

CLASSIFIER_TRAINING: dict[str, bool | int | float | str] = {
    "optimizer": "adam",
    "learning_rates": "3e-2,3e-4",
    "weight_decay": 1e-5,
    "patience": 8,
    "select_by": "MAP@10",
}
"""How linear classifiers are trained from the label prior. Of the two rates validation chooses the large one where few
features must say much, so that weights are large, the small one where many features each say little; without dropout,
which costs the first kind 1 to 4 points and gives the second nothing: stopping early does what it would. The order of
each image's labels chooses: of few validation images, or where more labels are given than there are, O-F1 is chance."""

CLASSIFIER_SPACE = (
    Dimension("learning_rates", low=1e-4, high=5e-2, log=True),
    Dimension("weight_decay", low=1e-6, high=1e-2, log=True),
    Dimension("dropout", (0.0, 0.2, 0.5)),
)
"""What trials choose of a linear classifier; its weight decay is what C is of a logistic regression."""

SEQUENCE_SPACE = (
    Dimension("embedding", (64, 128, 256)),
    DROPOUT,
    LEARNING_RATE,
    Dimension("weight_decay", low=1e-6, high=1e-3, log=True),
    OPTIMIZER,
    Dimension("beam_width", (1, 2, 5)),
)
"""What trials choose of every model that emits label sequences."""


def sequence_options() -> tuple[Option, ...]:
    """Return the options of ``bench_models.sequences.PrefixModel``."""
    return (
        Option("embedding", 64, "dimensions of the label embedding and of the joint space", minimum=1),
        Option("activation", "identity", "h of the joint embedding", choices=("identity", "relu", "tanh")),
        Option(
            "order",
            "frequent",
            "order of an image's labels in the target: frequent first, rare first, one random order for all, or free:"
            " any label still to come is right",
            choices=("frequent", "rare", "random", "free"),
        ),
        Option("image_hidden", 0, "units of a hidden layer between image and joint space; 0: a matrix", minimum=0),
        Option(
            "own_logits",
            False,
            "the image also gives each label and END a score, beside what they share through the joint embedding; of"
            " feature maps always",
        ),
        Option(
            "unrepeated",
            False,
            "in training a step gives emitted labels no probability, as a search with mask_repeats does",
        ),
        Option("members", 1, "models of different initial weights that answer as one: their logits' mean", minimum=1),
    )
