"""Methods as plugins give them: a light spec, and what the model that its ``build`` returns must have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args, runtime_checkable

from bench.contracts.api import API_VERSION
from bench.contracts.spaces import Dimension
from bench.contracts.training_options import TRAINING_OPTIONS
from bench.errors import UsageError, unknown
from bench.options import Option, OptionValue, given

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from bench.records import Activation, BoolArray, FloatArray, ScoreKind


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a model is built from. ``label_counts`` is how often each label occurs in the training part.

    ``feature_map`` is (channels, height, width) for a model that takes maps, whose ``dimensions`` are the channels.
    ``options`` are read-only, and a run notes an option that was set and never read.
    """

    options: Mapping[str, OptionValue]
    dimensions: int
    labels: tuple[str, ...]
    label_counts: tuple[int, ...]
    seed: int
    feature_map: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", given(self.options))


ModelKind = Literal["scores", "sets", "sequence"]
"""What a model gives of an image: scores alone, scores and a label set of its own, or a label sequence."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A method. ``row`` is its name in the published tables, if it has one there.

    ``kind="scores"``: one score per label, label sets by the protocol's top k. ``kind="sets"``: scores, and label sets
    of its own (``SetModel``). ``kind="sequence"``: label sequences, found by beam search.
    ``training`` overrides defaults of ``TRAINING_OPTIONS``; ``None`` means the model has a ``fit`` of its own and
    no gradient training: it takes ``FITTING_OPTIONS`` alone.
    ``feature_maps``: wherever others take (n, dimensions) features, this one takes (n, channels, height, width):
    float32 tensors, and in ``fit`` a float16 array, which is memory-mapped and may be larger than memory.
    ``known_tags``: it is told some labels of each image before it predicts (``ScoreModel``).
    ``deviations``: where the method is not that of its source, as sentences without the last full stop: a footnote of
    every table that has its row. ``backbone`` is the one taken where ``--backbone`` names none, in place of the data
    set's, which ``{}`` stands for, as in ``crops/{}``; ``finetune`` the epochs where ``--finetune`` says none.
    ``searching`` overrides defaults of the search of a sequence model, ``SearchOptions``.
    ``space`` is what ``--trials`` chooses from: options of the model, its training or its search; see docs/plugins.md.
    ``deterministic``: every seed gives the same model, so that ``--seeds N`` makes one run of it.
    Where it is empty, ``exempt`` says why there is nothing to choose, as a part of a sentence: "it has no options".
    ``every_table``: it is what any method must beat, so that ``bench compare`` adds it and the paper's tables have a
    line for it; it need not look at the image.
    """

    name: str
    summary: str
    kind: ModelKind
    build: Callable[[ModelRequest], Any]
    options: tuple[Option, ...] = ()
    training: Mapping[str, OptionValue] | None = field(default_factory=dict)
    row: str = ""
    source: str = ""
    feature_maps: bool = False
    known_tags: bool = False
    deviations: str = ""
    backbone: str = ""
    finetune: int = 0
    space: tuple[Dimension, ...] = ()
    searching: Mapping[str, OptionValue] = field(default_factory=dict)
    deterministic: bool = False
    exempt: str = ""
    every_table: bool = False
    api_version: int = API_VERSION

    def __post_init__(self) -> None:
        if self.kind not in get_args(ModelKind):
            raise UsageError(f"model '{self.name}': kind '{self.kind}', allowed: {', '.join(get_args(ModelKind))}")
        if self.known_tags and self.kind == "sequence":
            raise UsageError(f"model '{self.name}': known_tags of kind 'sequence', allowed: of 'scores' and 'sets'")
        known = {option.name for option in TRAINING_OPTIONS}
        for name in self.training or ():
            if name not in known:
                raise unknown(f"training option in model '{self.name}'", name, known)
        if self.searching and self.kind != "sequence":
            raise UsageError(f"model '{self.name}': search options of kind '{self.kind}', allowed: of 'sequence'")

    @property
    def exemption(self) -> str:
        """Return why trials choose nothing of the model, as a part of a sentence; empty: they do."""
        return "" if self.space else self.exempt or "it declares no search space"


@dataclass(frozen=True, slots=True)
class Validation:
    """The validation part, for a ``fit`` or ``calibrate`` that takes it; nothing of the test part is in it.

    ``features`` (images, dimensions) as in ``fit``, ``truth`` (images, labels) bool, ``ignore`` the pairs that count
    not at all, or ``None``; ``known`` what a model of known tags is told. ``score(model)`` is the metric that training
    is chosen by, of the model as it stands.
    """

    features: FloatArray
    truth: BoolArray
    ignore: BoolArray | None
    score: Callable[[Any], float]
    known: BoolArray | None = None


