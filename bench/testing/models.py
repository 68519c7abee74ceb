"""A model under its checks: built, trained and asked on made-up features, as the host does it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bench.contracts import FITTING_OPTIONS, ModelRequest, ModelSpec, Validation
from bench.errors import NotRun, PluginError
from bench.model import checks, train
from bench.model.arrays import ArrayModule, as_module
from bench.options import OptionValue, resolve
from bench.plan import training_options
from bench.plugins import Origin
from bench.records import BoolArray, Features, FloatArray, SearchOptions
from bench.system.seeding import seed_all

QUICK: Mapping[str, OptionValue] = {"epochs": 2, "batch_size": 8, "learning_rates": "1e-3"}
"""Options of the training of a check: what is looked at holds after a few updates as after many."""

MAP_SIDE = 3
"""Height and width of made-up feature maps."""


@dataclass(frozen=True, slots=True)
class Data:
    """Made-up features, (images, dimensions) float32 or maps in float16, and their truth (images, labels) bool."""

    values: FloatArray
    truth: BoolArray
    ignore: BoolArray | None = None

    @property
    def features(self) -> Features:
        """Return the features as a stage passes them on."""
        return Features(tuple(map(str, range(len(self.values)))), self.values, "made up")


def made_up(images: int = 24, dimensions: int = 6, labels: int = 4, *, maps: bool = False, seed: int = 0) -> Data:
    """Return data in which each label occurs, each image has one, and features tell of the labels."""
    rng = np.random.default_rng(seed)
    truth = rng.random((images, labels)) < 0.4
    truth[np.arange(images), np.arange(images) % labels] = True
    values = truth @ rng.normal(size=(labels, dimensions)) + 0.5 * rng.normal(size=(images, dimensions))
    if maps:
        places = rng.normal(size=(images, dimensions, MAP_SIDE, MAP_SIDE))
        return Data((values[:, :, None, None] + 0.1 * places).astype(np.float16), truth)
    return Data(values.astype(np.float32), truth)


@dataclass(slots=True)
class ModelPart:
    """One method under its checks. ``options`` are its own, resolved."""

    spec: ModelSpec
    origin: Origin | str
    options: Mapping[str, OptionValue]
    kind: str = "model"
    _trained: Any = field(default=None)

    @property
    def name(self) -> str:
        """Return the model's name."""
        return self.spec.name

    @property
    def search(self) -> SearchOptions | None:
        """Return a search where the model emits sequences, else ``None``."""
        return SearchOptions(max_length=6) if self.spec.kind == "sequence" else None

    def data(self, **sizes: Any) -> Data:
        """Return made-up data in the form that the model takes."""
        return made_up(**sizes, maps=self.spec.feature_maps)

    def build(self, data: Data, seed: int = 0) -> Any:
        """Return the untrained model for ``data``."""
        labels = tuple(f"label {number}" for number in range(data.truth.shape[1]))
        counts = tuple(int(count) for count in data.truth.sum(axis=0))
        shape = data.values.shape[1:]
        feature_map = (shape[0], shape[1], shape[2]) if len(shape) == 3 else None
        seed_all(seed)  # as the host does before each call
        model = as_module(self.spec.build(ModelRequest(self.options, shape[0], labels, counts, seed, feature_map)))
        checks.check_model(model, self.spec.kind, known_tags=self.spec.known_tags)
        if isinstance(model, ArrayModule) and self.spec.training is not None:
            raise PluginError("a model of arrays has no gradient training. Try: training=None in its ModelSpec")
        return model

    def train(self, model: Any, data: Data, seed: int = 0) -> Any:
        """Return ``model`` trained on ``data``, a few epochs of one learning rate."""
        given = QUICK if self.spec.training is not None else {}
        table = training_options(self.spec) if given else FITTING_OPTIONS
        options = resolve(table, given, self.name)
        # Each epoch is better than the last one, so that the weights kept are the last ones.
        score = itertools.count(1)
        # Other images: what is chosen by it, such as a threshold, is then no tie on those that are looked at.
        held = self.data(dimensions=data.values.shape[1], labels=data.truth.shape[1], seed=1)
        validation = Validation(held.values, held.truth, None, lambda _: float(next(score)))
        seed_all(seed)
        train.fit(
            model,
            options,
            data.features,
            data.truth,
            validation.score,
            name=self.name,
            seed=seed,
            ignore=data.ignore,
            validation=validation,
        )
        return model

    def trained(self, data: Data | None = None) -> Any:
        """Return a model built and trained on ``data``; without, the one on plain data, which all checks share."""
        if data is not None:
            return self.train(self.build(data), data)
        if self._trained is None:
            plain = self.data()
            self._trained = self.train(self.build(plain), plain)
        return self._trained

    def answers(self, model: Any, values: FloatArray) -> dict[str, FloatArray]:
        """Return what the model says of features: scores and sets, or terms and states of images and prefixes."""
        return checks.answers(model, values, self.search)

    def sound(self, data: Data) -> None:
        """Raise unless a model trained on ``data`` gives answers of the right shape, all finite."""
        checks.check_answers(self.trained(data), data.values, data.truth.shape[1], self.search)

    def with_options(self, **changes: OptionValue) -> ModelPart:
        """Return the same method with other options."""
        return replace(self, options={**self.options, **changes}, _trained=None)

    def takes_ignore(self, model: Any) -> bool:
        """Return whether pairs that are neither positive nor negative are left out of the model's training."""
        return not train.trains_as_negatives(model, QUICK if self.spec.training is not None else {})


def gradient_trained(part: ModelPart) -> None:
    """Raise ``NotRun`` for a model that no gradient trains."""
    if part.spec.training is None:
        raise NotRun("no gradient trains this model")
