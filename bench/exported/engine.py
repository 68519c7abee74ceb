"""The two networks of an exported model, each an ONNX Runtime session: the encoder, and one step of a memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import ModelError
from bench.exported.model_folder import DECODER, ENCODER, KEY, STEP, Description, find, parse
from bench.onnx.sessions import open_session
from bench.records import Activation, FloatArray

KNOWN = ("parents", "labels", "terms", "states")
"""Arrays of the prefixes that ``bench.exported.export`` stores with a model."""


def describe(session: Any, path: Path) -> Description:
    """Return what the model in ``session`` says of itself."""
    try:
        held = session.get_modelmeta().custom_metadata_map
    except UnicodeDecodeError:
        raise ModelError(f"{path} is damaged: its metadata are no text. Try: bench export RUN --out DIR") from None
    return parse(held.get(KEY), path)


class Encoder:
    """``encoder.onnx``: preprocessed images (n, 3, size, size) -> scores (n, labels), or image terms (n, D).

    Of a model with label sets of its own there are also these, (n, labels) bool; of one whose memory sees the image
    start states, (n, S), and what each step sees of the image, (n, ...).
    ``rows`` images are computed at once, the last call padded, so that the number of images changes no result.
    """

    def __init__(self, folder: Path, device: str = "cpu", threads: int = 0, rows: int = 16) -> None:
        path = find(folder, ENCODER)
        self._session = open_session(path, device, threads)
        self.description = describe(self._session, path)
        if device == "cuda" and self.description.precision == "fp16":
            self._session = open_session(path, device, threads, half=True)
        self.device, self.rows = device, rows
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._check(path)

    def __call__(self, pixels: FloatArray) -> FloatArray:
        """Return scores or image terms of ``pixels``. Raises ``ModelError`` where the device's memory is too small."""
        return self.encode(pixels)[0]

    def encode(self, pixels: FloatArray) -> list[FloatArray]:
        """Return every output for ``pixels``, one array each. Raises ``ModelError`` as a call does."""
        results = []
        for start in range(0, len(pixels), self.rows):
            chunk = pixels[start : start + self.rows]
            padded = np.zeros((self.rows, *pixels.shape[1:]), dtype=np.float32)
            padded[: len(chunk)] = chunk
            results.append([output[: len(chunk)] for output in self.run(padded)])
        return [np.concatenate(outputs) for outputs in zip(*results, strict=True)]

    def run(self, pixels: FloatArray) -> list[FloatArray]:
        """Return the outputs of one call with exactly these images."""
        try:
            if self.device == "cpu":
                results: list[FloatArray] = self._session.run(self._outputs, {"pixels": pixels})
                return results
            binding = self._session.io_binding()
            binding.bind_cpu_input("pixels", pixels)
            for name in self._outputs:
                binding.bind_output(name)  # to host memory: it is small, and the features stay on the GPU
            self._session.run_with_iobinding(binding)
            bound: list[FloatArray] = binding.copy_outputs_to_cpu()
            return bound
        except Exception as error:
            if "memory" not in str(error).lower() and "alloc" not in str(error).lower():
                raise
            raise ModelError(
                f"out of memory with {len(pixels)} images at once. Try: --batch {self.rows // 2}"
            ) from error

    def _check(self, path: Path) -> None:
        """Raise ``ModelError`` where inputs and outputs are not those that the description tells of."""
        described = self.description
        scores = described.kind != "sequence"
        expected = list(described.outputs)
        side, labels = described.preprocessing.size, len(described.labels)
        inputs = {entry.name: entry.shape[1:] for entry in self._session.get_inputs()}
        width = self._session.get_outputs()[0].shape[-1]
        for what, found, allowed in (
            ("takes", inputs, {"pixels": [3, side, side]}),
            ("gives", self._outputs, expected),
            ("gives scores of", width if scores else labels, labels),
        ):
            if found != allowed:
                raise ModelError(
                    f"{path} {what} {found}, its description says {allowed}. Try: bench export RUN --out DIR"
                )


class OnnxStepNetwork:
    """``step.onnx`` as a ``bench.contracts.StepNetwork``."""

    activation: Activation

    def __init__(self, folder: Path, description: Description, device: str = "cpu", threads: int = 0) -> None:
        path = find(folder, STEP)
        self._session = open_session(path, device, threads)
        if describe(self._session, path).weights_hash != description.weights_hash:
            raise ModelError(f"{path} and {folder / ENCODER} are of different models. Try: bench export RUN --out DIR")
        arrays = read_arrays(find(folder, DECODER))
        for name, dimensions in (("output", 2), ("bias", 1), ("start_states", 2)):
            array = arrays.get(name)
            if array is None or array.dtype != np.float32 or array.ndim != dimensions:
                raise ModelError(
                    f"{folder / DECODER} lacks {name}, float32 of {dimensions} axes. Try: bench export RUN --out DIR"
                )
        # Where the memory sees the image, start states are the encoder's, and these are of no image: (0, S).
        self.output, self.bias, self.start_states = arrays["output"], arrays["bias"], arrays["start_states"]
        if len(self.output) != len(description.labels) + 1:
            raise ModelError(
                f"{folder / DECODER} holds {len(self.output) - 1} labels, {path} says {len(description.labels)}."
                " Try: bench export RUN --out DIR"
            )
        self.activation = description.activation or "identity"
        self.sees_image = bool(description.sees_image)
        self.known: dict[str, Any] = {name: arrays[name] for name in KNOWN if name in arrays}

    def step(self, labels: Any, states: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return prefix terms (b, D) and states (b, S) after ``labels`` (b,) int64 from ``states`` (b, S)."""
        terms, following = self._session.run(["terms", "next_states"], {"labels": labels, "states": states})
        return terms, following

    def step_seeing(self, labels: Any, states: FloatArray, annotations: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the same of a model whose every step sees the image; ``annotations`` (b, ...) of each prefix's."""
        inputs = {"labels": labels, "states": states, "annotations": annotations}
        terms, following = self._session.run(["terms", "next_states"], inputs)
        return terms, following


def read_arrays(path: Path) -> dict[str, Any]:
    """Return the arrays of a safetensors file; raises ``ModelError`` where it is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays: dict[str, Any] = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: {error}. Try: bench export RUN --out DIR") from error
    return arrays
