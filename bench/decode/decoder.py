"""From image terms to label sequences: the search over a trained model's label sequences, for many images."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench.contracts import HOST_DECODER, StepNetwork
from bench.decode import _beam
from bench.decode.search import Answer, Conditional, NextLabel, Prefixes, search
from bench.errors import ModelError
from bench.records import FloatArray, IntArray, LabelSets, Scores, SearchOptions
from bench.system.room import room_for

CHUNK = 4096
"""Images searched together. Their prefixes must be in memory at once, beyond what the tree keeps."""

EXACT_CHUNK = 16
"""The same for an exact search, which may visit ``node_limit`` prefixes for one image."""

COUNTED = {"node_limit_hits": "limited", "beam_misses": "beam_missed"}
"""What statistics count of the answers of the host's own search."""

TREE_BYTES = 256 * 2**20
"""What a tree keeps from one chunk to the next. The oldest prefixes stay: the shortest and most common ones."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a search returns for a split: a label sequence and a probability per label for every image.

    ``statistics`` counts the work: ``images``, ``prefixes`` the step network computed, ``node_limit_hits`` and,
    for an exact search, ``beam_misses``: the images whose most probable sequence the beam did not find. Of a plugin's
    decoder it counts ``images`` alone.
    """

    label_sets: LabelSets
    class_scores: Scores
    statistics: dict[str, float] = field(default_factory=dict)


class PrefixTree:
    """What a step network said of label prefixes, kept over calls of ``decode``; it changes speed, never results.

    One search at a time grows it: ``lock`` is held from a search's beginning until its answers are read.
    """

    def __init__(self, network: StepNetwork, state_size: int, *, most_bytes: int = TREE_BYTES) -> None:
        self.network = network
        self.most_bytes = most_bytes
        self.lock = threading.RLock()
        self.compiled = _beam.Tree(
            np.ascontiguousarray(network.output), np.ascontiguousarray(network.bias), network.activation, state_size
        )

    def __len__(self) -> int:
        return len(self.compiled)

    def add(self, known: Mapping[str, Any]) -> None:
        """Add what ``bench.exported.export.known_prefixes`` computed; the tree must be empty and the network the same.

        Raises ``ModelError`` for arrays that do not fit.
        """
        try:
            self.compiled.add(known["parents"], known["labels"], known["terms"], known["states"])
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(f"prefixes stored with the model: {error}. Try: bench export RUN --out DIR") from error

    def trim(self) -> None:
        """Drop the newest prefixes until ``most_bytes`` are kept; nothing, where the model sees the image."""
        kept = 0 if self.network.sees_image else self.most_bytes // self.compiled.bytes_per_prefix
        if len(self.compiled) > kept:
            self.compiled.truncate(kept)


