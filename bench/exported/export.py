"""A trained model as ONNX files that need neither torch nor the data set, checked against torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.contracts import ModelKind
from bench.errors import ModelError, NotRun
from bench.exported.engine import Encoder, OnnxStepNetwork
from bench.exported.manifest import Check
from bench.exported.model_folder import DECODER, ENCODER, KEY, PIXELS, STEP, Description
from bench.exported.stored import BATCHES, DEFAULT_BATCH, OTHER_SETS, TOLERANCE_OF_MAPS, relative
from bench.model.networks import sees_every_step
from bench.onnx.files import append, to_fp16, write_onnx
from bench.records import BoolArray, FloatArray
from bench.system.files import atomic_path

TOLERANCE = {"fp32": 1e-4, "fp16": 2e-2}
"""Largest difference between ONNX Runtime and torch, relative to the largest magnitude of the output."""

LARGEST = 2**31
"""Bytes of an ONNX file, each a protocol buffer: no reader takes more."""

OPSET = 18
"""Version of ONNX's operators in what a model of arrays is exported to: it must be that of the network before it."""

MOST_PREFIXES = 20_000
"""Prefixes computed beforehand and stored with the model: the most frequent ones of the training sequences."""


def export(
    backbone: Any,
    model: Any,
    description: Description,
    folder: Path,
    *,
    shape: tuple[int, ...],
    images: FloatArray | None = None,
    sequences: list[tuple[int, ...]] | None = None,
) -> list[Check]:
    """Write the model's files to ``folder``, which has no manifest yet, and return how far they are from torch.

    ``backbone`` gives each image features of ``shape``, (dimensions,) or a map's. ``images`` (n, 3, size, size) are
    real preprocessed images to check on, beside random ones. ``sequences`` are training label sequences, whose prefixes
    a sequence model's decoder then knows from the start.
    Raises ``ModelError`` where the model cannot be written as ONNX, or differs from torch by more than is allowed.
    """
    import torch

    from bench.exported.preprocess_onnx import with_preprocessing

    sequence = description.kind == "sequence"
    if len(shape) > 1:
        backbone = _in_half_precision(backbone)
    encoder = _encoder(backbone, model, description.kind).eval()
    _require_room(encoder)
    size, outputs = description.preprocessing.size, description.outputs
    metadata = {KEY: description.to_json()}
    pixels, form = (torch.zeros(2, 3, size, size),), exported_form(model)
    if isinstance(form, torch.nn.Module):
        written = encoder if form is model else _encoder(backbone, form, description.kind).eval()
        write_onnx(written, pixels, ["pixels"], outputs, folder / ENCODER, metadata)
    else:
        write_onnx(backbone, pixels, ["pixels"], ["features"], folder / ENCODER, opset=OPSET)
        append(folder / ENCODER, form, metadata)
    start_states = export_step(model, description, folder, shape) if sequence else None
    if description.precision == "fp16":
        to_fp16(folder / ENCODER)
    checks = check(encoder, model, description, folder, images)
    require_equal(checks, description)
    if start_states is not None and not model.sees_image and sequences:
        known = known_prefixes(OnnxStepNetwork(folder, description), sequences)
        _write_decoder(model, folder / DECODER, {"start_states": start_states} | known)
    with atomic_path(folder / PIXELS) as temporary:
        with_preprocessing(folder / ENCODER, temporary, description.preprocessing)
    return checks


def _require_room(encoder: Any) -> None:
    """Raise ``ModelError`` where an ONNX file cannot hold ``encoder``: torch says so minutes later, in other words."""
    size = sum(array.nbytes for array in (*encoder.parameters(), *encoder.buffers()))
    if size >= LARGEST:
        raise ModelError(
            f"this model cannot be exported: its weights are {size:,} bytes, an ONNX file holds fewer than {LARGEST:,}."
            " Try: a smaller backbone"
        )


