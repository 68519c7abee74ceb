"""Finds, isolates and loads plugins; a broken one is reported by its distribution and the others still work.

pluggy's own ``load_setuptools_entrypoints`` drops a second plugin of the same entry-point name in
silence and lets one failing import end the host, so the finding is done here over
``importlib.metadata``; pluggy still holds the hooks and calls them.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic, Protocol, TypeVar

import pluggy

from bench import hookspecs
from bench.contracts import BackboneSpec, DatasetSpec, ModelSpec, TrackerSpec
from bench.errors import PluginError, unknown

BLOCK_VARIABLE = "BENCH_WITHOUT"
"""Environment variable: comma-separated distributions or entry-point names that are not loaded."""


class Named(Protocol):
    """What every spec has: the name that users type."""

    @property
    def name(self) -> str: ...


Spec = TypeVar("Spec", bound=Named)


@dataclass(frozen=True, slots=True)
class Kind(Generic[Spec]):
    """A kind of thing that plugins add: the hook that returns a list of it, the type of each, and one's name."""

    hook: str
    spec: type[Spec]
    singular: str

    @property
    def plural(self) -> str:
        """Return the name of all of them, as in ``bench list models``."""
        return self.hook.removeprefix("bench_")


MODELS = Kind("bench_models", ModelSpec, "model")
DATASETS = Kind("bench_datasets", DatasetSpec, "dataset")
BACKBONES = Kind("bench_backbones", BackboneSpec, "backbone")
TRACKERS = Kind("bench_trackers", TrackerSpec, "tracker")

KINDS: tuple[Kind[Any], ...] = (MODELS, DATASETS, BACKBONES, TRACKERS)
"""Every kind, in the order of ``bench list``. A new one is a hook, a spec and a row here."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a plugin comes from: its distribution, that distribution's version, and the entry point."""

    distribution: str
    version: str
    entry_point: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} ({self.entry_point})"


@dataclass(frozen=True, slots=True)
class Found(Generic[Spec]):
    """A spec and the plugin it comes from."""

    spec: Spec
    origin: Origin


@dataclass(frozen=True, slots=True)
class Registry:
    """Everything the installed plugins offer, by the plural of its kind and its name.

    ``broken`` maps a plugin to why it was left out.
    """

    offered: dict[str, dict[str, Found[Any]]] = field(default_factory=lambda: {kind.plural: {} for kind in KINDS})
    broken: dict[Origin, str] = field(default_factory=dict)

    def all(self, kind: Kind[Spec]) -> dict[str, Found[Spec]]:
        """Return all of one kind by name, as in ``registry.all(MODELS)``."""
        return self.offered[kind.plural]

    def named(self, kind: Kind[Spec], name: str) -> Found[Spec]:
        """Return the one of ``kind`` called ``name``, or raise ``UsageError`` with the nearest names."""
        table = self.all(kind)
        if name not in table:
            left_out = f" ({len(self.broken)} plugins could not be loaded)" if self.broken else ""
            raise unknown(kind.singular, name, table, f"See: bench list {kind.plural}{left_out}")
        return table[name]

    def dataset(self, name: str) -> Found[DatasetSpec]:
        """Return the data set called ``name``, or raise ``UsageError`` with the nearest names."""
        return self.named(DATASETS, name)

    def model(self, name: str) -> Found[ModelSpec]:
        """Return the model called ``name``, or raise ``UsageError`` with the nearest names."""
        return self.named(MODELS, name)

    def tracker(self, name: str) -> Found[TrackerSpec]:
        """Return the tracker called ``name``, or raise ``UsageError`` with the nearest names."""
        return self.named(TRACKERS, name)

    def backbone(self, name: str) -> tuple[Found[BackboneSpec], str]:
        """Return the backbone called ``name`` and its variant: ``timm/resnet18`` is family timm, variant resnet18."""
        backbones = self.all(BACKBONES)
        family, slash, variant = name.partition("/")
        found = self.named(BACKBONES, name if name in backbones else family)
        if found.spec.family and not variant:
            raise unknown("backbone", name, backbones, f"'{family}' is a family. Try: --backbone {family}/resnet18")
        if slash and not found.spec.family and name not in backbones:
            raise unknown("backbone", name, backbones, "See: bench list backbones")
        return found, variant if found.spec.family else ""


def load(
    entry_points: Iterable[importlib.metadata.EntryPoint] | None = None, without: frozenset[str] | None = None
) -> Registry:
    """Return everything that the installed plugins offer.

    ``entry_points`` defaults to the installed ones of group ``multilabel_bench``; ``without`` to the names
    in ``BENCH_WITHOUT``. Raises ``PluginError`` where two plugins claim one name.
    """
    if entry_points is None:
        entry_points = importlib.metadata.entry_points(group=hookspecs.PROJECT)
    if without is None:
        without = frozenset(filter(None, os.environ.get(BLOCK_VARIABLE, "").split(",")))
    registry = Registry()
    for entry_point in sorted(set(entry_points), key=lambda e: (e.dist.name if e.dist else "", e.name)):
        distribution = entry_point.dist.name if entry_point.dist else "unknown distribution"
        version = entry_point.dist.version if entry_point.dist else "?"
        origin = Origin(distribution, version, entry_point.name)
        if {distribution, entry_point.name} & without:
            continue
        try:
            offered = _offers(entry_point.load())
        except Exception as error:  # a plugin may fail in any way; the others must still work
            failure = "" if isinstance(error, PluginError) else f"{type(error).__name__}: "
            registry.broken[origin] = f"{failure}{error}".splitlines()[0]
            continue
        for kind, specs in offered:
            _add(registry.all(kind), specs, origin)
    return registry


@cache
def installed() -> Registry:
    """Return ``load()``, once per process."""
    return load()


def _offers(plugin: object) -> list[tuple[Kind[Any], list[Any]]]:
    """Return what one plugin adds of each kind. A manager per plugin keeps one plugin's failure its own."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        hooks = ", ".join(sorted(kind.hook for kind in KINDS))
        raise PluginError(f"{error}; hooks are: {hooks}") from None
    if not manager.get_hookcallers(plugin):
        raise PluginError(f"no hook is implemented. Mark functions with @bench.hookimpl; see: {hookspecs.__name__}")
    return [(kind, _returned(getattr(manager.hook, kind.hook), kind.spec)) for kind in KINDS]


def _returned(hook: pluggy.HookCaller, kind: type[Any]) -> list[Any]:
    """Return the specs that one plugin's hook returns, or raise ``PluginError`` where they are not ``kind``."""
    results = hook()
    if hook.get_hookimpls() and not results:  # pluggy leaves out None, which a forgotten return gives
        raise PluginError(f"{hook.name} returned None, must return a list of bench.{kind.__name__}")
    specs = [spec for result in results for spec in result]
    for spec in specs:
        if not isinstance(spec, kind):
            raise PluginError(f"{hook.name} returned a {type(spec).__name__}, must return bench.{kind.__name__}")
    return specs


def _add(table: dict[str, Found[Spec]], specs: list[Spec], origin: Origin) -> None:
    for spec in specs:
        if spec.name in table:
            raise PluginError(
                f"'{spec.name}' is claimed by {table[spec.name].origin} and by {origin}."
                f" Leave one out: {BLOCK_VARIABLE}={origin.entry_point} bench ..."
            )
        table[spec.name] = Found(spec, origin)
