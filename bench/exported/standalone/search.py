"""The search for label sequences in NumPy alone, as predict.py beside it uses it.

It computes what the plain search of multilabel-bench does (``bench/decode/search.py``, which explains every option):
float64, ties on a grid of 2^-30, then shorter first, then lower label numbers.
"""

from __future__ import annotations

import heapq
import json
import math
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

GRID, FIRST_STEP_WEIGHT, NEGLIGIBLE = 2.0**30, 1e-6, -16.0
KEPT_BYTES = 256 * 2**20
"""What is kept of prefixes from one image to the next."""


class Prefixes:
    """A sequence model's step network: of each label prefix its term and its state, computed once."""

    def __init__(self, session: Any, arrays: dict[str, Any], activation: str) -> None:
        self.session, self.activation, self.known = session, activation, dict[tuple[int, ...], Any]()
        self.output, self.bias = arrays["output"].astype(np.float64), arrays["bias"].astype(np.float64)
        self.end, self.state, self.seen = len(self.output) - 1, arrays["start_states"][:1], None
        names: list[tuple[int, ...]] = []
        stored = (arrays.get(name, ()) for name in ("parents", "labels", "terms", "states"))
        for parent, label, *known in zip(*stored, strict=True):
            names.append((*names[parent], int(label)) if parent >= 0 else ())
            self.known[names[-1]] = known

    def of_image(self, state: Any, seen: Any) -> None:
        """Forget all prefixes: the next image's start from its own ``state`` and see of it what is ``seen``."""
        self.known, self.state, self.seen = {}, state, seen

    def step(self, prefix: tuple[int, ...]) -> Any:
        """Return term (D,) and state (S,) of ``prefix``; of START where it is empty."""
        if prefix not in self.known:
            state = self.step(prefix[:-1])[1][None] if prefix else self.state
            inputs = {"labels": np.array([prefix[-1] if prefix else self.end + 1]), "states": state}
            if self.seen is not None:
                inputs["annotations"] = self.seen
            terms, states = self.session.run(["terms", "next_states"], inputs)
            self.known[prefix] = terms[0], states[0]
        return self.known[prefix]

    def trim(self) -> None:
        """Forget the newest prefixes beyond what is kept."""
        most = KEPT_BYTES // (4 * sum(map(len, self.step(()))))
        while len(self.known) > most:
            self.known.popitem()


