"""Whether a run's folder is whole and its own: place, records, truth, weights and request belong to its key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.contracts import KNOWN_SHARE
from bench.contracts.goals import policy_named
from bench.data.fingerprint import truth_hash
from bench.evaluation import known_tags
from bench.records import RunRequest, Scores
from bench.store.external import of_config, scores_hash
from bench.store.required import conditions, needed
from bench.store.run_reader import RunReader
from bench.store.runs import folder_name
from bench.store.stored import Masks, ValidationPart

ALONG_WITH = {"label_sets": ("label_sets", "trees", "embedding", "attention")}
"""What only a run has that has this record: a model that emits label sequences shows more of itself."""


def misplaced(folder: RunReader, config: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the folder's place, which its config and key fix."""
    names = [folder_name(str(config[part]["name"])) for part in ("dataset", "model")]
    expected = "/".join([*names, folder.key])
    found = "/".join(folder.path.resolve().parts[-3:])
    return [] if found == expected else [f"it lies in {found}, its config belongs in {expected}"]


def incomplete(folder: RunReader, config: Mapping[str, Any]) -> list[str]:
    """Return which records are lacking, and which a run of this config cannot have."""
    has, found = conditions(config), folder.read_provenance()
    absent = [record for record in needed(config, found.left_out if found else {}) if not folder.lists(record)]
    foreign = [name for record, kept in has.items() if not kept for name in ALONG_WITH.get(record, (record,))]
    finetune = int(has["backbone"]) and config["backbone"]["finetune"]
    kind = f"a model of kind '{config['model']['kind']}', finetune={finetune}"
    kind = kind if of_config(config) is None else "a run of scores from a file"
    faults = [f"it is done and has no {record}" for record in absent]
    return faults + [f"it has {record}, which {kind} does not make" for record in foreign if folder.lists(record)]


def unbound(config: Mapping[str, Any], masks: Masks, ids: tuple[str, ...]) -> list[str]:
    """Return whether ids, label names, truth and ignore mask are others than those the config is of."""
    ignore = None if masks.ignore is None else masks.ignore.bits
    same = truth_hash(ids, masks.labels, masks.truth.bits, ignore) == config["dataset"]["truth"]
    faults = [] if same else ["its ids, label names, truth or ignore mask are not those of its config"]
    if masks.known is not None:
        drawn = known_tags.draw(masks.truth[:], float(config["training"][KNOWN_SHARE.name]))
        if not np.array_equal(masks.known[:], drawn):
            faults.append("its known tags are not those that every model is told")
    return faults


def unbound_validation(config: Mapping[str, Any], part: ValidationPart) -> list[str]:
    """Return whether the validation part is another than the config is of, or its predictions are of other images."""
    truth = part.truth
    ignore = None if truth.ignore is None else np.packbits(truth.ignore, axis=1)
    found = truth_hash(truth.ids, truth.labels, np.packbits(truth.truth, axis=1), ignore)
    if found != config["dataset"]["validation_truth"]:
        return ["the ids, truth or ignore mask of its validation part are not those of its config"]
    if part.prediction.scores.values.shape != truth.truth.shape:
        return ["its validation part has scores of other images or labels"]
    if part.known is not None:
        drawn = known_tags.draw(truth.truth, float(config["training"][KNOWN_SHARE.name]))
        if not np.array_equal(part.known, drawn):
            return ["the known tags of its validation part are not those that every model is told"]
    return []


def other_scores(config: Mapping[str, Any], scores: Scores, part: ValidationPart | None) -> list[str]:
    """Return whether the scores of a run that came from a file are others than those its config is of."""
    external = of_config(config)
    if external is None:
        return []
    faults = [] if scores_hash(scores) == external["scores"] else ["its scores are not those of its config"]
    if part is not None and scores_hash(part.prediction.scores) != external["validation_scores"]:
        faults.append("the scores of its validation part are not those of its config")
    return faults


def another_request(folder: RunReader, config: Mapping[str, Any]) -> list[str]:
    """Return what was asked for and is not what the config says was run."""
    if not folder.lists("request"):
        return []  # merged from an archive, which holds no path of a machine
    if of_config(config) is not None:
        return _another_file(folder.request(), config)
    # Runs of before there were engines are torch's.
    request, engine = folder.request(), config["backbone"].get("engine", "torch")
    tuned, policy = config["backbone"]["finetune"], str(config["policy"]["name"])
    pairs = {
        # A name can be given with its distribution, as in multilabel-bench:bce.
        "model": (request.model.rpartition(":")[-1], config["model"]["name"]),
        "dataset": (request.dataset.rpartition(":")[-1], config["dataset"]["name"]),
        "protocol": (request.protocol or config["protocol"], config["protocol"]),
        "policy": (policy_named(request.policy) or policy, policy),
        "finetune": (tuned if request.finetune is None else request.finetune, tuned),
        "engine": (engine if request.engine == "auto" else request.engine, engine),
        "seed": (request.seed, config["seed"]),
        "trials": (request.trials, config.get("trials", {}).get("budget")),
        "device": (request.device, config["device"]),
    }
    return _unlike(pairs)


def _another_file(request: RunRequest, config: Mapping[str, Any]) -> list[str]:
    policy = str(config["policy"]["name"])
    return _unlike(
        {
            "name": (request.model, config["model"]["name"]),
            "dataset": (request.dataset.rpartition(":")[-1], config["dataset"]["name"]),
            "protocol": (request.protocol or config["protocol"], config["protocol"]),
            "policy": (policy_named(request.policy) or policy, policy),
            "seed": (request.seed, config["seed"]),
        }
    )


def _unlike(pairs: Mapping[str, tuple[Any, Any]]) -> list[str]:
    return [
        f"{name} {asked} was asked for, its config says {found}"
        for name, (asked, found) in pairs.items()
        if asked != found
    ]
