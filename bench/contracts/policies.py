"""Label-set policies as plugins give them: how scores become label sets, chosen on the validation part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from bench.contracts.api import API_VERSION
from bench.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench.records import BoolArray, FloatArray, ScoreKind

Amount = Literal["exactly k", "at most k", "any number"]
"""How many labels an image may get, k being the protocol's: rows compare where this is the same."""


@dataclass(frozen=True, slots=True)
class ScoredPart:
    """The validation part as a policy is fitted on it; nothing of the test part is in it.

    ``scores`` (images, labels) float32 of kind ``score_kind``, finite. ``truth`` (images, labels) bool, false wherever
    ``ignore`` is true: pairs that count neither way, or ``None``. ``k`` is the protocol's number of labels.
    ``score(label_sets)`` is what a policy is chosen by: O-F1 of (images, labels) bool, in [0, 1].
    """

    scores: FloatArray
    score_kind: ScoreKind
    truth: BoolArray
    ignore: BoolArray | None
    k: int
    score: Callable[[BoolArray], float]


PolicyState = Mapping[str, "NDArray[Any]"]
"""All that a policy found: named arrays of finite numbers, which are stored with a run and written into an export."""


@dataclass(frozen=True, slots=True)
class LabelSetPolicy:
    """A way from scores to label sets, as ``--policy NAME`` takes it.

    ``fit`` takes a ``ScoredPart`` and returns the state, with all that ``label_sets(scores, state)`` needs: that takes
    (n, labels) float32, finite, and returns (n, labels) bool, each image's set by its own scores alone. The host calls
    it for blocks of images. ``amount`` says how many labels it gives; it is held to ``k``.
    Both import what is heavy inside, and an exported model calls ``label_sets`` where torch is not installed.
    Raises ``UsageError`` for a field that is none of what is allowed.
    """

    name: str
    summary: str
    fit: Callable[[ScoredPart], PolicyState]
    label_sets: Callable[[FloatArray, PolicyState], BoolArray]
    amount: Amount = "any number"
    source: str = ""
    api_version: int = API_VERSION

    def __post_init__(self) -> None:
        if self.amount not in get_args(Amount):
            allowed = ", ".join(get_args(Amount))
            raise UsageError(f"policy '{self.name}': amount '{self.amount}', allowed: {allowed}")
        if not callable(self.fit) or not callable(self.label_sets):
            raise UsageError(f"policy '{self.name}': fit and label_sets must be functions")
        if self.name in HOST_POLICIES:
            raise UsageError(f"policy '{self.name}': the host has a policy of that name. Try: another name")


HOST_POLICIES: Mapping[str, tuple[str, ...]] = {
    "exactly-k": ("scores", "sets", "sequence"),
    "natural-threshold": ("scores", "sets", "sequence"),
    "own": ("sets",),
    "decoded": ("sequence",),
}
"""The host's own policies, which nothing is fitted for, and the kinds of models that each is for.

``exactly-k``: the k best labels, of a sequence its first k. ``natural-threshold``: those of the k best that reach 0.5
(a logit of 0). ``own``: what the model decides. ``decoded``: a sequence's labels, as many as it ended with.
"""
