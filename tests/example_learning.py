"""Installed models trained on made-up data as a run trains them, and how good they then are, for tests."""

import numpy as np

from bench import ModelRequest, plugins
from bench.contracts import Validation
from bench.model import train
from bench.model.arrays import as_module
from bench.model.networks import by_chunks
from bench.options import resolve
from bench.plan import training_options
from bench.records import Features


def learnt(name, values, truth, k=None, **options):
    """The model called ``name``, trained on features and truth, a quarter of which is held out.

    ``options`` are the model's own and its training's; ``k`` labels an image are right on average.
    """
    spec = plugins.installed().model(name).spec
    quarter = len(values) // 4
    values, held_values, truth, held_truth = values[quarter:], values[:quarter], truth[quarter:], truth[:quarter]
    k = k or max(round(truth.sum(axis=1).mean()), 1)
    training = training_options(spec)
    own = {option.name for option in spec.options}
    model_options = resolve(spec.options, {key: str(v) for key, v in options.items() if key in own}, name)
    fitting = resolve(training, {key: str(v) for key, v in options.items() if key not in own}, name)
    labels = tuple(f"label {number}" for number in range(truth.shape[1]))
    shape = values.shape[1:] if values.ndim == 4 else None
    counts = tuple(int(count) for count in truth.sum(axis=0))
    model = as_module(spec.build(ModelRequest(model_options, values.shape[1], labels, counts, 0, shape)))

    def score(candidate):
        return overall_f1(scores_of(candidate, held_values), held_truth, k)

    train.fit(
        model,
        fitting,
        Features(tuple(map(str, range(len(values)))), values, "made up"),
        truth,
        score,
        name=name,
        seed=0,
        validation=Validation(held_values, held_truth, None, score),
    )
    return model


def scores_of(model, values):
    return by_chunks(model, model, values)


def overall_f1(scores, truth, k):
    """O-F1 of the ``k`` best labels of each image."""
    chosen = np.zeros_like(truth)
    np.put_along_axis(chosen, np.argsort(-scores, axis=1, kind="stable")[:, :k], True, axis=1)
    return 2 * (chosen & truth).sum() / (chosen.sum() + truth.sum())


def prior_f1(train_truth, truth, k):
    """O-F1 of the ``k`` most frequent labels, said of every image."""
    return overall_f1(np.tile(train_truth.sum(axis=0, dtype=float), (len(truth), 1)), truth, k)


def mean_ap(scores, truth):
    """Mean over labels of the non-interpolated average precision."""
    from sklearn.metrics import average_precision_score

    return float(
        np.mean([average_precision_score(truth[:, label], scores[:, label]) for label in range(truth.shape[1])])
    )
