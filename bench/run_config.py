"""What is written down of a run: its config, whose hash is the key, and what readers call its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import bench
from bench.assembly import HOLD_OUT, Assembly
from bench.code import host_code, option_files, patches, patches_code, plugin_code
from bench.contracts import DatasetSpec
from bench.data.fingerprint import truth_hash_of
from bench.errors import PluginError
from bench.guard import calling
from bench.options import OptionValue
from bench.origins import origins_of, trial_origins
from bench.plan import Plan, describe
from bench.plugins import Found
from bench.records import Parts
from bench.store.choice import apart_from_times
from bench.store.protocol import code_of as protocol_code
from bench.store.run_folder import RunFolder
from bench.store.stored import About
from bench.uncounted import patched_by_others, uncounted_files, uncounted_variables

TOLD = ("row", "variant", "notes", "deviations", "part_of", "deterministic")
"""What readers are told of a run's parts as these say it now."""


def make_config(assembly: Assembly) -> dict[str, Any]:
    """Return everything that shapes the result, as JSON; its hash is the run's key.

    No path is in it, and no text that is only shown.
    """
    plan, parts, backbone = assembly.plan, assembly.parts, assembly.backbone
    preprocessing = {name: getattr(backbone.preprocessing, name) for name in backbone.preprocessing.__slots__}
    return {
        "bench": bench.__version__,
        "code": code_of(plan) | protocol_code(assembly.protocol),
        "model": describe(plan.model) | {"kind": plan.model.spec.kind, "options": plan.model_options},
        "training": plan.training
        | {"hold_out": 0.0 if parts.dataset.validation or assembly.refit else HOLD_OUT}
        | ({"schedule": list(assembly.schedule)} if assembly.schedule else {}),
        "search": plan.search,
        "dataset": dataset_config(plan.dataset, plan.dataset_options, parts),
        "backbone": describe(plan.backbone)
        | {
            "variant": plan.variant,
            "options": plan.backbone_options,
            "architecture": backbone.architecture,
            "weights_hash": backbone.weights_hash,
            "dimensions": backbone.dimensions,
            "preprocessing": preprocessing,
            "finetune": plan.finetune,
            "engine": backbone.engine,
        }
        | ({} if backbone.feature_map is None else {"feature_map": list(backbone.feature_map)}),
        **({"finetuning": plan.finetuning} if plan.finetune else {}),
        "protocol": assembly.protocol.name,
        "policy": assembly.policy.to_json(),
        "device": plan.request.device,
        "seed": plan.request.seed,
        **({} if plan.decoder is None else {"decoder": describe(plan.decoder)}),
        **({} if assembly.ledger is None else {"trials": assembly.ledger.as_config()}),
    }


def dataset_config(found: Found[DatasetSpec], options: Mapping[str, OptionValue], parts: Parts) -> dict[str, Any]:
    """Return what a config holds of the data set, by which runs compare."""
    return describe(found) | {
        "options": dict(options),
        "train": parts.train.name,
        "test": parts.test.name,
        "fingerprints": dict(parts.fingerprints),
        "truth": truth_hash_of(parts.test),
        "validation_truth": truth_hash_of(parts.validation),
    }


def code_of(plan: Plan) -> dict[str, str]:
    """Return the hashes of the code that shapes the result: the host's parts, and each plugin's."""
    made = {}
    for part, found in plugins_of(plan).items():
        with calling(found.origin, "code", f"{part} '{found.spec.name}'"):
            made[part] = plugin_code(found, _options_of(plan, part), begins=True, anew=True)
    hashed = patches_code(patches(plugins_of(plan).values()))
    return host_code() | made | ({"patches": hashed} if hashed else {})


def plugins_of(plan: Plan) -> dict[str, Found[Any]]:
    """Return the plugins' parts of a run; a policy or decoder of the host's own is none."""
    every: dict[str, Found[Any]] = {"model": plan.model, "dataset": plan.dataset, "backbone": plan.backbone}
    chosen = {"policy": plan.policy, "decoder": plan.decoder}
    return every | {part: found for part, found in chosen.items() if found is not None}


