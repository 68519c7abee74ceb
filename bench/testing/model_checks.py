"""What holds of every model: shapes, determinism, each image for itself, its whole state stored, odd data, export."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from bench.errors import NotRun
from bench.evaluation.protocols import THRESHOLDS
from bench.model import checks, start_checks, train
from bench.model.networks import IMAGE_ROWS, STEP_ROWS, TorchStepNetwork, sees_every_step
from bench.plan import check_space, options_of
from bench.records import Preprocessing, ScoreKind
from bench.testing.checks import Table, require
from bench.testing.common import add_common, pickled
from bench.testing.models import QUICK, Data, ModelPart, made_up
from bench.trials.space import points

POINTS = 16
"""Points of a search space that are looked at."""

LAST = 1 - 1e-9
"""The far end of a dimension."""

MODEL_CHECKS = Table()
check = MODEL_CHECKS.check


@check("build gives what its kind needs", remedy="see bench.ScoreModel, SetModel, SequenceModel and ArrayModel")
def builds(part: ModelPart) -> None:  # noqa: D103 - the claim says it, here and below
    part.build(part.data())


@check(
    "the same seed starts from the same weights",
    remedy="draw them from torch's global generator, which starts from request.seed, not from the clock or the system",
    needs=["builds"],
)
def same_seed_same_start(part: ModelPart) -> None:  # noqa: D103
    if part.spec.training is None:
        return  # there is nothing to start from before its fit
    one, other = (part.build(part.data(), seed=3).state_dict() for _ in range(2))
    differ = [name for name in one if name not in other or not one[name].equal(other[name])]
    require(not differ, f"two builds with one seed differ in {', '.join(differ[:3])}")


@check(
    "it is trained, with a finite loss",
    remedy="loss returns a finite scalar of (features, truth, generator), with gradients; fit takes (features, truth)",
    needs=["builds"],
)
def trains(part: ModelPart) -> None:  # noqa: D103
    part.trained()


@check(
    "its weights are its own, and its loss asks gradients of no others",
    remedy="nn.ModuleList for a list of modules, nn.Parameter for a tensor, and new ones in each build",
    needs=["same_seed_same_start", "trains"],
)
def weights_are_its_own(part: ModelPart) -> str:  # noqa: D103
    data = part.data()
    model, again = part.build(data), part.build(data)
    start_checks.check_built_again(model, again)
    if hasattr(model, "fit") or part.spec.training is None:
        return ""
    return "; ".join(start_checks.check_reached(again, data.values, data.truth, data.ignore, QUICK))


@check(
    "its answers have the right shape and type, and are finite",
    remedy="forward returns (n, labels) floats; of a sequence model see bench.SequenceModel",
    needs=["trains"],
)
def answers_have_their_shape(part: ModelPart) -> None:  # noqa: D103
    data = part.data()
    checks.check_answers(part.trained(), data.values, data.truth.shape[1], part.search)
    part.answers(part.trained(), data.values)


@check(
    "asked again it says the same",
    remedy="no chance in eval mode (self.training is false), and no state that a call changes",
    needs=["answers_have_their_shape"],
)
def says_the_same_again(part: ModelPart) -> None:  # noqa: D103
    checks.said_twice(part.trained(), part.data().values, part.search)


@check(
    "the same seed gives the same trained model",
    remedy="draw from the generator that loss is given, and seed what fit draws from by request.seed",
    needs=["same_seed_same_start", "says_the_same_again"],
)
def same_seed_same_result(part: ModelPart) -> None:  # noqa: D103
    data = part.data()
    one, other = (part.answers(model, data.values) for model in (part.trained(), part.trained(data)))
    require(not (worst := checks.differing(one, other)), f"trained twice with one seed it gives other {worst}")
    if part.spec.deterministic:
        again = part.answers(part.train(part.build(data, seed=1), data, seed=1), data.values)
        worst = checks.differing(one, again)
        require(not worst, f"it says that it is deterministic, and with another seed it gives other {worst}")


@check(
    "what it says of an image does not depend on the others of its batch",
    remedy="statistics of training, as batch norm has in eval mode, in place of the batch's",
    needs=["says_the_same_again"],
)
def images_stand_alone(part: ModelPart) -> None:  # noqa: D103
    checks.check_own(part.trained(), part.data().values, part.search)


@check(
    "an image gets the same answer wherever in a batch it stands, at its border too",
    remedy="treat every row of a batch alike; rows after the last image are zeros",
    needs=["images_stand_alone"],
)
def border_of_a_batch(part: ModelPart) -> None:  # noqa: D103
    model = part.trained()
    values = np.repeat(part.data().values[:1], IMAGE_ROWS + 1, axis=0)
    rows = {name: array for name, array in part.answers(model, values).items() if len(array) == len(values)}
    if part.search is not None and not sees_every_step(model):
        network, start = TorchStepNetwork(model), part.answers(model, values[:1])["start states"]
        states = np.repeat(start, STEP_ROWS + 1, axis=0)
        rows["prefix terms"], rows["states"] = network.step(np.zeros(len(states), dtype=np.int64), states)
    for name, array in rows.items():
        apart = [checks.difference(array[:1], array[row : row + 1]) for row in range(len(array))]
        worst = int(np.argmax(apart))
        require(apart[worst] <= checks.TOLERANCE, f"{name} of one image differ in row {worst} by {apart[worst]:.1e}")


@check(
    "all that it has learned is in its state",
    remedy="register it as a buffer: self.register_buffer(name, tensor)",
    needs=["says_the_same_again"],
)
def state_survives_a_fresh_build(part: ModelPart) -> None:  # noqa: D103
    data, model = part.data(), part.trained()
    fresh = part.build(data, seed=1)
    train.load_weights(fresh, train.save_weights(model))
    checks.check_weights_are_all(model, fresh, data.values, part.search)


def _used(part: ModelPart) -> None:
    data = part.data()
    part.answers(part.trained(data), data.values)


add_common(MODEL_CHECKS, _used, "trains")


@check(
    "images without labels are trained on",
    remedy="divide by the number of labels clamped to 1; a sequence of none is END alone",
    needs=["answers_have_their_shape"],
)
def images_without_labels(part: ModelPart) -> None:  # noqa: D103
    data = part.data()
    truth = data.truth.copy()
    truth[8:] = False  # whole batches of them
    part.sound(Data(data.values, truth))


@check("one label is enough", remedy="no squeeze() without an axis, no top 2", needs=["answers_have_their_shape"])
def one_label(part: ModelPart) -> None:  # noqa: D103
    part.sound(part.data(labels=1))


@check(
    "a label that no training image has does no harm",
    remedy="clamp request.label_counts to 1 where you divide by them",
    needs=["answers_have_their_shape"],
)
def label_never_seen(part: ModelPart) -> None:  # noqa: D103
    data = part.data()
    truth = data.truth.copy()
    truth[:, 0] |= truth[:, -1]  # no image is left without a label
    truth[:, -1] = False
    part.sound(Data(data.values, truth))


@check(
    "a label that every training image has does no harm",
    remedy="as of one that none has",
    needs=["answers_have_their_shape"],
)
def label_always_seen(part: ModelPart) -> None:  # noqa: D103
    data = part.data()
    truth = data.truth.copy()
    truth[:, 0] = True
    part.sound(Data(data.values, truth))


@check("one feature is enough", remedy="no squeeze() without an axis", needs=["answers_have_their_shape"])
def one_feature(part: ModelPart) -> None:  # noqa: D103
    part.sound(part.data(dimensions=1))


@check(
    "features that are constant, or zero, do no harm",
    remedy="clamp deviations and lengths before you divide by them",
    needs=["answers_have_their_shape"],
)
def constant_features(part: ModelPart) -> None:  # noqa: D103
    data = part.data()
    for value in (0.0, 1.0):
        part.sound(Data(np.full_like(data.values, value), data.truth))


@check(
    "whatever truth says of ignored pairs changes nothing",
    remedy="leave them out of the loss: per_pair.masked_fill(ignore, 0.0), and out of fit",
    needs=["same_seed_same_result"],
)
def ignored_pairs_change_nothing(part: ModelPart) -> None:  # noqa: D103
    data = part.data()
    if not part.takes_ignore(part.build(data)):
        raise NotRun("it takes no ignore mask: such pairs are negatives to it, and its runs say so")
    ignore = np.random.default_rng(1).random(data.truth.shape) < 0.25
    counted = Data(data.values, data.truth & ~ignore)  # as the host counts labels
    seen = [
        part.answers(part.train(part.build(counted), Data(data.values, truth, ignore)), data.values)
        for truth in (data.truth | ignore, counted.truth)
    ]
    require(not (worst := checks.differing(*seen)), f"they change its {worst}")


@check(
    "every choice of its options is built, trained and asked",
    remedy="leave a choice out that cannot be had",
    needs=["answers_have_their_shape"],
)
def every_choice(part: ModelPart) -> str:  # noqa: D103
    data, seen = part.data(), 0
    for option in part.spec.options:
        for value in option.choices or ((True, False) if isinstance(option.default, bool) else ()):
            if value != part.options[option.name]:
                try:
                    part.with_options(**{option.name: value}).sound(data)
                except Exception as error:
                    error.add_note(f"with --set {option.name}={value}")
                    raise
                seen += 1
    return f"{seen} beside the defaults"


@check(
    "its search space is of its options, and all that is drawn from it is allowed",
    remedy="name options of the model, its training or its search, and values that they allow; see bench.Dimension",
)
def search_space(part: ModelPart) -> str:  # noqa: D103
    check_space(part.spec)
    options = options_of(part.spec)
    for dimension in part.spec.space:
        shares = [place / max(len(dimension.choices), POINTS) for place in range(max(len(dimension.choices), POINTS))]
        for value in dict.fromkeys(dimension.at(share) for share in (*shares, LAST)):
            options[dimension.name].check(value)
    defaults = {name: option.default for name, option in options.items()}
    return f"{len(points(part.spec.space, options, defaults, POINTS, seed=0))} of {POINTS} points differ"


@check(
    "it can be pickled, as workers need it",
    remedy="keep functions of modules, not lambdas and local functions, in the model; name classes at the top",
    needs=["says_the_same_again"],
)
def pickles(part: ModelPart) -> None:  # noqa: D103
    model, values = part.trained(), part.data().values
    found = part.answers(pickled(model), values)
    require(not (worst := checks.differing(part.answers(model, values), found)), f"pickled it gives other {worst}")


@check(
    "exported to ONNX it says what torch says, at several batch sizes",
    remedy="no Python numbers of tensors (item, int, len of a batch) in forward; see torch.onnx",
    needs=["images_stand_alone"],
)
def exports(part: ModelPart) -> str:  # noqa: D103
    from bench.errors import ModelError
    from bench.exported.export import annotations_of, export
    from bench.exported.model_folder import Description

    if part.spec.known_tags:
        raise NotRun("a model of known tags is not exported")
    small = _of_pixels(part)
    model = part.trained(small)
    score_kind: ScoreKind = "probability" if part.search else model.score_kind
    description = Description(
        model=part.name,
        kind=part.spec.kind,
        labels=tuple(f"label {number}" for number in range(small.truth.shape[1])),
        score_kind=score_kind,
        preprocessing=Preprocessing(small.values.shape[-1] if small.values.ndim == 4 else 1, 8, "squash"),
        protocol="top1@1",
        k=1,
        cut_to_k=False,
        threshold=THRESHOLDS.get(score_kind),
        search=part.search,
        activation=model.activation if part.search else None,
        sees_image=model.sees_image if part.search else None,
        precision="fp32",
        weights_hash="0" * 16,
        run="0" * 16,
        versions={},
        annotations=annotations_of(model, small.values.shape[1:]),
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = export(_pixels(), model, description, Path(folder), shape=small.values.shape[1:])
    except ModelError as error:
        if isinstance(error.__cause__, NotRun) or "no to_export" in str(error):
            raise NotRun(str(error)) from error
        raise
    return f"{len(found)} comparisons"


def _of_pixels(part: ModelPart) -> Data:
    """Return data of three dimensions: an image's features are its pixels, so that any model can be exported."""
    return made_up(dimensions=3, maps=part.spec.feature_maps)


def _pixels() -> object:
    import torch

    class Pixels(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return pixels if pixels.shape[-1] > 1 else pixels.flatten(1)

    return Pixels()


@check("what it costs is told and not judged", remedy="", needs=["answers_have_their_shape"])
def cost(part: ModelPart) -> str:  # noqa: D103
    from bench.speed.limits import peak_memory

    data, memory = part.data(), peak_memory()
    started = time.perf_counter()
    model = part.trained(data)
    trained = time.perf_counter()
    part.answers(model, np.repeat(data.values[:1], IMAGE_ROWS, axis=0))
    asked = time.perf_counter()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return (
        f"{len(data.values)} images trained in {trained - started:.2f} s, {IMAGE_ROWS} asked in"
        f" {1000 * (asked - trained):.1f} ms; {parameters:,} parameters, {len(train.save_weights(model)):,} bytes"
        f" stored, {peak_memory() - memory:.0f} MiB more memory"
    )
