"""A label-set policy under its checks: fitted on made-up scores, and asked for label sets of others."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.contracts import LabelSetPolicy, Protocol
from bench.evaluation import policies, protocols
from bench.exported.policy import exported
from bench.options import OptionValue
from bench.plugins import Found, Origin
from bench.records import BoolArray, FloatArray, Scores
from bench.testing.checks import Table, require
from bench.testing.common import add_common

IMAGES, LABELS, K = 60, 6, 2
"""Of the made-up part, and the protocol's number of labels."""


@dataclass(slots=True)
class PolicyPart:
    """One label-set policy under its checks."""

    spec: LabelSetPolicy
    origin: Origin | str
    kind: str = "label-set policy"
    options: Mapping[str, OptionValue] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the policy's name."""
        return self.spec.name

    @property
    def policy(self) -> policies.Policy:
        """Return it as a run has it in force."""
        found = Found(self.spec, self.origin if isinstance(self.origin, Origin) else Origin(self.origin, "0", ""))
        return policies.Policy(self.spec.name, self.spec.amount, False, found)

    def fitted(self, values: FloatArray, truth: BoolArray) -> dict[str, NDArray[Any]]:
        """Return what the policy chooses on a part with these scores."""
        scored = policies.scored_part(_protocol(truth), _scores(values), truth, ignore=None)
        return policies.checked_state(self.spec.fit(scored))

    def sets(self, values: FloatArray, state: Mapping[str, NDArray[Any]]) -> BoolArray:
        """Return the label sets of images with these scores."""
        return policies.label_sets(self.spec, values, state, _protocol(values).k)


def _protocol(array: NDArray[Any]) -> Protocol:
    return protocols.get(f"top{min(K, array.shape[1])}@1")


def _scores(values: FloatArray) -> Scores:
    return Scores(tuple(map(str, range(len(values)))), values.astype(np.float32), "logit")


def _made_up(images: int = IMAGES, labels: int = LABELS, seed: int = 0) -> tuple[FloatArray, BoolArray]:
    """Return scores that tell of truth, and truth."""
    rng = np.random.default_rng(seed)
    truth = rng.random((images, labels)) < 0.35
    return (2.0 * truth - 1.0 + rng.normal(size=truth.shape)).astype(np.float32), truth


POLICY_CHECKS = Table()
check = POLICY_CHECKS.check


@check(
    "fitted, it gives label sets of the scores' shape, as many labels as it says",
    remedy="fit returns named arrays of finite numbers, label_sets (n, labels) bool; amount= says how many labels",
)
def gives_label_sets(part: PolicyPart) -> str:  # noqa: D103 - the claim says it, here and below
    values, truth = _made_up()
    return f"{part.sets(values, part.fitted(values, truth)).sum(axis=1).mean():.2f} labels an image on made-up scores"


@check(
    "fitted again it chooses the same", remedy="no chance, or a seed of its own: np.random.default_rng(0)",
    needs=["gives_label_sets"],
)  # fmt: skip
def chooses_the_same_again(part: PolicyPart) -> None:  # noqa: D103
    one, other = (part.fitted(*_made_up()) for _ in range(2))
    for name, array in one.items():
        require(name in other and np.array_equal(array, other[name]), f"state '{name}' is another the second time")


@check(
    "each image's label set follows from its own scores",
    remedy="label_sets must not look at other rows: a threshold or a mean over the images belongs to fit",
    needs=["gives_label_sets"],
)
def images_stand_alone(part: PolicyPart) -> None:  # noqa: D103
    state, (values, _) = part.fitted(*_made_up()), _made_up(seed=1)
    together = part.sets(values, state)
    alone = np.concatenate([part.sets(values[row : row + 1], state) for row in range(len(values))])
    wrong = int((together != alone).any(axis=1).sum())
    require(not wrong, f"{wrong} of {len(values)} images have another label set alone than among others")


@check(
    "all that it found is in its state, also as an exported model holds it",
    remedy="what label_sets needs is returned by fit, and kept nowhere else",
    needs=["chooses_the_same_again"],
)
def state_is_all(part: PolicyPart) -> None:  # noqa: D103
    state, (values, _) = part.fitted(*_made_up()), _made_up(seed=1)
    before = part.sets(values, state)
    part.fitted(*_made_up(seed=2))
    again = part.sets(values, exported(part.policy, state).arrays())
    require(np.array_equal(before, again), "its label sets are others once it was fitted on another part")


@check(
    "labels and images without a true pair, one label, one image, ties and infinite scores are fitted",
    remedy="no division by a count that may be 0; infinite scores come as the largest float",
    needs=["gives_label_sets"],
)
def odd_parts(part: PolicyPart) -> None:  # noqa: D103
    values, truth = _made_up()
    infinite = values.copy()
    infinite[0, 0], infinite[1, 1] = np.inf, -np.inf
    for scores, labels in (
        (values, np.zeros_like(truth)),
        (values, np.ones_like(truth)),
        (values[:, :1], truth[:, :1]),
        (values[:1], truth[:1]),
        (np.ones_like(values), truth),
        (infinite, truth),
    ):
        part.sets(scores, part.fitted(scores, labels))


add_common(POLICY_CHECKS, lambda part: part.sets(_made_up()[0], part.fitted(*_made_up())), "gives_label_sets")


@check("what it costs is told and not judged", remedy="", needs=["gives_label_sets"])
def cost(part: PolicyPart) -> str:  # noqa: D103
    values, truth = _made_up(5_000, 80)
    started = time.perf_counter()
    state = part.fitted(values, truth)
    fitted = time.perf_counter()
    part.sets(values, state)
    read = time.perf_counter()
    return f"5,000 images of 80 labels fitted in {fitted - started:.2f} s, read in {1000 * (read - fitted):.0f} ms"
