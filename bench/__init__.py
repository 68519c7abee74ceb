"""The benchmark for multi-label image classification: what a plugin author imports.

Example, a complete plugin: see ``bench.hookspecs`` and ``examples/bench-asl``.
"""

from bench.contracts import (
    Archive,
    Backbone,
    BackboneRequest,
    BackboneSpec,
    DatasetRequest,
    DatasetSpec,
    ModelRequest,
    ModelSpec,
    ScoreModel,
    SequenceModel,
    Series,
    StepNetwork,
    TrackedRun,
    TrackedTable,
    Tracker,
    TrackerRequest,
    TrackerSpec,
)
from bench.errors import (
    BenchError,
    DataError,
    ModelError,
    NotRun,
    PluginError,
    StoreError,
    TrackerError,
    UsageError,
)
from bench.hookspecs import hookimpl
from bench.options import Option
from bench.records import (
    Dataset,
    Features,
    Images,
    LabelSets,
    Measures,
    Preprocessing,
    Scores,
    SearchOptions,
    Split,
)

__version__ = "0.1.0"

__all__ = [
    "Archive",
    "Backbone",
    "BackboneRequest",
    "BackboneSpec",
    "BenchError",
    "DataError",
    "Dataset",
    "DatasetRequest",
    "DatasetSpec",
    "Features",
    "Images",
    "LabelSets",
    "Measures",
    "ModelError",
    "ModelRequest",
    "ModelSpec",
    "NotRun",
    "Option",
    "PluginError",
    "Preprocessing",
    "ScoreModel",
    "Scores",
    "SearchOptions",
    "SequenceModel",
    "Series",
    "Split",
    "StepNetwork",
    "StoreError",
    "TrackedRun",
    "TrackedTable",
    "Tracker",
    "TrackerError",
    "TrackerRequest",
    "TrackerSpec",
    "UsageError",
    "hookimpl",
]
