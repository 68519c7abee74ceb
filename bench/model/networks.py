"""Trained torch models as arrays in, arrays out: what decoders and metrics see of a model."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.contracts import StepNetwork
from bench.decode.annotated import SeeingImages, numbered
from bench.errors import PluginError
from bench.records import Activation, BoolArray, Features, FloatArray
from bench.system.room import blocks, copied, room_for
from bench.system.threads import torch_threads

if TYPE_CHECKING:
    import torch

IMAGE_ROWS = 256
"""Images per call of a model, always; the last chunk is padded, for the reason below."""

STEP_ROWS = 32
"""Prefixes per call of a step network. Every call has this shape, padded, because matrix products of another
shape may round differently: a prefix's term must not depend on which other prefixes are asked for."""

ONE_THREAD = 2_000_000
"""Parameters up to which one thread of the CPU trains a model and takes its steps, whatever the machine has: products
of a batch, and of a few dozen prefixes, are too small to be worth sharing, on a busy machine many times slower when
shared, and the result is that of any core count. The recurrent network of the paper's size has 1.3 million."""


def threads_of(model: Any) -> int | None:
    """Return how many threads train ``model`` and take its steps: 1, or ``None`` for as many as torch has."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return 1 if device_of(model).type == "cpu" and parameters <= ONE_THREAD else None


def device_of(model: Any) -> torch.device:
    """Return the device that the model's parameters, or else its buffers, lie on."""
    import torch

    tensors = [*model.parameters(), *model.buffers()]
    return tensors[0].device if tensors else torch.device("cpu")


def by_chunks(
    model: Any,
    function: Callable[..., torch.Tensor],
    values: FloatArray,
    rows: int = IMAGE_ROWS,
    *,
    beside: BoolArray | None = None,
    room: Path | None = None,
) -> FloatArray:
    """Return ``function`` of ``values``, (n, dimensions) or maps, ``rows`` at a time, in eval mode, without gradients.

    ``beside`` (n, labels) bool is a second argument, where there is one. The last chunk is padded with zeros, so an
    image's result does not depend on how many others follow it. A large result lies in the folder ``room``, if given.
    """
    import torch

    device = device_of(model)
    model.eval()
    results: FloatArray | None = None
    with torch.inference_mode():
        for start in range(0, len(values), rows):
            chunk = values[start : start + rows]
            padded = np.zeros((rows, *values.shape[1:]), dtype=np.float32)
            padded[: len(chunk)] = chunk
            inputs = [torch.from_numpy(padded).to(device)]
            if beside is not None:
                mask = np.zeros((rows, *beside.shape[1:]), dtype=np.bool_)
                mask[: len(chunk)] = beside[start : start + rows]
                inputs.append(torch.from_numpy(mask).to(device))
            result = function(*inputs)
            if not isinstance(result, torch.Tensor) or not result.is_floating_point() or result.ndim < 2:
                raise PluginError(f"{_described(result)} for each batch, must be a tensor of rows of floats")
            found = result[: len(chunk)].to("cpu", torch.float32).numpy()
            if results is None:
                results = room_for((len(values), *found.shape[1:]), np.float32, room)
            if found.shape != (len(chunk), *results.shape[1:]):
                raise PluginError(
                    f"{_described(result)} for a batch of {rows}, must be a row of {results.shape[1:]} for each"
                )
            results[start : start + rows] = found
    if results is None:
        raise ValueError("there is no image")
    return results


