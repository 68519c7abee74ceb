"""Trains a model on cached features: learning rates tried in turn, early stopping, checkpoints, the best kept."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.contracts import Validation
from bench.errors import ModelError
from bench.model.batches import Batches
from bench.model.checkpoint import CheckpointFile, TrainingState
from bench.model.networks import by_chunks, device_of, threads_of
from bench.model.settings import Settings, most_passes, passes
from bench.model.update import Update
from bench.options import OptionValue
from bench.records import BoolArray, Features, FloatArray
from bench.system.deterministic import deterministic, filled
from bench.system.files import canonical_json, digest
from bench.system.progress import progress_bar
from bench.system.threads import torch_threads
from bench.system.turns import all_cores

if TYPE_CHECKING:
    import torch

Validate = Callable[[Any], float]
"""The trained model so far -> its score on images held out of training; higher is better."""


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch: ``rate`` is the learning rate in force, which halving makes smaller than ``learning_rate``."""

    learning_rate: float
    epoch: int
    loss: float
    score: float
    rate: float
    seconds: float


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """How a model came to its weights: those of epoch ``best_epoch`` (from 1) at ``learning_rate``.

    ``score`` is the validation score there; ``diverged`` lists the learning rates whose loss became
    infinite. A model without gradient training has no history and NaN for learning rate and score; one that was trained
    by a schedule has NaN for every score. ``chosen`` are options that the model's ``fit`` chose by the validation part.
    ``updates`` are those of a pass over the training part, 0 where there were none.
    """

    history: tuple[EpochRecord, ...]
    best_epoch: int
    learning_rate: float
    score: float
    parameters: int
    diverged: tuple[float, ...] = ()
    updates: int = 0
    chosen: Mapping[str, OptionValue] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values; undefined numbers are ``None``."""
        record = dataclasses.asdict(self)
        if not self.chosen:
            del record["chosen"]  # as in the records of before there were any
        for name in ("learning_rate", "score"):
            record[name] = None if math.isnan(record[name]) else record[name]
        for entry in record["history"]:
            entry["score"] = None if math.isnan(entry["score"]) else entry["score"]
        return record


class _Diverged(Exception):  # noqa: N818 - an outcome of one attempt, not a mistake
    """The loss or a weight is no longer finite."""


def fit(
    model: Any,
    options: Mapping[str, OptionValue] | None,
    train: Features,
    truth: BoolArray,
    validate: Validate,
    *,
    name: str,
    seed: int,
    ignore: BoolArray | None = None,
    validation: Validation | None = None,
    checkpoint: Path | None = None,
    device: str = "cpu",
    schedule: Sequence[float] = (),
) -> TrainingRecord:
    """Train ``model``, leave it with its best weights and in eval mode, and return how it went.

    ``options`` holds every name of ``TRAINING_OPTIONS``, or of ``FITTING_OPTIONS`` for a model that has only ``fit``;
    which pairs are ignored is decided by then. ``name`` is the model's in progress bars and errors.
    ``truth`` is (images, labels) bool, and so is ``ignore``, the pairs that are neither positive nor negative.
    ``validation`` is for models whose ``fit`` or ``calibrate`` takes it. On one
    machine the result depends on the arguments alone, to the bit: torch's global random state is neither used nor
    changed. With ``checkpoint``, a training that was killed continues to the same result after the epoch that the file
    holds: the last one, or one that ended less than ``checkpoint.SECONDS`` earlier. The caller removes the file once
    the weights are stored. Raises ``ModelError`` where the loss of every learning rate diverges.
    With ``schedule``, the learning rate of each epoch, nothing is judged, halved or stopped early, and the
    last weights are kept: ``validate`` is not called.
    """
    model.to(device)
    if hasattr(model, "fit"):
        wanted = {"validation": validation} if validation and fits_by_validation(model) else {}
        model.fit(train.values, truth, **left_out(model.fit, ignore), **wanted)
        model.to(device)  # what ``fit`` made of its arrays may lie where they did
    parameters = sum(parameter.numel() for parameter in model.parameters())
    if not gradient_trained(options or {}):
        model.eval()
        return TrainingRecord((), 0, math.nan, math.nan, parameters, chosen=chosen_by(model))
    assert options is not None, "a model that is trained by gradients has options"
    settings = Settings.from_options(options)
    if validation and hasattr(model, "calibrate"):
        validate = _calibrated(validation)
    key = digest(
        canonical_json([name, dict(options), seed, train.key, list(truth.shape), *schedule]), save_weights(model)
    )
    training = Training(model, settings, train.values, truth, ignore, validate=validate, name=name, seed=seed)
    training.schedule = tuple(schedule)
    record = training.run(CheckpointFile(checkpoint, key, TrainingState), parameters)
    return dataclasses.replace(record, chosen=chosen_by(model)) if hasattr(model, "fit") else record


class Training:
    """One training under way; ``run`` takes it from a checkpoint, or from the start, to its end."""

    def __init__(
        self,
        model: Any,
        settings: Settings,
        values: FloatArray,
        truth: BoolArray,
        ignore: BoolArray | None,
        *,
        validate: Validate,
        name: str,
        seed: int,
    ) -> None:
        self.model = model
        self.settings = settings
        self.ignore = ignore if takes_ignore(model.loss) else None
        self.asked = {"gradients": True} if takes(model.loss, "gradients") else {}
        self.validate = validate
        self.name = name
        self.seed = seed
        self.schedule: tuple[float, ...] = ()
        self.device = device_of(model)
        self.threads = threads_of(model)
        self.batches = Batches(values, truth, self.ignore, self.device)
        self.updates = math.ceil(len(self.batches) / settings.batch_size)

    def run(self, checkpoint: CheckpointFile[TrainingState], parameters: int) -> TrainingRecord:
        """Try every learning rate from the same initial weights, load the best weights, return the record."""
        rates = self.schedule[:1] or self.settings.learning_rates
        initial = _copy(self.model.state_dict())
        state = checkpoint.load()
        while state.attempt < len(rates):
            rate = rates[state.attempt]
            if state.epoch == 0:
                state.model, state.optimizer, state.rate = initial, {}, rate
            try:
                with self._turn(), deterministic(), torch_threads(self.threads):
                    self._attempt(state, checkpoint, rate)
            except _Diverged:
                state.diverged.append(state.attempt)
            else:
                if state.attempt_score > state.best_score:
                    state.best_score, state.best_epoch = state.attempt_score, state.attempt_epoch
                    state.best_attempt, state.best_weights = state.attempt, state.attempt_weights
            if state.attempt + 1 == len(rates) == len(state.diverged):
                raise ModelError(
                    f"{self.name}: the loss became infinite or undefined in epoch {state.epoch + 1} at learning rate"
                    f" {rate:g}. Try: --set learning_rates={min(rates) / 10:g}"
                )
            state.attempt, state.epoch, state.since_best, state.since_halved = state.attempt + 1, 0, 0, 0
            state.attempt_score, state.attempt_epoch, state.attempt_weights = -math.inf, 0, {}
            checkpoint.save(state)
        self.model.load_state_dict(state.best_weights)
        self.model.eval()
        return TrainingRecord(
            history=tuple(EpochRecord(**entry) for entry in state.history),  # type: ignore[arg-type]
            best_epoch=state.best_epoch,
            learning_rate=rates[state.best_attempt],
            score=math.nan if self.schedule else state.best_score,
            parameters=parameters,
            diverged=tuple(rates[attempt] for attempt in state.diverged),
            updates=self.updates,
        )

    def _turn(self) -> contextlib.AbstractContextManager[None]:
        """Return what waits until no other process trains on all cores, where this model does."""
        return all_cores() if self.threads is None and self.device.type == "cpu" else contextlib.nullcontext()

    def _attempt(self, state: TrainingState, checkpoint: CheckpointFile[TrainingState], rate: float) -> None:
        """Train at one learning rate until the epochs or the patience end, from where ``state`` stands."""
        settings = self.settings
        self.model.load_state_dict(state.model)
        update = Update(
            self.model.parameters(),
            rate,
            optimizer=settings.optimizer,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            clip_norm=settings.clip_norm,
        )
        if state.optimizer:
            update.load(state.optimizer)
        description = f"training {self.name} lr {rate:g}"
        most = len(self.schedule) or most_passes(settings.epochs, self.updates)
        for epoch in progress_bar(range(state.epoch, most), description, unit="epochs"):
            if state.since_best >= passes(settings.patience, self.updates) and not self.schedule:
                break
            started = time.perf_counter()
            state.rate = self.schedule[epoch] if self.schedule else state.rate
            update.set_rate(state.rate)
            # A loss that reads what nobody wrote is NaN in the first epoch; the others need no filling.
            with filled(epoch == 0):
                loss = self._epoch(update, epoch)
            self.model.eval()
            # Of a schedule the last epoch counts as the best.
            score = float(epoch) if self.schedule else float(self.validate(self.model))
            told = math.nan if self.schedule else score
            entry = {"learning_rate": rate, "epoch": epoch + 1, "loss": loss, "score": told, "rate": state.rate}
            state.history.append(entry | {"seconds": time.perf_counter() - started})
            state.epoch = epoch + 1
            state.since_best, state.since_halved = state.since_best + 1, state.since_halved + 1
            state.model, state.optimizer = _copy(self.model.state_dict()), update.state
            if score > state.attempt_score:
                state.attempt_score, state.attempt_epoch, state.attempt_weights = score, epoch + 1, state.model
                state.since_best = state.since_halved = 0
            elif state.since_halved >= passes(settings.halve_after, self.updates):
                state.rate, state.since_halved = state.rate / 2, 0
            checkpoint.save(state)

    def _epoch(self, update: Update, epoch: int) -> float:
        """Pass once over the training part in an order drawn from the seed; return the mean loss per image."""
        import torch

        shuffle_seed, noise_seed, loss_seed = (
            int(word) for word in np.random.SeedSequence([self.seed, epoch]).generate_state(3)
        )
        order = torch.randperm(len(self.batches), generator=torch.Generator().manual_seed(shuffle_seed))
        generator = torch.Generator(device=self.device).manual_seed(loss_seed)
        total = 0.0
        update.clear()
        self.model.train()
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(noise_seed)
            for features, truth, mask in self.batches.in_order(order, self.settings.batch_size):
                known = self.asked if mask is None else self.asked | {"ignore": mask}
                loss = self.model.loss(features, truth, generator, **known)
                if not self.asked:
                    loss.backward()
                norm, value = update.clip(), loss.item()
                if not (math.isfinite(value) and math.isfinite(norm)):
                    raise _Diverged
                update.step()
                total += value * len(features)
        if not all(bool(parameter.isfinite().all()) for parameter in self.model.parameters()):
            raise _Diverged
        return total / len(order)


def unjudged(model: Any) -> float:
    """Stand where a validation score would, of a training that must see no validation label; raises."""
    raise AssertionError("a training without a validation part was judged")


def gradient_trained(options: Mapping[str, OptionValue]) -> bool:
    """Return whether a model with these options of training is trained by gradients."""
    return "epochs" in options


def _calibrated(validation: Validation) -> Validate:
    """Return the validation score of a model once it has calibrated itself, as it then is stored and used."""

    def validate(model: Any) -> float:
        model.calibrate(validation)
        return validation.score(model)

    return validate


def takes(method: Callable[..., Any], name: str) -> bool:
    """Return whether a model's ``loss`` or ``fit`` takes an argument of that name, and so asks for it."""
    return name in inspect.signature(method).parameters


