"""What the rows of a table are called: a model, and what tells it from other rows of that model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.store.external import EXTERNAL

DERIVED = (
    "backbone.weights_hash",
    "backbone.dimensions",
    "backbone.feature_map",
    "backbone.architecture",
    "backbone.preprocessing.",
    "dataset.fingerprints.",
    "dataset.validation_truth",
    *("policy.amount", "policy.by_protocol", "policy.distribution", "policy.version", "code.policy"),
    *("decoder.", "code.decoder"),
    *("external.scores", "external.validation_"),
)
"""Parts of a config that follow from others; a row's name leaves them out where those others tell it apart."""

UNKNOWN = "options unknown"
"""What tells a row whose config is lost from those of its model: figures and differences name rows by their labels."""


def row_labels(flat: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return each config's model name, with the options in which it differs from others of that model.

    ``flat`` holds a config a row, its leaves by dotted name.
    """
    labels = []
    for own in flat:
        # A run that failed before its config was complete, or lost it, has too little of one to differ in. It and
        # somebody's own scores have another config than a model's run of that name, and are told from it by a word.
        alike = (own["model.name"], f"{EXTERNAL}.kind" in own)
        peers = [one for one in flat if (one["model.name"], f"{EXTERNAL}.kind" in one) == alike and "protocol" in one]
        differing = [name for name in own if name != "seed" and len({str(peer.get(name)) for peer in peers}) > 1]
        chosen = [name for name in differing if not name.startswith(DERIVED)]
        differing = chosen or differing  # where only what was derived differs, it is all there is to tell them apart
        few = [name for name in differing if not _follows(name, peers)]
        if all(other is own or any(other.get(name) != own[name] for name in few) for other in peers):
            differing = few
        options = " ".join(f"{_short(name)}={_brief(name, own[name])}" for name in differing)
        if peers and "protocol" not in own:
            options = UNKNOWN
        if f"{EXTERNAL}.kind" in own:
            options = f"{EXTERNAL} {options}".strip()
        labels.append(f"{own['model.name']} ({options})" if options else str(own["model.name"]))
    return labels


def _follows(name: str, peers: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a value may be told by others: a plugin's code, or an option that some have alone, and alike."""
    return name.startswith("code.") or len({str(peer[name]) for peer in peers if name in peer}) < 2


def _brief(name: str, value: Any) -> str:
    """Return a value as a label shows it: the first digits of a hash are enough to tell two apart."""
    return str(value)[:8] if name.startswith(("code.", f"{EXTERNAL}.sha256")) else str(value)


def _short(name: str) -> str:
    """Return an option as ``--set`` takes it: ``cell`` for model.options.cell, ``backbone.size`` for a backbone's."""
    owner, last = name.partition(".")[0].replace("finetuning", "finetune"), name.rpartition(".")[2]
    if name in {"policy.name", owner}:
        return owner
    if name == f"{EXTERNAL}.sha256":
        return "file"
    return last if owner in {last, "model", "training", "search"} else f"{owner}.{last}"
