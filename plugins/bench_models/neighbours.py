"""The module behind ``knn``: the training part as buffers, so that it is stored and exported like weights."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import bench
from bench import BoolArray, FloatArray, Validation
from bench_models.inputs import AUTO, FORMS, UnitInput
from bench_models.pair_precision import pair_precision

COUNTS = (3, 5, 10, 15, 25, 50, 100, 200)
WITHOUT_VALIDATION = 50

LEAST = 1e-6
"""Votes that are counted where there is none: less than any share of one among copies."""


class Neighbours(nn.Module):
    """A ``bench.ScoreModel`` that remembers: unit-length features (images, dimensions) and truth (images, labels).

    ``votes`` (images, labels) is 0 where a pair is ignored, else 1; it has no rows where none is. ``count`` is how many
    vote: option ``neighbours``, or where that is 0 the best of ``COUNTS`` on the validation part; so is their form.
    """

    score_kind = "margin"
    features: torch.Tensor
    truth: torch.Tensor
    votes: torch.Tensor
    count: torch.Tensor

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__()
        asked = int(request.options["neighbours"])
        self.input = UnitInput(request.dimensions)
        form = str(request.options.get("normalize", FORMS[0]))
        self.forms = FORMS if form == AUTO else (form,)
        self.form = self.forms[0]
        self.counts = (asked,) if asked else COUNTS
        self.chooses = len(self.forms) * len(self.counts) > 1
        self.chosen: dict[str, int | str] = {}
        self.register_buffer("features", torch.zeros(0, request.dimensions))
        self.register_buffer("truth", torch.zeros(0, len(request.labels)))
        self.register_buffer("votes", torch.zeros(0, len(request.labels)))
        self.use(asked or WITHOUT_VALIDATION)

    def use(self, neighbours: int) -> None:
        """Let ``neighbours`` images vote. The number itself is for graphs, which cannot hold a search of any size."""
        self.neighbours = neighbours
        self.register_buffer("count", torch.tensor([neighbours], device=self.features.device))

    def fit(
        self,
        features: FloatArray,
        truth: BoolArray,
        ignore: BoolArray | None = None,
        validation: Validation | None = None,
    ) -> None:
        """Keep the training part, and choose its form and how many vote.

        Images of equal features have the mean of their labels: which of them are nearest is nobody's to say.
        """
        device = self.features.device
        voting = np.ones_like(truth) if ignore is None else ~ignore
        copies = copies_of(features)
        self.truth = torch.from_numpy(shared(truth & voting, copies)).to(device)
        if not voting.all():
            self.votes = torch.from_numpy(shared(voting, copies)).to(device)
        self.choose(self.forms, features, validation)

    def choose(self, forms: tuple[str, ...], features: FloatArray, validation: Validation | None) -> None:
        """Keep ``features`` in the best of these forms, and let as many vote as is best; of equal ones the first."""
        tried: list[tuple[float, str, int]] = []
        if self.chooses and validation is not None:
            for form in forms:
                self.remember(form, features)
                tried += [(self._judged(count, validation), form, count) for count in self.counts]
        _, form, count = max(tried, key=itemgetter(0), default=(0.0, forms[0], self.neighbours))
        self.remember(form, features)
        self.use(count)
        if tried and len(self.counts) > 1:
            self.chosen["neighbours"] = count
        if tried and len(self.forms) > 1:
            self.chosen["normalize"] = form

    def remember(self, form: str, features: FloatArray) -> None:
        """Keep the training part's ``features`` in that form."""
        self.form = form
        self.input.use(form, features)
        self.features = self.placed(torch.from_numpy(features.copy()).to(self.features.device))

    def placed(self, features: torch.Tensor) -> torch.Tensor:
        """Return (n, dimensions) vectors of unit length, whose scalar products are similarities."""
        unit: torch.Tensor = self.input(features)
        return unit

    def _judged(self, count: int, validation: Validation) -> float:
        self.use(count)
        return pair_precision(self, validation)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the mean of similarity times truth over the nearest images that vote, (n, labels); 0: none does."""
        similarity = self.placed(features) @ self.features.T
        count = min(self.neighbours, len(self.features))
        nearest, rows = similarity.topk(count, dim=1)
        total: torch.Tensor = (nearest.unsqueeze(2) * self.truth[rows]).sum(dim=1)
        return total / (self.votes[rows].sum(dim=1).clamp(min=LEAST) if len(self.votes) else count)

    def loss(self, features: torch.Tensor, truth: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return zero: there is nothing to train."""
        return features.new_zeros(())

    def _load_from_state_dict(self, state_dict: dict[str, torch.Tensor], prefix: str, *rest: Any) -> None:
        """Take the number of remembered images from the stored weights before the usual loading checks shapes."""
        for name in ("features", "truth", "votes"):
            stored = state_dict.get(prefix + name)
            own = getattr(self, name)
            if stored is not None and stored.ndim == 2 and stored.shape[1] == own.shape[1]:
                setattr(self, name, own.new_zeros(stored.shape))
        state_dict.setdefault(prefix + "count", self.count)  # weights of before the number was stored: as asked
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self.neighbours = int(self.count)


def copies_of(features: FloatArray) -> NDArray[np.int64]:
    """Return a number for each image (images,), the same for images of equal features (images, dimensions)."""
    rows = np.ascontiguousarray(features + 0.0)  # -0 and 0 are equal, and their bytes are not
    as_bytes = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1])))
    return np.unique(as_bytes, return_inverse=True)[1].ravel()


def shared(pairs: BoolArray, copies: NDArray[np.int64]) -> FloatArray:
    """Return for each image the mean of ``pairs`` (images, labels) over its ``copies``, as float32."""
    sums = np.zeros((copies.max(initial=-1) + 1, pairs.shape[1]), dtype=np.float32)
    np.add.at(sums, copies, pairs.astype(np.float32))
    sums /= np.bincount(copies)[:, None]
    return sums[copies]
