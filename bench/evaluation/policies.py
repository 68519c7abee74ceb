"""Label-set policies: how scores and sequences become label sets, as the protocol says or as ``--policy`` asks.

A policy comes after training: whatever it is, weights and scores of a run are the same, unless trials judged options by
it. What has to be chosen for it is chosen on the scores of the validation part, which are stored with the run, by O-F1;
nothing is chosen on test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import plugins
from bench.contracts import Amount, LabelSetPolicy, PolicyState, Protocol, ScoredPart, ThresholdGoals
from bench.contracts.goals import is_goals, parse_goals
from bench.contracts.training_options import OF_LABEL_SETS
from bench.errors import PluginError, UsageError
from bench.evaluation import known_tags, protocols, thresholds
from bench.evaluation.bits import BitMatrix, Mask, row_blocks
from bench.guard import calling, is_first_party
from bench.plugins import Found, Registry
from bench.records import BoolArray, FloatArray, LabelSets, Prediction, Scores

FOLDS = 5
"""Parts of the validation part, of which each is judged by what was fitted on the others."""

CHECKED = 8
"""Images whose label sets a policy is asked for again."""

LARGEST = float(np.finfo(np.float32).max)
"""What an infinite score is to a policy, so that whatever it computes of scores is a number."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy in force in a run; ``found`` is a plugin's, ``None`` one of the host's own, perhaps of ``goals``.

    ``amount`` is how many labels an image may get by it; ``by_protocol``: it is what the protocol asks of such a model.
    """

    name: str
    amount: Amount
    by_protocol: bool
    found: Found[LabelSetPolicy] | None = None
    goals: ThresholdGoals | None = None

    @property
    def fitted(self) -> bool:
        """Return whether something is chosen for it on the validation part, and stored."""
        return self.found is not None or self.goals is not None

    def to_json(self) -> dict[str, Any]:
        """Return what a run's config holds of it."""
        values: dict[str, Any] = {"name": self.name, "amount": self.amount, "by_protocol": self.by_protocol}
        if self.found is None:
            return values
        origin = self.found.origin
        return values | {"distribution": origin.distribution, "version": origin.version}


def of_protocol(protocol: Protocol, kind: str) -> str:
    """Return the name of the policy that ``protocol`` asks of a model of ``kind``.

    >>> of_protocol(protocols.get("coco-top3@1"), "scores"), of_protocol(protocols.get("coco-top3@1"), "sequence")
    ('exactly-k', 'decoded')
    """
    if kind == "sets":
        return "own"
    if kind == "sequence":
        return "exactly-k" if protocol.cut_to_k else "decoded"
    return "exactly-k" if protocol.selection == "topk_exact" else "natural-threshold"


def telling(metric: str, protocol: Protocol, kind: str, labels: int) -> str:
    """Return ``metric``, or mAP where it is the same whatever a model of ``kind`` says, so that it chooses nothing.

    O-F1 and C-F1 are so where every image gets all of the ``labels``, MAP@10 of a single label.

    >>> telling("O-F1", protocols.get("top3@1"), "scores", 3), telling("O-F1", protocols.get("top3@1"), "scores", 4)
    ('mAP', 'O-F1')
    """
    every = kind == "scores" and labels <= protocol.k and of_protocol(protocol, kind) == "exactly-k"
    return "mAP" if (every and metric in OF_LABEL_SETS) or (labels == 1 and metric == "MAP@10") else metric


def chosen(
    name: str,
    found: Found[LabelSetPolicy] | None,
    protocol: Protocol,
    kind: str,
    search: Mapping[str, Any] | None = None,
) -> Policy:
    """Return the policy called ``name`` for a model of ``kind``; the protocol's own where ``name`` is empty.

    ``found`` is what ``Registry.policy`` finds. ``search`` are a sequence model's search options, as chosen.
    """
    usual = of_protocol(protocol, kind)
    if found is not None:
        return Policy(found.spec.name, found.spec.amount, False, found)
    name = name or usual
    if is_goals(name):
        goals = parse_goals(name)
        return Policy(goals.text, "any number", False, goals=goals)
    if name == "decoded":
        longest = int(protocols.searched(protocol, search or {}).get("max_length", protocol.max_length))
        return Policy(name, "at most k" if longest <= protocol.k else "any number", name == usual)
    amounts: dict[str, Amount] = {"exactly-k": "exactly k", "natural-threshold": "at most k", "own": "any number"}
    return Policy(name, amounts[name], name == usual)


def of_config(config: Mapping[str, Any], registry: Registry | None = None) -> Policy:
    """Return the policy of a stored run. Raises ``UsageError`` for a plugin's that is not installed."""
    protocol, kind = protocols.get(str(config["protocol"])), str(config["model"]["kind"])
    stored = config.get("policy", {})
    name = str(stored.get("name", ""))
    typed = f"{stored['distribution']}:{name}" if "distribution" in stored else name
    found = (registry or plugins.installed()).policy(typed, kind)
    return chosen(name, found, protocol, kind, config.get("search"))


