"""What is computed of images: features, scores, label sequences, and what they are worth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isnan
from typing import TYPE_CHECKING, Literal, get_args

from bench.errors import unknown
from bench.records.checks import freeze, require
from bench.system.lazy import lazy_import

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bench.records.checks import BoolArray, FloatArray, IntArray
else:
    np = lazy_import("numpy")

ScoreKind = Literal["logit", "log_probability", "probability", "margin", "label"]
"""What a score means. Only ``logit`` and ``probability`` have a natural threshold (0 and 0.5).

``label``: 1 of a label in the image's set, 0 of any other. Such scores are label sets and rank nothing.
"""


ROWS = 1 << 14
"""Images whose scores are looked at together."""


@dataclass(frozen=True, slots=True)
class Features:
    """Image features from a frozen backbone: ``values`` is (images, dimensions) float32, often memory-mapped.

    Feature maps are (images, channels, height, width) float16, and their dimensions are the channels.
    ``key`` is the hash of all they depend on: the split they were computed of, backbone and preprocessing.
    """

    ids: tuple[str, ...]
    values: FloatArray
    key: str

    def __post_init__(self) -> None:
        kinds = {2: np.float32, 4: np.float16}
        require(
            self.values.dtype == kinds.get(self.values.ndim, np.float32),
            f"features are {self.values.dtype}, must be float32, or float16 for maps",
        )
        require(
            self.values.ndim in kinds and len(self.values) == len(self.ids),
            f"features are {self.values.shape} for {len(self.ids)} images",
        )

    @property
    def dimensions(self) -> int:
        """Return the length of one image's feature vector."""
        return int(self.values.shape[1])


@dataclass(frozen=True, slots=True)
class Scores:
    """One score per image and label, (images, labels) float32; higher means more likely present."""

    ids: tuple[str, ...]
    values: FloatArray
    kind: ScoreKind

    def __post_init__(self) -> None:
        require(self.values.dtype == np.float32, f"scores are {self.values.dtype}, must be float32")
        require(
            self.values.ndim == 2 and len(self.values) == len(self.ids),
            f"scores are {self.values.shape} for {len(self.ids)} images",
        )
        require(self.kind in get_args(ScoreKind), f"score kind '{self.kind}' is none of {get_args(ScoreKind)}")
        # The smallest is NaN where any is; a mask of all of them would take as many bytes as there are scores.
        smallest = self.values.min(initial=np.inf)
        require(not np.isnan(smallest), "scores hold NaN; the model diverged. Try: a lower lr")
        if not self.rank:
            parts = (self.values[start : start + ROWS] for start in range(0, len(self.values), ROWS))
            only = all(bool(((part == 0) | (part == 1)).all()) for part in parts)
            require(only, "scores of kind 'label' are not all 0 and 1")
        freeze(self.values)

    @property
    def rank(self) -> bool:
        """Return whether the scores order images and labels, as average precision needs."""
        return self.kind != "label"


@dataclass(frozen=True, slots=True)
class LabelSets:
    """Decoded label sequences. ``sequences`` is (images, longest) int32 in the order emitted, padded with -1.

    ``log_probabilities`` (images,) float64 is the log-probability of each sequence, its END included
    where it was emitted. ``complete`` (images,) bool is false where the node limit of an exact search
    or the maximum length ended the search before END.
    """

    ids: tuple[str, ...]
    sequences: IntArray
    log_probabilities: NDArray[np.float64]
    complete: BoolArray

    def __post_init__(self) -> None:
        count = len(self.ids)
        require(
            self.sequences.ndim == 2 and len(self.sequences) == count,
            f"sequences are {self.sequences.shape} for {count}",
        )
        require(
            self.log_probabilities.shape == (count,) and self.complete.shape == (count,),
            "log_probabilities and complete need one entry per image",
        )
        for array in (self.sequences, self.log_probabilities, self.complete):
            freeze(array)

    def as_matrix(self, labels: int, rows: slice = slice(None)) -> BoolArray:
        """Return the sequences of the images ``rows`` as label sets, (images, ``labels``) bool; repeats count once."""
        sequences = self.sequences[rows]
        matrix = np.zeros((len(sequences), labels + 1), dtype=np.bool_)
        np.put_along_axis(matrix, np.where(sequences < 0, labels, sequences), True, axis=1)
        return matrix[:, :labels]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of a split: scores per label, label sets (images, labels) bool as the protocol reads them.

    ``label_sets`` are the label sequences of a model that makes them; ``statistics`` counts the search's work.
    """

    scores: Scores
    predicted: BoolArray
    label_sets: LabelSets | None = None
    statistics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measures:
    """What a protocol measured: fractions in [0, 1] by metric name, overall and per class (NaN: undefined).

    ``measures["O-F1"]`` is a value by its name, and iteration gives the names; shown in a terminal or a notebook,
    fractions are in percent.
    """

    protocol: str
    values: dict[str, float]
    per_class: dict[str, tuple[float, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> float:
        if name not in self.values:
            raise unknown("measure", name, self.values)
        return self.values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def __repr__(self) -> str:
        wide = max(map(len, self.values), default=0)
        cells = [f"{name:<{wide}} {text:>6}" for name, text in self._shown()]
        lines = ["   ".join(cells[start : start + 3]) for start in range(0, len(cells), 3)]
        return "\n".join([f"{self.protocol}, fractions in percent", *lines, *(f"* {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        from html import escape

        cells = [f'<th style="text-align:left">{escape(name)}</th><td>{text}</td>' for name, text in self._shown()]
        rows = "".join(f"<tr>{''.join(cells[start : start + 3])}</tr>" for start in range(0, len(cells), 3))
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        return f"<div><b>{escape(self.protocol)}</b>, fractions in percent</div><table>{rows}</table><ul>{notes}</ul>"

    def _shown(self) -> list[tuple[str, str]]:
        """Return names and values as tables print them: percent, and the one count as it is."""
        counts = {"labels_per_image"}
        return [
            (name, "-" if isnan(value) else f"{value:.2f}" if name in counts else f"{100 * value:.1f}")
            for name, value in self.values.items()
        ]
