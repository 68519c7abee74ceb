"""The records of a run folder, and which of them a finished run of a config has."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from bench.contracts import KNOWN_SHARE
from bench.contracts.goals import made_of_goals
from bench.store.external import of_config

RECORDS: dict[str, tuple[str, ...]] = {
    "config": ("config.json",),
    "about": ("about.json",),
    "request": ("request.json",),
    "environment": ("environment.json",),
    "truth": ("ids.json", "labels.json", "truth.npz"),
    "sizes": ("sizes.npz",),
    "known": ("known.npz",),
    "trials": ("trials.json",),
    "validation": ("validation.npz",),
    "policy": ("policy.npz",),
    "training": ("training.json",),
    "weights": ("weights.safetensors",),
    "backbone": ("backbone.safetensors",),
    "scores": ("ids.json", "scores.npy", "scores.json"),
    "predicted": ("predicted.npz",),
    "label_sets": ("label_sets.npz",),
    "gallery": ("gallery.npz",),
    "trees": ("trees.json",),
    "embedding": ("embedding.npz",),
    "attention": ("attention.npz",),
    "measures": ("measures.json",),
    "timings": ("timings.json",),
    "status": ("status.json",),
    "provenance": ("provenance.json",),
}
"""The files of each record."""

REQUIRED = (
    *("about", "request", "environment", "truth", "training", "weights"),
    *("scores", "predicted", "validation", "measures", "timings"),
)
"""What every finished run has stored, but for ``conditions``."""

MAY_BE_LEFT_OUT = ("request", "weights", "backbone", "gallery", "attention")
"""What an archive of results is packed without: paths of a machine, what predicts, and pictures."""


def conditions(config: Mapping[str, Any]) -> dict[str, bool]:
    """Return of each record that not every finished run has, whether one of this config has it."""
    model, backbone, training, policy = (config.get(part, {}) for part in ("model", "backbone", "training", "policy"))
    external = of_config(config)
    return {
        "training": external is None,
        "weights": external is None,
        "validation": external is None or bool(external["validation_scores"]),
        "known": KNOWN_SHARE.name in training,
        "trials": "trials" in config,
        "policy": "distribution" in policy or made_of_goals(policy),
        "label_sets": model.get("kind") == "sequence",
        "backbone": external is None and backbone.get("finetune", 0) > 0,
    }


def needed(config: Mapping[str, Any], left_out: Container[str] = ()) -> list[str]:
    """Return the records that every finished run of this config has stored, but for what was packed without."""
    has = conditions(config)
    packed_without = {name for name in MAY_BE_LEFT_OUT if any(file in left_out for file in RECORDS[name])}
    return [name for name in dict.fromkeys((*REQUIRED, *has)) if has.get(name, True) and name not in packed_without]
