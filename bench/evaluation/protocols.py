"""Evaluation protocols: every choice that changes a number, fixed under a versioned name.

A registered protocol is never edited in place; a changed choice is a new version beside the old one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench import plugins
from bench.contracts import ApKind, Protocol, left_to_protocol
from bench.errors import UsageError, unknown
from bench.evaluation import known_tags, metrics
from bench.evaluation.bits import BitMatrix, Mask, count, row_blocks
from bench.records import BoolArray, LabelSets, Scores

THRESHOLDS = {"logit": 0.0, "probability": 0.5}
"""The natural threshold of a score kind; other kinds have none."""

AP_KINDS: tuple[ApKind, ...] = ("11_point", "all_point", "non_interpolated")


REGISTERED: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="voc2007@1",
            summary="VOC 2007 test: 11-point AP, difficult ignored; precision and recall of the best label",
            k=1,
            max_length=8,
            ap="11_point",
        ),
        Protocol(
            name="coco-top3@1",
            summary="COCO, Table 3: score models give exactly 3 labels, sequence models as many as they end with",
            k=3,
        ),
        Protocol(
            name="nuswide81-top3@1",
            summary="NUS-WIDE 81 concepts, Table 1: exactly 3 labels, sequences too",
            k=3,
            min_length=3,
            max_length=13,
            cut_to_k=True,
        ),
        Protocol(
            name="nuswide1000-top10@1",
            summary="NUS-WIDE 1,000 tags, Table 2: exactly 10 labels, sequences too",
            k=10,
            min_length=10,
            max_length=40,
            cut_to_k=True,
        ),
        Protocol(
            name="corel5k-top5@1",
            summary="Corel-5k: score models give exactly 5 words, sequence models up to 5 of free length",
            k=5,
            max_length=5,
        ),
        Protocol(
            name="digit-scenes@1",
            summary="digit-scenes: score models give exactly 3 labels, sequence models as many as they end with",
            k=3,
            max_length=10,
        ),
    )
}


GENERIC = "score models give exactly {k} labels, sequence models as many as they end with"
"""What ``top<k>@1`` is."""

GENERIC_NAME = re.compile(r"top([1-9][0-9]{0,5})@1")


def get(name: str) -> Protocol:
    """Return the protocol called ``name``; ``topK@1``, as in ``top3@1``, exists for every whole K >= 1.

    A plugin's is called by its name, or ``distribution:name`` where the host or another plugin has that name.
    Raises ``UsageError`` with the nearest names.

    >>> get("coco-top3@1").k, get("top7@1").k
    (3, 7)
    """
    if found := hosts(name):
        return found
    registry = plugins.installed()
    added = registry.all(plugins.PROTOCOLS)
    if ":" not in name and name not in {*added, *registry.contested.get(plugins.PROTOCOLS.plural, {})}:
        raise unknown("protocol", name, [*REGISTERED, *added, "top<K>@1"], "See: bench protocols")
    return replace(registry.named(plugins.PROTOCOLS, name).spec, name=name)


def named() -> list[Protocol]:
    """Return every protocol that has a name of its own: the host's, then those of plugins by what is typed."""
    added = (name for name in plugins.installed().all(plugins.PROTOCOLS) if hosts(name) is None)
    return [*REGISTERED.values(), *map(get, added)]


def hosts(name: str) -> Protocol | None:
    """Return the host's own protocol called ``name``, which no plugin's hides; ``None`` where it has none."""
    if generic := GENERIC_NAME.fullmatch(name):
        k = int(generic[1])
        return Protocol(name=name, summary=GENERIC.format(k=k), k=k, max_length=max(20, 2 * k))
    return REGISTERED.get(name)


def of_plugin(protocol: Protocol) -> bool:
    """Return whether a plugin gives ``protocol``: its choices can be edited, so they are part of a run's key."""
    return hosts(protocol.name) is None


def check(protocol: Protocol, labels: Sequence[str]) -> None:
    """Raise ``UsageError`` where ``protocol`` asks for more labels than there are."""
    if protocol.k > len(labels):
        raise UsageError(
            f"protocol {protocol.name}: k is {protocol.k}, allowed: at most the {len(labels)} labels of the data set."
            f" Try: --protocol top{len(labels)}@1"
        )