class Decoder:
    """The compiled search with everything it needs kept ready: made once, called for one image or a million.

    ``options`` mean what ``bench.decode.search`` says; ``threads`` 0 takes every core. A ``tree`` of this network, from
    another decoder, saves computing its prefixes again. Calls raise ``ModelError`` where scores are not finite. Threads
    may share a decoder, or decoders that share a tree: one call waits for the other. What a caller does with its arrays
    while they are searched changes no answer: they are copied.
    """

    def __init__(
        self,
        network: StepNetwork,
        start_states: FloatArray,
        options: SearchOptions,
        *,
        threads: int = 0,
        tree: PrefixTree | None = None,
    ) -> None:
        self.network = network
        self.start_states = start_states
        self.options = options
        # An empty tree is false, so it must be compared with None.
        self.tree = PrefixTree(network, start_states.shape[1]) if tree is None else tree
        self._chunk = EXACT_CHUNK if options.search == "exact" else CHUNK
        self._search = _beam.Search(self.tree.compiled, options, sees_image=network.sees_image, threads=threads)

    def sequences(self, image_terms: FloatArray) -> IntArray:
        """Return the label sequences of (n, D) ``image_terms``, (n, max_length) padded with -1, and nothing else.

        The model must not see the image, and n be at most ``CHUNK``: this is the way of the least latency.
        """
        search = self._search
        with self.tree.lock:
            try:
                search.begin(image_terms, self.start_states, False, False)
                while (lacking := search.advance()) is not None:
                    search.provide(*self.network.step(*lacking))
                return search.sequences()
            except BaseException as error:
                search.release()  # so that what the step network did not answer leaves the tree, and others have it
                if isinstance(error, ValueError):
                    raise _refused(error) from error
                raise

    @property
    def rows_scored(self) -> int:
        """Return how many rows of labels + 1 scores the last set of images took: the work behind its time."""
        return self._search.rows_scored

    def answers(
        self, image_terms: FloatArray, start_states: FloatArray, *, class_scores: bool = True
    ) -> tuple[dict[str, Any], dict[str, int]]:
        """Return the answers' arrays by name, and how many ``prefixes`` the step network computed for them."""
        parts: list[dict[str, Any]] = []
        computed = 0
        for start in range(0, max(len(image_terms), 1), self._chunk):
            terms = image_terms[start : start + self._chunk]
            states = start_states[start : start + self._chunk] if self.network.sees_image else start_states
            with self.tree.lock:
                try:
                    # Before the inner try: a tree that another search is using is not this one's to release or trim.
                    self._search.begin(terms, states, class_scores)
                    try:
                        while (lacking := self._search.advance()) is not None:
                            self._search.provide(*self.network.step(*lacking))
                        parts.append(self._search.answers())
                        computed += self._search.prefixes_computed
                    finally:
                        self._search.release()
                        self.tree.trim()
                except ValueError as error:
                    raise _refused(error) from error
        if len(parts) == 1:
            return parts[0], {"prefixes": computed}
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, {"prefixes": computed}


def _refused(error: ValueError) -> ModelError:
    """Return what a search refused as an error that users can cause; only of large scores training is the reason."""
    hint = ". Try: a lower learning rate" if re.search("overflow|NaN|infinity", str(error)) else ""
    return ModelError(f"decoding: {error}{hint}")


def decode(
    network: StepNetwork,
    image_terms: FloatArray,
    start_states: FloatArray,
    ids: Sequence[str],
    options: SearchOptions,
    *,
    engine: Literal["kernel", "reference"] = "kernel",
    threads: int = 0,
    tree: PrefixTree | None = None,
) -> Decoded:
    """Return the label sequence of every image.

    ``image_terms`` (images, D) and ``start_states`` (1, S), or (images, S) where ``network.sees_image``, are
    C-contiguous float32. The options mean what ``bench.decode.search`` says, whichever ``engine`` computes; where they
    name a plugin's decoder, it searches (``bench.decode.plugged``).
    For ``threads`` and ``tree`` see ``Decoder``. Raises ``ModelError`` where the network's scores are not finite.
    """
    if engine == "reference":
        answers, statistics = _search_plainly(network, image_terms, start_states, options)
    else:
        answers, statistics = _answers(network, image_terms, start_states, options, threads=threads, tree=tree)
    return _decoded(tuple(ids), answers, statistics)


def sequences_alone(
    network: StepNetwork,
    image_terms: FloatArray,
    start_states: FloatArray,
    ids: Sequence[str],
    options: SearchOptions,
    *,
    tree: PrefixTree | None = None,
) -> LabelSets:
    """Return the label sequences that ``decode`` gives, sooner: paths that only class scores need are not followed."""
    answers, _ = _answers(network, image_terms, start_states, options, class_scores=False, tree=tree)
    return _label_sets(tuple(ids), answers)


