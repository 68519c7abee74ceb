"""Evaluation protocols: every choice that changes a number, under a versioned name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from bench.contracts.choices import misfit
from bench.errors import UsageError

Selection = Literal["topk_exact", "topk_threshold"]
"""How scores become label sets: the k best, or those of the k best that reach the natural threshold."""

ApKind = Literal["11_point", "all_point", "non_interpolated"]
"""VOC 2007 devkit, VOC 2010-2012 devkit, and scikit-learn's."""

ZeroDivision = Literal["zero", "one"]
"""What 0/0 is as a precision: 0, as in the paper's tables, or 1, as where a small epsilon is added to both."""

VERSIONED = re.compile(r"(?:[\w.+-]+:)?[\w+][\w.+-]*@[0-9]+")
"""What a protocol is called: ``family@version``, behind a distribution where another plugin has that name too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """One way to evaluate. Fields are explained in docs/metrics.md; ``name`` is ``family@version``.

    ``k``, ``selection``: label sets of score models. ``min_length``, ``max_length``: labels a sequence
    model emits before END is allowed, and at most. ``cut_to_k``: only a sequence's first k labels count.
    ``no_predictions``: a class's precision where it is never predicted; it stays in the mean.
    ``no_positives``: a class without positives is left out of every mean and named in the notes.
    ``difficult``: pairs of the ignore mask count not at all, or as negatives.
    Raises ``UsageError`` for a field that is none of what is allowed.
    """

    name: str
    summary: str
    k: int
    selection: Selection = "topk_exact"
    min_length: int = 0
    max_length: int = 20
    cut_to_k: bool = False
    class_score: Literal["max_over_steps", "first_step", "beam_marginal", "inclusion"] = "max_over_steps"
    f1: Literal["harmonic_of_means", "mean_of_f1"] = "harmonic_of_means"
    no_predictions: ZeroDivision = "zero"
    no_positives: Literal["drop"] = "drop"
    difficult: Literal["ignore", "negative"] = "ignore"
    ap: ApKind = "non_interpolated"
    map_at_10: Literal["image", "class"] = "image"
    label_ties: Literal["lower_index"] = "lower_index"
    image_ties: Literal["grouped"] = "grouped"

    def __post_init__(self) -> None:
        if not VERSIONED.fullmatch(self.name):
            raise UsageError(f"protocol '{self.name}': allowed: a family and a version, as in coco-top3@1")
        if wrong := misfit(self):
            raise UsageError(f"protocol '{self.name}': {wrong}")
        if not 0 <= self.min_length <= self.max_length or self.k < 1:
            raise UsageError(f"protocol {self.name}: lengths {self.min_length}..{self.max_length} or k {self.k} wrong")