def fit(
    policy: Policy,
    protocol: Protocol,
    scores: Scores,
    truth: BoolArray,
    *,
    ignore: BoolArray | None,
    known: BoolArray | None = None,
    labels: Sequence[str] = (),
) -> dict[str, NDArray[Any]] | None:
    """Return what ``policy`` chose on the validation part, (images, labels) each; ``None``: there is nothing to choose.

    ``ignore`` is the part's own mask, which counts as the protocol says; ``known`` are labels that the model was told.
    ``labels`` are the labels' names, which goals may be asked of. Raises ``PluginError`` for a state that is none, and
    ``UsageError`` for goals of labels that there are not.
    """
    if not policy.fitted:
        return None
    part = scored_part(protocol, scores, truth, ignore=ignore, known=known)
    if policy.goals is not None:
        return thresholds.fit(policy.goals, part, labels)
    assert policy.found is not None, "what is fitted is of a plugin or of goals"
    spec, origin = policy.found.spec, policy.found.origin
    with calling(origin, "fit policy", f"policy '{spec.name}'", seed=0):
        state = checked_state(spec.fit(part))
        again = state if is_first_party(origin) else checked_state(spec.fit(part))
        if differ := [name for name in state.keys() | again if not _same(state.get(name), again.get(name))]:
            raise PluginError(f"fit, asked again, gives another '{min(differ)}'. Try: np.random.default_rng(0)")
        return state


