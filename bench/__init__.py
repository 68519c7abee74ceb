"""The benchmark for multi-label image classification: what a plugin author and a notebook import.

Everything below this package but the names here is private. A complete plugin: ``bench.hookspecs`` and
``examples/bench-asl``; for scripts: docs/python.md and ``examples/notebook.py``. Nothing heavy is imported until a
name is used.
"""

from __future__ import annotations

import importlib
import os

# From 1.31 on ONNX Runtime, where it is imported, gives this machine a number and sends what it runs on to Microsoft.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

TYPE_CHECKING = False  # typing is two thirds of what a command imports before it can be stopped with a word
if TYPE_CHECKING:
    from bench.contracts import (
        API_VERSION,
        MAP_OPTION,
        Archive,
        ArrayModel,
        Backbone,
        BackboneRequest,
        BackboneSpec,
        DatasetRequest,
        DatasetSpec,
        Dimension,
        LabelSetPolicy,
        Metric,
        ModelRequest,
        ModelSpec,
        Protocol,
        ReportSection,
        ScoredPart,
        ScoreModel,
        SequenceModel,
        SequenceSearch,
        Series,
        SetModel,
        StepNetwork,
        TableFormat,
        TrackedRun,
        TrackedTable,
        Tracker,
        TrackerRequest,
        TrackerSpec,
        Validation,
    )
    from bench.data.images import ArrayImages, EncodedImages, FolderImages, MissingImages
    from bench.data.preprocess import preprocess
    from bench.data.splits import narrow, subset
    from bench.decode.decoder import Decoded
    from bench.decode.rescored import next_label_log_probabilities
    from bench.errors import (
        BenchError,
        DataError,
        ModelError,
        NotRun,
        PluginError,
        StorageError,
        StoreError,
        TrackerError,
        UsageError,
        unknown,
    )
    from bench.evaluation.evaluation import Evaluation
    from bench.evaluation.thresholds import half_way
    from bench.exported.predict import Labelled
    from bench.hookspecs import hookimpl
    from bench.model.estimators import estimator_model
    from bench.model.label_steps import label_steps
    from bench.notebook.choosing import Recommended, choose
    from bench.notebook.labelling import ExportedModel, predict
    from bench.notebook.measuring import measure
    from bench.notebook.running import compare, run
    from bench.notebook.scoring import score
    from bench.notebook.searching import beam_search
    from bench.notebook.stored import Runs, StoredRun, runs
    from bench.notebook.table import RunTable
    from bench.options import Option, OptionValue, resolve
    from bench.records import (
        Activation,
        BoolArray,
        ClassScore,
        Dataset,
        Features,
        FloatArray,
        Images,
        IntArray,
        LabelSets,
        Measures,
        Preprocessing,
        ScoreKind,
        Scores,
        SearchOptions,
        Split,
    )
    from bench.remote.address import as_path, is_remote
    from bench.show.markdown import markdown_table
    from bench.system.apart import call_apart
    from bench.system.deterministic import deterministic
    from bench.system.files import canonical_json, digest, write_atomic
    from bench.system.lazy import lazy_import
    from bench.system.progress import progress_bar, progress_shown
    from bench.system.sealed_files import kept

__version__ = "0.1.0"

