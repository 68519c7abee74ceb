"""Fine-tunes a backbone end to end under a model's own loss, instead of keeping it frozen as the paper does.

The tuned backbone then takes the frozen one's place: features are extracted with it, and the model
is trained on them with the usual search for learning rate and stopping. So every later stage, and
every file of the run, is the same with and without fine-tuning.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.contracts import Backbone, Validation
from bench.data.augment import Augmentation, Augmented
from bench.data.loading import load
from bench.errors import ModelError
from bench.model.checkpoint import CheckpointFile, TuningState
from bench.model.group import Group
from bench.model.random_states import random_states, set_random_states
from bench.model.schedules import rate_at
from bench.model.train import left_out
from bench.options import OptionValue
from bench.records import BoolArray, Features, FloatArray, Split
from bench.system.deterministic import deterministic
from bench.system.files import digest
from bench.system.notes import note
from bench.system.progress import progress_bar

if TYPE_CHECKING:
    import torch

MOMENTUM = 0.9
"""Of SGD, as in the VGG-16 fine-tuning in Rezatofighi et al., AAAI 2018."""

CLIP_NORM = 5.0
"""Largest norm of an update's gradient."""

Judge = Callable[[Any, Any], float]
"""The backbone and the model so far -> their score on the validation part; higher is better."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The ``FINETUNING_OPTIONS`` with their values; see there for what each means."""

    learning_rate: float = 1e-3
    weight_decay: float = 5e-4
    batch_size: int = 32
    accumulate: int = 1
    warmup: float = 0.0
    schedule: str = "constant"
    patience: int = 0
    precision: str = "fp32"
    augmentation: Augmentation = field(default_factory=Augmentation)

    @classmethod
    def from_options(cls, options: Mapping[str, OptionValue]) -> Settings:
        """Return the settings that ``options`` say, those of the pictures in one record."""
        pictures = {entry.name for entry in dataclasses.fields(Augmentation)}
        changes: dict[str, Any] = {name: value for name, value in options.items() if name in pictures}
        others: dict[str, Any] = {name: value for name, value in options.items() if name not in pictures}
        return cls(**others, augmentation=Augmentation(**changes))


def tune(
    backbone: Backbone,
    model: Any,
    fit: Split,
    truth: BoolArray,
    ignore: BoolArray | None = None,
    *,
    epochs: int,
    seed: int,
    device: str = "cpu",
    settings: Settings = Settings(),
    judge: Judge | None = None,
    checkpoint: CheckpointFile[TuningState] | None = None,
    group: Group | None = None,
) -> Backbone:
    """Return a copy of ``backbone`` trained together with ``model`` on the images of ``fit``.

    ``truth`` and ``ignore`` are (images, labels) bool, as in ``bench.model.train.fit``.
    ``model`` is trained in place. Batch-norm statistics stay as pre-trained. ``judge`` is asked after each epoch where
    the settings have a ``patience``. With ``checkpoint``, a fine-tuning that was killed goes on after its last whole
    epoch, to the same result to the bit; the caller removes the file once the weights are stored. With ``group``, each
    of its processes is to be given the same but for the ``checkpoint``, which is rank 0's, and all return what one
    process would, up to the rounding of sums. Raises ``ModelError`` where the loss is not finite.
    """
    import torch

    module = copy.deepcopy(backbone.module).to(device)
    model.to(device).train()
    parameters = [*module.parameters(), *model.parameters()]
    for parameter in parameters:
        parameter.requires_grad_(True)
    tuning = Tuning(module, model, settings, epochs, seed, torch.device(device), group)
    file = checkpoint or CheckpointFile(None, "", TuningState)
    with deterministic(), torch.random.fork_rng(devices=[device] if tuning.device.type == "cuda" else []):
        torch.manual_seed(seed)
        state = file.load() if group is None else file.shared(group)
        if state.epoch:
            tuning.go_on_from(state)
            note(f"fine-tuning goes on after epoch {state.epoch} of {epochs}")
        tuning.take_from_first()
        while state.epoch < epochs and not _stops(state, settings.patience):
            tuning.epoch(state.epoch, fit, backbone, truth, ignore)
            state.epoch += 1
            if settings.patience and judge:
                score = judge(module.eval(), model)
                tuning.take_from_first()
                _keep_best(state, module, score)
                model.train()
            tuning.put_into(state)
            with tuning.agreed():  # rank 0's disk may be full
                file.save(state)
    if state.best:
        module.load_state_dict(state.best)
    if state.epoch < epochs:
        note(
            f"fine-tuning stopped after epoch {state.epoch} of {epochs}, by patience: epoch {state.best_epoch} is kept"
        )
    model.cpu()
    return with_module(backbone, module.cpu().eval().requires_grad_(False))


