"""An exported model's folder: which files it has, and what each ONNX file says of itself in its metadata.

encoder.onnx          preprocessed images -> scores, or the image terms of a sequence model
pixels.onnx           one raw uint8 image -> the same, its preprocessing inside
step.onnx             sequence models: previous label and state -> term of the prefix, next state
decoder.safetensors   sequence models: output embedding, bias, start states, and prefixes known beforehand
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from bench.errors import ModelError
from bench.records import Activation, Preprocessing, ScoreKind, SearchOptions

FORMAT = 1
"""Version of the folder's layout and metadata. A folder of a newer one is refused, never guessed at."""

KEY = "multilabel-bench"
"""The ONNX metadata property that holds the description, as JSON."""

ENCODER, PIXELS, STEP, DECODER = "encoder.onnx", "pixels.onnx", "step.onnx", "decoder.safetensors"


@dataclass(frozen=True, slots=True)
class Description:
    """What a user of an exported model must know; the same in every ONNX file of a folder.

    ``labels`` are in the order of the scores. ``k`` is how many labels the protocol takes from scores, and
    ``threshold`` the score from which a label is more likely present than not, ``None`` where scores have none.
    ``search``, ``activation`` and ``sees_image`` belong to sequence models and are ``None`` elsewhere.
    """

    model: str
    kind: Literal["scores", "sequence"]
    labels: tuple[str, ...]
    score_kind: ScoreKind
    preprocessing: Preprocessing
    protocol: str
    k: int
    threshold: float | None
    search: SearchOptions | None
    activation: Activation | None
    sees_image: bool | None
    precision: Literal["fp32", "fp16"]
    weights_hash: str
    run: str
    versions: Mapping[str, str]

    def to_json(self) -> str:
        """Return the metadata property's value."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        values["preprocessing"] = asdict(self.preprocessing)
        values["search"] = asdict(self.search) if self.search else None
        return json.dumps({"format": FORMAT, **values}, ensure_ascii=False)


def parse(text: str | None, path: Path) -> Description:
    """Return the description in a metadata property; raises ``ModelError`` naming what is wrong with ``path``."""
    if text is None:
        raise ModelError(
            f"{path} has no '{KEY}' metadata: it was not written by bench. Try: bench export RUN --out DIR"
        )
    try:
        values: dict[str, Any] = json.loads(text)
        version = int(values.pop("format"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: its metadata is damaged. Try: bench export RUN --out DIR") from error
    if version > FORMAT:
        raise ModelError(
            f"{path} was written by a newer bench: format {version}, this one reads up to {FORMAT}."
            " Try: pip install --upgrade multilabel-bench"
        )
    try:
        preprocessing = values["preprocessing"]
        for name in ("mean", "std"):
            preprocessing[name] = tuple(preprocessing[name])
        values |= {
            "labels": tuple(values["labels"]),
            "preprocessing": Preprocessing(**preprocessing),
            "search": SearchOptions(**values["search"]) if values["search"] else None,
        }
        return Description(**values)
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: its metadata is incomplete ({error}). Try: bench export RUN --out DIR") from error


def find(folder: Path, name: str = ENCODER) -> Path:
    """Return the path of file ``name`` in ``folder``; raises ``ModelError`` where there is none."""
    path = folder / name
    if not path.is_file():
        raise ModelError(f"no exported model at {folder}: {name} is absent. Try: bench export RUN --out {folder}")
    return path