def _answers(
    network: StepNetwork,
    image_terms: FloatArray,
    start_states: FloatArray,
    options: SearchOptions,
    *,
    class_scores: bool = True,
    threads: int = 0,
    tree: PrefixTree | None = None,
) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the answers' arrays by name and the work's statistics, by whom ``options.decoder`` names."""
    if options.decoder != HOST_DECODER:
        from bench.decode import plugged  # which knows of plugins: an exported model does without them

        return plugged.answers(network, image_terms, start_states, options)
    decoder = Decoder(network, start_states, options, threads=threads, tree=tree)
    return decoder.answers(image_terms, start_states, class_scores=class_scores)


def joined(parts: Iterable[Decoded], images: int, room: Path | None = None) -> Decoded:
    """Return what was decoded in parts, of ``images`` one after another, as one; large scores lie in ``room``."""
    sets: list[LabelSets] = []
    statistics: list[dict[str, float]] = []
    scores: FloatArray | None = None
    for part in parts:
        if len(part.label_sets.ids) == images:
            return part
        found = part.class_scores.values
        if scores is None:
            scores = room_for((images, found.shape[1]), np.float32, room)
        first = sum(len(one.ids) for one in sets)
        scores[first : first + len(found)] = found
        sets.append(part.label_sets)
        statistics.append(part.statistics)
    assert scores is not None, "there is an image"
    longest = max(one.sequences.shape[1] for one in sets)
    widened = [
        np.pad(one.sequences, ((0, 0), (0, longest - one.sequences.shape[1])), constant_values=-1) for one in sets
    ]
    ids = tuple(name for one in sets for name in one.ids)
    log_probabilities, complete = (
        np.concatenate([getattr(one, name) for one in sets]) for name in ("log_probabilities", "complete")
    )
    return Decoded(
        LabelSets(ids, np.concatenate(widened), log_probabilities, complete),
        Scores(ids, scores, "probability"),
        {name: sum(one[name] for one in statistics) for name in statistics[0]},
    )


def decode_each(images: Iterable[NextLabel], ids: Sequence[str], labels: int, options: SearchOptions) -> Decoded:
    """Return the label sequence of every image, whatever says its conditionals, by the search in plain Python."""
    return _decoded(tuple(ids), _as_arrays([search(image) for image in images], labels, options), {})


def _decoded(ids: tuple[str, ...], answers: dict[str, Any], statistics: Mapping[str, float]) -> Decoded:
    return Decoded(
        _label_sets(ids, answers),
        Scores(ids, answers["class_scores"], "probability"),
        {
            "images": len(ids),
            **{count: int(answers[name].sum()) for count, name in COUNTED.items() if name in answers},
            **statistics,
        },
    )


def _label_sets(ids: tuple[str, ...], answers: Mapping[str, Any]) -> LabelSets:
    longest = int((answers["sequences"] >= 0).sum(axis=1).max(initial=0))
    sequences = np.ascontiguousarray(answers["sequences"][:, :longest])
    return LabelSets(ids, sequences, answers["log_probabilities"], answers["complete"])


def _search_plainly(
    network: StepNetwork, image_terms: FloatArray, start_states: FloatArray, options: SearchOptions
) -> tuple[dict[str, Any], dict[str, int]]:
    shared = Prefixes(network, start_states[0])
    answers = []
    computed = 0
    for row, image_term in enumerate(image_terms):
        prefixes = Prefixes(network, start_states[row]) if network.sees_image else shared
        before = len(prefixes)
        answers.append(search(Conditional(prefixes, image_term, options)))
        computed += len(prefixes) - before
    return _as_arrays(answers, len(network.output) - 1, options), {"prefixes": computed}


def _as_arrays(answers: Sequence[Answer], labels: int, options: SearchOptions) -> dict[str, Any]:
    """Return the answers' fields as the kernel gives them, by its names."""
    sequences = np.full((len(answers), options.max_length), -1, dtype=np.int32)
    for row, answer in zip(sequences, answers, strict=True):
        row[: len(answer.labels)] = answer.labels
    scores = np.array([answer.scores for answer in answers], dtype=np.float32)
    return {
        "sequences": sequences,
        "log_probabilities": np.array([answer.log_probability for answer in answers], dtype=np.float64),
        "complete": np.array([answer.complete for answer in answers], dtype=np.bool_),
        "limited": np.array([answer.limited for answer in answers], dtype=np.bool_),
        "beam_missed": np.array([answer.beam_missed for answer in answers], dtype=np.bool_),
        "class_scores": scores.reshape(len(answers), labels),
    }
