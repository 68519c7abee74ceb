"""The records of a run folder, and which of them a finished run of a config has."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from bench.contracts import KNOWN_SHARE
from bench.contracts.goals import is_goals
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
"""What every finished run has stored."""

EXTERNAL = tuple(name for name in REQUIRED if name not in {"training", "weights", "validation"})
"""What a run has stored whose scores came from a file; the validation part too, where scores of it were given."""

MAY_BE_LEFT_OUT = ("request", "weights", "backbone", "gallery", "attention")
"""What an archive of results is packed without: paths of a machine, what predicts, and pictures."""


def is_judged(config: Mapping[str, Any]) -> bool:
    """Return whether a run of this config has a validation part: not where a file had no scores of one."""
    external = of_config(config)
    return external is None or bool(external["validation_scores"])


def has_policy_record(config: Mapping[str, Any]) -> bool:
    """Return whether a run of this config stores what its policy fitted: a plugin's, or thresholds for a goal."""
    policy = config.get("policy", {})
    return "distribution" in policy or is_goals(str(policy.get("name", "")))


def needed(config: Mapping[str, Any], left_out: Container[str] = ()) -> list[str]:
    """Return the records that every finished run of this config has stored, but for what was packed without."""
    model, backbone, training = (config.get(part, {}) for part in ("model", "backbone", "training"))
    external = of_config(config) is not None
    conditions = {
        "validation": external and is_judged(config),
        "label_sets": model.get("kind") == "sequence",
        "backbone": not external and backbone.get("finetune", 0) > 0,
        "trials": "trials" in config,
        "known": KNOWN_SHARE.name in training,
        "policy": has_policy_record(config),
    }
    names = [*(EXTERNAL if external else REQUIRED), *(record for record, has in conditions.items() if has)]
    return [
        name for name in names if name not in MAY_BE_LEFT_OUT or not any(file in left_out for file in RECORDS[name])
    ]
