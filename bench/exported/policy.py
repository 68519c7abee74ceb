"""The label-set policy of an exported model: its name, what it chose, and the label sets that it reads off scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import plugin_files, plugins
from bench.code import plugin_code
from bench.contracts import HOST_POLICIES, PolicyState
from bench.contracts.goals import is_goals
from bench.errors import BenchError, ModelError
from bench.evaluation import calibration, metrics, policies
from bench.evaluation.policies import Policy
from bench.guard import naming
from bench.records import BoolArray, FloatArray
from bench.records.checks import require
from bench.system.notes import note

KINDS = "biuf"
"""What the arrays of a policy's state may be: truth values, whole numbers, floats."""

LARGEST = 10_000_000
"""Most numbers in one array of a policy's state."""


@dataclass(frozen=True, slots=True)
class ExportedPolicy:
    """The policy in an exported model's description; ``distribution`` and ``version`` are empty of the host's own.

    ``state`` is what it chose on the validation part, as JSON: of each array ``dtype``, ``shape`` and ``values``.
    ``code`` is the hash of its plugin's code then; empty: not known.
    Raises ``DataError`` for a state that is none.
    """

    name: str
    distribution: str = ""
    version: str = ""
    state: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    code: str = ""

    def __post_init__(self) -> None:
        for name in ("name", "distribution", "version", "code"):
            require(isinstance(getattr(self, name), str), f"policy {name}: found no text")
        own = self.name in HOST_POLICIES or is_goals(self.name)
        require(bool(self.distribution) or own, f"policy '{self.name}' is no policy of the host's")
        require(isinstance(self.state, Mapping), "policy state: found no named arrays")
        arrays = self.arrays()
        require(not self.of_goals or "thresholds" in arrays, f"policy '{self.name}' has no thresholds")

    @property
    def of_goals(self) -> bool:
        """Return whether it holds thresholds that were chosen for goals: ``thresholds`` (labels,) in its state."""
        return not self.distribution and is_goals(self.name)

    def to_values(self) -> dict[str, Any]:
        """Return what JSON holds of it."""
        return asdict(self)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the state as the policy was given it."""
        return {str(name): _array(str(name), value) for name, value in self.state.items()}


def exported(policy: Policy, state: PolicyState | None) -> ExportedPolicy:
    """Return ``policy`` with what it chose, for an exported model's description."""
    if not policy.fitted:
        return ExportedPolicy(policy.name)
    values = {
        name: {"dtype": array.dtype.name, "shape": list(array.shape), "values": array.ravel().tolist()}
        for name, array in (state or {}).items()
    }
    if policy.found is None:
        return ExportedPolicy(policy.name, state=values)
    origin = policy.found.origin
    code = plugin_code(policy.found)
    return ExportedPolicy(policy.found.spec.name, origin.distribution, origin.version, values, code)


def reader(policy: ExportedPolicy, k: int, threshold: float | None) -> Callable[[FloatArray], BoolArray] | None:
    """Return what reads label sets (n, labels) off scores; ``None`` where they are the k best, or not of scores.

    Raises ``ModelError`` where the plugin that has the policy is not installed; one with other code is noted.
    """
    if policy.name == "natural-threshold" and not policy.distribution:
        least = -math.inf if threshold is None else threshold
        return lambda scores: metrics.top_k(scores, k) & (scores >= least)
    if policy.of_goals:
        thresholds = policy.arrays()
        return lambda scores: policies.by_thresholds(scores, thresholds)
    if not policy.distribution:
        return None
    try:
        found = plugins.installed().policy(f"{policy.distribution}:{policy.name}", "scores")
    except BenchError:
        found = None
    if found is None:
        if policy.version == plugin_files.VERSION:  # pip would install whatever has that name
            lacks, remedy = "the plugin file, which is not loaded", f"bench --plugin {policy.distribution}.py predict"
        else:
            lacks, remedy = f"{policy.version}, which is not installed", f"pip install {policy.distribution}"
        raise ModelError(
            f"its label sets are by policy '{policy.name}' of {policy.distribution} {lacks}. Try: {remedy}"
        )
    spec, origin, state = found.spec, found.origin, policy.arrays()
    if policy.code not in {"", plugin_code(found)}:
        note(
            f"policy '{spec.name}' of {origin} has other code than when the model was exported: its label sets may be"
            " others. Try: the plugin as it was, or bench export of a run by it as it is"
        )

    def read(scores: FloatArray) -> BoolArray:
        with naming(origin, "policy", f"policy '{spec.name}'"):
            return policies.label_sets(spec, scores, state, k)

    return read


def calibrated_by(policy: ExportedPolicy | None, kind: str) -> Callable[[FloatArray], FloatArray] | None:
    """Return what makes probabilities of scores (n, labels) of ``kind``; ``None`` where none were calibrated."""
    if policy is None or not policy.of_goals or not any(name.startswith(calibration.PREFIX) for name in policy.state):
        return None
    state = policy.arrays()

    def calibrate(scores: FloatArray) -> FloatArray:
        found = calibration.calibrated(scores, kind, state)
        return scores if found is None else found

    return calibrate


def _array(name: str, value: Any) -> NDArray[Any]:
    """Return one array of a state, or raise ``DataError``."""
    where = f"policy state '{name}'"
    require(isinstance(value, Mapping) and {"dtype", "shape", "values"} <= value.keys(), f"{where}: found no array")
    shape, values = value["shape"], value["values"]
    whole = isinstance(shape, list) and all(isinstance(size, int) and 0 <= size <= LARGEST for size in shape)
    require(whole and isinstance(values, list), f"{where}: found no shape and values")
    require(len(values) == math.prod(shape) <= LARGEST, f"{where}: {len(values)} values, its shape is {shape}")
    try:
        array = np.array(values, dtype=np.dtype(str(value["dtype"]))).reshape(shape)
    except (TypeError, ValueError, OverflowError):
        array = np.array("")
    require(array.dtype.kind in KINDS and bool(np.isfinite(array).all()), f"{where}: allowed: finite numbers")
    return array
