"""A stored run under another label-set policy: nothing is trained or predicted again, only what follows is.

A policy comes after training, so all that a run stored up to its scores holds under any. What ``bench run --policy``
would make is made from a run that is there: the same config and key, and label sets and measures by the same functions.
Options that trials chose stay those of the run that is there, whose policy judged them; the ledger says by what. A run
that made trials of its own, and chose the same by them, keeps its own ledger.
"""

from __future__ import annotations

import contextlib
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from bench.code import plugin_code
from bench.contracts import Protocol
from bench.data.fingerprint import refuse_choosing_on_test
from bench.errors import BenchError, StoreError
from bench.evaluation import policies
from bench.evaluation.policies import Policy
from bench.guard import full_traceback, reason
from bench.origins import of_policy
from bench.plugins import Registry, installed
from bench.records import Ledger
from bench.records.trials import BOTH
from bench.store.binding import misplaced
from bench.store.following import store_of
from bench.store.measured import measured
from bench.store.mirror import publish
from bench.store.protocol import protocol_of
from bench.store.run_folder import RunFolder
from bench.store.runs import open_run
from bench.store.sealed import MANIFEST, SealedFolder
from bench.store.stored import ValidationPart
from bench.system.files import matching

MADE_ANEW = ("config", "request", "about", "predicted", "validation", "policy", "measures", "status")
"""Records of a run that depend on its policy; the others are copied."""


def derive(folder: RunFolder, name: str, registry: Registry | None = None, ledger: Ledger | None = None) -> RunFolder:
    """Return the run that differs from the finished one in ``folder`` by the policy called ``name``, made if absent.

    It lies beside ``folder``. ``ledger`` are trials that were made for it; ``None``: it takes those of ``folder``.
    Raises ``BenchError`` for an unknown policy or one that the model has nothing for, and where ``folder`` is not
    finished; what a plugin raises is stored as the run's failure first.
    """
    folder.check_done("another policy needs a finished run")
    config = folder.config
    if elsewhere := misplaced(folder, config):
        raise StoreError(f"{folder.path}: {elsewhere[0]}, and so would what follows from it. Try: move it there")
    found = (registry or installed()).policy(name, str(config["model"]["kind"]))
    policy = policies.chosen(name, found, protocol_of(config), str(config["model"]["kind"]), config["search"])
    if policy.name == "own" and config["policy"]["name"] != "own":
        raise StoreError(f"{folder.path} does not hold what its model decides. Try: bench run with --policy own")
    if policy.fitted and config.get("trials", {}).get("trained_on") == BOTH:
        raise StoreError(
            f"{folder.path} was trained on its validation part too, so no policy can be chosen on that."
            f" Try: the same bench run with --policy {shlex.quote(policy.name)}"
        )
    if not folder.read_scores().rank and policy.name != "own":
        raise StoreError(f"{folder.path} was stored as label sets, without scores that another policy could read")
    if policy.fitted and not folder.lists("validation"):
        raise StoreError(
            f"{folder.path} has no scores of validation images, on which policy '{policy.name}' is chosen."
            " Try: bench score with --validation FILE"
        )
    refuse_choosing_on_test(str(config["dataset"]["name"]), config["dataset"]["fingerprints"])
    if policy.goals is not None:
        # What is asked of a label that there is not, or of scores that it cannot be asked of, makes no run.
        _fitted(policy, config, folder.read_validation())
    target = open_run(store_of(folder.path), _config(config, policy))
    if target.path.resolve() == folder.path.resolve() or target.done:
        publish(target.path)
        return target
    with target.lock():
        try:
            _fill(target, folder, policy, name, ledger)
        except Exception as error:
            target.fail("policy", reason(error), full_traceback(error))
            raise
    publish(target.path)
    return target


def lender(folder: RunFolder) -> RunFolder | None:
    """Return a finished run beside ``folder`` that differs from it by the policy alone; ``None``: there is none."""
    own = _apart_from_policy(folder.config)
    if folder.config["policy"]["name"] == "own":
        return None  # what the model decides is in no run of another policy
    for file in sorted(matching(folder.path.parent, f"*/{MANIFEST}")):
        other = RunFolder(file.parent)
        with contextlib.suppress(BenchError):  # a damaged neighbour lends nothing
            if other.path != folder.path and _apart_from_policy(other.config) == own and other.done:
                return other
    return None


def _apart_from_policy(config: Mapping[str, Any]) -> dict[str, Any]:
    code = {part: value for part, value in config.get("code", {}).items() if part != "policy"}
    return {**config, "code": code, "policy": None}


def _config(config: Mapping[str, Any], policy: Policy) -> dict[str, Any]:
    changed = {**_apart_from_policy(config), "policy": policy.to_json()}
    if policy.found is not None:
        changed["code"] |= {"policy": plugin_code(policy.found)}
    return changed


def _fill(target: RunFolder, source: RunFolder, policy: Policy, name: str, ledger: Ledger | None) -> None:
    """Write what ``source`` has up to its scores, and what ``policy`` makes of it."""
    for file in SealedFolder(source.path).manifest()["files"]:
        if file.partition(".")[0] not in MADE_ANEW:
            _copy(SealedFolder(source.path), SealedFolder(target.path), file)
    about = source.read_about()
    if ledger is not None:
        theirs = source.read_trials().notes
        about = replace(about, notes=(*(note for note in about.notes if note not in theirs), *ledger.notes))
        target.write_trials(ledger)
    kept = {one: origin for one, origin in about.origins.items() if "policy" not in one.split(".")}
    origins = kept | of_policy(name, policy.found, str(target.config["protocol"]))
    target.write_about(replace(about, origins=origins))
    if source.lists("request"):
        target.write_request(replace(source.request(), policy=name if policy.goals is None else policy.name))
    protocol, masks = protocol_of(target.config), source.read_masks()
    state = _of_validation(target, source.read_validation(), policy, protocol) if source.lists("validation") else None
    scores = source.read_scores()
    sequences = source.read_label_sets() if source.has("label_sets") else None
    predicted = policies.read(policy, protocol, scores, state, sequences=sequences, known=masks.known)
    target.write_predicted(predicted[:])
    target.write_measures(measured(protocol, masks, predicted, scores, sequences))
    target.finish()


def _fitted(policy: Policy, config: Mapping[str, Any], part: ValidationPart) -> dict[str, NDArray[Any]] | None:
    truth, scores = part.truth, part.prediction.scores
    masks = {"ignore": truth.ignore, "known": part.known}
    return policies.fit(policy, protocol_of(config), scores, truth.truth, labels=truth.labels, **masks)


def _of_validation(
    target: RunFolder, part: ValidationPart, policy: Policy, protocol: Protocol
) -> dict[str, NDArray[Any]] | None:
    """Write the validation part under ``policy``, and return what that chose on it."""
    state = _fitted(policy, target.config, part)
    if state is not None:
        target.write_policy(state)
    stored = part.prediction  # with label sets of the source's policy, which need not be the protocol's
    sets = policies.read(policy, protocol, stored.scores, state, sequences=stored.label_sets, known=part.known)
    target.write_validation(part.truth, replace(stored, predicted=sets[:]), part.known)
    return state


def _copy(source: SealedFolder, target: SealedFolder, name: str) -> None:
    """Copy one file, and the key of the folder in it."""
    if name.endswith(".json"):
        target.write_json(name, source.read_json(name))
    elif name.endswith(".npz"):
        target.write_arrays(name, **source.read_arrays(name))
    else:
        source.check(name)
        with target.replacing(name) as temporary:
            shutil.copyfile(source.path / name, temporary)
