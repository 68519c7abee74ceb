"""Small stored runs for what reads runs: a model of scores with two seeds, and one that emits sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.evaluation import protocols
from bench.evaluation.measure import measure
from bench.records import BoolArray, FloatArray, LabelSets, Prediction, RunRequest, Scores
from bench.store.runs import open_run
from bench.store.stored import About, Truth
from bench.system.files import digest

IMAGES, LABELS = 12, ("cat", "dog", "cow", "boat")
PROTOCOL = "top2@1"


def write_runs(root: Path) -> list[Path]:
    """Return the folders of three finished runs that compare: bce with seeds 0 and 1, cnn-rnn with seed 0."""
    truth = _truth()
    return [_write(root, *one, truth) for one in (("bce", 0), ("bce", 1), ("cnn-rnn", 0))]


def write_odd_runs(root: Path) -> list[Path]:
    """Return two runs with images without labels, a label without images, ignored pairs and odd names."""
    labels = ("a|b", "50 % of <b>&amp;", "\N{SNOWMAN} 'quoted'", "never seen")
    empty = _truth() & (np.arange(IMAGES) % 3 > 0)[:, None]
    truth = replace(Truth((), labels, empty, None), ignore=np.eye(IMAGES, len(labels), 1, dtype=np.bool_))
    truth.truth[:, -1] = False
    return [_write(root, name, 0, truth.truth, labels, truth.ignore) for name in ("bench-x:m+1", "cnn-rnn")]


def _truth() -> BoolArray:
    truth = np.random.default_rng(0).random((IMAGES, len(LABELS))) < 0.4
    truth[np.arange(IMAGES), np.arange(IMAGES) % len(LABELS)] = True
    return truth


def _write(  # noqa: PLR0917 - the parts of a run
    root: Path,
    model: str,
    seed: int,
    truth: BoolArray,
    labels: Sequence[str] = LABELS,
    ignore: BoolArray | None = None,
) -> Path:
    ids = tuple(f"image {number}" for number in range(IMAGES))
    folder = open_run(root, _config(model, seed, digest(*labels)))
    logits = np.random.default_rng(seed).normal(size=truth.shape).astype(np.float32) + truth
    scores, protocol = Scores(ids, logits, "logit"), protocols.get(PROTOCOL)
    sequences = _sequences(ids, logits) if model == "cnn-rnn" else None
    predicted = protocols.label_sets(protocol, scores, sequences)
    folder.write_about(About(row=model))
    folder.write_request(RunRequest(model=model, dataset="made-up", seed=seed, out=root, cache=root / "cache"))
    folder.write_environment({"system": "none"})
    folder.write_truth(Truth(ids, tuple(labels), truth, ignore))
    folder.write_training({"history": [], "best_epoch": 1, "learning_rate": 0.01, "score": 0.5, "parameters": 1})
    folder.write_weights(b"")
    folder.write_scores(scores)
    folder.write_predicted(predicted)
    folder.write_validation(Truth(ids, tuple(labels), truth, ignore), Prediction(scores, predicted, sequences))
    if sequences is not None:
        folder.write_label_sets(sequences)
    folder.write_measures(measure(protocol, labels, truth, ignore, predicted, scores, sequences=sequences))
    folder.write_timings({"seconds": {"train": 1.5, "predict": 0.25}})
    folder.finish()
    return folder.path


def _sequences(ids: tuple[str, ...], logits: FloatArray) -> LabelSets:
    """Return the positive labels of each image, best first: none to all."""
    order = np.argsort(-logits, axis=1).astype(np.int32)
    sequences = np.where(np.take_along_axis(logits, order, axis=1) > 0, order, np.int32(-1))
    return LabelSets(ids, sequences, np.full(len(ids), -1.0), np.ones(len(ids), dtype=np.bool_))


def _config(model: str, seed: int, content: str) -> dict[str, Any]:
    kind = "sequence" if model == "cnn-rnn" else "scores"
    whose = {"distribution": "multilabel-bench", "version": "0", "kind": kind, "options": {}}
    return {
        "model": {"name": model, **whose},
        "training": {"epochs": 1, "learning_rates": "0.01"},
        "search": {"beam_width": 2} if kind == "sequence" else {},
        "dataset": {"name": "made-up", "fingerprints": {"train": content, "test": content}},
        "backbone": {"name": "digits-cnn", "weights_hash": content},
        "protocol": PROTOCOL,
        "device": "cpu",
        "seed": seed,
    }