def fits_by_validation(model: Any) -> bool:
    """Return whether the ``fit`` of ``model``, if it has one, chooses something by the validation part."""
    asks = hasattr(model, "fit") and takes(model.fit, "validation")
    return asks and bool(getattr(model, "chooses", True))


def chosen_by(model: Any) -> dict[str, OptionValue]:
    """Return what ``fit`` chose: mapping ``chosen``. Raises ``ModelError`` for a value that no option has."""
    chosen = getattr(model, "chosen", None)
    if not isinstance(chosen, Mapping):  # a model may have called a weight so
        return {}
    for name, value in chosen.items():
        if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
            raise ModelError(f"attribute chosen: found {value!r} for '{name}', allowed: a finite number or a text")
    return dict(chosen)


def takes_ignore(method: Callable[..., Any]) -> bool:
    """Return whether a model's ``loss`` or ``fit`` takes a mask of pairs that are neither positive nor negative."""
    return takes(method, "ignore")


def left_out(method: Callable[..., Any], ignore: Any) -> dict[str, Any]:
    """Return the mask as an argument of ``method``; empty where there is no mask, or ``method`` takes none."""
    return {} if ignore is None or not takes_ignore(method) else {"ignore": ignore}


def trains_as_negatives(model: Any, options: Mapping[str, OptionValue]) -> bool:
    """Return whether ``model`` cannot leave ignored pairs out of its training, and so takes them as negatives."""
    methods = [model.loss] if gradient_trained(options) else []
    if hasattr(model, "fit"):
        methods.append(model.fit)
    return not all(map(takes_ignore, methods))


def _copy(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in weights.items()}


def scores(model: Any, features: Features) -> FloatArray:
    """Return a score model's scores, (images, labels) float32, of the kind ``model.score_kind``."""
    return by_chunks(model, model, features.values)


def save_weights(model: Any) -> bytes:
    """Return the model's parameters and buffers as the content of a safetensors file."""
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    content: bytes = save(tensors)
    return content


def load_weights(model: Any, content: bytes) -> None:
    """Put the parameters and buffers of a safetensors file's ``content`` into ``model``.

    Raises ``ModelError`` where the content is damaged or was saved from a model of another shape.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        model.load_state_dict(load(content))
    except SafetensorError as error:
        raise ModelError(f"cannot read the model weights: {error}. Try: delete the run folder and run again") from error
    except RuntimeError as error:
        reason = " ".join(str(error).split("\n\t")[1:2]) or str(error)
        raise ModelError(
            f"the model weights do not fit this model: {reason.strip()}. Were other options or labels used?"
        ) from error
