"""A stored run as ONNX files that need neither torch nor the data set, checked against torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import ModelError
from bench.exported.engine import Encoder, OnnxStepNetwork
from bench.exported.model_folder import DECODER, ENCODER, KEY, PIXELS, STEP, Description
from bench.exported.onnx_files import to_fp16, write_onnx
from bench.records import BoolArray, FloatArray
from bench.system.files import atomic_path

TOLERANCE = {"fp32": 1e-4, "fp16": 2e-2}
"""Largest difference between ONNX Runtime and torch, relative to the largest magnitude of the output."""

MOST_PREFIXES = 20_000
"""Prefixes computed beforehand and stored with the model: the most frequent ones of the training sequences."""


def export(
    backbone: Any,
    model: Any,
    description: Description,
    folder: Path,
    *,
    dimensions: int,
    images: FloatArray,
    sequences: list[tuple[int, ...]] | None = None,
) -> dict[str, float]:
    """Write the model to ``folder`` and return the largest relative difference from torch of each file.

    ``backbone`` gives ``dimensions`` features. ``images`` (n, 3, size, size) are real preprocessed images to check
    on, beside random ones. ``sequences`` are training label sequences, whose prefixes a sequence model's decoder
    then knows from the start.
    Raises ``ModelError`` where ONNX Runtime differs from torch by more than ``TOLERANCE``.
    """
    import torch

    from bench.exported.preprocess_onnx import with_preprocessing

    folder.mkdir(parents=True, exist_ok=True)
    sequence = description.kind == "sequence"
    encoder = _encoder(backbone, model, sequence).eval()
    batch = torch.from_numpy(np.ascontiguousarray(images[:2].repeat(2, axis=0)[:2]))
    output = "image_terms" if sequence else "scores"
    write_onnx(encoder, (batch,), ["pixels"], [output], folder / ENCODER, {KEY: description.to_json()})
    start_states = export_step(model, description, folder, dimensions) if sequence else None
    if description.precision == "fp16":
        to_fp16(folder / ENCODER)
    differences = check(encoder, model, description, folder, images)
    if start_states is not None and not model.sees_image and sequences:
        known = known_prefixes(OnnxStepNetwork(folder, description), sequences)
        _write_decoder(model, folder / DECODER, {"start_states": start_states} | known)
    with atomic_path(folder / PIXELS) as temporary:
        with_preprocessing(folder / ENCODER, temporary, description.preprocessing)
    return differences


def export_step(model: Any, description: Description, folder: Path, dimensions: int) -> FloatArray:
    """Write a sequence model's step network and decoder arrays to ``folder``; return its start states, (1, S)."""
    import torch

    start_states: FloatArray = model.start_states(torch.zeros(1, dimensions)).float().detach().numpy()
    inputs = torch.zeros(2, dtype=torch.long), torch.zeros(2, start_states.shape[1])
    names, outputs = ["labels", "states"], ["terms", "next_states"]
    write_onnx(_step(model), inputs, names, outputs, folder / STEP, {KEY: description.to_json()})
    _write_decoder(model, folder / DECODER, {"start_states": start_states})
    return start_states


def check(encoder: Any, model: Any, description: Description, folder: Path, images: FloatArray) -> dict[str, float]:
    """Return the largest relative difference between the files in ``folder`` and torch, on real and random input."""
    import torch

    rng = np.random.default_rng(0)
    noise = rng.standard_normal((3, *images.shape[1:]), dtype=np.float32)
    differences = {}
    with torch.inference_mode():
        session = Encoder(folder, rows=4)
        for name, pixels in (("encoder, real images", images), ("encoder, random images", noise)):
            differences[name] = _difference(session(pixels), encoder(torch.from_numpy(pixels)).numpy())
        if description.kind == "sequence":
            network = OnnxStepNetwork(folder, description)
            labels = np.arange(40) % (len(description.labels) + 2)
            states = rng.standard_normal((40, network.start_states.shape[1]), dtype=np.float32)
            found = network.step(labels, states)
            expected = _step(model)(torch.from_numpy(labels), torch.from_numpy(states))
            for name, one, other in zip(("step, terms", "step, states"), found, expected, strict=True):
                differences[name] = _difference(one, other.numpy())
    worst = max(differences, key=lambda name: differences[name])
    if not differences[worst] <= TOLERANCE[description.precision]:
        raise ModelError(
            f"export: ONNX Runtime differs from torch by {differences[worst]:.1e} ({worst}),"
            f" allowed: {TOLERANCE[description.precision]:.0e}. Try: --precision fp32"
        )
    return differences


def known_prefixes(network: Any, sequences: list[tuple[int, ...]]) -> dict[str, Any]:
    """Return ``parents``, ``labels``, ``terms`` and ``states`` of the most frequent prefixes, parents first.

    The first row is START alone, whose parent is -1.
    """
    from collections import Counter

    counts = Counter(labels[:length] for labels in sequences for length in range(len(labels) + 1))
    # A prefix is never more frequent than its parent; by length, so that parents come first.
    kept = sorted((prefix for prefix, _ in counts.most_common(MOST_PREFIXES)), key=lambda prefix: (len(prefix), prefix))
    place = {prefix: index for index, prefix in enumerate(kept)}
    parents = np.array([place[prefix[:-1]] if prefix else -1 for prefix in kept], dtype=np.int32)
    labels = np.array([prefix[-1] if prefix else len(network.output) for prefix in kept], dtype=np.int32)
    terms = np.zeros((len(kept), network.output.shape[1]), dtype=np.float32)
    states = np.zeros((len(kept), network.start_states.shape[1]), dtype=np.float32)
    lengths = np.array([len(prefix) for prefix in kept])
    for length in range(lengths.max() + 1):
        rows = np.flatnonzero(lengths == length)
        before = states[parents[rows]] if length else network.start_states
        terms[rows], states[rows] = network.step(labels[rows].astype(np.int64), before)
    return {"parents": parents, "labels": labels, "terms": terms, "states": states}


def _encoder(backbone: Any, model: Any, sequence: bool) -> Any:
    """Return the module from preprocessed images to what the decoder or the user needs."""
    from torch import nn

    class EncoderModule(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.model = backbone, model

        def forward(self, pixels: Any) -> Any:
            features = self.backbone(pixels)
            return self.model.image_term(features) if sequence else self.model(features)

    return EncoderModule()


def _step(model: Any) -> Any:
    from torch import nn

    class StepModule(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, labels: Any, states: Any) -> Any:
            return self.model.step(labels, states)

    return StepModule().eval()


def _write_decoder(model: Any, path: Path, more: dict[str, Any]) -> None:
    import torch
    from safetensors.numpy import save

    with torch.inference_mode():
        output, bias = model.output_embedding()
        arrays = {
            "output": output.float().numpy(),
            "bias": np.zeros(len(output), np.float32) if bias is None else bias.float().numpy(),
        } | more
    with atomic_path(path) as temporary:
        temporary.write_bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def _difference(found: FloatArray, expected: FloatArray) -> float:
    return float(np.abs(found - expected).max() / max(float(np.abs(expected).max()), 1e-6))


def label_sequences(truth: BoolArray, order: Any) -> list[tuple[int, ...]]:
    """Return the training label sequences: each image's labels in the model's ``order``."""
    rank = np.argsort(np.asarray(order))
    return [tuple(sorted(map(int, row.nonzero()[0]), key=lambda label: rank[label])) for row in truth]
