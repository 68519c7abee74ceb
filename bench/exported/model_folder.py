"""An exported model's folder: which files it has, and what each ONNX file says of itself in its metadata.

encoder.onnx          preprocessed images -> scores, and label sets where the model has its own; or the image terms of
                      a sequence model, and where its memory sees the image, also the state that each image starts from
                      and what each step sees of it
pixels.onnx           one raw uint8 image -> the same, its preprocessing inside
step.onnx             sequence models: previous label and state, perhaps what it sees -> term of the prefix, next state
decoder.safetensors   sequence models: output embedding, bias, start states, and prefixes known beforehand
manifest.json         the SHA-256 of every other file, the description, and what was checked: bench/exported/manifest.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from bench.contracts import HOST_DECODER, ModelKind
from bench.errors import BenchError, ModelError
from bench.evaluation import calibration
from bench.exported.policy import ExportedPolicy
from bench.records import Activation, Preprocessing, ScoreKind, SearchOptions
from bench.records.checks import require
from bench.records.field_types import wrong_field

FORMAT = 4
"""Version of the folder's layout and metadata. A folder of another one is refused, never guessed at."""

KEY = "multilabel-bench"
"""The ONNX metadata property that holds the description, as JSON."""

ENCODER, PIXELS, STEP, DECODER = "encoder.onnx", "pixels.onnx", "step.onnx", "decoder.safetensors"

SHAPES = ("annotations", "feature_map")
"""Fields of a description that are shapes, or ``None``."""

LARGEST = {"beam_width": 1_000_000, "max_length": 1_000_000, "node_limit": 2**31 - 1}
"""Most that a description may ask of a search: memory is finite."""

