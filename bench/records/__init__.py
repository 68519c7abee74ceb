"""What flows from stage to stage: frozen records that check themselves once, when built.

Arrays follow one convention everywhere: the first axis is the image, the second the label, in the
order of ``ids`` and ``labels``. A record never changes after it is built; its arrays are read-only.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.records.checks import BoolArray, FloatArray, IntArray
    from bench.records.exhibits import Exhibits, LabelSpace
    from bench.records.run_request import RunRequest
    from bench.records.scores import Features, LabelSets, Measures, Prediction, ScoreKind, Scores
    from bench.records.search_options import Activation, ClassScore, SearchMethod, SearchOptions, StopRule
    from bench.records.splits import Dataset, Images, Parts, Preprocessing, Split
    from bench.records.trials import Ledger, Trial

_HOMES = {
    "checks": "BoolArray FloatArray IntArray",
    "exhibits": "Exhibits LabelSpace",
    "run_request": "RunRequest",
    "scores": "Features LabelSets Measures Prediction ScoreKind Scores",
    "search_options": "Activation ClassScore SearchMethod SearchOptions StopRule",
    "splits": "Dataset Images Parts Preprocessing Split",
    "trials": "Ledger Trial",
}
"""File -> the names it holds, imported when the first of them is used: a spec needs one record or none."""

_HOME_OF = {name: file for file, names in _HOMES.items() for name in names.split()}

__all__ = [
    "Activation",
    "BoolArray",
    "ClassScore",
    "Dataset",
    "Exhibits",
    "Features",
    "FloatArray",
    "Images",
    "IntArray",
    "LabelSets",
    "LabelSpace",
    "Ledger",
    "Measures",
    "Parts",
    "Prediction",
    "Preprocessing",
    "RunRequest",
    "ScoreKind",
    "Scores",
    "SearchMethod",
    "SearchOptions",
    "Split",
    "StopRule",
    "Trial",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals().setdefault(name, getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name))