def _options_of(plan: Plan, part: str) -> Mapping[str, OptionValue]:
    """Return the options of a part that may name files; those of a data set are in its fingerprint."""
    return {"model": plan.model_options, "backbone": plan.backbone_options}.get(part, {})


def check_code(plan: Plan, code: Mapping[str, str], *, begins: bool = False) -> None:
    """Raise ``PluginError`` where a plugin's code is no longer ``code``, which the run's config has.

    What a function imports as it works is read from disk only then, perhaps long after the key was made. ``begins``:
    so may the files be that its code names, which later are taken as read.
    """
    for part, found in plugins_of(plan).items():
        with calling(found.origin, "code", f"{part} '{found.spec.name}'"):
            if plugin_code(found, _options_of(plan, part), begins=begins) != code[part]:
                raise PluginError(
                    "its code was edited after the run had begun. Try: the same command again, or, where a function"
                    " of it adds a folder to sys.path, to do that where its module begins"
                )


def notes_on_files(plan: Plan) -> tuple[str, ...]:
    """Return notes on files and variables that plugins' parts read and no key holds; a data set has a fingerprint."""
    parts = [(part, found) for part, found in plugins_of(plan).items() if part != "dataset"]
    handed = [place for place in (plan.request.cache, plan.request.weights) if place is not None]
    notes = [*patched_by_others(plugins_of(plan).values())]
    for part, found in parts:
        named = option_files(found, _options_of(plan, part)).values()
        notes += [*uncounted_files(found, part, [*handed, *named]), *uncounted_variables(found, part)]
    return tuple(notes)


def about(assembly: Assembly) -> About:
    """Return what readers call the parts of the run, where its values came from, what data set and backbone note."""
    plan, dataset, backbone = assembly.plan, assembly.parts.dataset, assembly.backbone
    protocol = assembly.protocol
    origins = origins_of(plan, assembly.parts, protocol.name, backbone.preprocessing_origins)
    if protocol_code(protocol):
        origins["code.protocol"] = f"computed from the choices of protocol '{protocol.name}', a plugin's"
    if patches(plugins_of(plan).values()):
        origins["code.patches"] = "computed from what a plugin has put in place of functions of torch or NumPy"
    asked = plan.training.get("select_by", assembly.select_by)
    if asked != assembly.select_by:
        origins["training.select_by"] += f"; {asked} is the same whatever is predicted, so {assembly.select_by} chose"
    notes = (*dataset.notes, *backbone.notes, *_training_notes(assembly))
    if assembly.ledger is not None:
        origins |= trial_origins(plan, assembly.ledger)
        notes += assembly.ledger.notes
    spec = plan.model.spec
    # A plugin may say what is no text, or None for nothing.
    row, variant, deviations, part_of = (
        str(said or "") for said in (spec.row, dataset.variant, spec.deviations, dataset.part_of)
    )
    return About(
        row,
        variant,
        origins,
        tuple(map(str, notes)),
        deviations=deviations,
        part_of=part_of,
        dataset=plan.request.name,
        deterministic=plan.deterministic,
    )


def bring_up_to_date(folder: RunFolder, assembly: Assembly) -> None:
    """Write what a finished run's key does not hold as it is now: objects' sizes, trials, what readers are told.

    Files may have been edited since, and a trial that failed for want of memory been made again.
    """
    folder.keep_sizes(assembly.parts.test.sizes)
    ledger = assembly.ledger
    if ledger is not None and apart_from_times(folder.read_trials()) != apart_from_times(ledger):
        folder.write_trials(ledger)
    stored, now = folder.read_about(), about(assembly)
    told = {name: getattr(now, name) for name in TOLD}
    if (changed := replace(stored, **told)) != stored:
        folder.write_about(changed)


def _training_notes(assembly: Assembly) -> tuple[str, ...]:
    """Return that the model takes ignored pairs as negatives, where it should leave them out and cannot."""
    from bench.model.train import trains_as_negatives

    _, ignore = assembly.to_train_on
    if ignore is None or not trains_as_negatives(assembly.build_model(assembly.backbone), assembly.plan.training):
        return ()
    found, name = int(ignore.sum()), assembly.plan.model.spec.name
    return (f"model '{name}' takes no ignore mask: {found} ignored pairs of the training part count as negatives",)
