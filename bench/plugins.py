"""Finds, isolates and loads plugins; a broken one is reported by its distribution and the others still work.

pluggy's own ``load_setuptools_entrypoints`` drops a second plugin of one entry-point name in silence and lets a failing
import end the host, so the finding is done here over ``importlib.metadata``; pluggy holds the hooks and calls them.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Generic, TypeVar
from typing import Protocol as TypeProtocol

import pluggy

from bench import contracts, hookspecs, plugin_files
from bench.contracts import BackboneSpec, DatasetSpec, ModelSpec, TrackerSpec, goals
from bench.errors import BenchError, PluginError, UsageError, unknown
from bench.guard import HOST, calling, is_first_party
from bench.spec_faults import fault_of
from bench.system.collection import uncollected
from bench.system.notes import note
from bench.system.source import remember

BLOCK_VARIABLE = "BENCH_WITHOUT"
"""Environment variable: comma-separated distributions or entry-point names that are not loaded."""

STRICT_VARIABLE = "BENCH_STRICT"
"""Environment variable that makes a plugin that cannot be loaded an error of every command; ``--strict`` sets it."""
SLOW = 0.5
"""Seconds of import from which a plugin is called slow: every command waits for it."""

HEAVY = ("torch", "onnxruntime", "sklearn", "pandas", "tensorflow", "jax", "transformers")
"""Modules that belong inside ``build``; which of them a plugin's import was the first to load is said."""


class Named(TypeProtocol):
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
METRICS = Kind("bench_metrics", contracts.Metric, "metric")
PROTOCOLS = Kind("bench_protocols", contracts.Protocol, "protocol")
POLICIES = Kind("bench_policies", contracts.LabelSetPolicy, "label-set policy")
DECODERS = Kind("bench_decoders", contracts.SequenceSearch, "decoder")
REPORT_SECTIONS = Kind("bench_report_sections", contracts.ReportSection, "report section")
TABLE_FORMATS = Kind("bench_table_formats", contracts.TableFormat, "table format")

KINDS: tuple[Kind[Any], ...] = (
    *(MODELS, DATASETS, BACKBONES, TRACKERS),
    *(METRICS, PROTOCOLS, POLICIES, DECODERS, REPORT_SECTIONS, TABLE_FORMATS),
)
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
class Loading:
    """How long a plugin's import and hooks took, and which of ``HEAVY`` it was the first to load."""

    seconds: float
    heavy: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found(Generic[Spec]):
    """A spec and the plugin it comes from."""

    spec: Spec
    origin: Origin


