"""All that a run's numbers follow from: what was true of the test part, and what was predicted."""

from __future__ import annotations

from dataclasses import dataclass

from bench.contracts import Protocol
from bench.evaluation.bits import Mask
from bench.records import Scores


@dataclass(frozen=True, slots=True)
class Outcome:
    """Truth, ignore mask and predicted label sets, all (images, labels), and the scores of one run's test part.

    ``name`` says for people whose they are. Two outcomes of one ``fingerprint`` are of the same images and labels.
    ``protocol`` is the one that the run was measured by, and ``ignore`` are the pairs that count not at all by it:
    those that are ``known`` to the model, and the ``difficult`` ones of the data set where it leaves them out.
    ``seal`` are hashes of the files that all this was read from; empty where it is from no file.
    """

    name: str
    fingerprint: str
    protocol: Protocol
    labels: tuple[str, ...]
    truth: Mask
    ignore: Mask | None
    predicted: Mask
    scores: Scores
    difficult: Mask | None = None
    known: Mask | None = None
    seal: str = ""
