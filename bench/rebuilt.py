"""A stored run brought back to life, from its request, weights and data as they are now."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import plugins
from bench.assembly import Assembly, after_trials, build_backbone, choose_protocol, open_parts, parts_of
from bench.contracts import Backbone
from bench.errors import ModelError
from bench.options import parse_assignments, resolve
from bench.plan import make_plan, whole_name
from bench.records import RunRequest
from bench.records.splits import Parts
from bench.run_config import make_config
from bench.show.row_labels import flatten
from bench.store import external
from bench.store.run_folder import RunFolder
from bench.system.files import canonical_json

TOLD = 3
"""Most differences that a message names."""


def with_weights(backbone: Backbone, content: bytes) -> Backbone:
    """Return a copy of ``backbone`` with the weights in a safetensors file's ``content``, as fine-tuning left them."""
    from bench.model import finetune, train

    module = copy.deepcopy(backbone.module)
    train.load_weights(module, content)
    return finetune.with_module(backbone, module)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A stored run brought back to life: its trained model, and the backbone as fine-tuned in that run."""

    assembly: Assembly
    backbone: Backbone
    model: Any


def rebuild(folder: RunFolder, data_root: Path | None = None, weights: Path | None = None) -> Rebuilt:
    """Return a stored run's trained model with its backbone and data, as ``bench export`` needs them.

    ``data_root`` and ``weights`` say where they lie now, if not where they were. Raises ``BenchError`` where the
    plugins, weights or data that made the run are no longer the same.
    """
    assembly = assemble_again(folder, data_root, weights)
    _check_same(folder, make_config(assembly))
    return revive(folder, assembly)


def assemble_again(folder: RunFolder, data_root: Path | None = None, weights: Path | None = None) -> Assembly:
    """Return what a stored run's request gives now, with this code and these data. Raises ``BenchError``."""
    if external.of_config(folder.config) is not None:
        raise ModelError(f"{folder.path}: its scores came from a file, and no model of it is stored here")
    if not folder.lists("request"):
        raise ModelError(
            f"{folder.path}: it was merged from an archive, and no archive holds weights."
            " Try: the store that it was packed from, or delete the folder and run it again"
        )
    plan = make_plan(_found_again(folder, data_root, weights), plugins.installed())
    parts = open_parts(plan)
    assembly = Assembly(plan, parts, build_backbone(plan), choose_protocol(plan, parts))
    return after_trials(assembly, folder.read_trials()) if plan.request.trials is not None else assembly


def parts_again(folder: RunFolder) -> Parts:
    """Return the images that a stored run was made from, as they lie now. Raises ``BenchError`` where they are others.

    Nothing is fetched: a data set that may have to be is opened from a folder alone.
    """
    stored, config = folder.request(), folder.config
    if stored.data_root is not None and not stored.data_root.exists():
        raise ModelError(f"{stored.data_root} is not there, which {folder.path} was made from")
    # Without the rest of a plan: of scores from a file there is no model, and of another run its plugin may be gone.
    found = plugins.installed().dataset(whole_name(stored.dataset, config["dataset"]))
    if found.spec.root_optional and stored.data_root is None:
        raise ModelError(f"dataset '{stored.dataset}' was not read from a folder, and is not fetched again")
    owner = "dataset."
    sets = parse_assignments(text for text in stored.sets if text.startswith(owner))
    given = {name.removeprefix(owner): value for name, value in sets.items()}
    parts = parts_of(found, resolve(found.spec.options, given, f"dataset '{stored.dataset}'", owner), stored)
    if dict(parts.fingerprints) != config["dataset"]["fingerprints"]:
        raise ModelError(f"dataset '{stored.dataset}' is no longer what {folder.path} was made from")
    return parts


def revive(folder: RunFolder, assembly: Assembly) -> Rebuilt:
    """Return the model of ``assembly`` with the weights in ``folder``. Raises ``ModelError`` where they do not fit."""
    from bench.model import train

    tuned = assembly.plan.finetune > 0
    backbone = with_weights(assembly.backbone, folder.read_backbone()) if tuned else assembly.backbone
    model = assembly.build_model(backbone)
    train.load_weights(model, folder.read_weights())
    model.eval()
    return Rebuilt(assembly, backbone, model)


def _check_same(folder: RunFolder, now: dict[str, Any]) -> None:
    """Raise ``ModelError`` naming what a stored run's config has otherwise than ``now``, if anything."""
    stored, now = folder.config, json.loads(canonical_json(now))
    if now == stored:
        return
    was, here = dict(flatten(stored)), dict(flatten(now))
    changed = [name for name in {**was, **here} if was.get(name) != here.get(name)]
    told = [f"{name} {was.get(name, 'absent')}, now {here.get(name, 'absent')}" for name in changed[:TOLD]]
    more = f" and {len(changed) - TOLD} more" if len(changed) > TOLD else ""
    raise ModelError(
        f"{folder.path}: what made this run has changed: {'; '.join(told)}{more}."
        " Try: bench run with the same options, then this command on that run"
    )


def _found_again(folder: RunFolder, data_root: Path | None, weights: Path | None) -> RunRequest:
    """Return a stored run's request with the paths given; raise ``ModelError`` for a stored one that is gone."""
    stored = folder.request()
    request = replace(
        stored,
        data_root=data_root or stored.data_root,
        weights=weights or stored.weights,
    )
    for path, option in ((request.data_root, "--data-root DIR"), (request.weights, "--weights FILE")):
        if path is not None and not path.exists():
            raise ModelError(f"{folder.path}: {path} is not there, which the run was made from. Try: {option}")
    return _whole(request, folder.config)


def _whole(request: RunRequest, config: Mapping[str, Any]) -> RunRequest:
    """Return ``request`` with names that say whose each part is, as the run's config has it."""
    return replace(
        request,
        model=whole_name(request.model, config["model"]),
        dataset=whole_name(request.dataset, config["dataset"]),
        backbone=whole_name(request.backbone, config["backbone"]),
    )
