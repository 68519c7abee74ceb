"""What rows of a table differ in beside their methods: the features that they see, and options that were typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.contracts import MAP_OPTION
from bench.show.row_labels import flatten, row_labels, short_name
from bench.store import external
from bench.store.stored import RunSummary

OPTIONS = ("model.options.", "training.", "search.", "finetuning.")
"""Parts of a config that hold a method's options."""

TYPED = "--set "
"""How the origin of a value begins that was typed."""

OF_METHODS = ("engine", "feature_map", f"options.{MAP_OPTION.name}")
"""Leaves of a backbone's part that follow from the method, as that it takes maps, or change features by rounding."""


def typed(run: RunSummary) -> list[str]:
    """Return the method's options that were typed, as in cell=gru, with the values that the run's config has."""
    config, origins = dict(flatten(run.config)), run.about.origins
    names = [name for name in config if name.startswith(OPTIONS) and origins.get(name, "").startswith(TYPED)]
    return [f"{short_name(name)}={config[name]}" for name in names]


def notes(rows: Mapping[str, RunSummary]) -> list[str]:
    """Return notes on ``rows``, a finished run of each by its label; somebody's own scores tell of no settings."""
    own = {label: run for label, run in rows.items() if external.of_config(run.config) is None}
    options = {label: " ".join(one for one in typed(run) if not _in_label(one, label)) for label, run in own.items()}
    features = dict(zip(own, _features([run.config["backbone"] for run in own.values()]), strict=True))
    told = [f"options that were set: {_grouped(options)}"] if any(options.values()) else []
    several = len(set(features.values())) > 1
    return [*told, f"rows see different features: {_grouped(features)}"] if several else told


def _in_label(option: str, label: str) -> bool:
    return option in label.replace("(", " ").replace(")", " ").split(" ")


def _features(backbones: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return each backbone's name, with what tells it from others of that name."""
    flat = []
    for backbone in backbones:
        leaves = {f"backbone.{name}": value for name, value in flatten(backbone) if name not in OF_METHODS}
        parts = (str(leaves.pop(f"backbone.{part}", "")) for part in ("name", "variant"))
        flat.append({"model.name": "/".join(filter(None, parts)), "protocol": "", **leaves})
    return row_labels(flat)


def _grouped(told: Mapping[str, str]) -> str:
    """Return what is told of rows, each text once with the rows that it is of."""
    rows: dict[str, list[str]] = {}
    for label, text in told.items():
        if text:
            rows.setdefault(text, []).append(label)
    return "; ".join(f"{text} ({', '.join(labels)})" for text, labels in rows.items())