@dataclass(frozen=True, slots=True)
class Registry:
    """Everything the installed plugins offer, by the plural of its kind and by what a user types for it.

    That is its name, or ``distribution:name`` where another plugin has the name. ``contested`` holds by kind and name
    what to type instead of a name that has no owner, ``clashes`` a line about each name that is offered more than once,
    and ``broken`` maps a plugin to why it was left out. ``loading`` says of each plugin what its import cost,
    ``unknown_hooks`` which hooks it has that this host does not call.
    """

    offered: dict[str, dict[str, Found[Any]]] = field(default_factory=lambda: {kind.plural: {} for kind in KINDS})
    broken: dict[Origin, str] = field(default_factory=dict)
    contested: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    clashes: tuple[str, ...] = ()
    loading: dict[Origin, Loading] = field(default_factory=dict)
    unknown_hooks: dict[Origin, tuple[str, ...]] = field(default_factory=dict)

    def all(self, kind: Kind[Spec]) -> dict[str, Found[Spec]]:
        """Return all of one kind by what is typed, as in ``registry.all(MODELS)``."""
        return self.offered.get(kind.plural, {})

    def named(self, kind: Kind[Spec], name: str) -> Found[Spec]:
        """Return the one of ``kind`` called ``name``, or ``distribution:name``.

        Raises ``UsageError`` with the nearest names, or with both of a name that two distributions claim.
        """
        table = self.all(kind)
        if name in table:
            return table[name]
        distribution, _, own = name.partition(":")
        if own in table and table[own].origin.distribution == distribution:
            return table[own]
        if several := self.contested.get(kind.plural, {}).get(name):
            raise UsageError(f"{kind.singular} '{name}' is claimed by {len(several)} plugins. Type {_or(several)}")
        raise unknown(kind.singular, name, table, f"See: bench list {kind.plural}{self.left_out()}")

    def left_out(self) -> str:
        """Return in brackets which plugin could not be loaded, and why; empty: all could."""
        told = [f"{origin}: {reason}" for origin, reason in self.broken.items()]
        more = f", and {len(told) - 1} more: bench plugin list --errors" if len(told) > 1 else ""
        return f" (could not be loaded: {told[0]}{more})" if told else ""

    def dataset(self, name: str) -> Found[DatasetSpec]:
        """Return the data set called ``name``, or raise ``UsageError`` with the nearest names."""
        return self.named(DATASETS, name)

    def model(self, name: str) -> Found[ModelSpec]:
        """Return the model called ``name``, or raise ``UsageError`` with the nearest names."""
        return self.named(MODELS, name)

    def tracker(self, name: str) -> Found[TrackerSpec]:
        """Return the tracker called ``name``, or raise ``UsageError`` with the nearest names."""
        return self.named(TRACKERS, name)

    def policy(self, name: str, kind: str) -> Found[contracts.LabelSetPolicy] | None:
        """Return the plugin's label-set policy called ``name`` for a model of ``kind``; ``None``: the host's own.

        Raises ``UsageError`` for an unknown name, for a policy of the host's that is for models of other kinds, and for
        goals that are none.
        """
        own = contracts.HOST_POLICIES
        if goals.is_goals(name):
            goals.parse_goals(name)
            return None
        for_kind = [policy for policy, kinds in own.items() if kind in kinds]
        if name in own and name not in for_kind:
            allowed = ", ".join(sorted([*for_kind, *self.all(POLICIES)]))
            what = {"own": "has no label sets of its own", "decoded": "emits no label sequences"}[name]
            raise UsageError(f"--policy {name}: a model of kind '{kind}' {what}, allowed: {allowed}")
        if not name or name in own:
            return None
        if ":" not in name and name not in {*self.all(POLICIES), *self.contested.get(POLICIES.plural, {})}:
            raise unknown("label-set policy", name, [*for_kind, *self.all(POLICIES)], "See: bench list policies")
        return self.named(POLICIES, name)

    def decoder(self, name: str) -> Found[contracts.SequenceSearch] | None:
        """Return the plugin's decoder called ``name``; ``None``: the host's own. Raises ``UsageError`` as ``named``."""
        if name == contracts.HOST_DECODER:
            return None
        if ":" not in name and name not in {*self.all(DECODERS), *self.contested.get(DECODERS.plural, {})}:
            allowed = [contracts.HOST_DECODER, *self.all(DECODERS)]
            raise unknown("decoder", name, allowed, f"See: bench list decoders{self.left_out()}")
        return self.named(DECODERS, name)

    def backbone(self, name: str) -> tuple[Found[BackboneSpec], str]:
        """Return the backbone called ``name`` and its variant: ``timm/resnet18`` is family timm, variant resnet18."""
        backbones = self.all(BACKBONES)
        family, slash, variant = name.partition("/")
        if ":" not in name and not {name, family} & {*backbones, *self.contested.get(BACKBONES.plural, {})}:
            allowed = [f"{each}/<name>" if one.spec.family else each for each, one in backbones.items()]
            raise unknown("backbone", name, allowed, f"See: bench list backbones{self.left_out()}")
        found = self.named(BACKBONES, name if name in backbones else family)
        if found.spec.family and not variant:
            raise UsageError(f"backbone '{family}' is a family. Try: --backbone {family}/resnet18")
        if slash and not found.spec.family and name not in backbones:
            raise unknown("backbone", name, backbones, "See: bench list backbones")
        return found, variant if found.spec.family else ""


def load(
    entry_points: Iterable[importlib.metadata.EntryPoint] | None = None, without: frozenset[str] | None = None
) -> Registry:
    """Return everything that the installed plugins offer.

    ``entry_points`` defaults to the installed ones of group ``multilabel_bench`` and the files in ``BENCH_PLUGINS``;
    ``without`` to the names in ``BENCH_WITHOUT``. Where two plugins claim one name, the first-party one has it; of
    third parties, none has.
    """
    with uncollected():
        return _load(_entry_points() if entry_points is None else entry_points, without)


