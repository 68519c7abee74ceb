"""What flows from stage to stage: frozen records that check themselves once, when built.

Arrays follow one convention everywhere: the first axis is the image, the second the label, in the
order of ``ids`` and ``labels``. A record never changes after it is built; its arrays are read-only.
"""

from typing import TYPE_CHECKING, Any

from bench.records import checks
from bench.records.exhibits import Exhibits, LabelSpace
from bench.records.run_request import RunRequest
from bench.records.scores import Features, LabelSets, Measures, Prediction, ScoreKind, Scores
from bench.records.search_options import Activation, ClassScore, SearchMethod, SearchOptions, StopRule
from bench.records.splits import Dataset, Images, Parts, Preprocessing, Split

if TYPE_CHECKING:
    from bench.records.checks import BoolArray, FloatArray, IntArray

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
]


def __getattr__(name: str) -> Any:
    """Return an array type; see ``bench.records.checks``."""
    if name in checks.ARRAYS:
        return getattr(checks, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