_HOMES = {
    "bench.contracts": (
        "Archive ArrayModel Backbone BackboneRequest BackboneSpec DatasetRequest DatasetSpec Dimension MAP_OPTION "
        "Metric ModelRequest ModelSpec ScoreModel SequenceModel Series SetModel StepNetwork TrackedRun TrackedTable "
        "Tracker TrackerRequest TrackerSpec Validation API_VERSION Protocol ReportSection TableFormat LabelSetPolicy "
        "ScoredPart SequenceSearch"
    ),
    "bench.data.images": "ArrayImages EncodedImages FolderImages MissingImages",
    "bench.data.preprocess": "preprocess",
    "bench.data.splits": "narrow subset",
    "bench.decode.decoder": "Decoded",
    "bench.decode.rescored": "next_label_log_probabilities",
    "bench.errors": (
        "BenchError DataError ModelError NotRun PluginError StorageError StoreError TrackerError UsageError unknown"
    ),
    "bench.evaluation.evaluation": "Evaluation",
    "bench.evaluation.thresholds": "half_way",
    "bench.exported.predict": "Labelled",
    "bench.hookspecs": "hookimpl",
    "bench.model.estimators": "estimator_model",
    "bench.model.label_steps": "label_steps",
    "bench.notebook.choosing": "Recommended choose",
    "bench.notebook.labelling": "ExportedModel predict",
    "bench.notebook.measuring": "measure",
    "bench.notebook.running": "compare run",
    "bench.notebook.scoring": "score",
    "bench.notebook.searching": "beam_search",
    "bench.notebook.stored": "Runs StoredRun runs",
    "bench.notebook.table": "RunTable",
    "bench.options": "Option OptionValue resolve",
    "bench.records": (
        "Activation BoolArray ClassScore Dataset Features FloatArray Images IntArray LabelSets Measures "
        "Preprocessing ScoreKind Scores SearchOptions Split"
    ),
    "bench.remote.address": "as_path is_remote",
    "bench.show.markdown": "markdown_table",
    "bench.system.apart": "call_apart",
    "bench.system.deterministic": "deterministic",
    "bench.system.files": "canonical_json digest write_atomic",
    "bench.system.progress": "progress_bar progress_shown",
    "bench.system.lazy": "lazy_import",
    "bench.system.sealed_files": "kept",
}
"""Module -> the public names it holds, imported when the first of them is used."""

_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = [
    "API_VERSION",
    "MAP_OPTION",
    "Activation",
    "Archive",
    "ArrayImages",
    "ArrayModel",
    "Backbone",
    "BackboneRequest",
    "BackboneSpec",
    "BenchError",
    "BoolArray",
    "ClassScore",
    "DataError",
    "Dataset",
    "DatasetRequest",
    "DatasetSpec",
    "Decoded",
    "Dimension",
    "EncodedImages",
    "Evaluation",
    "ExportedModel",
    "Features",
    "FloatArray",
    "FolderImages",
    "Images",
    "IntArray",
    "LabelSetPolicy",
    "LabelSets",
    "Labelled",
    "Measures",
    "Metric",
    "MissingImages",
    "ModelError",
    "ModelRequest",
    "ModelSpec",
    "NotRun",
    "Option",
    "OptionValue",
    "PluginError",
    "Preprocessing",
    "Protocol",
    "Recommended",
    "ReportSection",
    "RunTable",
    "Runs",
    "ScoreKind",
    "ScoreModel",
    "ScoredPart",
    "Scores",
    "SearchOptions",
    "SequenceModel",
    "SequenceSearch",
    "Series",
    "SetModel",
    "Split",
    "StepNetwork",
    "StorageError",
    "StoreError",
    "StoredRun",
    "TableFormat",
    "TrackedRun",
    "TrackedTable",
    "Tracker",
    "TrackerError",
    "TrackerRequest",
    "TrackerSpec",
    "UsageError",
    "Validation",
    "as_path",
    "beam_search",
    "call_apart",
    "canonical_json",
    "choose",
    "compare",
    "deterministic",
    "digest",
    "estimator_model",
    "half_way",
    "hookimpl",
    "is_remote",
    "kept",
    "label_steps",
    "lazy_import",
    "markdown_table",
    "measure",
    "narrow",
    "next_label_log_probabilities",
    "predict",
    "preprocess",
    "progress_bar",
    "progress_shown",
    "resolve",
    "run",
    "runs",
    "score",
    "subset",
    "unknown",
    "write_atomic",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'bench' has no attribute '{name}'")
    value = globals()[name] = getattr(importlib.import_module(_HOME_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