def _same(one: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    """Return whether two arrays are alike but for rounding, which a library's threads may do in another order."""
    if one is None or other is None or one.shape != other.shape:
        return False
    return bool(np.allclose(one, other, rtol=0, atol=1e-6 * float(np.abs(one).max(initial=0))))


def scored_part(
    protocol: Protocol, scores: Scores, truth: BoolArray, *, ignore: BoolArray | None, known: BoolArray | None = None
) -> ScoredPart:
    """Return the validation part as a policy is given it, with the arguments of ``fit``."""
    counted, left_out = protocols.counted(protocol, truth, ignore, known)
    positive = counted[:] if left_out is None else counted[:] & ~left_out[:]
    skipped = None if left_out is None else left_out[:]

    def score(label_sets: BoolArray) -> float:
        predicted = label_sets if skipped is None else label_sets & ~skipped
        found, right, true = (int(np.count_nonzero(mask)) for mask in (predicted, predicted & positive, positive))
        return 2.0 * right / max(found + true, 1)

    # Truth is the split's own, which other runs of this process read too.
    shown = _read_only(positive), None if skipped is None else _read_only(skipped)
    return ScoredPart(_finite(scores.values, known), scores.kind, *shown, protocol.k, score)


def checked_state(state: Any) -> dict[str, NDArray[Any]]:
    """Return a policy's state as arrays, or raise ``PluginError`` where it is not named arrays of finite numbers."""
    if not isinstance(state, Mapping):
        raise PluginError(f"fit returned a {type(state).__name__}, must return named arrays")
    arrays: dict[str, NDArray[Any]] = {}
    for name, value in state.items():
        array = np.asarray(value)
        if not isinstance(name, str) or not name.isidentifier():
            raise PluginError(f"state {name!r}: allowed: names of letters, digits and _")
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise PluginError(f"state '{name}' is {array.dtype}, must be finite numbers or truth values")
        arrays[name] = array
    return arrays


def read(
    policy: Policy,
    protocol: Protocol,
    scores: Scores,
    state: PolicyState | None = None,
    *,
    sequences: LabelSets | None = None,
    known: Mask | None = None,
) -> BitMatrix:
    """Return the label sets that ``policy`` reads off scores or sequences, packed; ``known`` labels stand in none.

    Raises ``UsageError`` for a policy that reads what is not here: label sets of the model's own, absent sequences.
    """
    images, labels = scores.values.shape
    if policy.found is not None:
        spec, origin = policy.found.spec, policy.found.origin
        with calling(origin, "policy", f"policy '{spec.name}'", seed=0):
            blocks = [
                label_sets(spec, scores.values[rows], state or {}, protocol.k, None if known is None else known[rows])
                for rows in row_blocks(images, labels)
            ]
            sets = BitMatrix.pack(blocks, labels)
            _check_own(spec, scores, state or {}, k=protocol.k, sets=sets, known=known)
        return sets
    if policy.goals is not None:
        blocks = [
            by_thresholds(scores.values[rows], state or {}, None if known is None else known[rows])
            for rows in row_blocks(images, labels)
        ]
        return BitMatrix.pack(blocks, labels)
    if policy.name == "own" and not scores.rank:
        return protocols.packed_from_scores(protocol, scores)
    if policy.name == "own" or (policy.name == "decoded" and sequences is None):
        raise UsageError(f"policy '{policy.name}': its label sets are the model's, and follow from no scores")
    if sequences is not None and policy.name != "natural-threshold":
        counted = protocols.cut(replace(protocol, cut_to_k=policy.name == "exactly-k"), sequences)
        return BitMatrix.pack((counted.as_matrix(labels, rows) for rows in row_blocks(images, labels)), labels)
    if policy.name == "exactly-k":
        return protocols.packed_from_scores(replace(protocol, selection="topk_exact"), scores, known)
    return protocols.packed_from_scores(replace(protocol, selection="topk_threshold"), scores, known)


def applied(
    policy: Policy, protocol: Protocol, prediction: Prediction, state: PolicyState | None, known: BoolArray | None
) -> Prediction:
    """Return ``prediction``, whose label sets are the protocol's, with those of ``policy``."""
    if policy.name == "own" or (policy.by_protocol and known is None):
        return prediction
    sets = read(policy, protocol, prediction.scores, state, sequences=prediction.label_sets, known=known)
    return replace(prediction, predicted=sets[:])


def held_out(
    policy: Policy,
    protocol: Protocol,
    prediction: Prediction,
    truth: BoolArray,
    *,
    ignore: BoolArray | None,
    known: BoolArray | None = None,
    labels: Sequence[str] = (),
) -> BoolArray:
    """Return the label sets of a validation part, each fifth of it by what ``policy`` chooses on the others.

    What was fitted on images is worth more on them than elsewhere, the more of it the more there is to fit. Arguments
    are those of ``fit``; a part of few images keeps the label sets that it has.
    """
    scores, found = prediction.scores, np.array(prediction.predicted[:])
    images = len(found)
    for fold in range(FOLDS if images >= 2 * FOLDS else 0):
        rows = np.arange(images) % FOLDS == fold
        masks = {"ignore": ignore, "known": known}
        others = {name: None if mask is None else mask[~rows] for name, mask in masks.items()}
        state = fit(policy, protocol, _rows(scores, ~rows), truth[~rows], labels=labels, **others)
        told = None if known is None else known[rows]
        found[rows] = read(policy, protocol, _rows(scores, rows), state, known=told)[:]
    return found


def _rows(scores: Scores, rows: BoolArray) -> Scores:
    ids = tuple(one for one, chosen in zip(scores.ids, rows, strict=True) if chosen)
    return Scores(ids, np.asarray(scores.values)[rows], scores.kind)


def label_sets(
    spec: LabelSetPolicy, scores: FloatArray, state: PolicyState, k: int, known: BoolArray | None = None
) -> BoolArray:
    """Return the label sets of some images, (n, labels) bool. Raises ``PluginError`` for what are none."""
    found = spec.label_sets(_finite(scores, known), {name: _read_only(array) for name, array in state.items()})
    if not isinstance(found, np.ndarray) or found.dtype != np.bool_ or found.shape != scores.shape:
        what = f"{found.dtype} of shape {found.shape}" if isinstance(found, np.ndarray) else type(found).__name__
        raise PluginError(f"label_sets gives {what}, must be bool of the scores' shape {scores.shape}")
    counts = np.count_nonzero(found, axis=1)
    if (spec.amount != "any number" and (counts > k).any()) or (spec.amount == "exactly k" and (counts < k).any()):
        raise PluginError(f"label_sets gives {counts.min()} to {counts.max()} labels, its amount is {spec.amount}: {k}")
    return known_tags.without(found, known)


def _check_own(
    spec: LabelSetPolicy, scores: Scores, state: PolicyState, *, k: int, sets: BitMatrix, known: Mask | None
) -> None:
    """Raise ``PluginError`` where an image's label set depends on the images beside it, their order, or chance."""
    images = len(scores.ids)
    few = np.linspace(images - 1, 0, min(images, CHECKED)).astype(np.intp)
    for rows in (few, few[:1]):
        told = None if known is None else _some(known, rows)
        again = label_sets(spec, np.asarray(scores.values[rows]), state, k, told)
        if not np.array_equal(again, _some(sets, rows)):
            raise PluginError(
                "label sets of an image depend on the other images that it is given with, or on chance: asked again,"
                f" {len(rows)} of {images} have others. Try: each image by its own scores, and the rest in fit"
            )


def _some(mask: Mask, rows: NDArray[np.intp]) -> BoolArray:
    """Return a few rows of ``mask``, (n, labels) bool, and unpack no others."""
    return BitMatrix(mask.bits[rows], mask.labels)[:] if isinstance(mask, BitMatrix) else mask[rows]


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view that nobody writes to by mistake."""
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


def by_thresholds(scores: FloatArray, state: PolicyState, known: BoolArray | None = None) -> BoolArray:
    """Return the label sets of some images, (n, labels) bool, by thresholds that were chosen for goals."""
    return known_tags.without(thresholds.label_sets(_finite(scores, known), state), known)


def _finite(scores: FloatArray, known: BoolArray | None) -> FloatArray:
    """Return scores as a policy gets them: finite, and a label that is known beforehand behind all others."""
    values = np.clip(np.asarray(scores, dtype=np.float32), -LARGEST, LARGEST)
    return values if known is None else np.where(known, np.float32(-LARGEST), values)