class Search:
    """The search for one image: beam or exact, ties by a grid of 2^-30, then shorter, then lower label numbers first.

    A path is its log-probability and its labels, END last where it ended.
    """

    def __init__(self, prefixes: Prefixes, image_term: Any, options: dict[str, Any]) -> None:
        self.prefixes, self.term, self.options, self.end = (
            prefixes,
            image_term.astype(np.float64),
            options,
            prefixes.end,
        )
        self.expanded: list[Any] = []

    def steps(self, labels: tuple[int, ...]) -> Any:
        """Return log P(label or END | labels), (labels + 1,)."""
        joint = self.prefixes.step(labels)[0].astype(np.float64) + self.term
        if self.prefixes.activation == "relu":
            joint = np.maximum(joint, 0.0)
        elif self.prefixes.activation == "tanh":
            joint = np.tanh(joint)
        logits = self.prefixes.output @ joint + self.prefixes.bias
        if len(labels) < self.options["min_length"]:
            logits[-1] = -np.inf
        if self.options["mask_repeats"]:
            logits[list(labels)] = -np.inf
        highest = logits.max()
        if highest == -np.inf:
            return logits
        return (logits - highest) - math.log(np.exp(logits - highest).sum())

    def extended(self, path: Any, count: int) -> list[Any]:
        """Return the ``count`` most probable extensions of ``path`` that are possible at all."""
        step = self.steps(path[1])
        best = np.argsort(-step, kind="stable")[:count]
        return [(path[0] + float(step[label]), (*path[1], int(label))) for label in best if step[label] > -np.inf]

    def ended(self, path: Any) -> bool:
        """Return whether END is the path's last label."""
        return bool(path[1][-1:] == (self.end,))

    def beam(self) -> tuple[list[Any], list[Any]]:
        """Return the ended paths, and the live ones of the last round that had any."""
        width, live, candidates = self.options["beam_width"], [(0.0, ())], list[Any]()
        includes = self.options["class_score"] == "inclusion"
        for _ in range(self.options["max_length"]):
            self.expanded += live
            found = [extension for path in live for extension in self.extended(path, width)]
            if self.options["end_consumes_slot"]:
                found = sorted(found, key=rank)[:width]
            candidates += filter(self.ended, found)
            going = sorted((path for path in found if not self.ended(path)), key=rank)[:width]
            places = [rank(path)[0] for path in candidates]
            if includes and places:
                going = [path for path in going if rank(path)[0] < min(places) or path[0] >= NEGLIGIBLE]
            if not going:
                break
            live, most = going, min(rank(path)[0] for path in going)
            if (
                not includes
                and places
                and (most > max(places) if self.options["stop"] == "all" else most >= min(places))
            ):
                break
        return candidates, live

    def exact(self, incumbents: list[Any]) -> Any:
        """Return the best of all paths, or of those known when the node limit was reached."""
        queue: list[Any] = []
        deepest, visited, path = (0.0, ()), 0, (0.0, ())
        heapq.heappush(queue, (0, 1, False, (), 0.0))
        while queue:
            *_, ended, labels, log_probability = heapq.heappop(queue)
            path = (log_probability, labels)
            if ended:
                return path
            deepest = path if len(labels) > len(deepest[1]) else deepest
            if len(labels) == self.options["max_length"]:
                continue
            if visited == self.options["node_limit"]:
                return min(incumbents or [deepest], key=rank)
            visited += 1
            for extension in self.extended(path, self.end + 1):
                over = self.ended(extension)
                place, length, labels = rank(extension)
                heapq.heappush(queue, (place, length + (not over), over, labels, extension[0]))
                incumbents += [extension] if over else []
        return deepest

    def answer(self) -> tuple[float, tuple[int, ...], Any]:
        """Return the best path's log-probability and labels, and a probability for each label, (labels,) float32."""
        candidates, live = self.beam()
        best = min(candidates or live, key=rank)
        if self.options["search"] == "exact":
            best = self.exact([best] if candidates else [])
            candidates = [best]
        sequence = best[1][:-1] if self.ended(best) else best[1]
        return best[0], sequence, self.class_scores(best, candidates or live).astype(np.float32)

    def class_scores(self, best: Any, candidates: list[Any]) -> Any:
        """Return the probability of each label by the description's ``class_score``."""
        first, how = np.exp(self.steps(()))[: self.end], self.options["class_score"]
        if how == "first_step":
            return first
        if how == "inclusion":
            return self.inclusion()
        if how == "max_over_steps":
            return np.max([np.exp(self.steps(best[1][:at]))[: self.end] for at in range(max(len(best[1]), 1))], axis=0)
        marginal = np.zeros(self.end + 1)
        for log_probability, labels in candidates:
            marginal[list(set(labels))] += math.exp(log_probability)
        return (1.0 - FIRST_STEP_WEIGHT) * marginal[: self.end] + FIRST_STEP_WEIGHT * first

    def inclusion(self) -> Any:
        """Return the probability that a sequence has each label, as far as the beam tells.

        The paths of a round stand for those that were dropped before it.
        """
        included, stand_for, going = np.zeros(self.end), 1.0, 1.0
        for _, paths in groupby(self.expanded, key=lambda path: len(path[1])):
            of_round = list(paths)
            kept = sum(math.exp(log_probability) for log_probability, _ in of_round)
            if kept > 0.0:
                stand_for *= max(going / kept, 1.0)
            going = 0.0
            for log_probability, labels in of_round:
                follows = np.exp(log_probability + self.steps(labels)[: self.end])
                going += float(follows.sum())
                follows[list(labels)] = 0.0
                included += stand_for * follows
        return np.minimum(included, 1.0)


def rank(path: Any) -> tuple[int, int, tuple[int, ...]]:
    """Return the key by which paths are ordered, best first; END is the highest label number."""
    return -math.floor(path[0] * GRID + 0.5), len(path[1]), path[1]


class Searching:
    """The search of the model with this ``description``, whose arrays are in the file ``arrays``."""

    def __init__(self, session: Any, arrays: Path, description: dict[str, Any]) -> None:
        self.prefixes = Prefixes(session, read_arrays(arrays), description["activation"])
        self.description = description

    def __call__(self, outputs: list[Any]) -> tuple[float, tuple[int, ...], Any]:
        """Return what ``Search.answer`` does of the image whose encoder outputs these are."""
        if self.description["sees_image"]:
            annotations = self.description["annotations"]
            self.prefixes.of_image(outputs[1][None], None if annotations is None else outputs[2][None])
        answer = Search(self.prefixes, outputs[0], self.description["search"]).answer()
        self.prefixes.trim()
        return answer


def read_arrays(path: Path) -> dict[str, Any]:
    """Return the arrays of a safetensors file."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    kinds = {"F32": np.float32, "I32": np.int32}
    return {
        name: np.frombuffer(content[start:][slice(*entry["data_offsets"])], kinds[entry["dtype"]]).reshape(
            entry["shape"]
        )
        for name, entry in header.items()
        if name != "__metadata__"
    }