def scores_and_sets(
    model: Any, values: FloatArray, known: BoolArray | None = None, room: Path | None = None
) -> tuple[FloatArray, BoolArray | None]:
    """Return a model's scores (n, labels) and, of a model of kind ``sets``, its label sets (n, labels) bool.

    ``known`` (n, labels) is what a model of known tags is told of the images. Large scores lie in the folder ``room``.
    Raises ``PluginError`` for label sets that are no bool tensor of the scores' shape.
    """
    import torch

    if not has_own_sets(model):
        return by_chunks(model, model, values, beside=known, room=room), None

    def both(features: torch.Tensor, *told: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = model(features, *told)
        if not isinstance(scores, torch.Tensor) or scores.ndim != 2:
            return scores  # refused by ``by_chunks`` or, by its shape, where the scores are looked at
        sets = model.label_sets(features, scores)
        if not isinstance(sets, torch.Tensor) or sets.dtype != torch.bool or sets.shape != scores.shape:
            found = _described(sets).removeprefix("the model gives ")
            raise PluginError(f"label_sets gives {found}, must be a bool tensor of the scores' shape")
        return torch.cat([scores, sets.to(scores.dtype)], dim=1)

    joined = by_chunks(model, both, values, beside=known, room=room)
    labels = joined.shape[1] // 2
    sets = np.empty((len(joined), labels), dtype=np.bool_)
    for rows in blocks(joined):
        np.greater(joined[rows, labels:], 0, out=sets[rows])
    return copied(joined[:, :labels], room), sets


def takes_known(model: Any) -> bool:
    """Return whether ``model`` asks for labels of an image that are known beforehand."""
    method = model.model.scores if hasattr(model, "model") and hasattr(model.model, "load_state") else model.forward
    return "known" in inspect.signature(method).parameters


def has_own_sets(model: Any) -> bool:
    """Return whether ``model`` decides for itself which labels an image has."""
    return hasattr(model, "label_sets")


def _described(result: Any) -> str:
    kind = f"{result.dtype} of shape {tuple(result.shape)}" if hasattr(result, "dtype") else type(result).__name__
    return f"the model gives a {kind}".replace("torch.", "")


def image_terms(model: Any, features: Features) -> tuple[FloatArray, FloatArray]:
    """Return a sequence model's image terms (images, D) and start states: (1, S), or (images, S) if it sees them."""
    terms = by_chunks(model, model.image_term, features.values)
    if model.sees_image:
        return terms, by_chunks(model, model.start_states, features.values)
    return terms, by_chunks(model, model.start_states, features.values[:1], 1)


def sees_every_step(model: Any) -> bool:
    """Return whether a sequence model's recurrence sees the image at every step."""
    return hasattr(model, "annotations")


def searchable(model: Any, features: Features) -> tuple[StepNetwork, FloatArray, FloatArray]:
    """Return a sequence model's step network, image terms and start states as the searches take them together."""
    terms, starts = image_terms(model, features)
    network = TorchStepNetwork(model)
    if not sees_every_step(model):
        return network, terms, starts
    return SeeingImages(network, by_chunks(model, model.annotations, features.values)), terms, numbered(starts)


class TorchStepNetwork:
    """A ``bench.contracts.StepNetwork`` computed by torch, on the device where the model lies.

    Where every step sees the image it is a ``bench.decode.annotated.AnnotatedNetwork`` instead.
    """

    activation: Activation

    def __init__(self, model: Any) -> None:
        import torch

        self._model = model.eval()
        self._device = device_of(model)
        self._threads = threads_of(model)
        self.activation = model.activation
        self.sees_image: bool = model.sees_image
        with torch.inference_mode():
            output, bias = model.output_embedding()
        self.output: FloatArray = np.ascontiguousarray(output.detach().float().cpu().numpy())
        self.bias: FloatArray = (
            np.zeros(len(self.output), dtype=np.float32) if bias is None else bias.detach().float().cpu().numpy().copy()
        )

    def step(self, labels: Any, states: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return prefix terms (b, D) and states (b, S) after ``labels`` (b,) int64 from ``states`` (b, S)."""
        return self._steps(labels, states)

    def step_seeing(self, labels: Any, states: FloatArray, annotations: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the same of a model whose every step sees the image; ``annotations`` (b, ...) of each prefix's."""
        return self._steps(labels, states, annotations)

    def _steps(self, labels: Any, *rows: FloatArray) -> tuple[FloatArray, FloatArray]:
        import torch

        terms: list[FloatArray] = []
        following: list[FloatArray] = []
        with torch.inference_mode(), torch_threads(self._threads):
            for start in range(0, len(labels), STEP_ROWS):
                count = min(STEP_ROWS, len(labels) - start)
                padded_labels = np.zeros(STEP_ROWS, dtype=np.int64)
                padded_labels[:count] = labels[start : start + count]
                padded = [np.zeros((STEP_ROWS, *array.shape[1:]), dtype=np.float32) for array in rows]
                for whole, array in zip(padded, rows, strict=True):
                    whole[:count] = array[start : start + count]
                inputs = [torch.from_numpy(array).to(self._device) for array in (padded_labels, *padded)]
                # Copies: a model may give the same memory again for the next rows.
                term, state = (
                    found[:count].to("cpu", torch.float32, copy=True).numpy() for found in self._model.step(*inputs)
                )
                terms.append(term)
                following.append(state)
        if not terms:
            return np.zeros((0, self.output.shape[1]), dtype=np.float32), np.zeros_like(rows[0])
        # By rows, as the searches take them, however the model's products left them in memory.
        return np.ascontiguousarray(np.concatenate(terms)), np.ascontiguousarray(np.concatenate(following))