def annotations_of(model: Any, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shape of what every step of ``model`` sees of an image of features ``shape``; ``None``: nothing."""
    import torch

    if not sees_every_step(model):
        return None
    with torch.inference_mode():
        return tuple(model.cpu().eval().annotations(torch.zeros(1, *shape)).shape[1:])


def exported_form(model: Any) -> Any:
    """Return what of ``model`` can be written: a torch module, or ONNX from its features to its scores.

    Raises ``ModelError`` with the reason where there is no such thing.
    """
    from bench.model.arrays import ArrayModule

    if not isinstance(model, ArrayModule):
        return model
    if not hasattr(model.model, "to_export"):
        raise ModelError("this model cannot be exported: it has no to_export. See: bench.ArrayModel")
    try:
        return model.model.to_export(OPSET)
    except NotRun as error:
        raise ModelError(f"this model cannot be exported: {error}") from error


def export_step(model: Any, description: Description, folder: Path, shape: tuple[int, ...]) -> FloatArray:
    """Write a sequence model's step network and decoder arrays to ``folder``; return its start states.

    They are (1, S), or (0, S) where the memory sees the image: the encoder then gives each image's.
    """
    import torch

    states: FloatArray = model.start_states(torch.zeros(1, *shape)).float().detach().numpy()
    inputs: tuple[Any, ...] = torch.zeros(2, dtype=torch.long), torch.zeros(2, states.shape[1])
    names, outputs = ["labels", "states"], ["terms", "next_states"]
    if description.annotations is not None:
        names, inputs = [*names, "annotations"], (*inputs, torch.zeros(2, *description.annotations))
    write_onnx(_step(model), inputs, names, outputs, folder / STEP, {KEY: description.to_json()})
    start_states = states[:0] if model.sees_image else states
    _write_decoder(model, folder / DECODER, {"start_states": start_states})
    return start_states


def check(encoder: Any, model: Any, description: Description, folder: Path, images: FloatArray | None) -> list[Check]:
    """Return how far the files in ``folder`` are from torch, on real and random input and at several batch sizes."""
    import torch

    rng = np.random.default_rng(0)
    side, allowed = description.preprocessing.size, TOLERANCE[description.precision]
    noise = rng.standard_normal((DEFAULT_BATCH, 3, side, side), dtype=np.float32)
    if description.feature_map is not None:
        allowed = max(allowed, TOLERANCE_OF_MAPS)
    checks: list[Check] = []

    def add(name: str, found: Any, expected: Any, batch: int) -> None:
        if found.dtype == np.bool_:  # sets turn at near ties: how many images have another
            share, most = float((found != expected.numpy()).any(axis=1).mean()), OTHER_SETS[description.precision]
            checks.append(Check(name, "images", max(most, 1 / len(found)), share, len(found), batch))
            return
        difference = relative(found, expected.float().numpy())
        checks.append(Check(name, "relative", allowed, difference, len(found), batch))

    by_files = Encoder(folder)
    with torch.inference_mode():
        for name, pixels in (("random images", noise), ("real images", images)):
            if pixels is None:
                continue
            results = encoder(torch.from_numpy(pixels))
            expected = results if isinstance(results, tuple) else (results,)
            for batch in (*BATCHES, DEFAULT_BATCH):
                by_files.rows = batch
                encoded = by_files.encode(pixels)
                names = ("encoder", *(output.replace("_", " ") for output in description.outputs[1:]))
                for what, found, wanted in zip(names, encoded, expected, strict=True):
                    add(f"{what} = torch, {name}", found, wanted, batch)
        if description.kind == "sequence":
            network = OnnxStepNetwork(folder, description)
            for batch in (1, 40):
                labels = np.arange(batch) % (len(description.labels) + 2)
                states = rng.standard_normal((batch, network.start_states.shape[1]), dtype=np.float32)
                given: list[Any] = [labels, states]
                if description.annotations is not None:
                    given.append(rng.standard_normal((batch, *description.annotations), dtype=np.float32))
                found_step = network.step_seeing(*given) if len(given) > 2 else network.step(labels, states)
                torch_step = _step(model)(*map(torch.from_numpy, given))
                for what, one, other in zip(("terms", "states"), found_step, torch_step, strict=True):
                    add(f"step's {what} = torch", one, other, batch)
    return checks


def require_equal(checks: list[Check], description: Description) -> None:
    """Raise ``ModelError`` naming the worst of the comparisons that found more than is allowed."""
    failed = [check for check in checks if not check.passed]
    if not failed:
        return
    worst = max(failed, key=lambda check: check.excess)
    advice = "Try: --precision fp32" if description.precision != "fp32" else "See: bench validate"
    raise ModelError(
        f"export: '{worst.name}'{worst.at} does not hold: found {worst.shown(worst.difference or 0.0)}{worst.of},"
        f" allowed: {worst.shown(worst.allowed)}; nothing was written. {advice}"
    )


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


def _encoder(backbone: Any, model: Any, kind: ModelKind) -> Any:
    """Return the module from preprocessed images to what the decoder or the user needs."""
    from torch import nn

    class EncoderModule(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.model = backbone, model

        def forward(self, pixels: Any) -> Any:
            features = self.backbone(pixels)
            if kind != "sequence":
                scores = self.model(features)
                return (scores, self.model.label_sets(features, scores)) if kind == "sets" else scores
            terms = self.model.image_term(features)
            if not self.model.sees_image:
                return terms
            seen = (self.model.annotations(features),) if sees_every_step(self.model) else ()
            return (terms, self.model.start_states(features), *seen)

    return EncoderModule()


def _in_half_precision(backbone: Any) -> Any:
    """Return ``backbone`` with maps rounded to half precision, as a run's cache keeps them."""
    from torch import nn

    class Rounded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = backbone

        def forward(self, pixels: Any) -> Any:
            return self.backbone(pixels).half().float()

    return Rounded().eval()


def _step(model: Any) -> Any:
    from torch import nn

    class StepModule(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, labels: Any, states: Any) -> Any:
            return self.model.step(labels, states)

    class SeeingStep(StepModule):
        def forward(self, labels: Any, states: Any, annotations: Any) -> Any:  # type: ignore[override]
            return self.model.step(labels, states, annotations)

    return (SeeingStep if sees_every_step(model) else StepModule)().eval()


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


def label_sequences(truth: BoolArray, order: Any) -> list[tuple[int, ...]]:
    """Return the training label sequences: each image's labels in the model's ``order``."""
    rank = np.argsort(np.asarray(order))
    return [tuple(sorted(map(int, row.nonzero()[0]), key=lambda label: rank[label])) for row in truth]