def searched(protocol: Protocol, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return search options as they are in force: the protocol's lengths and class score where ``chosen`` asks for it.

    >>> searched(get("nuswide81-top3@1"), {"beam_width": 5, "min_length": -1, "max_length": 4})
    {'beam_width': 5, 'min_length': 3, 'max_length': 4}
    """
    return {name: getattr(protocol, name) if left_to_protocol(name, value) else value for name, value in chosen.items()}


def left_out(protocol: Protocol, ignore: Mask | None) -> Mask | None:
    """Return the pairs that count not at all under ``protocol``; ``None`` where every pair counts."""
    return ignore if ignore is not None and protocol.difficult == "ignore" and count(ignore) else None


def counted(
    protocol: Protocol, truth: Mask, ignore: Mask | None, known: Mask | None = None
) -> tuple[Mask, Mask | None]:
    """Return truth and the pairs that count not at all: those that ``protocol`` leaves out, and known tags always."""
    ignore = left_out(protocol, ignore)
    return (truth, ignore) if known is None else known_tags.left_out(truth, ignore, known)


def predicted_top_k(scores: Scores, k: int) -> BoolArray:
    """Return the ``k`` best labels of each image, (images, labels) bool; ties go to the lower label index.

    Raises ``UsageError`` where ``k`` is larger than the number of labels.
    """
    _check_k(scores, k)
    return metrics.top_k(scores.values, k)


def _check_k(scores: Scores, k: int) -> None:
    if not 1 <= k <= scores.values.shape[1]:
        raise UsageError(f"k: found {k}, allowed: 1 to {scores.values.shape[1]}, the number of labels")


def predicted_from_scores(protocol: Protocol, scores: Scores) -> BoolArray:
    """Return the label sets that ``protocol`` reads off scores, (images, labels) bool."""
    return packed_from_scores(protocol, scores)[:]


def packed_from_scores(protocol: Protocol, scores: Scores, known: Mask | None = None) -> BitMatrix:
    """Return the label sets that ``protocol`` reads off scores, packed; of the labels that are not ``known`` before.

    Scores that are label sets are what they are, under any protocol.
    """
    _check_k(scores, protocol.k)
    if not scores.rank:
        labels = scores.values.shape[1]
        return BitMatrix.pack((scores.values[rows] > 0 for rows in row_blocks(len(scores.ids), labels)), labels)
    if protocol.selection == "topk_threshold" and scores.kind not in THRESHOLDS:
        raise UsageError(
            f"protocol {protocol.name}: scores of kind '{scores.kind}' have no threshold,"
            f" allowed: {', '.join(THRESHOLDS)}. Try: a protocol with selection topk_exact"
        )
    threshold = THRESHOLDS[scores.kind] if protocol.selection == "topk_threshold" else -np.inf
    if known is None:
        return metrics.packed_top_k(scores.values, protocol.k, threshold)
    labels = scores.values.shape[1]

    def of(rows: slice) -> BoolArray:
        # Where fewer than k are unknown, known ones fill up, and are taken out again.
        told = known[rows]
        return (
            metrics.top_k_above(np.where(told, np.float32(-np.inf), scores.values[rows]), protocol.k, threshold) & ~told
        )

    return BitMatrix.pack(map(of, row_blocks(len(scores.ids), labels)), labels)


def predicted_from_sequences(protocol: Protocol, label_sets: LabelSets, class_scores: Scores) -> BoolArray:
    """Return sequences as label sets, (images, labels) bool, cut to the first k emitted where the protocol says so.

    A repeated label counts once, so a cut sequence may hold fewer than k distinct labels.
    """
    return cut(protocol, label_sets).as_matrix(class_scores.values.shape[1])


def label_sets(protocol: Protocol, scores: Scores, sequences: LabelSets | None = None) -> BoolArray:
    """Return the label sets that count, (images, labels) bool: from ``sequences`` where the model emits them."""
    if sequences is None:
        return predicted_top_k(scores, protocol.k)
    return predicted_from_sequences(protocol, sequences, scores)


def cut(protocol: Protocol, label_sets: LabelSets) -> LabelSets:
    """Return the sequences as far as they count: the first k labels emitted where the protocol says so."""
    sequences = label_sets.sequences[:, : protocol.k] if protocol.cut_to_k else label_sets.sequences
    return LabelSets(label_sets.ids, sequences, label_sets.log_probabilities, label_sets.complete)
