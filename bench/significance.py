"""Which stored models differ by more than the choice of test images explains: paired bootstrap, seeds averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from bench import bootstrap
from bench.errors import DataError
from bench.store import RunFolder


@dataclass(frozen=True, slots=True)
class Difference:
    """The first model's metric minus the second's, with the middle 95 % of its resamples, as fractions."""

    metric: str
    first: str
    second: str
    value: float
    low: float
    high: float

    @property
    def distinguishable(self) -> bool:
        """Return whether the interval leaves out 0."""
        return not self.low <= 0.0 <= self.high


def differences(
    folders: Sequence[RunFolder], metrics: Sequence[str] = ("O-F1", "C-F1", "mAP"), resamples: int = 1000
) -> list[Difference]:
    """Return the difference of every pair of models in every metric, models in the order given.

    A model's value is the mean over its seeds; all runs see the same resamples of the same test images.
    Raises ``DataError`` where runs were measured on different images or labels.
    """
    by_model: dict[str, list[dict[str, bootstrap.Values]]] = {}
    fingerprint = folders[0].config["dataset"]["fingerprints"]["test"] if folders else ""
    for folder in folders:
        config = folder.config
        if config["dataset"]["fingerprints"]["test"] != fingerprint:
            raise DataError(
                f"{folder.path} was measured on other test images than {folders[0].path}; their difference has no"
                " meaning. Try: runs of one data set, with the same options"
            )
        truth = folder.read_truth()
        values = bootstrap.distribution(
            truth.truth,
            folder.read_predicted(),
            np.asarray(folder.read_scores().values),
            truth.ignore,
            resamples=resamples,
            name=f"bootstrap of {config['model']['name']}",
        )
        by_model.setdefault(str(config["model"]["name"]), []).append(values)
    found = []
    for metric in metrics:
        means = {model: np.mean([run[metric] for run in runs], axis=0) for model, runs in by_model.items()}
        for first, second in combinations(means, 2):
            interval = bootstrap.interval(means[first] - means[second])
            found.append(Difference(metric, first, second, interval.value, interval.low, interval.high))
    return found
