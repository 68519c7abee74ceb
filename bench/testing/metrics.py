"""A metric under its checks: a function of stored predictions, asked on made-up ones."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from bench.contracts import Metric
from bench.evaluation import protocols
from bench.evaluation.bits import BitMatrix, Mask
from bench.evaluation.evaluation import Evaluation
from bench.options import OptionValue
from bench.plugins import Origin
from bench.records import BoolArray, FloatArray, Scores
from bench.show.plugin_metrics import ROUNDING
from bench.testing.checks import Table, require
from bench.testing.common import add_common


@dataclass(slots=True)
class MetricPart:
    """One metric under its checks."""

    spec: Metric
    origin: Origin | str
    kind: str = "metric"
    options: Mapping[str, OptionValue] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the metric's name."""
        return self.spec.name

    def value(
        self, truth: BoolArray, scores: FloatArray, ignore: BoolArray | None = None, packed: bool = False
    ) -> float:
        """Return the metric of predictions whose label sets are the best two of ``scores``.

        ``packed``: masks hold eight labels in a byte, as those of a stored run do.
        """
        labels = tuple(f"label {number}" for number in range(truth.shape[1]))
        ids = tuple(map(str, range(len(truth))))
        made = Scores(ids, scores.astype(np.float32), "logit")
        protocol = protocols.get(f"top{min(2, len(labels))}@1")
        predicted = protocols.label_sets(protocol, made)

        def told(mask: BoolArray) -> Mask:
            return BitMatrix.pack([mask], len(labels)) if packed else mask

        ignored = None if ignore is None else told(ignore)
        return self.spec.value(Evaluation(protocol, labels, told(truth), ignored, told(predicted), made, None))


def _made_up(images: int = 30, labels: int = 5) -> tuple[BoolArray, FloatArray]:
    rng = np.random.default_rng(0)
    truth = rng.random((images, labels)) < 0.4
    truth[np.arange(images), np.arange(images) % labels] = True
    # Better than chance, so that the strictest metric, too, has images to tell apart.
    return truth, (rng.normal(size=truth.shape) + 2.0 * truth).astype(np.float32)


METRIC_CHECKS = Table()
check = METRIC_CHECKS.check


@check(
    "it gives a number, or NaN where it is undefined", remedy="function takes a bench.Evaluation and returns a float"
)
def gives_a_number(part: MetricPart) -> str:  # noqa: D103 - the claim says it, here and below
    return f"{part.value(*_made_up()):.4f} on made-up predictions"


@check(
    "what is shown in percent is a fraction",
    remedy="scale=1.0 where it is a count or percent already; it is shown times its scale, which is 100 unless given",
    needs=["gives_a_number"],
)
def is_a_fraction(part: MetricPart) -> None:  # noqa: D103
    value = part.value(*_made_up())
    shown = f"it gives {value:.4g}, which is shown as {part.spec.shown(value)}"
    require(part.spec.scale != 100.0 or not abs(value) > 1.0, shown)


@check("asked again it says the same", remedy="no chance in a metric, or a seed of its own", needs=["gives_a_number"])
def says_the_same_again(part: MetricPart) -> None:  # noqa: D103
    one, other = (part.value(*_made_up()) for _ in range(2))
    require(one == other or (math.isnan(one) and math.isnan(other)), f"it says {other}, before: {one}")


@check(
    "the order of the images changes nothing",
    remedy="take means over images, not what depends on their place",
    needs=["says_the_same_again"],
)
def order_changes_nothing(part: MetricPart) -> None:  # noqa: D103
    truth, scores = _made_up()
    one, other = part.value(truth, scores), part.value(truth[::-1].copy(), scores[::-1].copy())
    require(_same(one, other), f"it says {other}, before: {one}")


@check(
    "right predictions are better than wrong ones, as its direction says",
    remedy="direction='higher', 'lower' or 'none'",
    needs=["says_the_same_again"],
)
def right_is_better(part: MetricPart) -> None:  # noqa: D103
    truth, _ = _made_up()
    right, wrong = (part.value(truth, sign * (2.0 * truth - 1.0)) for sign in (1, -1))
    sign = {"higher": 1, "lower": -1, "none": 0}[part.spec.direction]
    better = sign * right > sign * wrong or not sign
    require(better, f"right: {right:.4f}, wrong: {wrong:.4f}, better: {part.spec.direction}")


@check(
    "images without labels, labels without images and a single label are measured, or undefined",
    remedy="return float('nan') where nothing can be said; no division by a count that may be 0",
    needs=["gives_a_number"],
)
def empty_and_single(part: MetricPart) -> None:  # noqa: D103
    truth, scores = _made_up()
    part.value(np.zeros_like(truth), scores)
    part.value(np.ones_like(truth), scores)
    part.value(truth[:, :1], scores[:, :1])
    part.value(truth[:1], scores[:1])


@check(
    "packed masks, which a stored run has, give what plain ones give",
    remedy="evaluation.truth[:] is a plain array, of all images; evaluation.image_counts has what most metrics need",
    needs=["says_the_same_again"],
)
def packed_masks_are_taken(part: MetricPart) -> None:  # noqa: D103
    truth, scores = _made_up()
    one, other = part.value(truth, scores, packed=True), part.value(truth, scores)
    require(_same(one, other), f"packed: {one}, plain: {other}")


@check(
    "pairs that are to be ignored count neither way",
    remedy="leave out what evaluation.ignore marks, as evaluation.image_counts and class_counts do",
    needs=["says_the_same_again"],
)
def ignored_pairs_count_not(part: MetricPart) -> None:  # noqa: D103
    truth, scores = _made_up()
    ignore = np.random.default_rng(1).random(truth.shape) < 0.2
    one, other = part.value(truth, scores, ignore), part.value(truth ^ ignore, scores, ignore)
    require(_same(one, other), f"with ignored labels true: {other}, false: {one}")


def _same(one: float, other: float) -> bool:
    both = math.isnan(one) and math.isnan(other)
    return both or math.isclose(one, other, rel_tol=ROUNDING, abs_tol=1e-12)


add_common(METRIC_CHECKS, lambda part: part.value(*_made_up()), "gives_a_number")


@check("what it costs is told and not judged", remedy="", needs=["gives_a_number"])
def cost(part: MetricPart) -> str:  # noqa: D103
    truth, scores = _made_up(10_000, 80)
    started = time.perf_counter()
    part.value(truth, scores)
    return f"10,000 images of 80 labels in {1000 * (time.perf_counter() - started):.0f} ms"