@runtime_checkable
class ScoreModel(Protocol):
    """A ``torch.nn.Module`` that scores every label.

    ``forward``: (n, dimensions) features -> (n, labels) scores of kind ``score_kind``.
    ``loss``: features, (n, labels) bool truth and a seeded generator -> scalar, mean over the batch.

    A ``loss``, and a ``fit(features, truth)`` where a model has one, that also takes ``ignore`` is given the pairs,
    (n, labels) bool, that are neither positive nor negative, or ``None`` where there is none; whatever truth has there
    must change nothing. A model without it trains on them as negatives, and its runs say so.
    A ``loss`` that takes ``gradients`` is trained with it true: it then sets the gradient of each parameter itself, and
    what it returns need not lead back to them. That is for gradients known in closed form: autograd costs a small model
    more than its arithmetic.
    A ``fit`` that takes ``validation`` is given the validation part (``Validation``), to stop early or to choose by,
    unless the model has an attribute ``chooses`` that is ``False``: then its options leave nothing to choose. What it
    chose of them, an attribute ``chosen``, a mapping, tells afterwards: ``bench config`` shows it. So is
    ``calibrate(validation)``, where a model that is trained by gradients has one: it is called after each epoch, before
    the model is judged, and what it chooses belongs to a buffer.

    Where the spec says ``known_tags``, it is ``forward(features, known=None)``: (n, labels) bool, true labels of each
    image that are known beforehand, a share of them by option ``known_share``; ``None``: nothing is known. (Of a model
    of arrays, ``scores(features, known=None)``.) Known pairs are in no label set and in no metric. In ``loss`` and
    ``fit`` it is told all of truth, and hides what it likes.
    """

    score_kind: ScoreKind

    def forward(self, features: torch.Tensor) -> torch.Tensor: ...
    def loss(self, features: torch.Tensor, truth: torch.Tensor, generator: torch.Generator) -> torch.Tensor: ...


@runtime_checkable
class SetModel(ScoreModel, Protocol):
    """A ``ScoreModel`` that decides for itself which labels an image has: a classifier chain, thresholds, a policy.

    ``label_sets``: (n, dimensions) features and the scores that ``forward`` gave for them -> (n, labels) bool, of any
    size. They take the place of the protocol's top k in every metric of label sets, and tables say so.
    """

    def label_sets(self, features: torch.Tensor, scores: torch.Tensor) -> torch.Tensor: ...


@runtime_checkable
class ArrayModel(Protocol):
    """A model that is no torch module, of kind ``scores`` or ``sets``: arrays in, arrays out.

    ``fit``: (images, dimensions) features, (images, labels) bool truth, and ``ignore`` and ``validation`` where it
    takes them, as of a ``ScoreModel``; its spec has ``training=None``. ``scores``: (n, dimensions) features ->
    (n, labels) floats of kind ``score_kind``. ``state`` is all that ``fit`` found, as arrays of numbers, which are
    stored as safetensors; ``load_state`` takes it into a model just built. For kind ``sets`` there is
    ``label_sets(features, scores)``, (n, labels) bool.
    ``to_export(opset)``, where there is one, returns what computes the same: a torch module with the same methods, or
    an ``onnx.ModelProto`` of that opset from ``features`` to ``scores`` (and ``label_sets``). What it raises, or that
    there is none, is the reason why the model is not exported.
    """

    score_kind: ScoreKind

    def fit(self, features: FloatArray, truth: BoolArray) -> None: ...
    def scores(self, features: FloatArray) -> FloatArray: ...
    def state(self) -> Mapping[str, NDArray[Any]]: ...
    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None: ...


@runtime_checkable
class SequenceModel(Protocol):
    """A ``torch.nn.Module`` that emits labels one after another; index ``labels`` is END, ``labels + 1`` START.

    The logits after a prefix p for image I are ``output @ h(prefix_term(p) + image_term(I)) + bias``.
    ``step`` extends prefixes: previous label (b,) int64 and state (b, S) -> prefix term (b, D), state (b, S).
    ``start_states(features)``: (1, S) where the recurrence never sees the image, else (n, S), ``sees_image``.
    ``output_embedding()``: (labels + 1, D) with END last, and a bias (labels + 1,) or ``None``.

    A recurrence that sees the image at every step has ``annotations(features)`` -> (n, ...), what it sees of each
    image, and ``step(labels, states, annotations)``, whose last argument is (b, ...), of the image of each prefix;
    ``sees_image`` is then true. The prefix term may depend on the image too, so that any logits can be had: with D of
    labels + 1, the identity as ``output_embedding`` and zeros as ``image_term``, the prefix term is the logits.
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
