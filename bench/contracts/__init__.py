"""What a plugin returns: light frozen specs, whose ``build`` makes the heavy thing.

A spec's module must import neither torch nor onnxruntime at its top: ``bench list`` reads every
spec in under half a second. Import them inside ``build``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.contracts.api import API_VERSION
from bench.contracts.backbones import MAP_OPTION, Backbone, BackboneRequest, BackboneSpec
from bench.contracts.datasets import Archive, DatasetRequest, DatasetSpec
from bench.contracts.decoders import HOST_DECODER, SequenceSearch
from bench.contracts.goals import Goal, ThresholdGoals
from bench.contracts.metrics import Direction, Metric
from bench.contracts.models import (
    ArrayModel,
    ModelKind,
    ModelRequest,
    ModelSpec,
    ScoreModel,
    SequenceModel,
    SetModel,
    StepNetwork,
    Validation,
)
from bench.contracts.policies import HOST_POLICIES, Amount, LabelSetPolicy, PolicyState, ScoredPart
from bench.contracts.protocols import ApKind, Protocol, ZeroDivision
from bench.contracts.reports import ReportSection, TableFormat
from bench.contracts.spaces import Dimension
from bench.contracts.trackers import Series, TrackedRun, TrackedTable, Tracker, TrackerRequest, TrackerSpec
from bench.contracts.training_options import (
    FINETUNING_OPTIONS,
    FITTING_OPTIONS,
    KNOWN_SHARE,
    SELECTING,
    TRAINING_OPTIONS,
)

if TYPE_CHECKING:
    from bench.contracts.search_options import BY_PROTOCOL, SEARCH_OPTIONS, left_to_protocol

__all__ = [
    "API_VERSION",
    "BY_PROTOCOL",
    "FINETUNING_OPTIONS",
    "FITTING_OPTIONS",
    "HOST_DECODER",
    "HOST_POLICIES",
    "KNOWN_SHARE",
    "MAP_OPTION",
    "SEARCH_OPTIONS",
    "SELECTING",
    "TRAINING_OPTIONS",
    "Amount",
    "ApKind",
    "Archive",
    "ArrayModel",
    "Backbone",
    "BackboneRequest",
    "BackboneSpec",
    "DatasetRequest",
    "DatasetSpec",
    "Dimension",
    "Direction",
    "Goal",
    "LabelSetPolicy",
    "Metric",
    "ModelKind",
    "ModelRequest",
    "ModelSpec",
    "PolicyState",
    "Protocol",
    "ReportSection",
    "ScoreModel",
    "ScoredPart",
    "SequenceModel",
    "SequenceSearch",
    "Series",
    "SetModel",
    "StepNetwork",
    "TableFormat",
    "ThresholdGoals",
    "TrackedRun",
    "TrackedTable",
    "Tracker",
    "TrackerRequest",
    "TrackerSpec",
    "Validation",
    "ZeroDivision",
    "left_to_protocol",
]


def __getattr__(name: str) -> object:
    # The search's options follow from a record, which specs do not wait for.
    if name not in {"BY_PROTOCOL", "SEARCH_OPTIONS", "left_to_protocol"}:
        raise AttributeError(f"module 'bench.contracts' has no attribute '{name}'")
    from bench.contracts import search_options

    return getattr(search_options, name)