def _load(entry_points: Iterable[importlib.metadata.EntryPoint], without: frozenset[str] | None) -> Registry:
    if without is None:
        without = frozenset(filter(None, os.environ.get(BLOCK_VARIABLE, "").split(",")))
    broken: dict[Origin, str] = {}
    loading: dict[Origin, Loading] = {}
    strange: dict[Origin, tuple[str, ...]] = {}
    claims: dict[str, list[Found[Any]]] = {kind.plural: [] for kind in KINDS}
    for origin, entry_point in _origins(entry_points):
        if {origin.distribution, entry_point.name} & without:
            continue
        if not origin.version:
            broken[origin] = "its metadata are not whole: an installation broken off? Try: delete that folder"
            continue
        started, there = time.perf_counter(), frozenset(sys.modules)
        try:
            with calling(origin, "import", entry_point.name):
                plugin = entry_point.load()
            with calling(origin, "hooks", entry_point.name, seed=0):
                offered, unknown_hooks = _offers(plugin)
            if not is_first_party(origin):
                remember(sys.modules.keys() - there)
        except BenchError as error:  # it may fail in any way, which is one line by now; the others must still work
            broken[origin] = str(error).removeprefix(f"{origin}, ")
            continue
        finally:
            heavy = tuple(name for name in HEAVY if name in sys.modules and name not in there)
            loading[origin] = Loading(time.perf_counter() - started, heavy)
        for kind, specs in offered:
            claims[kind.plural] += [Found(spec, origin) for spec in specs]
        if unknown_hooks:
            strange[origin] = unknown_hooks
    return replace(_settle(claims, broken), loading=loading, unknown_hooks=strange)


def slowness(loading: Loading) -> str:
    """Return in words that a plugin is slow to import, and what to do; empty: it is not."""
    if loading.seconds < SLOW:
        return ""
    which = f": it loads {', '.join(loading.heavy)}. Try: import inside build" if loading.heavy else ""
    return f"slow to import, {loading.seconds:.1f} s for every command{which}"


def _entry_points() -> list[Any]:
    """Return the installed entry points, and the plugin files that stand for one."""
    return [*importlib.metadata.entry_points(group=hookspecs.PROJECT), *plugin_files.named()]


def refuse_unknown(without: Iterable[str]) -> None:
    """Raise ``UsageError`` for a name in ``without`` that is neither a distribution with plugins nor an entry point."""
    points = list(_origins(_entry_points()))
    known = {origin.distribution for origin, _ in points} | {point.name for _, point in points}
    for name in without:
        if name not in known:
            raise unknown("plugin for --without", name, known, "See: bench plugin list")


def _origins(
    entry_points: Iterable[importlib.metadata.EntryPoint],
) -> list[tuple[Origin, importlib.metadata.EntryPoint]]:
    """Return the entry points with what they come from, in an order that does not depend on that of installation.

    A distribution without a name is called by its folder and has no version; of two entry points with one name in one
    distribution, what each loads is part of its name.
    """
    found: dict[Origin, importlib.metadata.EntryPoint] = {}
    read: dict[int, tuple[object, tuple[str, str]]] = {}  # a name costs the parsing of all metadata, README included
    named = []
    for entry_point in set(entry_points):
        dist = entry_point.dist
        if id(dist) not in read:
            read[id(dist)] = dist, _distribution(dist)
        named.append((read[id(dist)][1], entry_point.name, getattr(entry_point, "value", ""), entry_point))
    for (distribution, version), _, _, entry_point in sorted(named, key=lambda one: one[:3]):
        origin = Origin(distribution, version, entry_point.name)
        if origin in found:
            origin = Origin(distribution, version, f"{entry_point.name} = {entry_point.value}")
        found[origin] = entry_point
    return list(found.items())


def _distribution(distribution: importlib.metadata.Distribution | None) -> tuple[str, str]:
    """Return name and version of what an entry point comes from, whatever an installer has left of it."""
    if distribution is None:
        return "unknown distribution", "?"
    try:
        name, version = distribution.name, distribution.version
    except Exception:  # the file is absent or no text: each Python raises something else
        name, version = "", ""
    if not name or not version:
        return str(getattr(distribution, "_path", "") or "unknown distribution"), ""
    return name, version


