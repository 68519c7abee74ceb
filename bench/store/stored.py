"""What is read back from a run folder: truth and masks of the test part, how the run stands, what a table needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.evaluation.bits import BitMatrix
from bench.records import BoolArray, Measures, Prediction


@dataclass(frozen=True, slots=True)
class Truth:
    """The test part as stored: ids, label names, truth and ignore mask, both (images, labels) bool."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    truth: BoolArray
    ignore: BoolArray | None


@dataclass(frozen=True, slots=True)
class Masks:
    """Label names and, packed as they are stored, truth, ignore mask and predicted label sets of the test part.

    ``known`` are the true labels that a model of known tags was told.
    """

    labels: tuple[str, ...]
    truth: BitMatrix
    ignore: BitMatrix | None
    predicted: BitMatrix
    known: BitMatrix | None = None


@dataclass(frozen=True, slots=True)
class ValidationPart:
    """The validation part as stored: its truth, what the model was told of it, and what it predicts.

    ``known`` are true labels that a model of known tags was told, (images, labels) bool; they are still in ``truth``.
    """

    truth: Truth
    known: BoolArray | None
    prediction: Prediction


@dataclass(frozen=True, slots=True)
class About:
    """What readers call the parts of a run. It shapes no result, so it is no part of the key.

    ``row`` is the model's name in the published tables, ``variant`` says which images and labels the data set has.
    ``origins`` says of each value of the config, by its dotted name, where it came from. ``notes`` are the data set's
    lines on what it passed over and on labels that look odd, and the backbone's on what it assumes; ``remarks`` are the
    run's own: what it cannot show, and why. ``deviations`` is where the method is not that of its source,
    ``part_of`` the published set that the data are a part of. ``dataset`` is the name that the data set was given,
    empty: none. ``deterministic``: every seed gives the same, so that there is one.
    """

    row: str = ""
    variant: str = ""
    origins: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    deviations: str = ""
    part_of: str = ""
    dataset: str = ""
    deterministic: bool = False


State = Literal["done", "failed", "unfinished"]


@dataclass(frozen=True, slots=True)
class Status:
    """How a run stands; ``stage`` and ``reason`` say where and why it failed.

    ``finished`` is when that was written, in seconds since 1970.
    """

    state: State
    stage: str = ""
    reason: str = ""
    finished: float = 0.0


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a run came from that was merged into a store: the archive's file name and SHA-256, and by whom it says.

    ``left_out`` are the files that the archive was packed without, and the SHA-256 that each had.
    """

    archive: str
    sha256: str
    by: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a table needs of one run. ``reason`` says why there are no ``measures``.

    ``images`` is how many the test part has, ``labels`` the label names in the order of per-class measures,
    ``finished`` when it was done, in seconds since 1970. ``provenance`` is of a run that was made elsewhere.
    """

    path: Path
    key: str
    config: dict[str, Any]
    state: str
    reason: str = ""
    measures: Measures | None = None
    images: int = 0
    labels: tuple[str, ...] = ()
    about: About = About()
    finished: float = 0.0
    provenance: Provenance | None = None

    @property
    def dataset(self) -> str:
        """Return what readers call the data set: the name it was given, or its plugin's."""
        return self.about.dataset or str(self.config["dataset"]["name"])
