"""All that a run's numbers follow from: what was true of the test part, and what was predicted."""

from __future__ import annotations

from dataclasses import dataclass

from bench.evaluation.bits import Mask
from bench.records import Scores


@dataclass(frozen=True, slots=True)
class Outcome:
    """Truth, ignore mask and predicted label sets, all (images, labels), and the scores of one run's test part.

    ``name`` says for people whose they are. Two outcomes of one ``fingerprint`` are of the same images and labels.
    ``protocol`` is the name of the one that the label sets were read by. ``seal`` are hashes of the files that truth,
    label sets and scores were read from; empty where they are from no file.
    """

    name: str
    fingerprint: str
    protocol: str
    labels: tuple[str, ...]
    truth: Mask
    ignore: Mask | None
    predicted: Mask
    scores: Scores
    seal: str = ""
