"""The hooks a plugin may implement, called once per process when a command first needs a name.

A plugin is a module (or object) named by an entry point of group ``multilabel_bench``::

    # pyproject.toml of the plugin's distribution
    [project.entry-points.multilabel_bench]
    asl = "bench_asl"

    # bench_asl.py
    import bench

    @bench.hookimpl
    def bench_models():
        return [bench.ModelSpec(name="asl", summary="asymmetric loss", kind="scores", build=build)]

Each hook returns a list of frozen specs. A name that two plugins return is typed ``DISTRIBUTION:NAME``; a first-party
plugin keeps its own. ``bench --without DISTRIBUTION`` leaves one out. ``bench plugin new`` writes one to begin with,
``bench --plugin FILE`` loads one that is a single file, ``bench plugin check`` checks it. See docs/plugins.md.
"""

from __future__ import annotations

import pluggy

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

PROJECT = "multilabel_bench"
"""The pluggy project name and the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def bench_datasets() -> list[DatasetSpec]:  # type: ignore[empty-body]
    """Return the data sets this plugin adds, found by ``bench run --dataset NAME``."""


@hookspec
def bench_backbones() -> list[BackboneSpec]:  # type: ignore[empty-body]
    """Return the image networks this plugin adds, found by ``bench run --backbone NAME``."""


@hookspec
def bench_models() -> list[ModelSpec]:  # type: ignore[empty-body]
    """Return the methods this plugin adds, found by ``bench run --model NAME``."""


@hookspec
def bench_trackers() -> list[TrackerSpec]:  # type: ignore[empty-body]
    """Return the trackers this plugin adds, found by ``bench track --to NAME`` and ``bench run --track NAME``."""


@hookspec
def bench_metrics() -> list[Metric]:  # type: ignore[empty-body]
    """Return the metrics this plugin adds, computed from stored predictions whenever a table shows them."""


@hookspec
def bench_protocols() -> list[Protocol]:  # type: ignore[empty-body]
    """Return the evaluation protocols this plugin adds, found by ``--protocol NAME`` and named by its data sets."""


@hookspec
def bench_policies() -> list[LabelSetPolicy]:  # type: ignore[empty-body]
    """Return the label-set policies this plugin adds, found by ``--policy NAME`` and fitted on the validation part."""


@hookspec
def bench_decoders() -> list[SequenceSearch]:  # type: ignore[empty-body]
    """Return the searches for label sequences this plugin adds, found by ``--set decoder=NAME``."""


@hookspec
def bench_report_sections() -> list[ReportSection]:  # type: ignore[empty-body]
    """Return the sections this plugin adds to ``bench report``."""


@hookspec
def bench_table_formats() -> list[TableFormat]:  # type: ignore[empty-body]
    """Return the formats this plugin adds to ``bench table --format NAME``."""
