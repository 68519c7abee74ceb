"""The search for label sequences by a plugin's decoder: called behind the border to plugins, every answer checked.

What is stored of an answer is what the step network says of its sequences: the plugin's own log-probabilities are
held against that, and no number of a plugin goes further.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import plugins
from bench.contracts import SequenceSearch, StepNetwork
from bench.decode.rescored import Rescored, rescored
from bench.errors import ModelError, PluginError
from bench.guard import calling
from bench.records import FloatArray, SearchOptions

ROWS = 4096
"""Most images that a decoder is given at once."""

TOLERANCE = 1e-3
"""How far a claimed log-probability may be from the sequence's own, relative to it where it is beyond 1."""


def answers(
    network: StepNetwork, image_terms: FloatArray, start_states: FloatArray, options: SearchOptions
) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the answers' arrays by the kernel's names, and no statistics: what a plugin's search costs is its own.

    Raises ``UsageError`` for a decoder that nobody offers, ``PluginError`` naming the plugin for what is no answer, and
    ``ModelError`` where the network is not finite.
    """
    found = plugins.installed().decoder(options.decoder)
    assert found is not None, "the host's own decoder is no plugin's"
    parts = []
    for start in range(0, max(len(image_terms), 1), ROWS):
        rows = slice(start, start + ROWS)
        starts = start_states[rows] if network.sees_image else start_states
        with calling(found.origin, "decode", f"decoder '{found.spec.name}'", seed=0):
            parts.append(checked(found.spec, network, image_terms[rows], starts, options))
    joined = {
        name: np.concatenate([getattr(one, name) for _, one in parts])
        for name in ("log_probabilities", "complete", "class_scores")
    }
    sequences = np.concatenate([one for one, _ in parts]).astype(np.int32)
    return joined | {"sequences": sequences, "class_scores": joined["class_scores"].astype(np.float32)}, {}


def checked(
    spec: SequenceSearch,
    network: StepNetwork,
    image_terms: FloatArray,
    start_states: FloatArray,
    options: SearchOptions,
) -> tuple[NDArray[np.int64], Rescored]:
    """Return the label sequences that ``spec`` finds, and what the network says of them.

    Raises ``PluginError`` where they are none, or have other log-probabilities than is claimed.
    """
    sequences, claimed = found_by(spec, network, image_terms, start_states, options)
    own = rescored(network, image_terms, start_states, sequences, options)
    require_own(sequences, claimed, own, options)
    return sequences, own


def found_by(
    spec: SequenceSearch,
    network: StepNetwork,
    image_terms: FloatArray,
    start_states: FloatArray,
    options: SearchOptions,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the sequences, (n, ``max_length``) padded with -1, and log-probabilities that ``spec`` gives.

    Raises ``PluginError`` where no search with these ``options`` could.
    """
    for name, array in (
        ("image terms", image_terms),
        ("start states", start_states),
        ("output embeddings", network.output),
    ):
        if not np.isfinite(array).all():
            raise ModelError(f"decoding: {name} are not finite. Try: a lower learning rate")
    count, labels = len(image_terms), len(network.output) - 1
    if not count:
        return np.zeros((0, options.max_length), np.int64), np.zeros(0)
    # Copies: a search that writes on what it is given would change what it is held against.
    shown: Any = SimpleNamespace(activation=network.activation, sees_image=network.sees_image, step=network.step)
    shown.output, shown.bias = network.output.copy(), network.bias.copy()
    answer = spec.search(shown, image_terms.copy(), start_states.copy(), replace(options))
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise PluginError(f"search returned a {type(answer).__name__}, must return (sequences, log_probabilities)")
    sequences, claimed = (np.asarray(array) for array in answer)
    if sequences.dtype.kind not in "iu" or sequences.ndim != 2 or len(sequences) != count:
        raise PluginError(
            f"search returned sequences of {sequences.dtype} {sequences.shape}, must be integers ({count}, any length)"
        )
    if claimed.dtype.kind != "f" or claimed.shape != (count,):
        raise PluginError(
            f"search returned log-probabilities of {claimed.dtype} {claimed.shape}, must be floats ({count},)"
        )
    sequences = sequences.astype(np.int64)
    for fault, wrong in _faults(sequences, claimed, labels, options).items():
        if wrong.any():
            row = int(wrong.argmax())
            shown = sequences[row][: options.max_length + 1].tolist()
            raise PluginError(f"{int(wrong.sum())} of {count} sequences {fault}, as {shown}")
    whole = np.full((count, options.max_length), -1, dtype=np.int64)
    width = min(sequences.shape[1], options.max_length)
    whole[:, :width] = sequences[:, :width]
    return whole, claimed.astype(np.float64)


def _faults(
    sequences: NDArray[np.int64], claimed: NDArray[Any], labels: int, options: SearchOptions
) -> dict[str, NDArray[np.bool_]]:
    """Return in words what a sequence can have, and which have it, (n,)."""
    emitted = sequences >= 0
    in_order = np.sort(sequences, axis=1)
    repeated = (in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] >= 0)
    return {
        f"hold what is no label: allowed are 0 to {labels - 1}, and -1 after the last": (
            (sequences < -1) | (sequences >= labels)
        ).any(axis=1),
        "have gaps": (~emitted[:, :-1] & emitted[:, 1:]).any(axis=1),
        f"are longer than max_length={options.max_length}": emitted.sum(axis=1) > options.max_length,
        "repeat a label, which mask_repeats forbids": repeated.any(axis=1) & options.mask_repeats,
        "have a log-probability that is not finite": ~np.isfinite(claimed),
    }


def require_own(
    sequences: NDArray[np.int64], claimed: NDArray[np.float64], own: Rescored, options: SearchOptions
) -> None:
    """Raise ``PluginError`` unless each claimed log-probability is that which the network gives of the sequence."""
    allowed = TOLERANCE * np.maximum(1.0, np.abs(own.log_probabilities))
    possible = np.isfinite(own.log_probabilities)
    if (wrong := ~possible | ~(np.abs(claimed - own.log_probabilities) <= allowed)).any():
        row = int(wrong.argmax())
        shown = sequences[row][sequences[row] >= 0].tolist()
        if not possible[row]:
            raise PluginError(
                f"{int(wrong.sum())} of {len(sequences)} sequences cannot be emitted, as {shown}: it has probability 0"
                f" with min_length={options.min_length}"
            )
        raise PluginError(
            f"{int(wrong.sum())} of {len(sequences)} log-probabilities are not those of their sequences, as of {shown}:"
            f" claimed {claimed[row]:.4f}, the step network says {own.log_probabilities[row]:.4f}"
        )