LARGEST_SIDE = 16_384
"""Largest side of a resized image that a description may ask for, in pixels."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a user of an exported model must know; the same in every ONNX file of a folder.

    ``labels`` are in the order of the scores. ``policy`` is how label sets are read off scores or sequences; ``k`` is
    how many labels the protocol takes from scores, and of a sequence where ``cut_to_k``; ``threshold`` is the score
    from which a label is more likely present than not, ``None`` where scores have none. ``search``, ``activation`` and
    ``sees_image`` belong to sequence models and are ``None`` elsewhere. ``annotations`` is the shape of what every step
    sees of one image, where a model's steps do; ``feature_map`` that of the maps that the model takes, which are
    rounded to half precision.
    Raises ``DataError`` for a value that is none of what is allowed.
    """

    model: str
    kind: ModelKind
    labels: tuple[str, ...]
    score_kind: ScoreKind
    preprocessing: Preprocessing
    protocol: str
    k: int
    cut_to_k: bool
    threshold: float | None
    search: SearchOptions | None
    activation: Activation | None
    sees_image: bool | None
    precision: Literal["fp32", "fp16"]
    weights_hash: str
    run: str
    versions: Mapping[str, str]
    annotations: tuple[int, ...] | None = None
    feature_map: tuple[int, ...] | None = None
    policy: ExportedPolicy | None = None

    def __post_init__(self) -> None:
        check_fields(self, "")
        check_fields(self.preprocessing, "preprocessing ")
        require(len(self.labels) > 0, "labels: there is none")
        require(1 <= self.k <= len(self.labels), f"k is {self.k}, allowed: 1 to {len(self.labels)}, the labels")
        sequence = self.kind == "sequence"
        for name in ("search", "activation", "sees_image"):
            present = getattr(self, name) is not None
            require(present == sequence, f"{name} is {'given' if present else 'absent'} of a model of kind {self.kind}")
        require(self.annotations is None or self.sees_image is True, "annotations of a model that sees no image")
        if self.policy is not None and self.policy.of_goals:
            state, wanted = self.policy.arrays(), (len(self.labels),)
            found = state["thresholds"].shape
            require(found == wanted, f"policy thresholds of shape {found}, allowed: {wanted}, one for each label")
            require(calibration.fits(state, len(self.labels)), "policy: its calibration is none of these labels")
        largest = max(self.preprocessing.size, self.preprocessing.resize)
        require(0 < largest <= LARGEST_SIDE, f"images of {largest} pixels, allowed: 1 to {LARGEST_SIDE}")
        if self.search is not None:
            check_fields(self.search, "search ")
            require(self.search.decoder == HOST_DECODER, f"search decoder is {self.search.decoder}, a plugin's")
            for name, most in LARGEST.items():
                value = getattr(self.search, name)
                require(value <= most, f"search {name} is {value}, allowed: up to {most:,}")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Return the names of what ``encoder.onnx`` gives, in order."""
        if self.kind == "sequence":
            seen = ("start_states",) if self.sees_image else ()
            return ("image_terms", *seen, *(("annotations",) if self.annotations is not None else ()))
        return ("scores", "label_sets") if self.kind == "sets" else ("scores",)

    def to_json(self) -> str:
        """Return the metadata property's value."""
        return json.dumps({"format": FORMAT, **self.to_values()})

    def to_values(self) -> dict[str, Any]:
        """Return what JSON holds of the description, for ``from_values``."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        values["labels"], values["versions"] = list(self.labels), dict(self.versions)
        values["preprocessing"] = asdict(self.preprocessing)
        for name in ("mean", "std"):
            values["preprocessing"][name] = list(values["preprocessing"][name])
        for name in SHAPES:
            values[name] = None if values[name] is None else list(values[name])
        values["search"] = asdict(self.search) if self.search else None
        values["policy"] = self.policy.to_values() if self.policy else None
        return values


def from_values(values: Any, path: Path) -> Description:
    """Return what ``Description.to_values`` gave; raises ``ModelError`` naming what is wrong with it in ``path``."""
    try:
        preprocessing, search = dict(values["preprocessing"]), values["search"]
        for name in ("mean", "std"):
            preprocessing[name] = tuple(preprocessing[name])
        shapes = {name: tuple(values[name]) if isinstance(values[name], list) else values[name] for name in SHAPES}
        built = shapes | {
            "labels": tuple(values["labels"]) if isinstance(values["labels"], list) else values["labels"],
            "preprocessing": Preprocessing(**preprocessing),
            "search": None if search is None else SearchOptions(**search),
            "policy": None if values["policy"] is None else ExportedPolicy(**values["policy"]),
        }
        return Description(**(values | built))
    except KeyError as error:
        reason = f"it lacks {error}"
    except (BenchError, ValueError, TypeError, AttributeError) as error:
        reason = str(error)
    raise ModelError(f"{path}: its description is damaged: {_short(reason)}. Try: bench export RUN --out DIR")


def parse(text: str | None, path: Path) -> Description:
    """Return the description in a metadata property; raises ``ModelError`` naming what is wrong with ``path``."""
    if text is None:
        raise ModelError(
            f"{path} has no '{KEY}' metadata: it was not written by bench. Try: bench export RUN --out DIR"
        )
    values = parse_json(text, path)
    check_format(values.pop("format", None), path)
    return from_values(values, path)


def parse_json(text: str | bytes, path: Path) -> dict[str, Any]:
    """Return the JSON object in ``text``; raises ``ModelError`` where it is none."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ModelError(f"{path} is damaged: {_short(reason)}. Try: bench export RUN --out DIR") from error
    if not isinstance(values, dict):
        raise ModelError(f"{path} is damaged: found no JSON object. Try: bench export RUN --out DIR")
    return values


def check_format(found: Any, path: Path) -> None:
    """Raise ``ModelError`` unless ``found`` is the version of the layout that this bench reads."""
    if isinstance(found, bool) or not isinstance(found, int):
        raise ModelError(f"{path} is damaged: its format is {_short(repr(found))}. Try: bench export RUN --out DIR")
    if found > FORMAT:
        raise ModelError(
            f"{path} was written by a newer bench: format {_short(str(found))}, this one reads {FORMAT}."
            " Try: pip install --upgrade multilabel-bench"
        )
    if found < FORMAT:
        raise ModelError(
            f"{path} was written by an older bench: format {_short(str(found))}, this one reads {FORMAT}."
            " Try: bench export RUN --out DIR"
        )


def find(folder: Path, name: str = ENCODER) -> Path:
    """Return the path of file ``name`` in ``folder``; raises ``ModelError`` where there is none."""
    path = folder / name
    if not path.is_file():
        raise ModelError(f"no exported model at {folder}: {name} is absent. Try: bench export RUN --out DIR")
    return path


def check_fields(record: Any, where: str) -> None:
    """Raise ``DataError`` for a field of ``record`` whose value is not of the type it was declared with."""
    fault = wrong_field(record)
    require(not fault, f"{where}{fault}")


def _short(text: str) -> str:
    """Return ``text`` on one line, of a length that a terminal shows."""
    line = " ".join(text.split())
    return line if len(line) <= 120 else f"{line[:117]}..."