def _settle(claims: Mapping[str, Iterable[Found[Any]]], broken: dict[Origin, str]) -> Registry:
    """Return the registry of all that is claimed: each name to its owner, the others by ``distribution:name``."""
    registry = Registry(broken=broken)
    clashes: list[str] = []
    for plural, found in claims.items():
        rivals: dict[str, dict[str, Found[Any]]] = {}
        for one in found:
            name, origin = one.spec.name, one.origin
            first = rivals.setdefault(name, {}).setdefault(origin.distribution, one)
            if first is not one:
                clashes.append(f"'{name}' of {origin} is left out: {first.origin} has it already")
        for name, by_distribution in rivals.items():
            owner = by_distribution.get(HOST) or (
                next(iter(by_distribution.values())) if len(by_distribution) == 1 else None
            )
            others = {f"{one.origin.distribution}:{name}": one for one in by_distribution.values() if one is not owner}
            registry.offered[plural] |= ({name: owner} if owner else {}) | others
            if others:
                clashes.append(_clash(name, owner, others))
            if not owner:
                registry.contested.setdefault(plural, {})[name] = tuple(others)
    return replace(registry, clashes=tuple(clashes))


def _clash(name: str, owner: Found[Any] | None, others: Mapping[str, Found[Any]]) -> str:
    claimed = " and ".join(str(one.origin) for one in others.values())
    rival = list(others.values())[-1].origin.distribution
    whose = f"is that of {owner.origin}; {claimed} has it too" if owner else f"is claimed by {claimed}"
    return f"'{name}' {whose}. Type {_or(others)}, or leave one out: {BLOCK_VARIABLE}={rival}"


def _or(names: Iterable[str]) -> str:
    return " or ".join(names)


@cache
def loaded() -> Registry:
    """Return ``load()``, once per process. Of a file that was asked for and cannot be loaded, a note tells at once."""
    registry = load()
    for origin, why in registry.broken.items():
        if origin.version == plugin_files.VERSION and not os.environ.get(STRICT_VARIABLE):
            note(f"without {origin}, which cannot be loaded: {why}")
    return registry


def installed() -> Registry:
    """Return what is loaded. With ``BENCH_STRICT``, raises ``PluginError`` for the first plugin that could not be."""
    registry = loaded()
    if os.environ.get(STRICT_VARIABLE) and registry.broken:
        raise PluginError(f"a plugin cannot be used{registry.left_out()}. See: bench plugin list --errors")
    return registry


def _offers(plugin: object) -> tuple[list[tuple[Kind[Any], list[Any]]], tuple[str, ...]]:
    """Return what one plugin adds of each kind, and the hooks it has that this host does not know.

    A manager per plugin keeps one plugin's failure its own. A plugin written for a later host still gives what this
    one understands; one of which nothing is understood is broken.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    callers = manager.get_hookcallers(plugin)
    if not callers:
        raise PluginError(f"no hook is implemented. Mark functions with @bench.hookimpl; see: {hookspecs.__name__}")
    strange = tuple(sorted(caller.name for caller in callers if not caller.has_spec()))
    if len(strange) == len(callers):
        hooks = ", ".join(sorted(kind.hook for kind in KINDS))
        raise PluginError(f"unknown hook '{strange[0]}'; hooks are: {hooks}")
    return [(kind, _returned(getattr(manager.hook, kind.hook), kind.spec)) for kind in KINDS], strange


def _returned(hook: pluggy.HookCaller, kind: type[Any]) -> list[Any]:
    """Return the specs that one plugin's hook returns, or raise ``PluginError`` where they are not ``kind``."""
    results = hook()
    if hook.get_hookimpls() and not results:  # pluggy leaves out None, which a forgotten return gives
        raise PluginError(f"{hook.name} returned None, must return a list of bench.{kind.__name__}")
    specs = [spec for result in results for spec in result]
    for spec in specs:
        if not isinstance(spec, kind):
            raise PluginError(f"{hook.name} returned a {type(spec).__name__}, must return bench.{kind.__name__}")
        if fault := fault_of(spec):
            raise PluginError(f"{hook.name}: {fault}")
    return specs
