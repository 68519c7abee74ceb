"""From what a user names, or a test holds, to the checks of it: names, files, plugins, specs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from bench import plugins
from bench.contracts import (
    BackboneSpec,
    DatasetSpec,
    LabelSetPolicy,
    Metric,
    ModelSpec,
    Protocol,
    ReportSection,
    SequenceSearch,
    TableFormat,
    TrackerSpec,
)
from bench.errors import BenchError, PluginError, UsageError, unknown
from bench.options import Option, resolve
from bench.plugin_files import PluginFile, fault_of
from bench.plugins import Found, Kind, Origin, Registry
from bench.testing.backbones import BACKBONE_CHECKS, BackbonePart
from bench.testing.checks import Examination, Outcome, must_hold
from bench.testing.datasets import DATASET_CHECKS, DatasetPart
from bench.testing.decoders import DECODER_CHECKS, DecoderPart
from bench.testing.metrics import METRIC_CHECKS, MetricPart
from bench.testing.model_checks import MODEL_CHECKS
from bench.testing.models import ModelPart
from bench.testing.policies import POLICY_CHECKS, PolicyPart
from bench.testing.protocols import PROTOCOL_CHECKS, ProtocolPart
from bench.testing.report_sections import REPORT_SECTION_CHECKS, ReportSectionPart
from bench.testing.sequence_checks import SEQUENCE_CHECKS
from bench.testing.table_formats import TABLE_FORMAT_CHECKS, TableFormatPart
from bench.testing.trackers import TRACKER_CHECKS, TrackerPart

UNINSTALLED = "a plugin under test"
"""The origin of a spec that a test holds and no distribution offers."""


CHECKED = (
    ModelSpec,
    DatasetSpec,
    BackboneSpec,
    TrackerSpec,
    Metric,
    Protocol,
    ReportSection,
    TableFormat,
    LabelSetPolicy,
    SequenceSearch,
)
KINDS = (
    *("models", "data sets", "backbones", "trackers", "metrics"),
    *("protocols", "report sections", "table formats", "label-set policies", "decoders"),
)
"""What there are checks for, and its words."""


def examinations(
    thing: Any, options: Mapping[str, Any] | None = None, *, root: Path | None = None, weights: Path | None = None
) -> list[Examination]:
    """Return what is to be checked of ``thing``, part by part.

    ``thing``: a spec; a plugin, as a module with hooks; the path of a plugin file; a name as users type it, of a model,
    a data set, a backbone (``timm/resnet18``) or any other kind, or of a distribution, which is all that it offers.
    ``options`` are set as by ``--set``, ``root`` is a data set's folder and ``weights`` a backbone's file.
    Raises ``UsageError`` for a name that nothing has, ``PluginError`` for a plugin that cannot be loaded.
    """
    given = dict(options or {})
    found = [(one, variant) for one, variant in _found(thing) if isinstance(one.spec, CHECKED)]
    if not found:
        raise UsageError(f"'{thing}' adds nothing that there are checks for, allowed: {', '.join(KINDS)}")
    known = {option.name for one, _ in found for option in _options(one.spec)}
    for name in given:
        if name not in known:
            raise unknown(f"option of '{thing}'", name, known, "See: bench list --options")
    return [_examination(one, variant, given, root, weights) for one, variant in found]


def examine(thing: Any, options: Mapping[str, Any] | None = None, **where: Path | None) -> list[Outcome]:
    """Return how every check of ``thing`` ends; see ``examinations`` for what it may be."""
    return [outcome for one in examinations(thing, options, **where) for outcome in one.outcomes()]


def check_model(spec: ModelSpec | str, **options: Any) -> list[Outcome]:
    """Return the outcomes of all checks of a model. Raises ``CheckFailed`` with a line for each that failed."""
    return _checked(spec, options)


def check_dataset(spec: DatasetSpec | str, root: Path | None = None, **options: Any) -> list[Outcome]:
    """Return the outcomes of all checks of a data set, in ``root``. Raises ``CheckFailed`` as ``check_model`` does."""
    return _checked(spec, options, root=root)


def check_backbone(spec: BackboneSpec | str, weights: Path | None = None, **options: Any) -> list[Outcome]:
    """Return the outcomes of all checks of a backbone. Raises ``CheckFailed`` as ``check_model`` does."""
    return _checked(spec, options, weights=weights)


def check_metric(spec: Metric | str) -> list[Outcome]:
    """Return the outcomes of all checks of a metric. Raises ``CheckFailed`` as ``check_model`` does."""
    return _checked(spec, {})


def check_protocol(spec: Protocol | str) -> list[Outcome]:
    """Return the outcomes of all checks of a protocol. Raises ``CheckFailed`` as ``check_model`` does."""
    return _checked(spec, {})


def check_report_section(spec: ReportSection | str) -> list[Outcome]:
    """Return the outcomes of all checks of a report section. Raises ``CheckFailed`` as ``check_model`` does."""
    return _checked(spec, {})


def check_table_format(spec: TableFormat | str) -> list[Outcome]:
    """Return the outcomes of all checks of a table format. Raises ``CheckFailed`` as ``check_model`` does."""
    return _checked(spec, {})


def check_policy(spec: LabelSetPolicy | str) -> list[Outcome]:
    """Return the outcomes of all checks of a label-set policy. Raises ``CheckFailed`` as ``check_model`` does."""
    return _checked(spec, {})


def check_decoder(spec: SequenceSearch | str) -> list[Outcome]:
    """Return the outcomes of all checks of a decoder. Raises ``CheckFailed`` as ``check_model`` does."""
    return _checked(spec, {})


def check_tracker(spec: TrackerSpec | str, **options: Any) -> list[Outcome]:
    """Return the outcomes of all checks of a tracker. Raises ``CheckFailed`` as ``check_model`` does."""
    return _checked(spec, options)


def _checked(thing: Any, options: Mapping[str, Any], **where: Path | None) -> list[Outcome]:
    outcomes = examine(thing, options, **where)
    must_hold(outcomes)
    return outcomes


def _found(thing: Any) -> Iterable[tuple[Found[Any], str]]:
    """Return each spec that ``thing`` stands for with where it is from, and the variant that was typed."""
    if isinstance(thing, CHECKED):
        return [(Found(thing, Origin(UNINSTALLED, "0", thing.name)), "")]
    if isinstance(thing, str | Path) and str(thing).endswith(".py"):
        if fault := fault_of(str(thing)):
            raise UsageError(fault)
        return [(one, "") for one in _all_of(_whole(plugins.load([PluginFile(str(thing))], frozenset())))]  # type: ignore[list-item]
    if isinstance(thing, str):
        return _named(thing, plugins.loaded())
    return [(one, "") for one in _all_of(_whole(plugins.load([_Plugin(thing)], frozenset())))]  # type: ignore[list-item]


class _Plugin:
    """A plugin that a test holds, as an entry point."""

    def __init__(self, plugin: Any) -> None:
        self.name = plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__name__
        self.value = self.name
        self.dist = SimpleNamespace(name=UNINSTALLED, version="0")
        self._plugin = plugin

    def load(self) -> Any:
        return self._plugin


def _whole(registry: Registry) -> Registry:
    """Return ``registry``, or raise ``PluginError`` where what it was made of could not be loaded."""
    for origin, reason in registry.broken.items():
        raise PluginError(f"{origin}: {reason}")
    return registry


def _all_of(registry: Registry, distribution: str = "") -> list[Found[Any]]:
    return [
        found
        for offered in registry.offered.values()
        for found in offered.values()
        if not distribution or found.origin.distribution == distribution
    ]


def _named(name: str, registry: Registry) -> list[tuple[Found[Any], str]]:
    """Return what ``name`` is, of whichever kind; of all kinds where several have it."""
    for origin, reason in registry.broken.items():
        if name in {origin.distribution, origin.entry_point}:
            raise PluginError(f"{origin}: {reason}")
    found = [(one, variant) for kind in plugins.KINDS if (one := _of_kind(registry, kind, name)) for variant in [""]]
    family, slash, variant = name.partition("/")
    if slash and not found and (one := _of_kind(registry, plugins.BACKBONES, family)):
        found = [(one, variant)]
    if found or (found := [(one, "") for one in _all_of(registry, name)]):
        return found
    if (Path(name) / "pyproject.toml").is_file():
        folder = Path(name) if Path(name).is_absolute() else f"./{Path(name)}"  # else pip asks its index for the name
        raise UsageError(
            f"'{name}' is a folder and no installed plugin. Try: pip install -e {shlex.quote(str(folder))},"
            " then the same with the name in its pyproject.toml"
        )
    names = {typed for offered in registry.offered.values() for typed in offered}
    names |= {one.origin.distribution for one in _all_of(registry)}
    raise unknown(
        "plugin, or model, data set or other part of one,", name, names, f"See: bench list{registry.left_out()}"
    )


def _of_kind(registry: Registry, kind: Kind[Any], name: str) -> Found[Any] | None:
    try:
        return registry.named(kind, name)
    except BenchError:
        return None


def _examination(
    found: Found[Any], variant: str, given: Mapping[str, Any], root: Path | None, weights: Path | None
) -> Examination:
    spec, origin = found.spec, found.origin
    own = {option.name: given[option.name] for option in _options(spec) if option.name in given}
    options = resolve(_options(spec), own, f"'{spec.name}'")
    make: dict[type[Any], Callable[[], Examination]] = {
        ModelSpec: lambda: Examination(
            ModelPart(spec, origin, options), SEQUENCE_CHECKS if spec.kind == "sequence" else MODEL_CHECKS
        ),
        DatasetSpec: lambda: Examination(
            DatasetPart(spec, origin, options, root.absolute() if root else None), DATASET_CHECKS
        ),
        BackboneSpec: lambda: Examination(
            BackbonePart(spec, origin, options, variant, weights.absolute() if weights else None), BACKBONE_CHECKS
        ),
        TrackerSpec: lambda: Examination(TrackerPart(spec, origin, options), TRACKER_CHECKS),
        Metric: lambda: Examination(MetricPart(spec, origin), METRIC_CHECKS),
        Protocol: lambda: Examination(ProtocolPart(spec, origin), PROTOCOL_CHECKS),
        ReportSection: lambda: Examination(ReportSectionPart(spec, origin), REPORT_SECTION_CHECKS),
        TableFormat: lambda: Examination(TableFormatPart(spec, origin), TABLE_FORMAT_CHECKS),
        LabelSetPolicy: lambda: Examination(PolicyPart(spec, origin), POLICY_CHECKS),
        SequenceSearch: lambda: Examination(DecoderPart(spec, origin), DECODER_CHECKS),
    }
    return make[type(spec)]()


def _options(spec: Any) -> tuple[Option, ...]:
    """Return the options that ``spec`` declares; some kinds have none."""
    return getattr(spec, "options", ())
