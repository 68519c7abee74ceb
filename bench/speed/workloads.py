"""Trained models to measure: label sets of a real list, image evidence simulated at a stated accuracy."""

from __future__ import annotations

import csv
import lzma
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.contracts import ModelRequest
from bench.errors import DataError
from bench.plan import training_options
from bench.records import BoolArray, Features, FloatArray, SearchOptions

SEPARATION = 2.5
"""Of simulated evidence, in standard deviations. COCO's best three labels then reach O-F1 61, a published level."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A trained sequence model, the features of held-out images, and the search its protocol asks for.

    ``top_k_f1`` is O-F1 of the k most probable labels by the simulated evidence alone: how hard it is.
    """

    name: str
    model: Any
    features: FloatArray
    options: SearchOptions
    labels: int
    top_k_f1: float


def read_label_sets(path: Path) -> tuple[tuple[str, ...], BoolArray]:
    """Return label names, sorted, and truth (images, labels) of a list ``name<TAB>label,label``, also as ``.xz``."""
    opener = lzma.open if path.suffix == ".xz" else open
    try:
        with opener(path, "rt", encoding="utf-8", newline="") as file:
            rows = [line[1].split(",") for line in csv.reader(file, delimiter="\t") if len(line) == 2 and line[1]]
    except FileNotFoundError:
        raise DataError(f"--label-sets: no file {path}") from None
    except (OSError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise DataError(f"--label-sets: cannot read {path}: {error}") from error
    if not rows:
        raise DataError(f"--label-sets: {path} holds no line 'image<TAB>label,label'")
    labels = tuple(sorted({label for row in rows for label in row}))
    place = {label: index for index, label in enumerate(labels)}
    truth = np.zeros((len(rows), len(labels)), dtype=np.bool_)
    for image, row in enumerate(rows):
        truth[image, [place[label] for label in row]] = True
    return labels, truth


def generated_label_sets(labels: int, images: int, cardinality: float, seed: int = 0) -> BoolArray:
    """Return label sets of a topic model with Zipfian topics and labels, (images, labels): for sizes no list has.

    Each image draws one of ``labels // 10`` topics and then labels from that topic's 30, most frequent first.
    """
    rng = np.random.default_rng(seed)
    topics = max(labels // 10, 1)
    members = np.stack([rng.permutation(labels)[:30] for _ in range(topics)])
    zipf = 1.0 / np.arange(1, members.shape[1] + 1)
    chance = np.minimum(zipf * cardinality / zipf.sum(), 0.95)
    topic = rng.choice(topics, size=images, p=(weights := 1.0 / np.arange(1, topics + 1)) / weights.sum())
    truth = np.zeros((images, labels), dtype=np.bool_)
    image, place = (rng.random((images, members.shape[1])) < chance).nonzero()
    truth[image, members[topic[image], place]] = True
    truth[~truth.any(axis=1), 0] = True
    return truth


def simulated_evidence(truth: BoolArray, separation: float, seed: int) -> FloatArray:
    """Return one noisy detector per label, (images, labels): normal noise, shifted by ``separation`` where true."""
    noise = np.random.default_rng(seed).standard_normal(truth.shape, dtype=np.float32)
    evidence: FloatArray = noise + np.float32(separation) * truth.astype(np.float32)
    return evidence


def train(
    name: str,
    truth: BoolArray,
    *,
    separation: float,
    k: int,
    options: SearchOptions,
    spec: Any,
    epochs: int = 3,
    seed: int = 0,
) -> Workload:
    """Return the model of ``spec`` trained on nine tenths of the images; the rest are the workload's."""
    from bench.model import train as training
    from bench.options import resolve

    features = simulated_evidence(truth, separation, seed)
    held = np.random.default_rng(seed).random(len(truth)) < 0.1
    counts = truth[~held].sum(axis=0)
    names = tuple(map(str, range(truth.shape[1])))
    request = ModelRequest(resolve(spec.options, {}, name), truth.shape[1], names, tuple(map(int, counts)), seed)
    model = spec.build(request)
    settings = resolve(training_options(spec), {"epochs": str(epochs)}, name)
    ids = tuple(map(str, np.flatnonzero(~held)))
    kept = Features(ids, np.ascontiguousarray(features[~held]), "simulated")
    training.fit(model, settings, kept, truth[~held], lambda _: 0.0, name=name, seed=seed)
    prior = np.log((counts + 0.5) / (len(ids) - counts + 0.5)).astype(np.float32)
    evidence = features[held] * np.float32(separation) + prior
    chosen = np.argpartition(-evidence, k, axis=1)[:, :k]
    hits = np.take_along_axis(truth[held], chosen, axis=1).sum()
    return Workload(
        name,
        model,
        np.ascontiguousarray(features[held]),
        options,
        truth.shape[1],
        float(2 * hits / (chosen.size + truth[held].sum())),
    )


def from_list(path: Path, spec: Any) -> Workload:
    """Return a workload trained on the label sets in ``path``, with three labels an image expected."""
    labels, truth = read_label_sets(path)
    if len(labels) < 4:
        raise DataError(f"--label-sets: {path} holds {len(labels)} labels, allowed: at least 4")
    name = path.name.removesuffix(".xz").rpartition(".")[0] or path.name
    return train(name, truth, separation=SEPARATION, k=3, options=SearchOptions(), spec=spec)


def from_digit_scenes(spec: Any) -> Workload:
    """Return a workload trained on the label sets of the embedded data set, which every installation has."""
    from bench import plugins
    from bench.contracts import DatasetRequest
    from bench.options import resolve

    dataset = plugins.installed().dataset("digit-scenes").spec
    built = dataset.build(DatasetRequest(resolve(dataset.options, {}, "digit-scenes")))
    truth = np.concatenate([built.train.truth, built.test.truth])
    return train("digit-scenes", truth, separation=SEPARATION, k=3, options=SearchOptions(), spec=spec)


def generated(labels: int, spec: Any, images: int = 30_000) -> Workload:
    """Return a workload of the topic model, of which exactly ten labels are asked for, as on NUS-WIDE-1000."""
    truth = generated_label_sets(labels, images, cardinality=6.0)
    options = SearchOptions(min_length=10, max_length=40)
    return train(f"generated-{labels}", truth, separation=SEPARATION, k=10, options=options, spec=spec, epochs=1)
