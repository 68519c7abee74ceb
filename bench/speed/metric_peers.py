"""Ways to compute the same metrics: this project's functions, scikit-learn's and torchmetrics'.

Each library is called in the fastest ways that we know: on the bytes of the bool arrays, which copies nothing, and
torchmetrics without its checks of arguments. ``one ... call`` is what a careful user writes: the counts once, and
every fraction from them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError, NotRun
from bench.evaluation import metrics
from bench.evaluation.metrics import Counts
from bench.records import BoolArray, FloatArray
from bench.speed import workloads
from bench.store.run_folder import RunFolder

COUNTS, RANKING = "precision, recall, F1", "average precision"

Found = dict[str, NDArray[np.float64]]
"""Values by name: per class with a positive image, and the means and overall fractions."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """What is measured: masks (images, labels) bool, scores from 0 to 1, and which labels some image has."""

    name: str
    truth: BoolArray
    predicted: BoolArray
    scores: FloatArray
    kept: NDArray[np.bool_]


Way = Callable[[Case], Found]
Ways = dict[str, dict[str, Way]]
"""By part (``COUNTS``, ``RANKING``) and name."""


def generated(images: int, labels: int, seed: int = 0) -> Case:
    """Return label sets of a topic model with noisy scores: 3 labels an image, 10 where there are 1,000 or more."""
    k = min(labels, 10 if labels >= 1000 else 3)
    truth = workloads.generated_label_sets(labels, images, cardinality=float(k), seed=seed)
    evidence = workloads.simulated_evidence(truth, workloads.SEPARATION, seed)
    return _case("generated", truth, metrics.top_k(evidence, k), evidence)


def from_run(folder: RunFolder) -> Case:
    """Return what a run stored. Pairs to ignore are negatives here: the other libraries have no such mask."""
    stored, config = folder.read_truth(), folder.config
    name = f"{config['model']['name']} on {config['dataset']['name']}"
    return _case(name, stored.truth, folder.read_predicted(), np.asarray(folder.read_scores().values))


def _case(name: str, truth: BoolArray, predicted: BoolArray, scores: FloatArray) -> Case:
    if truth.shape[1] < 2 or not truth.any():
        raise DataError(
            f"{name}: {truth.shape[1]} labels, {np.count_nonzero(truth):,} true; allowed: at least 2 labels"
            " (to the other libraries one column is no multi-label problem) and 1 true one"
        )
    if scores.min() < 0 or scores.max() > 1:
        # torchmetrics takes such scores for logits and rounds them; all shall rank the same numbers.
        with np.errstate(over="ignore"):
            scores = (1 / (1 + np.exp(-scores))).astype(np.float32)
    return Case(name, truth, predicted, scores, np.asarray(truth.any(axis=0)))


def ours() -> Ways:
    """Return this project's functions, on one thread."""

    def ranking(case: Case) -> Found:
        found = metrics.average_precisions(case.truth, case.scores, ("non_interpolated",))["non_interpolated"]
        return {"AP": found[case.kept], "mAP": np.array([metrics.mean_defined(found)])}

    return {
        COUNTS: {"bench": lambda case: _from_counts(metrics.class_counts(case.truth, case.predicted), case)},
        RANKING: {"bench": ranking},
    }


def scikit_learn() -> Ways:
    """Return scikit-learn's functions; they run on one thread."""
    from sklearn.metrics import (
        average_precision_score,
        multilabel_confusion_matrix,
        precision_recall_fscore_support,
    )

    def counts(case: Case) -> Found:
        masks = case.truth.view(np.uint8), case.predicted.view(np.uint8)
        per_class = precision_recall_fscore_support(*masks, average=None, zero_division=0.0)
        overall = precision_recall_fscore_support(*masks, average="micro", zero_division=0.0)
        return _from_fractions(per_class[:3], overall[:3], case)

    def counts_once(case: Case) -> Found:
        table = multilabel_confusion_matrix(case.truth.view(np.uint8), case.predicted.view(np.uint8))
        hits, false, missed = table[:, 1, 1], table[:, 0, 1], table[:, 1, 0]
        return _from_counts(Counts(hits, hits + false, hits + missed), case)

    def ranking(case: Case) -> Found:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes without a positive; they are left out below
            return _mean(average_precision_score(case.truth.view(np.uint8), case.scores, average=None), case)

    return {
        COUNTS: {"scikit-learn": counts, "scikit-learn, one confusion matrix": counts_once},
        RANKING: {"scikit-learn": ranking},
    }


def torchmetrics(threads: int) -> Ways:
    """Return torchmetrics' functions on so many threads. Raises ``NotRun`` where it is not installed."""
    try:
        from torchmetrics.functional import classification as functional
    except ImportError:
        raise NotRun("torchmetrics is not installed. Try: pip install torchmetrics") from None
    import torch

    def call(function: Any, case: Case, first: NDArray[Any], **options: Any) -> NDArray[np.float64]:
        torch.set_num_threads(threads)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes without a positive, and of arrays that are read-only
            tensors = torch.from_numpy(first), torch.from_numpy(case.truth.view(np.uint8))
            found = function(*tensors, case.truth.shape[1], validate_args=False, **options)
        return np.asarray(found.numpy(), dtype=np.float64)

    fractions = (functional.multilabel_precision, functional.multilabel_recall, functional.multilabel_f1_score)

    def counts(case: Case) -> Found:
        chosen = case.predicted.view(np.uint8)
        per_class, overall = (
            [call(function, case, chosen, average=average) for function in fractions] for average in ("none", "micro")
        )
        return _from_fractions(per_class, overall, case)

    def counts_once(case: Case) -> Found:
        table = call(functional.multilabel_stat_scores, case, case.predicted.view(np.uint8), average="none")
        hits, false, _, _, positives = table.T.astype(np.int64)
        return _from_counts(Counts(hits, hits + false, positives), case)

    def ranking(case: Case) -> Found:
        return _mean(call(functional.multilabel_average_precision, case, case.scores, average="none"), case)

    name = f"torchmetrics, {threads} thread{'s' if threads > 1 else ''}"
    return {
        COUNTS: {name: counts, f"{name}, one stat_scores": counts_once},
        RANKING: {name: ranking},
    }


def _from_counts(counts: Counts, case: Case) -> Found:
    f1 = 2 * counts.true_positives[case.kept] / (counts.predicted[case.kept] + counts.positives[case.kept])
    return {
        "precision": metrics.precision(counts)[case.kept],
        "recall": metrics.recall(counts)[case.kept],
        "F1": f1,
        "C": np.array([*metrics.macro(counts), metrics.mean_of_f1(counts)]),
        "O": np.array(metrics.micro(counts)),
    }


def _from_fractions(per_class: Sequence[NDArray[Any]], overall: Sequence[Any], case: Case) -> Found:
    precision, recall, f1 = (values[case.kept] for values in per_class)
    means = float(precision.mean()), float(recall.mean())
    return {
        "precision": precision,
        "recall": recall,
        "F1": f1,
        "C": np.array([*means, metrics.harmonic_mean(*means), f1.mean()]),
        "O": np.array([float(value) for value in overall]),
    }


def _mean(ap: NDArray[np.float64], case: Case) -> Found:
    return {"AP": ap[case.kept], "mAP": np.array([ap[case.kept].mean()])}
