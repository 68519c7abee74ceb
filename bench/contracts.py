"""What a plugin returns: light frozen specs, whose ``build`` makes the heavy thing.

A spec's module must import neither torch nor onnxruntime at its top: ``bench list`` reads every
spec in under half a second. Import them inside ``build``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, Field, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args, get_origin, get_type_hints, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bench.errors import UsageError, unknown
from bench.options import Option, OptionValue
from bench.records import Activation, Dataset, FloatArray, Preprocessing, ScoreKind, SearchOptions

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class DatasetRequest:
    """What a data set is built from: its resolved options, ``--data-root``, and the splits asked for.

    ``cache`` is a folder for what saves time when the data set is opened again; ``None``: nothing is kept. What is
    kept there goes through ``bench.kept``, so that damage to it never changes a label.
    """

    options: Mapping[str, OptionValue]
    root: Path | None = None
    train_split: str | None = None
    test_split: str | None = None
    cache: Path | None = None


@dataclass(frozen=True, slots=True)
class Archive:
    """An official archive, unpacked to ``folder`` below the data root. ``md5`` is empty where none is published."""

    url: str
    md5: str = ""
    folder: str = "."


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """A data set. ``expects`` says in one line what lies in the data root; empty: no root is needed.

    ``root_optional``: options may say where the data are instead, and ``build`` refuses a request without either.
    ``backbone`` is the one taken where ``--backbone`` names none. ``variants`` are known sizes: images of train and
    of test, and which published rows such a copy may be compared with. ``without_absent_labels`` is what a user types
    so that labels that have no training image are left out, as in ``--set dataset.absent_labels=drop``.
    """

    name: str
    summary: str
    build: Callable[[DatasetRequest], Dataset]
    options: tuple[Option, ...] = ()
    expects: str = ""
    root_optional: bool = False
    splits: tuple[str, ...] = ()
    backbone: str = "vgg16"
    source: str = ""
    archives: tuple[Archive, ...] = ()
    variants: tuple[tuple[int, int, str], ...] = ()
    without_absent_labels: str = "another train split"


@dataclass(frozen=True, slots=True)
class BackboneRequest:
    """What a backbone is built from. ``variant`` is what follows the slash in ``--backbone timm/resnet18``."""

    options: Mapping[str, OptionValue]
    weights: Path | None
    cache: Path
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Backbone:
    """A built image network: ``module`` maps (n, 3, size, size) float32 to (n, ``dimensions``) float32.

    ``weights_hash`` is over the parameters themselves, so the same file under another name is the same backbone.
    ``code``, a hash of the code that its features depend on, and ``engine``, ``torch`` or ``onnx``, are the host's.
    ``preprocessing_origins`` says in words, by the fields of ``preprocessing``, which file or option each value is
    from. ``notes`` are lines for people, stored with the run: above all, what was assumed since no file says it.
    """

    name: str
    module: torch.nn.Module
    dimensions: int
    preprocessing: Preprocessing
    weights_hash: str
    architecture: str = ""
    code: str = ""
    preprocessing_origins: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    engine: str = ""


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """A backbone. ``family=True``: ``--backbone name/variant`` passes the variant on to ``build``."""

    name: str
    summary: str
    build: Callable[[BackboneRequest], Backbone]
    options: tuple[Option, ...] = ()
    family: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a model is built from. ``label_counts`` is how often each label occurs in the training part."""

    options: Mapping[str, OptionValue]
    dimensions: int
    labels: tuple[str, ...]
    label_counts: tuple[int, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A method. ``row`` is its name in the published tables, if it has one there.

    ``kind="scores"``: one score per label, label sets by the protocol's top k. ``kind="sequence"``:
    label sequences, found by beam search. ``training`` overrides defaults of ``TRAINING_OPTIONS``;
    ``None`` means the model has a ``fit`` of its own and no gradient training: it takes ``FITTING_OPTIONS`` alone.
    """

    name: str
    summary: str
    kind: Literal["scores", "sequence"]
    build: Callable[[ModelRequest], Any]
    options: tuple[Option, ...] = ()
    training: Mapping[str, OptionValue] | None = field(default_factory=dict)
    row: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        known = {option.name for option in TRAINING_OPTIONS}
        for name in self.training or ():
            if name not in known:
                raise unknown(f"training option in model '{self.name}'", name, known)


@runtime_checkable
class ScoreModel(Protocol):
    """A ``torch.nn.Module`` that scores every label.

    ``forward``: (n, dimensions) features -> (n, labels) scores of kind ``score_kind``.
    ``loss``: features, (n, labels) bool truth and a seeded generator -> scalar, mean over the batch.

    A ``loss``, and a ``fit(features, truth)`` where a model has one, that also takes ``ignore`` is given the pairs,
    (n, labels) bool, that are neither positive nor negative, or ``None`` where there is none; whatever truth has there
    must change nothing. A model without it trains on them as negatives, and its runs say so.
    """

    score_kind: ScoreKind

    def forward(self, features: torch.Tensor) -> torch.Tensor: ...
    def loss(self, features: torch.Tensor, truth: torch.Tensor, generator: torch.Generator) -> torch.Tensor: ...


@runtime_checkable
class SequenceModel(Protocol):
    """A ``torch.nn.Module`` that emits labels one after another; index ``labels`` is END, ``labels + 1`` START.

    The logits after a prefix p for image I are ``output @ h(prefix_term(p) + image_term(I)) + bias``.
    ``step`` extends prefixes: previous label (b,) int64 and state (b, S) -> prefix term (b, D), state (b, S).
    ``start_states(features)``: (1, S) where the recurrence never sees the image, else (n, S), ``sees_image``.
    ``output_embedding()``: (labels + 1, D) with END last, and a bias (labels + 1,) or ``None``.
    """

    activation: Activation
    sees_image: bool

    def image_term(self, features: torch.Tensor) -> torch.Tensor: ...
    def start_states(self, features: torch.Tensor) -> torch.Tensor: ...
    def step(self, labels: torch.Tensor, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...
    def output_embedding(self) -> tuple[torch.Tensor, torch.Tensor | None]: ...
    def loss(self, features: torch.Tensor, truth: torch.Tensor, generator: torch.Generator) -> torch.Tensor: ...


class StepNetwork(Protocol):
    """The recurrent part of a trained sequence model as arrays, whoever computes it (torch, ONNX Runtime).

    The decoders know a model only through this: no torch, no plugin.
    """

    activation: Activation
    sees_image: bool
    output: FloatArray
    """(labels + 1, D): the output embedding, END last."""
    bias: FloatArray
    """(labels + 1,); zeros where the model has none."""

    def step(self, labels: Any, states: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return prefix terms (b, D) and states (b, S) after ``labels`` (b,) int64 from ``states`` (b, S)."""
        ...


Direction = Literal["higher", "lower", "none"]
"""Which values of a metric are the better ones; ``none``: neither, as of a mean number of labels."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: all that measuring, tables, reports, error bars and trackers know of it.

    ``name`` is its key in measures.json, and what ``bench table --columns`` takes. ``function`` takes a
    ``bench.Evaluation`` and returns a number; NaN: undefined. ``meaning`` is one sentence for readers, without its full
    stop. A value is printed times ``scale`` with ``digits`` decimals: fractions are stored, percent is shown.
    ``column`` is its heading in every table and report; empty: it is shown where its name is asked for.
    ``resampled`` takes a ``bench.evaluation.resample.Resample`` and returns the metric in each resample of the test
    images, (resamples,) float64, or ``None`` where the run lacks what it needs; without it there are no error bars.
    Raises ``UsageError`` for a field that is none of what is allowed.
    """

    name: str
    function: Callable[[Any], float]
    meaning: str
    _: KW_ONLY
    direction: Direction = "higher"
    digits: int = 1
    scale: float = 100.0
    column: str = ""
    resampled: Callable[[Any], NDArray[np.float64] | None] | None = None

    def __post_init__(self) -> None:
        for what, name in (("name", self.name), ("column", self.column or self.name)):
            if not name or any(mark in ",|" or mark.isspace() for mark in name):
                raise UsageError(f"metric '{self.name}': {what} '{name}', allowed: text without spaces, commas and |")
        if not self.meaning.strip() or self.meaning.endswith("."):
            raise UsageError(f"metric '{self.name}': meaning '{self.meaning}', allowed: text, no full stop")
        if self.direction not in get_args(Direction):
            allowed = ", ".join(get_args(Direction))
            raise UsageError(f"metric '{self.name}': direction '{self.direction}', allowed: {allowed}")
        if isinstance(self.digits, bool) or not isinstance(self.digits, int) or self.digits < 0:
            raise UsageError(f"metric '{self.name}': digits {self.digits!r}, allowed: a whole number >= 0")
        if not 0 < self.scale < math.inf:
            raise UsageError(f"metric '{self.name}': scale {self.scale!r}, allowed: above 0, as 100 for percent")
        if not callable(self.function) or not (self.resampled is None or callable(self.resampled)):
            raise UsageError(f"metric '{self.name}': function and resampled must be callable")

    @property
    def heading(self) -> str:
        """Return what stands above its column."""
        return self.column or self.name

    def shown(self, value: float, more_digits: int = 0) -> str:
        """Return ``value`` as it is printed, in the unit shown.

        >>> Metric("C-F1", lambda evaluation: 0.5, "Harmonic mean of C-P and C-R").shown(0.6044)
        '60.4'
        """
        return f"{self.scale * value:.{self.digits + more_digits}f}"


@dataclass(frozen=True, slots=True)
class Series:
    """One curve of a run's training: a value at each epoch, counted from 1.

    ``training/loss``, ``training/learning_rate`` and ``validation/score`` are of the learning rate that was kept;
    those of another one tried begin with it, as in ``tried lr 0.0003/training/loss``.
    """

    name: str
    epochs: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TrackedTable:
    """A table as rows of texts and numbers; ``None``: undefined. Tables of one ``key`` are the same table, made anew.

    Numbers are in the units that ``title`` names, unrounded. ``notes`` are what a reader must know beside them.
    """

    key: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """What is stored of a finished run, as trackers take it. ``key`` is the hash of its config, 16 hex digits.

    ``config`` is flat, as in ``model.options.cell``; lists are JSON texts. ``measures`` are as in measures.json,
    fractions by name; undefined ones are absent. ``finished`` is when, in seconds since 1970.
    """

    key: str
    dataset: str
    model: str
    seed: int
    finished: float
    config: Mapping[str, OptionValue]
    series: tuple[Series, ...]
    measures: Mapping[str, float]
    per_class: TrackedTable


@dataclass(frozen=True, slots=True)
class TrackerRequest:
    """How a tracker is opened: its resolved options, and a folder of its own for what it keeps on this machine."""

    options: Mapping[str, OptionValue]
    folder: Path


class Tracker(Protocol):
    """An open tracker. Told of the same key again, it replaces what it holds, so that nothing stands twice.

    Both return where a user finds it: a path or an address. Whatever they raise is one line to the user.
    """

    def run(self, run: TrackedRun) -> str: ...
    def table(self, table: TrackedTable) -> str: ...


@dataclass(frozen=True, slots=True)
class TrackerSpec:
    """A place that experiments are followed in. ``requires`` is what pip installs where ``open`` lacks a package."""

    name: str
    summary: str
    open: Callable[[TrackerRequest], Tracker]
    options: tuple[Option, ...] = ()
    requires: str = ""
    source: str = ""


SELECTING = ("O-F1", "C-F1", "mAP", "MAP@10")
"""Metrics, as the protocol defines them, that learning rate and stopping can be chosen by."""


FITTING_OPTIONS: tuple[Option, ...] = (
    Option(
        "ignored",
        "leave_out",
        "training pairs of a data set's ignore mask, as VOC's difficult: neither positive nor negative, or one of them",
        choices=("leave_out", "negative", "positive"),
    ),
)
"""Options of every model, whether it is trained by gradients or has a ``fit`` of its own."""


TRAINING_OPTIONS: tuple[Option, ...] = (
    *FITTING_OPTIONS,
    Option("epochs", 60, "largest number of passes over the training part", minimum=1),
    Option("batch_size", 128, "images per update", minimum=1),
    Option("learning_rates", "1e-3", "comma-separated; each is tried, the best on the validation part is kept"),
    Option("optimizer", "rmsprop", "update rule", choices=("rmsprop", "adam", "sgd")),
    Option("momentum", 0.9, "momentum of rmsprop and sgd", minimum=0.0, maximum=0.999),
    Option("weight_decay", 1e-4, "L2 penalty", minimum=0.0),
    Option("clip_norm", 5.0, "largest gradient norm; 0 turns clipping off", minimum=0.0),
    Option("patience", 6, "epochs without a better validation score before training stops", minimum=1),
    Option("halve_after", 3, "epochs without a better validation score before the learning rate is halved", minimum=1),
    Option("select_by", "O-F1", "validation score: the metric that is maximised", choices=SELECTING),
)
"""Options of gradient training that every gradient-trained model takes; paper.md section 2 marks each as free."""


BY_PROTOCOL = "protocol"
"""Where a user does not say, the protocol does: this word, or -1 for a number."""


def left_to_protocol(name: str, value: OptionValue) -> bool:
    """Return whether the search option ``name`` with this value means: as the protocol says."""
    return name in _PROTOCOL_DECIDES and value in {-1, BY_PROTOCOL}


_PROTOCOL_DECIDES = {entry.name for entry in fields(SearchOptions) if entry.metadata["by_protocol"]}


def _search_option(entry: Field[Any], kind: Any) -> Option:
    """Return a field of ``SearchOptions`` as what ``--set`` takes."""
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    default: Any = entry.default
    meaning, minimum = entry.metadata["meaning"], entry.metadata["minimum"]
    if not entry.metadata["by_protocol"]:
        return Option(entry.name, default, meaning, choices, minimum)
    if choices:
        return Option(entry.name, BY_PROTOCOL, meaning, (BY_PROTOCOL, *choices))
    return Option(entry.name, -1, f"{meaning}; -1: as the protocol says", minimum=-1)


SEARCH_OPTIONS: tuple[Option, ...] = tuple(
    _search_option(entry, get_type_hints(SearchOptions)[entry.name]) for entry in fields(SearchOptions)
)
"""Options of the label-sequence search that every sequence model takes; see ``SearchOptions``."""
