"""What flows from stage to stage: frozen records that check themselves once, when built.

Arrays follow one convention everywhere: the first axis is the image, the second the label, in the
order of ``ids`` and ``labels``. A record never changes after it is built; its arrays are read-only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]

ScoreKind = Literal["logit", "log_probability", "probability", "margin"]
"""What a score means. Only ``logit`` and ``probability`` have a natural threshold (0 and 0.5)."""


class Images(Protocol):
    """The pictures of one split, read one at a time so that no data set has to fit in memory."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return image ``index`` as RGB, (height, width, 3). Raises ``DataError`` with its path."""
        ...

    def describe(self, index: int) -> str:
        """Return the path, or another name by which a user finds image ``index``."""
        ...

    def content_hash(self) -> str:
        """Return a hash over the pictures' bytes; it is part of the data set's fingerprint."""
        ...


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise DataError(message)


def _freeze(array: NDArray[np.generic]) -> None:
    array.flags.writeable = False


def _check_ids(ids: Sequence[str], owner: str) -> None:
    if len(set(ids)) != len(ids):
        seen: set[str] = set()
        twice = next(i for i in ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
        raise DataError(f"{owner}: image id '{twice}' stands twice; ids must be unique")


@dataclass(frozen=True, slots=True)
class Split:
    """The images of one split and their true labels.

    ``truth`` is (images, labels) bool. ``ignore``, if given, marks (image, label) pairs that count
    neither as positive nor as negative, such as VOC's "difficult only"; it never overlaps ``truth``.
    ``sizes``, if known, is (images, labels) float32: the largest share of the picture's area that one object of
    the label takes, 0 where there is none. It shapes no result, so it is no part of the fingerprint.
    """

    dataset: str
    name: str
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    truth: BoolArray
    images: Images
    ignore: BoolArray | None = None
    sizes: FloatArray | None = None

    def __post_init__(self) -> None:
        where = f"{self.dataset}/{self.name}"
        shape = (len(self.ids), len(self.labels))
        _require(shape[0] > 0, f"{where}: no images")
        _require(shape[1] > 0, f"{where}: no labels")
        _check_ids(self.ids, where)
        _require(len(set(self.labels)) == shape[1], f"{where}: a label name stands twice")
        _require(self.truth.dtype == np.bool_, f"{where}: truth is {self.truth.dtype}, must be bool")
        _require(self.truth.shape == shape, f"{where}: truth is {self.truth.shape}, must be {shape}")
        _require(len(self.images) == shape[0], f"{where}: {len(self.images)} images for {shape[0]} ids")
        _freeze(self.truth)
        if self.ignore is not None:
            _require(
                self.ignore.shape == shape and self.ignore.dtype == np.bool_, f"{where}: ignore must be bool {shape}"
            )
            _require(not bool((self.ignore & self.truth).any()), f"{where}: a pair is both positive and ignored")
            _freeze(self.ignore)
        if self.sizes is not None:
            _require(
                self.sizes.shape == shape and self.sizes.dtype == np.float32, f"{where}: sizes, not float32 {shape}"
            )
            _freeze(self.sizes)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A built data set. Without ``validation``, training holds out a part of ``train``.

    ``protocol`` names the evaluation protocol, as in ``coco-top3@1``; ``variant`` says in one line
    which images, label list and options these are. ``gone`` are images that its lists name and that are not here;
    no split holds them.
    """

    name: str
    variant: str
    train: Split
    test: Split
    protocol: str
    validation: Split | None = None
    source: str = ""
    gone: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for split in (self.validation, self.test):
            if split is not None:
                _require(
                    split.labels == self.train.labels, f"{self.name}: {split.name} and train have different labels"
                )

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the label names in order."""
        return self.train.labels


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """From an RGB image to a backbone's input: resize, crop, scale to [0, 1], subtract mean, divide by std.

    ``crop="center"`` resizes the short side to ``resize`` and cuts the centre; ``crop="squash"``
    resizes to a square and loses the aspect ratio instead of the margins.
    """

    size: int = 224
    resize: int = 256
    crop: Literal["center", "squash"] = "center"
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        _require(0 < self.size <= self.resize or self.crop == "squash", "preprocessing: crop is larger than resize")
        _require(all(value > 0 for value in self.std), "preprocessing: std must be positive")


@dataclass(frozen=True, slots=True)
class Features:
    """Image features from a frozen backbone: ``values`` is (images, dimensions) float32, often memory-mapped."""

    ids: tuple[str, ...]
    values: FloatArray
    fingerprint: str

    def __post_init__(self) -> None:
        _require(self.values.dtype == np.float32, f"features are {self.values.dtype}, must be float32")
        _require(
            self.values.ndim == 2 and len(self.values) == len(self.ids),
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
        _require(self.values.dtype == np.float32, f"scores are {self.values.dtype}, must be float32")
        _require(
            self.values.ndim == 2 and len(self.values) == len(self.ids),
            f"scores are {self.values.shape} for {len(self.ids)} images",
        )
        _require(self.kind in get_args(ScoreKind), f"score kind '{self.kind}' is none of {get_args(ScoreKind)}")
        # The smallest is NaN where any is; a mask of all of them would take as many bytes as there are scores.
        smallest = self.values.min(initial=np.inf)
        _require(not np.isnan(smallest), "scores hold NaN; the model diverged. Try: a lower lr")
        _freeze(self.values)


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
        _require(
            self.sequences.ndim == 2 and len(self.sequences) == count,
            f"sequences are {self.sequences.shape} for {count}",
        )
        _require(
            self.log_probabilities.shape == (count,) and self.complete.shape == (count,),
            "log_probabilities and complete need one entry per image",
        )
        for array in (self.sequences, self.log_probabilities, self.complete):
            _freeze(array)

    def as_matrix(self, labels: int, rows: slice = slice(None)) -> BoolArray:
        """Return the sequences of the images ``rows`` as label sets, (images, ``labels``) bool; repeats count once."""
        sequences = self.sequences[rows]
        matrix = np.zeros((len(sequences), labels + 1), dtype=np.bool_)
        np.put_along_axis(matrix, np.where(sequences < 0, labels, sequences), True, axis=1)
        return matrix[:, :labels]


@dataclass(frozen=True, slots=True)
class Measures:
    """What a protocol measured: fractions in [0, 1] by metric name, overall and per class (NaN: undefined)."""

    protocol: str
    values: dict[str, float]
    per_class: dict[str, tuple[float, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How label sequences are searched; the paper's choices are the defaults (see docs/metrics.md).

    ``end_consumes_slot``: an ended path takes one of the beam's N places in the round it ends.
    ``stop="best"`` ends when no live path beats the best candidate; ``"all"`` when none beats any.
    ``class_score``: how a sequence model scores each label for average precision.
    """

    search: Literal["beam", "exact"] = "beam"
    beam_width: int = 2
    end_consumes_slot: bool = True
    mask_repeats: bool = False
    min_length: int = 0
    max_length: int = 20
    stop: Literal["best", "all"] = "best"
    class_score: Literal["max_over_steps", "first_step", "beam_marginal"] = "max_over_steps"
    node_limit: int = 100_000

    def __post_init__(self) -> None:
        _require(self.beam_width >= 1, f"beam_width is {self.beam_width}, must be >= 1")
        _require(
            0 <= self.min_length <= self.max_length and self.max_length >= 1,
            f"lengths: found {self.min_length}..{self.max_length}, allowed: 0 <= min_length <= max_length",
        )
