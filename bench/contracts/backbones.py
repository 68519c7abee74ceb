"""Image networks as plugins give them: a light spec, whose ``build`` returns the frozen network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.contracts.api import API_VERSION
from bench.options import Option, OptionValue, given

if TYPE_CHECKING:
    import torch

    from bench.records import Preprocessing


@dataclass(frozen=True, slots=True)
class BackboneRequest:
    """What a backbone is built from. ``variant`` is what follows the slash in ``--backbone timm/resnet18``."""

    options: Mapping[str, OptionValue]
    weights: Path | None
    cache: Path
    variant: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", given(self.options))


@dataclass(frozen=True, slots=True)
class Backbone:
    """A built image network: ``module`` maps (n, 3, size, size) float32 to (n, ``dimensions``) float32.

    With ``feature_map``, (channels, height, width), it gives maps of that shape instead, a vector for each place;
    ``dimensions`` are then the channels. A backbone that can give both has ``MAP_OPTION`` among its options.
    ``weights_hash`` is over the parameters themselves, so the same file under another name is the same backbone. Of a
    third party the host hashes them, and a file of them, as well, and finds cached features by its options and variant.
    ``code``, a hash of the code that its features depend on, and ``engine``, what computes them (``torch``, ``onnx`` or
    ``onnx-fp16``), are set by the host.
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
    feature_map: tuple[int, int, int] | None = None
    engine: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of one image's features."""
        return self.feature_map or (self.dimensions,)


MAP_OPTION = Option(
    "features",
    "vector",
    "a vector for each image, or the last feature map, a vector for each place; a model that takes maps is given them",
    choices=("vector", "map"),
)
"""The option of backbones that can give their last feature map; the host sets it as the model needs."""


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """A backbone. ``family=True``: ``--backbone name/variant`` passes the variant on to ``build``."""

    name: str
    summary: str
    build: Callable[[BackboneRequest], Backbone]
    options: tuple[Option, ...] = ()
    family: bool = False
    source: str = ""
    api_version: int = API_VERSION