class Tuning:
    """A fine-tuning under way: backbone and model, and what an update of both takes."""

    def __init__(  # noqa: PLR0917 - what it is made of, in the order of ``tune``
        self,
        module: Any,
        model: Any,
        settings: Settings,
        epochs: int,
        seed: int,
        device: torch.device,
        group: Group | None = None,
    ) -> None:
        import torch

        from bench.model.update import Update

        self.module, self.model, self.settings, self.epochs, self.seed = module, model, settings, epochs, seed
        self.device, self.group = device, group
        self.update = Update(
            [*module.parameters(), *model.parameters()],
            settings.learning_rate,
            optimizer="sgd",
            momentum=MOMENTUM,
            weight_decay=settings.weight_decay,
            clip_norm=CLIP_NORM,
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
        self.order = torch.Generator().manual_seed(seed)
        # On the CPU one generator gives both, so that results stay those of earlier versions.
        self.noise = self.order if device.type == "cpu" else torch.Generator(device).manual_seed(seed)

    def epoch(self, epoch: int, fit: Split, backbone: Backbone, truth: BoolArray, ignore: BoolArray | None) -> None:
        """Pass once over the images of ``fit``; raises ``ModelError`` where the loss is not finite."""
        import torch

        settings = self.settings
        order = torch.randperm(len(fit), generator=self.order).tolist()
        batches = [order[start : start + settings.batch_size] for start in range(0, len(order), settings.batch_size)]
        updates = math.ceil(len(batches) / settings.accumulate)
        title = f"fine-tuning, epoch {epoch + 1} of {self.epochs}"
        group = self.group
        own = batches if group is None else [batch[group.own(len(batch))] for batch in batches]
        loaded = self._pictures(fit, own, backbone, epoch)
        for number, batch in enumerate(progress_bar(batches, title, len(fit), scale=settings.batch_size)):
            update, first = divmod(number, settings.accumulate)
            together = batches[number - first : number - first + settings.accumulate]
            with self.agreed():
                features = self._features(next(loaded))
            whole = features if group is None else group.gather(features.detach(), group.lengths(len(batch)))
            with self.agreed():
                mask = None if ignore is None else torch.from_numpy(ignore[batch]).to(self.device)
                whole = whole if group is None else whole.requires_grad_()
                loss = self._loss(whole, torch.from_numpy(truth[batch]).to(self.device), mask)
                if not torch.isfinite(loss):
                    raise ModelError(
                        f"fine-tuning diverged in epoch {epoch + 1}: loss is {loss.item()}."
                        f" Try: --set finetune.learning_rate={settings.learning_rate / 10:g}, or --finetune 0"
                    )
                if not first:
                    self.update.clear()
                share = len(batch) / sum(map(len, together))
                self.scaler.scale(loss if len(together) == 1 else loss * share).backward()  # type: ignore[no-untyped-call]
                if group is not None and len(features) and whole.grad is not None:
                    features.backward(whole.grad[group.own(len(batch))])  # type: ignore[no-untyped-call]
            if first + 1 == len(together):
                self._update(epoch * updates + update, updates)

    def agreed(self) -> contextlib.AbstractContextManager[None]:
        """Have the body fail in all processes of the group where it fails in one: none then waits for it."""
        return contextlib.nullcontext() if self.group is None else self.group.agreed()

    def _pictures(
        self, fit: Split, batches: Sequence[Sequence[int]], backbone: Backbone, epoch: int
    ) -> Iterator[FloatArray]:
        preprocessing, augmentation = backbone.preprocessing, self.settings.augmentation
        if not augmentation.changes:
            return load(fit.images, batches, preprocessing)
        # They come in the backbone's size, of which nothing more is cut.
        whole = dataclasses.replace(preprocessing, crop="squash")
        return load(Augmented(fit.images, preprocessing, augmentation, self.seed, epoch), batches, whole)

    def _features(self, pixels: FloatArray) -> torch.Tensor:
        """Return the backbone's features of ``pixels``, in the settings' precision; of none, none."""
        import torch

        # A batch may have fewer pictures than the group has processes: what is given stands for the form of features.
        given = pixels if len(pixels) else np.zeros((1, *pixels.shape[1:]), dtype=np.float32)
        kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.settings.precision)
        with torch.autocast(self.device.type, dtype=kind) if kind else contextlib.nullcontext():
            features: torch.Tensor = self.module.eval()(torch.from_numpy(given).to(self.device))
        return features[: len(pixels)] if len(pixels) < len(given) else features

    def _loss(self, features: torch.Tensor, truth: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Return the model's loss, in single precision, on the ``features`` of a batch."""
        loss: torch.Tensor = self.model.loss(features.float(), truth, self.noise, **left_out(self.model.loss, mask))
        return loss

    def _update(self, number: int, of_epoch: int) -> None:
        """Change the weights by the gradients, as update ``number`` of all epochs."""
        settings = self.settings
        rate = rate_at(
            number,
            of_epoch * self.epochs,
            highest=settings.learning_rate,
            warmup=round(settings.warmup * of_epoch),
            shape=settings.schedule,
        )
        self.update.set_rate(rate)
        if self.group is not None:
            self.group.add_gradients([*self.module.parameters()], [*self.model.parameters()])
        self.scaler.unscale_(self.update)  # type: ignore[arg-type]
        self.update.clip()
        self.scaler.step(self.update)  # type: ignore[arg-type]
        self.scaler.update()

    def go_on_from(self, state: TuningState) -> None:
        """Take what an earlier process left after ``state.epoch`` epochs."""
        self.module.load_state_dict(state.backbone)
        self.model.load_state_dict(state.model)
        self.update.load(state.optimizer)
        self.scaler.load_state_dict(state.scaler)
        set_random_states(state.random, (self.order, self.noise), self.device)

    def take_from_first(self) -> None:
        """Have weights and momentum of rank 0 in every process of the group: other machines may round otherwise."""
        if self.group is not None:
            weights = [*self.module.state_dict().values(), *self.model.state_dict().values()]
            self.group.take([*weights, *self.update.state["moments"]])

    def put_into(self, state: TuningState) -> None:
        """Put what a later process goes on from into ``state``."""
        import torch

        made_by = {"threads": torch.get_num_threads(), "processes": 1 if self.group is None else self.group.count}
        state.made_by = [*state.made_by, made_by]
        state.backbone, state.model = self.module.state_dict(), self.model.state_dict()
        state.optimizer, state.scaler = self.update.state, self.scaler.state_dict()
        state.random = random_states((self.order, self.noise), self.device)


def judged_by(
    part: Split,
    backbone: Backbone,
    validation: Callable[[Features], Validation],
    device: str,
    *,
    batch_size: int,
    group: Group | None = None,
) -> Judge:
    """Return what scores a backbone and a model by the images of ``part``; ``validation`` is of their features.

    The processes of a ``group`` compute whole batches each, and rank 0 scores.
    """
    import torch

    batches = [range(start, min(start + batch_size, len(part))) for start in range(0, len(part), batch_size)]
    own = batches if group is None else batches[group.own(len(batches))]

    def extracted(module: Any) -> FloatArray:
        with torch.no_grad():
            features = [
                module(torch.from_numpy(pixels).to(device)).float().cpu().numpy()
                for pixels in load(part.images, own, backbone.preprocessing)
            ]
        return np.concatenate(features) if features else np.zeros((0, *backbone.shape), dtype=np.float32)

    def scored(features: FloatArray, model: Any) -> float:
        of_part = validation(Features(part.ids, features, ""))
        if hasattr(model, "calibrate"):
            model.calibrate(of_part)
        return float(of_part.score(model))

    def judge(module: Any, model: Any) -> float:
        if group is None:
            return scored(extracted(module), model)
        with group.agreed():
            features = torch.from_numpy(extracted(module))
        lengths = [sum(map(len, batches[part])) for part in group.parts(len(batches))]
        whole = group.gather(features, lengths).numpy()
        score = torch.zeros(1, dtype=torch.float64)
        with group.agreed():
            score += scored(whole, model) if group.rank == 0 else 0.0
        group.take([score])
        return float(score)

    return judge


def _stops(state: TuningState, patience: int) -> bool:
    return bool(patience) and state.epoch - state.best_epoch >= patience


def _keep_best(state: TuningState, module: Any, score: float) -> None:
    if score > state.best_score or not state.best:
        state.best_score, state.best_epoch = score, state.epoch
        state.best = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def with_module(backbone: Backbone, module: Any) -> Backbone:
    """Return ``backbone`` with other weights, and the hash of those weights."""
    arrays = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    parts = [part for name in sorted(arrays) for part in (name, arrays[name].tobytes())]
    return dataclasses.replace(backbone, module=module, weights_hash=digest(*parts))
