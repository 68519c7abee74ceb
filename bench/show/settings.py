"""A run's config value by value, each with where it came from; and what differs between two runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.errors import BenchError
from bench.evaluation import protocols
from bench.show.row_labels import flatten
from bench.store.protocol import protocol_of
from bench.store.run_folder import RunFolder
from bench.store.stored import About


@dataclass(frozen=True, slots=True)
class Setting:
    """One value of a config. ``name`` is dotted; ``origin`` is in words, empty in runs that did not record it.

    ``in_force`` is ``value``, or the protocol's where the config leaves it to the protocol, or what the model chose.
    """

    name: str
    value: Any
    in_force: Any
    origin: str

    @property
    def shown(self) -> str:
        """Return the value in force as text: as ``--set`` takes it, lists and empty text as JSON."""
        plain = isinstance(self.in_force, str) and self.in_force
        return self.in_force if plain else json.dumps(self.in_force, ensure_ascii=False)


def settings_of(folder: RunFolder) -> dict[str, Setting]:
    """Return the settings of a stored run by name, in the config's order; a run that failed has them too.

    Raises ``StoreError`` where the config is damaged, ``UsageError`` for a protocol that is not known here.
    """
    config = folder.config
    values = dict(flatten(config))
    about = folder.read_about() if folder.has("about") else About()
    chosen = _chosen(folder)
    in_force = {**_in_force(config), **chosen}
    origins = {name: str(about.origins.get(name, "")) for name in values}
    origins |= {name: f"{origins[name]}: chosen on the validation part" for name in chosen if name in origins}
    return {name: Setting(name, value, in_force.get(name, value), origins[name]) for name, value in values.items()}


def differences(
    one: Mapping[str, Setting], other: Mapping[str, Setting]
) -> dict[str, tuple[Setting | None, Setting | None]]:
    """Return by name what differs, in the config or in force; ``None`` for the run that has no such value."""
    names = [*one, *(name for name in other if name not in one)]
    pairs = {name: (one.get(name), other.get(name)) for name in names}
    return {name: pair for name, pair in pairs.items() if _worth(pair[0]) != _worth(pair[1])}


def grouped(names: Iterable[str]) -> dict[str, list[str]]:
    """Return names by the part of the run that they belong to; those of the run itself are under ``run``.

    >>> grouped(["model.name", "model.options.cell", "seed"])
    {'model': ['model.name', 'model.options.cell'], 'run': ['seed']}
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        part, dot, _ = name.partition(".")
        groups.setdefault(part if dot else "run", []).append(name)
    return groups


def _worth(setting: Setting | None) -> tuple[Any, Any] | None:
    return (setting.value, setting.in_force) if setting else None


def _chosen(folder: RunFolder) -> dict[str, Any]:
    chosen = folder.read_training().get("chosen", {}) if folder.has("training") else {}
    return {f"model.options.{name}": value for name, value in chosen.items()}


def _in_force(config: Mapping[str, Any]) -> dict[str, Any]:
    if not config["search"]:
        return {}
    try:
        searched = protocols.searched(protocol_of(config), config["search"])
    except BenchError:  # a plugin's that is gone, or not what it was: the config says all that is known
        return {}
    return {f"search.{name}": value for name, value in searched.items()}
