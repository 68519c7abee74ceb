"""A backbone under its checks: built as the host builds it, asked on made-up pictures."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.assembly import make_backbone
from bench.contracts import Backbone, BackboneRequest, BackboneSpec
from bench.errors import NotRun
from bench.model import encoding, engine, train
from bench.options import OptionValue
from bench.plugins import Found, Origin
from bench.records import FloatArray
from bench.testing.checks import Table, require
from bench.testing.common import add_common, pickled

BATCH = 4
"""Pictures at once, the last batch padded."""


@dataclass(slots=True)
class BackbonePart:
    """One backbone under its checks, with its options, resolved, the variant of a family, and a weights file."""

    spec: BackboneSpec
    origin: Origin | str
    options: Mapping[str, OptionValue]
    variant: str = ""
    weights: Path | None = None
    kind: str = "backbone"
    folders: tuple[str, ...] = ("cache",)
    _built: Backbone | None = field(default=None)

    @property
    def name(self) -> str:
        """Return what a user types."""
        return f"{self.spec.name}/{self.variant}" if self.variant else self.spec.name

    def build(self) -> Backbone:
        """Return the backbone, built anew."""
        if self.spec.family and not self.variant:
            raise NotRun(f"it is a family, of which one is checked. Try: bench plugin check {self.spec.name}/NAME")
        found: Any = Found(self.spec, self.origin)  # type: ignore[arg-type]
        return make_backbone(found, self.request)

    @property
    def request(self) -> BackboneRequest:
        """Return what the backbone is built from."""
        return BackboneRequest(self.options, self.weights, Path("cache").absolute(), self.variant)

    @property
    def backbone(self) -> Backbone:
        """Return the backbone, built once, in eval mode as the host uses it."""
        if self._built is None:
            self._built = self.build()
        self._built.module.eval()
        return self._built

    def pixels(self, images: int = BATCH) -> FloatArray:
        """Return made-up pictures, preprocessed."""
        side = self.backbone.preprocessing.size
        return np.random.default_rng(0).standard_normal((images, 3, side, side), dtype=np.float32)

    def features(self, pixels: FloatArray) -> FloatArray:
        """Return the features of ``pixels``."""
        return engine.forward(self.backbone, pixels)


BACKBONE_CHECKS = Table()
check = BACKBONE_CHECKS.check


def _apart(one: FloatArray, other: FloatArray) -> float:
    return float(np.abs(one - other).max() / max(float(np.abs(one).max()), 1e-6))


@check("build gives a bench.Backbone with a torch module", remedy="see bench.Backbone")
def builds(part: BackbonePart) -> str:  # noqa: D103 - the claim says it, here and below
    return f"{part.backbone.dimensions} dimensions, pictures of {part.backbone.preprocessing.size} pixels"


@check(
    "features have the shape that is declared, and are finite",
    remedy="cut the classifier off, and pool to (n, dimensions); or declare feature_map",
    needs=["builds"],
)
def features_have_their_shape(part: BackbonePart) -> None:  # noqa: D103
    part.features(part.pixels())


@check(
    "black and white pictures have finite features too",
    remedy="clamp deviations before you divide by them",
    needs=["features_have_their_shape"],
)
def flat_pictures(part: BackbonePart) -> None:  # noqa: D103
    for value in (-2.0, 0.0, 2.0):
        part.features(np.full_like(part.pixels(2), value))


@check(
    "built again it is the same network, by its hash and by its features",
    remedy="draw weights from a seed, read weights from a file, and hash the tensors",
    needs=["features_have_their_shape"],
)
def built_again_it_is_the_same(part: BackbonePart) -> None:  # noqa: D103
    before, pixels, again = part.backbone, part.pixels(), part.build()
    for name in ("weights_hash", "architecture", "dimensions", "preprocessing"):
        one, other = getattr(before, name), getattr(again, name)
        require(one == other, f"{name} is {other}, before: {one}")
    again.module.eval()
    apart = _apart(part.features(pixels), engine.forward(again, pixels))
    require(apart <= encoding.ALONE, f"features differ by {apart:.1e} of the largest, with one hash")


@check(
    "what it says of an image depends on neither chance nor the other images of its batch",
    remedy="everything in eval mode: batch norm takes the statistics of training, dropout is off",
    needs=["flat_pictures"],
)
def images_stand_alone(part: BackbonePart) -> None:  # noqa: D103
    encoding.check_rows_alone(part.features, part.pixels(2))


@check(
    "an image gets the same features wherever in a batch it stands",
    remedy="treat every row of a batch alike; rows after the last image are zeros",
    needs=["images_stand_alone"],
)
def border_of_a_batch(part: BackbonePart) -> None:  # noqa: D103
    pixels = np.repeat(part.pixels(1), BATCH, axis=0)
    found = part.features(pixels)
    apart = [_apart(found[0], row) for row in found]
    worst = int(np.argmax(apart))
    require(apart[worst] <= encoding.ALONE, f"features of one image differ in row {worst} by {apart[worst]:.1e}")


@check(
    "a copy with its weights loaded is the same network",
    remedy="register what the network keeps: nn.Parameter, or self.register_buffer(name, tensor)",
    needs=["images_stand_alone"],
)
def state_survives_a_copy(part: BackbonePart) -> None:  # noqa: D103
    import torch

    pixels, content = part.pixels(2), train.save_weights(part.backbone.module)
    expected, module = part.features(pixels), part.build().module.eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    for other in (module, copy.deepcopy(part.backbone.module)):
        train.load_weights(other, content)
        with torch.inference_mode():
            found = other(torch.from_numpy(pixels)).float().numpy()
        require(_apart(expected, found) <= encoding.ALONE, "with the same weights it gives other features")


def _used(part: BackbonePart) -> None:
    # By its own build: the border of the host's would put back what is looked for.
    built = part.spec.build(part.request)
    built.module.eval()
    engine.forward(built, part.pixels(2))


add_common(BACKBONE_CHECKS, _used, "features_have_their_shape")


@check(
    "it can be pickled, as workers need it",
    remedy="keep functions of modules, not lambdas and local functions, in the network; name classes at the top",
    needs=["features_have_their_shape"],
)
def pickles(part: BackbonePart) -> None:  # noqa: D103
    import torch

    pixels, module = part.pixels(2), pickled(part.backbone.module)
    with torch.inference_mode():
        found = module(torch.from_numpy(pixels)).float().numpy()
    require(_apart(part.features(pixels), found) <= encoding.ALONE, "pickled it gives other features")


@check(
    "exported to ONNX it says what torch says, at several batch sizes",
    remedy="no Python numbers of tensors (item, int, len of a batch) in forward; see torch.onnx",
    needs=["border_of_a_batch"],
)
def exports(part: BackbonePart) -> None:  # noqa: D103
    import torch

    from bench.exported.export import TOLERANCE
    from bench.exported.stored import BATCHES, relative
    from bench.onnx.files import write_onnx
    from bench.onnx.sessions import open_session

    path, side = Path("backbone.onnx"), part.backbone.preprocessing.size
    write_onnx(part.backbone.module, (torch.zeros(2, 3, side, side),), ["pixels"], ["features"], path)
    session = open_session(path)
    for batch in BATCHES:
        pixels = part.pixels(batch)
        apart = relative(session.run(None, {"pixels": pixels})[0], part.features(pixels))
        require(apart <= TOLERANCE["fp32"], f"at batch {batch} features differ by {apart:.1e} of the largest")


@check("what it costs is told and not judged", remedy="", needs=["features_have_their_shape"])
def cost(part: BackbonePart) -> str:  # noqa: D103
    started = time.perf_counter()
    module, pixels = part.build().module, part.pixels()
    built = time.perf_counter()
    part.features(pixels)
    each = (time.perf_counter() - built) / len(pixels)
    count = sum(parameter.numel() for parameter in module.parameters())
    return f"built in {built - started:.2f} s, {1000 * each:.1f} ms an image; {count:,} parameters"
