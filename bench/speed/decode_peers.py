"""Other ways to decode the same model: what re-implementations do, and what a good engineer would write in PyTorch.

Each peer maps image terms (n, D) to label sequences, a list of n lists, by the paper's beam search with its
default options: END takes a slot of the beam, and the search of an image ends when no live path beats the
best ended one. Each is checked against the kernel before it is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.contracts import StepNetwork
from bench.records import FloatArray, SearchOptions

Sequences = list[list[int]]
Peer = Callable[[FloatArray], Sequences]


def image_loop(model: Any, options: SearchOptions) -> Peer:
    """Return what re-implementations do: image by image, path by path, each step a call of the network."""
    import torch

    output, bias = model.output_embedding()
    activate = _activation(model.activation)
    end = len(output) - 1

    def decode_one(image_term: torch.Tensor) -> list[int]:
        live: list[tuple[float, list[int], torch.Tensor]] = [(0.0, [], model.start_states(image_term[None]))]
        ended: list[tuple[float, list[int]]] = []
        for step in range(options.max_length):
            found: list[tuple[float, list[int], torch.Tensor]] = []
            for total, labels, state in live:
                previous = torch.tensor([labels[-1] if labels else end + 1])
                term, following = model.step(previous, state)
                logits = activate(term[0] + image_term) @ output.T
                if bias is not None:
                    logits = logits + bias
                if step < options.min_length:
                    logits[end] = -torch.inf
                best = torch.log_softmax(logits, dim=0).topk(min(options.beam_width, end + 1))
                for value, label in zip(best.values.tolist(), best.indices.tolist(), strict=True):
                    found.append((total + value, [*labels, label], following))
            found.sort(key=lambda path: -path[0])
            found = found[: options.beam_width]
            ended += [(total, labels) for total, labels, _ in found if labels[-1] == end]
            live = [path for path in found if path[1][-1] != end]
            if not live or (ended and max(path[0] for path in ended) >= live[0][0]):
                break
        best_labels = max(ended or [path[:2] for path in live], key=lambda path: path[0])[1]
        return [label for label in best_labels if label != end]

    def decode(image_terms: FloatArray) -> Sequences:
        with torch.inference_mode():
            return [decode_one(term) for term in torch.from_numpy(image_terms)]

    return decode


def batched_torch(  # noqa: PLR0915 - one beam search, best read in one piece
    model: Any, options: SearchOptions, *, compiled: bool = False, rows: int = 512
) -> Peer:
    """Return a beam search over ``rows`` images at once, the best that plain PyTorch allows.

    The first step, which all images share, is computed once, and images that are done leave the batch.
    """
    import torch

    output, bias = model.output_embedding()
    activate = _activation(model.activation)
    columns = output.T.contiguous()
    end, width = len(output) - 1, min(options.beam_width, len(output))

    # END is forbidden before the softmax, so that the labels share its probability.
    allowed = torch.zeros(len(output)) if bias is None else bias
    early = allowed.clone()
    early[end] = -torch.inf

    def score(
        labels: torch.Tensor, states: torch.Tensor, image: torch.Tensor, offset: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        term, following = model.step(labels, states)
        return torch.log_softmax(activate(term + image) @ columns + offset, dim=1), following

    advance = torch.compile(score, dynamic=True) if compiled else score

    def decode_rows(image_terms: torch.Tensor) -> Sequences:
        count = len(image_terms)
        best_total = image_terms.new_full((count,), -torch.inf)
        best_labels = torch.full((count, options.max_length), end, dtype=torch.long)
        active = torch.arange(count)
        totals = image_terms.new_zeros((count, 1))
        history = torch.zeros((count, 1, 0), dtype=torch.long)
        start = torch.full((1,), end + 1)
        term, states = model.step(start, model.start_states(image_terms[:1]))
        logits = activate(term + image_terms) @ columns + (early if options.min_length else allowed)
        steps = torch.log_softmax(logits, dim=1).unsqueeze(1)
        states = states.expand(count, -1).unsqueeze(1)
        for step in range(options.max_length):
            if step:
                paths = history.shape[1]
                image = image_terms[active].repeat_interleave(paths, dim=0)
                offset = early if step < options.min_length else allowed
                previous = history[:, :, -1].reshape(-1)
                flat, following = advance(previous, states.reshape(-1, states.shape[2]), image, offset)
                steps = flat.view(len(active), paths, -1)
                states = following.view(len(active), paths, -1)
            extended = (totals.unsqueeze(2) + steps).flatten(1)
            totals, places = extended.topk(min(width, extended.shape[1]), dim=1)
            parents, labels = places // (end + 1), places % (end + 1)
            history = torch.cat(
                [history.gather(1, parents.unsqueeze(2).expand(-1, -1, step)), labels.unsqueeze(2)], dim=2
            )
            states = states.gather(1, parents.unsqueeze(2).expand(-1, -1, states.shape[2]))
            ended_totals, ended_places = torch.where(labels == end, totals, -torch.inf).max(dim=1)
            better = ended_totals > best_total[active]
            if bool(better.any()):
                images = active[better]
                best_total[images] = ended_totals[better]
                best_labels[images] = end
                best_labels[images, : step + 1] = history[better, ended_places[better]]
            totals = torch.where(labels == end, -torch.inf, totals)
            going = totals.max(dim=1).values > best_total[active]
            if step + 1 == options.max_length:
                _take_unended(active, totals, history, best_total, best_labels)
                break
            if not bool(going.any()):
                break
            if not bool(going.all()):
                active, totals, history, states = active[going], totals[going], history[going], states[going]
        return [[label for label in row if label != end] for row in best_labels.tolist()]

    def decode(image_terms: FloatArray) -> Sequences:
        with torch.inference_mode():
            terms = torch.from_numpy(image_terms)
            return [row for start in range(0, len(terms), rows) for row in decode_rows(terms[start : start + rows])]

    return decode


def _take_unended(active: Any, totals: Any, history: Any, best_total: Any, best_labels: Any) -> None:
    """Write the best live path of the images where none has ended."""
    import torch

    unended = best_total[active] == -torch.inf
    if bool(unended.any()):
        places = totals[unended].argmax(dim=1)
        best_labels[active[unended], : history.shape[2]] = history[unended, places]


def numpy_beam(network: StepNetwork, options: SearchOptions, start_states: FloatArray, rows: int = 512) -> Peer:
    """Return a batched beam search in NumPy around a step network, such as an ONNX Runtime session's."""
    columns = np.ascontiguousarray(network.output.T)
    end, width = len(network.output) - 1, min(options.beam_width, len(network.output))

    def log_softmax(terms: FloatArray, step: int) -> FloatArray:
        joint = {"relu": lambda: np.maximum(terms, 0), "tanh": lambda: np.tanh(terms)}.get(network.activation)
        logits: FloatArray = (joint() if joint else terms) @ columns + network.bias
        if step < options.min_length:
            logits[..., end] = -np.inf
        logits -= logits.max(axis=-1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        return logits

    def decode_rows(image_terms: FloatArray) -> Sequences:
        count = len(image_terms)
        best: list[tuple[float, list[int]]] = [(-np.inf, [])] * count
        active = np.arange(count)
        term, state = network.step(np.array([end + 1]), start_states[:1])
        steps = log_softmax(term + image_terms, 0)[:, None]
        states = np.broadcast_to(state, (count, 1, state.shape[1]))
        totals, history = np.zeros((count, 1), np.float32), np.zeros((count, 1, 0), np.int64)
        for step in range(options.max_length):
            if step:
                terms, following = network.step(history[:, :, -1].ravel(), states.reshape(-1, states.shape[2]))
                paths = history.shape[1]
                steps = log_softmax(terms.reshape(len(active), paths, -1) + image_terms[active][:, None], step)
                states = following.reshape(len(active), paths, -1)
            extended = (totals[:, :, None] + steps).reshape(len(active), -1)
            kept = min(width, extended.shape[1])
            places = np.argpartition(-extended, kept - 1, axis=1)[:, :kept]
            totals = np.take_along_axis(extended, places, axis=1)
            parents, labels = places // (end + 1), places % (end + 1)
            history = np.concatenate(
                [np.take_along_axis(history, parents[:, :, None], axis=1), labels[:, :, None]], axis=2
            )
            states = np.take_along_axis(states, parents[:, :, None], axis=1)
            for row, place in zip(*(labels == end).nonzero(), strict=True):
                if totals[row, place] > best[active[row]][0]:
                    best[active[row]] = (float(totals[row, place]), history[row, place, :-1].tolist())
            totals = np.where(labels == end, -np.inf, totals).astype(np.float32)
            live = totals.max(axis=1)
            if step + 1 == options.max_length:
                for row, image in enumerate(active):
                    if best[image][0] == -np.inf:
                        best[image] = (float(live[row]), history[row, totals[row].argmax()].tolist())
                break
            going = live > np.array([best[image][0] for image in active])
            if not going.any():
                break
            active, totals, history, states = active[going], totals[going], history[going], states[going]
        return [labels for _, labels in best]

    def decode(image_terms: FloatArray) -> Sequences:
        starts = range(0, len(image_terms), rows)
        return [labels for start in starts for labels in decode_rows(image_terms[start : start + rows])]

    return decode


def _activation(name: str) -> Callable[[Any], Any]:
    import torch

    activations: dict[str, Callable[[Any], Any]] = {"identity": lambda x: x, "relu": torch.relu, "tanh": torch.tanh}
    return activations[name]
