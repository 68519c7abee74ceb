"""The search for label sequences in plain Python and float64: slow, and the meaning of every search option.

The compiled kernel (``csrc/``) returns the same, logits above 1,000 included, which it too takes in
float64; tests hold the two together. After the beam search of Wang
et al., CVPR 2016, section 3, with the readings that the paper leaves open as options.

* A path is a label sequence, END last where it was emitted. Its log-probability is the sum over its steps of
  ``log_softmax(logits)``. Forbidden entries (END before ``min_length`` labels; with ``mask_repeats``, labels
  that the path holds) are -inf *before* the softmax, so the rest is renormalised. An entry of probability 0 is
  never taken.
* A search makes at most ``max_length`` steps. A path of ``max_length`` labels was given no END; it is the
  answer, as an incomplete one, only where no path ended. Where every path is stuck before that, the answer is
  the best path of the last round that had one.
* Paths are ordered by log-probability on a grid of 2^-30, then shorter first, then by their labels, lower
  index first and END last. The grid keeps float rounding from deciding between paths that tie exactly.
  Among one path's extensions the order is by logit, then lower label index.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.contracts import StepNetwork
from bench.records import FloatArray, SearchOptions

GRID = 2.0**30
"""Log-probabilities that round to the same multiple of 1 / GRID tie."""

FIRST_STEP_WEIGHT = 1e-6
"""Weight of P(label | START) in ``beam_marginal``: it ranks the labels that no candidate holds."""

NEGLIGIBLE = -16.0
"""Log-probability of a path that ``inclusion`` has no use for, once it is no better than an ended one."""

Array = NDArray[np.float64]


class LabelPath(NamedTuple):
    """A label sequence, END last where it was emitted, and its log-probability."""

    log_probability: float
    labels: tuple[int, ...]


class Answer(NamedTuple):
    """The best path found for one image, and what was searched for it.

    ``labels`` leaves END out; ``complete``: END was emitted and no limit was hit; ``scores`` (labels,) are the
    probabilities asked for by ``class_score``. ``visited`` prefixes were expanded best-first; ``limited``: the
    node limit ended that; ``beam_missed``: the exact answer is not the beam's.
    """

    log_probability: float
    labels: tuple[int, ...]
    complete: bool
    scores: Array
    visited: int = 0
    limited: bool = False
    beam_missed: bool = False


class Prefixes:
    """Terms of label prefixes, each computed once from its parent's state. START is the empty prefix."""

    def __init__(self, network: StepNetwork, start_state: FloatArray) -> None:
        self.network = network
        self.end = len(network.output) - 1
        self._known: dict[tuple[int, ...], tuple[FloatArray, FloatArray]] = {}
        self._start_state = start_state

    def __len__(self) -> int:
        return len(self._known)

    def term(self, prefix: tuple[int, ...]) -> FloatArray:
        """Return the prefix term (D,) float32."""
        return self._step(prefix)[0]

    def _step(self, prefix: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
        if prefix not in self._known:
            state = self._step(prefix[:-1])[1] if prefix else self._start_state
            label = prefix[-1] if prefix else self.end + 1
            terms, states = self.network.step(np.array([label], dtype=np.int64), state[None, :])
            self._known[prefix] = terms[0], states[0]
        return self._known[prefix]


class NextLabel(Protocol):
    """log P(label or END | prefix), (labels + 1,), of one image: all that a search knows of a model."""

    @property
    def options(self) -> SearchOptions: ...
    @property
    def end(self) -> int: ...
    def __call__(self, prefix: tuple[int, ...]) -> Array: ...


def renormalised(logits: Array, prefix: tuple[int, ...], options: SearchOptions) -> Array:
    """Return the log-softmax of ``logits``, END last, once those that ``options`` forbid after ``prefix`` are -inf.

    Where nothing is left, every entry is -inf. ``logits`` is written to.
    """
    if len(prefix) < options.min_length:
        logits[-1] = -np.inf
    if options.mask_repeats:
        logits[list(prefix)] = -np.inf
    highest = logits.max()
    if highest == -np.inf:
        return logits
    shifted: Array = logits - highest
    return shifted - math.log(np.exp(shifted).sum())


@dataclass(frozen=True, slots=True)
class Conditional:
    """The ``NextLabel`` of a step network, for one image."""

    prefixes: Prefixes
    image_term: FloatArray
    options: SearchOptions

    @property
    def end(self) -> int:
        """Return the index of END, which is the number of labels."""
        return self.prefixes.end

    def __call__(self, prefix: tuple[int, ...]) -> Array:
        network = self.prefixes.network
        joint = self.prefixes.term(prefix).astype(np.float64) + self.image_term.astype(np.float64)
        if network.activation == "relu":
            joint = np.maximum(joint, 0.0)
        elif network.activation == "tanh":
            joint = np.tanh(joint)
        logits = network.output.astype(np.float64) @ joint + network.bias.astype(np.float64)
        return renormalised(logits, prefix, self.options)


def search(conditional: NextLabel) -> Answer:
    """Return the answer for one image by beam or exact search, as ``conditional.options`` asks."""
    options, end = conditional.options, conditional.end
    expanded: list[LabelPath] = []
    candidates, live = beam_search(conditional, expanded)
    best = min(candidates or live, key=rank)
    includes = options.class_score == "inclusion"
    if options.search == "beam":
        counted = expanded if includes else candidates or live
        return _answer(conditional, best, best.labels[-1:] == (end,), counted)
    incumbent = best if candidates else None
    exact, visited, limited = exact_search(conditional, incumbent)
    complete = exact.labels[-1:] == (end,) and not limited
    return _answer(conditional, exact, complete, expanded if includes else [exact])._replace(
        visited=visited, limited=limited, beam_missed=exact.labels != best.labels
    )


def beam_search(
    conditional: NextLabel, expanded: list[LabelPath] | None = None
) -> tuple[list[LabelPath], list[LabelPath]]:
    """Return the candidates, which are the ended paths, and the live paths of the last round that had any.

    Paths that were extended are appended to ``expanded``. Where class scores are their ``inclusion``, the beam goes on
    as long as a path lives that is not ``NEGLIGIBLE``; the best candidate is the same.
    """
    options, end = conditional.options, conditional.end
    live, candidates = [LabelPath(0.0, ())], list[LabelPath]()
    for _ in range(options.max_length):
        if expanded is not None:
            expanded += live
        extensions = [e for path in live for e in _best_extensions(conditional, path, options.beam_width)]
        if options.end_consumes_slot:
            extensions = sorted(extensions, key=rank)[: options.beam_width]
        candidates += [e for e in extensions if e.labels[-1] == end]
        going = sorted((e for e in extensions if e.labels[-1] != end), key=rank)[: options.beam_width]
        if options.class_score == "inclusion" and candidates:
            best = min(map(_on_grid, candidates))
            going = [e for e in going if _on_grid(e) < best or e.log_probability >= NEGLIGIBLE]
        if not going:
            break
        live = going
        if options.class_score != "inclusion" and candidates and _no_live_path_matters(live, candidates, options):
            break
    return candidates, live


def exact_search(conditional: NextLabel, incumbent: LabelPath | None) -> tuple[LabelPath, int, bool]:
    """Return the best of all paths, how many prefixes were visited, and whether the node limit ended the search.

    Best-first: an extension is never more probable than its prefix, so the first ended path to come up is the
    best. ``incumbent``, an ended path if given, is the answer where the limit is hit before a better one.
    """
    options, end = conditional.options, conditional.end
    # Ordered as paths are, a prefix standing for the shortest path it can become, and before its equals.
    queue: list[tuple[int, int, bool, tuple[int, ...], float]] = []

    def push(path: LabelPath) -> None:
        ended = path.labels[-1:] == (end,)
        heapq.heappush(
            queue, (_on_grid(path), len(path.labels) + (not ended), ended, path.labels, path.log_probability)
        )

    push(LabelPath(0.0, ()))
    ended_paths = [incumbent] if incumbent else []
    deepest = LabelPath(0.0, ())
    visited = 0
    while queue:
        _, _, ended, labels, log_probability = heapq.heappop(queue)
        path = LabelPath(log_probability, labels)
        if ended:
            return path, visited, False
        if len(labels) > len(deepest.labels):
            deepest = path
        if len(labels) == options.max_length:
            continue
        if visited == options.node_limit:
            return min(ended_paths or [deepest], key=rank), visited, True
        visited += 1
        for extension in _best_extensions(conditional, path, end + 1):
            push(extension)
            if extension.labels[-1] == end:
                ended_paths.append(extension)
    return deepest, visited, False


def class_scores(conditional: NextLabel, best: LabelPath, candidates: Iterable[LabelPath]) -> Array:
    """Return a probability per label (labels,), by ``options.class_score``.

    ``max_over_steps``: the largest over the steps of ``best``, its END step included. ``first_step``:
    P(label | START). ``beam_marginal``: the summed probability of the candidates that hold the label, and as a
    tie-break ``FIRST_STEP_WEIGHT`` of the first step: (1 - w) marginal + w first. ``inclusion``: the probability that
    the label is emitted at all, by the function ``inclusion`` of the paths which the beam extended, ``candidates``
    here. Masking is the search's own.
    """
    labels = conditional.end
    if conditional.options.class_score == "inclusion":
        return inclusion(conditional, candidates)
    first: Array = np.exp(conditional(()))[:labels]
    if conditional.options.class_score == "first_step":
        return first
    if conditional.options.class_score == "max_over_steps":
        steps = range(max(len(best.labels), 1))
        each: Array = np.exp([conditional(best.labels[:step])[:labels] for step in steps])
        return np.asarray(each.max(axis=0))
    marginal = np.zeros(labels + 1)
    for candidate in candidates:
        marginal[list(set(candidate.labels))] += math.exp(candidate.log_probability)
    return (1.0 - FIRST_STEP_WEIGHT) * marginal[:labels] + FIRST_STEP_WEIGHT * first


def inclusion(conditional: NextLabel, extended: Iterable[LabelPath]) -> Array:
    """Return, for each label (labels,), the probability that a sequence has it, as far as a beam tells.

    That is the summed probability that the label follows one of the ``extended`` paths, shorter ones first, which does
    not hold it yet. The paths of a round stand for those that the beam dropped before it: their probabilities are
    raised to the sum of all that the round before was extended to but ended paths.
    """
    included, stand_for, going = np.zeros(conditional.end), 1.0, 1.0
    for _, paths in groupby(extended, key=lambda path: len(path.labels)):
        of_round = list(paths)
        kept = sum(math.exp(path.log_probability) for path in of_round)
        if kept > 0.0:
            stand_for *= max(going / kept, 1.0)
        going = 0.0
        for path in of_round:
            follows = np.exp(path.log_probability + conditional(path.labels)[: conditional.end])
            going += float(follows.sum())
            follows[list(path.labels)] = 0.0
            included += stand_for * follows
    return np.minimum(included, 1.0)


def _on_grid(path: LabelPath) -> int:
    return -math.floor(path.log_probability * GRID + 0.5)


def rank(path: LabelPath) -> tuple[int, int, tuple[int, ...]]:
    """Return the key by which paths are ordered, best first; END is the highest index."""
    return _on_grid(path), len(path.labels), path.labels


def _best_extensions(conditional: NextLabel, path: LabelPath, count: int) -> list[LabelPath]:
    step = conditional(path.labels)
    best = np.argsort(-step, kind="stable")[:count]
    return [
        LabelPath(path.log_probability + float(step[label]), (*path.labels, int(label)))
        for label in best
        if step[label] > -np.inf
    ]


def _no_live_path_matters(live: list[LabelPath], candidates: list[LabelPath], options: SearchOptions) -> bool:
    """Return whether to stop: ``all`` is the paper's text; ``best`` is cheaper and has the same arg max."""
    most_probable_live = min(map(_on_grid, live))
    if options.stop == "all":
        return most_probable_live > max(map(_on_grid, candidates))
    return most_probable_live >= min(map(_on_grid, candidates))


def _answer(conditional: NextLabel, best: LabelPath, complete: bool, candidates: Iterable[LabelPath]) -> Answer:
    labels = best.labels[:-1] if best.labels[-1:] == (conditional.end,) else best.labels
    return Answer(best.log_probability, labels, complete, class_scores(conditional, best, candidates))
