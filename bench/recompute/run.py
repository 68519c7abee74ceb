"""A stored run done again: predicted from its weights and data, or trained anew, and compared with what is stored.

The folder alone (``bench.store.validate``) cannot tell scores that a model gave from scores that somebody wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.assembly import Assembly, check_device
from bench.errors import BenchError, NotRun
from bench.evaluation import policies
from bench.model import features
from bench.model.predict import predict
from bench.rebuilt import assemble_again, revive
from bench.recompute import exhibits, predictions, training
from bench.recompute.compare import MEASURES, TOLERANCE
from bench.run_config import make_config
from bench.store.run_folder import RunFolder
from bench.store.validate import Verdict, verdict

CODE = ("bench", "code.", "device", "model.version", "dataset.version", "backbone.version", "decoder.version")
"""Where a config's leaves may differ from the code at hand: such a run is done again by other code, which is said."""


def recompute(
    folder: RunFolder, data_root: Path | None = None, weights: Path | None = None, *, retrain: bool = False
) -> Verdict:
    """Return the verdict on a run from its folder and, where that is whole, from predicting with it again.

    ``data_root`` and ``weights`` say where these lie now. ``retrain`` trains again as well, and compares to the bit.
    Where a run cannot be done again here, its ``level`` stays ``folder`` and a note says why.
    """
    alone = verdict(folder)
    if not folder.done:
        return replace(alone, notes=("not recomputed: only a whole and finished run can be",))
    try:
        assembly = assemble_again(folder, data_root, weights)
        code, other = _changed(folder.config, make_config(assembly))
        notes = [f"done again by other code: {', '.join(code)} differ"] if code else []
        if other:
            fault = f"what was asked for gives another run here: {', '.join(other)} differ"
            return replace(alone, faults=(*alone.faults, fault), notes=tuple(notes), level="recomputed")
        device = _device(assembly.plan.request.device)
        with assembly.plan.calling("model", "recompute", seed=assembly.plan.request.seed):
            difference, faults = _predict_again(folder, assembly, device)
        notes.append(f"scores differ by {difference:.1e}, relative")
        if retrain:
            faults += training.faults(folder, assembly, device)
    except BenchError as error:
        return replace(alone, notes=(f"not recomputed: {error}",))
    level = "retrained" if retrain else "recomputed"
    return replace(alone, faults=(*alone.faults, *faults), notes=tuple(notes), level=level)  # type: ignore[arg-type]


def _changed(stored: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the dotted names where two configs differ: those of code, and all others."""
    one, other = _leaves(stored), _leaves(now)
    names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    code = [name for name in names if name.startswith(CODE)]
    return code, [name for name in names if name not in code]


def _predict_again(folder: RunFolder, assembly: Assembly, device: str) -> tuple[float, list[str]]:
    """Return by how much the scores differ, and all that the weights do not give as it is stored."""
    request, parts = assembly.plan.request, assembly.parts
    tolerance = TOLERANCE["same" if device == request.device else "other"]
    rebuilt = revive(folder, assembly)
    validation, test = features.of_judged(parts, rebuilt.backbone, request.cache / "features", device=device)
    rebuilt.model.to(device)
    search, known = assembly.search, assembly.known
    prediction = predict(rebuilt.model, test, assembly.protocol, search, known, room=request.cache)
    state = folder.read_policy() if assembly.policy.fitted else None
    prediction = policies.applied(assembly.policy, assembly.protocol, prediction, state, assembly.known)
    difference, faults = predictions.of_scores(folder, prediction, tolerance)
    faults += predictions.of_validation(folder, rebuilt, validation, tolerance)
    if assembly.policy.name == "own":
        faults += predictions.of_own_sets(folder, prediction, tolerance)
    if prediction.label_sets is not None:
        faults += predictions.of_sequences(folder, rebuilt, test, prediction.label_sets, tolerance)
    faults += predictions.of_measures(folder, assembly, prediction)
    claimed = folder.read_training()["score"]
    if claimed is not None:
        score = assembly.validation_part(validation).score(rebuilt.model)
        if not abs(score - claimed) <= MEASURES:
            faults.append(f"its validation score is stored as {claimed:.4f}, its weights give {score:.4f}")
    faults += predictions.of_descriptions(folder, assembly)
    return difference, [*faults, *exhibits.faults(folder, rebuilt, test)]


def _device(asked: str) -> str:
    """Return the device that a run was made on, or the CPU where this machine lacks it."""
    try:
        check_device(asked)
    except NotRun:
        return "cpu"
    return asked


def _leaves(value: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return the values of a nested mapping by their dotted names; tuples as the lists they are in JSON."""
    found: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, Mapping):
            found |= _leaves(item, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = list(item) if isinstance(item, tuple) else item
    return found
