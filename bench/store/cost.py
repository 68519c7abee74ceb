"""What a stored run's model costs: the time of an image and the size of its files, as far as they are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.errors import StoreError
from bench.store.run_folder import RunFolder

EXPORTED = "onnx"
"""The folder in a run's own that ``bench run --export`` writes."""

WEIGHTS = ("weights.safetensors", "backbone.safetensors")


@dataclass(frozen=True, slots=True)
class Cost:
    """``latency`` in seconds an image, from its file to its labels; ``size`` in bytes; ``None`` where not known.

    ``features`` is the part of the latency that reading and the backbone took. ``of`` says what the size is of.
    """

    latency: float | None
    features: float | None
    size: int | None
    of: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"latency": self.latency, "latency_of_features": self.features, "size": self.size, "size_of": self.of}


def cost_of(folder: RunFolder) -> Cost:
    """Return what the finished run in ``folder`` costs: times as they were measured in it, many images at once."""
    timings = folder.read_timings()
    predicted = timings.get("seconds", {}).get("predict")
    images = len(folder.read_scores().ids) + _validation_images(folder)
    speed = (timings.get("feature_extraction") or {}).get("images_per_second")
    features = 1.0 / float(speed) if speed else None
    latency = None if features is None or not predicted else features + float(predicted) / max(images, 1)
    return Cost(latency, features, *_size(folder))


def _validation_images(folder: RunFolder) -> int:
    return len(folder.read_validation().truth.ids) if folder.lists("validation") else 0


def _size(folder: RunFolder) -> tuple[int | None, str]:
    exported = folder.path / EXPORTED
    if exported.is_dir():
        return sum(path.stat().st_size for path in exported.iterdir() if path.is_file()), "the exported folder"
    present = [folder.path / name for name in WEIGHTS if (folder.path / name).is_file()]
    if not present:
        return None, ""
    own = sum(path.stat().st_size for path in present)
    if len(present) == len(WEIGHTS):
        return own, "model and backbone"
    try:
        backbone = folder.read_environment().get("backbone_bytes")
    except StoreError:
        backbone = None
    if backbone is None:
        return own, "the model, without its frozen backbone"
    return own + int(backbone), "model and backbone"
