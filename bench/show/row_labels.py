"""What the rows of a table are called: a model, and what tells it from other rows of that model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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

HASHES = ("code.", *(f"{EXTERNAL}.{name}" for name in ("sha256", "scores", "validation_")))
"""Parts of a config that are hashes."""

UNKNOWN = "options unknown"
"""What tells a row whose config is lost from those of its model: figures and differences name rows by their labels."""


def flatten(value: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Return the leaves of a config by dotted name, as in ``model.options.cell``."""
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from flatten(item, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", item


def row_labels(flat: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return each config's model name, with the options in which it differs from others of that model.

    ``flat`` holds a config a row, its leaves by dotted name. Tables, marks and differences name rows by their labels,
    so no two rows whose configs are known share one.
    """
    names = [_telling(own, flat) for own in flat]
    first = [_label(own, told) for own, told in zip(flat, names, strict=True)]
    labels = []
    for own, told, label in zip(flat, names, first, strict=True):
        # Of somebody's own scores only what was derived, or the seed, may tell two, where their file tells a third.
        twins = [other for other, same in zip(flat, first, strict=True) if same == label]
        values = {name: len({str(twin.get(name)) for twin in twins}) for name in own}
        apart = [name for name, count in values.items() if count > 1]
        enough = [name for name in apart if values[name] == len(twins)][:1] or apart
        labels.append(label if told is None else _label(own, [*told, *enough]))
    return labels


def _telling(own: Mapping[str, Any], flat: Sequence[Mapping[str, Any]]) -> list[str] | None:
    """Return the names in a config that tell its row from others of that model; ``None`` where options are unknown."""
    # A run that failed before its config was complete, or lost it, has too little of one to differ in. It and
    # somebody's own scores have another config than a model's run of that name, and are told from it by a word.
    alike = (own["model.name"], f"{EXTERNAL}.kind" in own)
    peers = [one for one in flat if (one["model.name"], f"{EXTERNAL}.kind" in one) == alike and "protocol" in one]
    if peers and "protocol" not in own:
        return None
    differing = [name for name in own if name != "seed" and len({str(peer.get(name)) for peer in peers}) > 1]
    chosen = [name for name in differing if not name.startswith(DERIVED)]
    differing = chosen or differing  # where only what was derived differs, it is all there is to tell them apart
    few = [name for name in differing if not _follows(name, peers)]
    told = all(other is own or any(other.get(name) != own[name] for name in few) for other in peers)
    return few if told else differing


def _label(own: Mapping[str, Any], names: Sequence[str] | None) -> str:
    options = UNKNOWN if names is None else " ".join(f"{short_name(name)}={_brief(name, own[name])}" for name in names)
    if f"{EXTERNAL}.kind" in own:
        options = f"{EXTERNAL} {options}".strip()
    return f"{own['model.name']} ({options})" if options else str(own["model.name"])


def _follows(name: str, peers: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a value may be told by others: a plugin's code, or an option that some have alone, and alike."""
    return name.startswith("code.") or len({str(peer[name]) for peer in peers if name in peer}) < 2


def _brief(name: str, value: Any) -> str:
    """Return a value as a label shows it: the first digits of a hash are enough to tell two apart."""
    return str(value)[:8] if name.startswith(HASHES) else str(value)


def short_name(name: str) -> str:
    """Return an option as ``--set`` takes it: ``cell`` for model.options.cell, ``backbone.size`` for a backbone's."""
    owner, last = name.partition(".")[0].replace("finetuning", "finetune"), name.rpartition(".")[2]
    if name in {"policy.name", owner}:
        return owner
    if name == f"{EXTERNAL}.sha256":
        return "file"
    return last if owner in {last, "model", "training", "search"} else f"{owner}.{last}"
