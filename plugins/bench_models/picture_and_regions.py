"""The module behind ``inria``: a kernel machine over a pyramid's Fisher vectors, beside the best window's score."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

import bench
from bench import BoolArray, FloatArray, Validation, progress_bar
from bench_models.fisher import FisherVectors, sized_by

Part = tuple[float, float, float, float]

WHOLE: Part = (0.0, 1.0, 0.0, 1.0)
CHUNK = 64
"""Maps encoded at once."""

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the regions' score that are tried on the validation part."""

EPOCHS, UPDATES, RATE, DECAY = 30, 300, 3e-2, 1e-5
"""Training of the regions' planes, by Adam: so many passes, and of few pictures at least so many updates."""


def pyramid() -> tuple[Part, ...]:
    """Return the cells 2 x 2, then 3 x 1, of a picture, as shares of it: VOC's usual pyramid without the whole."""
    quarters = [(r / 2, (r + 1) / 2, c / 2, (c + 1) / 2) for r in range(2) for c in range(2)]
    return (*quarters, *((row / 3, (row + 1) / 3, 0.0, 1.0) for row in range(3)))


def regions() -> tuple[Part, ...]:
    """Return the squares of grids 2 x 2, 3 x 3 and 4 x 4 that overlap by half a side."""
    found = []
    for count in (2, 3, 4):
        side = 2 / (count + 1)
        starts = [place * (1 - side) / (count - 1) for place in range(count)]
        found += [(top, top + side, left, left + side) for top in starts for left in starts]
    return tuple(found)


class PictureAndRegions(nn.Module):
    """A ``bench.ScoreModel`` of maps: a picture's score beside its regions', each by its ``spread``, in ``share``."""

    score_kind = "margin"
    remembered: torch.Tensor
    duals: torch.Tensor
    offsets: torch.Tensor
    gamma: torch.Tensor
    planes: torch.Tensor
    share: torch.Tensor
    spread: torch.Tensor

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__()
        assert request.feature_map is not None, "the host gives a model of maps their shape"
        options, labels = request.options, len(request.labels)
        self.cost, self.seed = float(options["C"]), request.seed
        self.has_regions = options["regions"] == "yes"
        self.cells = (WHOLE, *(pyramid() if options["pyramid"] == "yes" else ()))
        parts = (*self.cells, *(regions() if self.has_regions else ()))
        self.encoder = FisherVectors(request.feature_map, int(options["gaussians"]), int(options["components"]), parts)
        width = self.encoder.dimensions
        self.register_buffer("remembered", torch.zeros(0, len(self.cells) * width))
        self.register_buffer("duals", torch.zeros(0, labels))
        self.register_buffer("offsets", torch.zeros(labels))
        self.register_buffer("gamma", torch.ones(()))
        self.register_buffer("planes", torch.zeros(labels, width + 1))
        self.register_buffer("share", torch.zeros(()))
        self.register_buffer("spread", torch.ones(2))

    def fit(
        self,
        features: FloatArray,
        truth: BoolArray,
        ignore: BoolArray | None = None,
        validation: Validation | None = None,
    ) -> None:
        """Find mixture, kernel machines and the regions' planes, then the share of either in the score."""
        self.encoder.fit(features, self.seed)
        counts = np.ones_like(truth) if ignore is None else ~ignore
        pictures, windows = self._encoded(features)
        self._solve(pictures, truth, counts)
        if self.has_regions:
            self.planes.copy_(latent_planes(windows, truth, counts, self.seed))
            self._weigh(validation)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return (n, labels) scores: the picture's and the best window's, weighed."""
        encoded = self.encoder(features)
        scores = self._picture(self._joined(encoded))
        if not self.has_regions:
            return scores
        best = window_scores(encoded[:, len(self.cells) :], self.planes).amax(dim=1)
        return (1.0 - self.share) * scores / self.spread[0] + self.share * best / self.spread[1]

    def loss(self, features: torch.Tensor, truth: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return zero: ``fit`` does it all."""
        return features.new_zeros(())

    def _joined(self, encoded: torch.Tensor) -> torch.Tensor:
        cells: torch.Tensor = encoded[:, : len(self.cells)].flatten(1) * len(self.cells) ** -0.5
        return cells

    def _picture(self, vectors: torch.Tensor) -> torch.Tensor:
        apart = (vectors.square().sum(dim=1, keepdim=True) + self.remembered.square().sum(dim=1)) - 2 * (
            vectors @ self.remembered.T
        )
        scores: torch.Tensor = (-self.gamma * apart.clamp(min=0.0)).exp() @ self.duals + self.offsets
        return scores

    def _encoded(self, maps: FloatArray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the pyramid's vectors, (images, cells * width), and the windows', in half precision."""
        pictures, windows = [], []
        with torch.inference_mode():
            for start in progress_bar(range(0, len(maps), CHUNK), "Fisher vectors", len(maps), scale=CHUNK):
                chunk = torch.from_numpy(np.asarray(maps[start : start + CHUNK], dtype=np.float32))
                encoded = self.encoder(chunk.to(self.planes.device))
                pictures.append(self._joined(encoded))
                windows.append(encoded[:, len(self.cells) :].half())
        return torch.cat(pictures).clone(), torch.cat(windows).clone()

    def _solve(self, vectors: torch.Tensor, truth: BoolArray, counts: BoolArray) -> None:
        """Find each label's machine; one that all or none of its images have gets a constant score, its sign."""
        from sklearn.svm import SVC

        apart = torch.cdist(vectors.double(), vectors.double()).square().cpu().numpy()
        gamma = 1.0 / max(float(apart.mean()), 1e-6)
        kernel = np.exp(-gamma * apart)
        duals, offsets = np.zeros(truth.shape, dtype=np.float32), np.zeros(truth.shape[1], dtype=np.float32)
        for label in progress_bar(range(truth.shape[1]), "support vector machines", unit="labels"):
            rows = np.flatnonzero(counts[:, label])
            positive = truth[rows, label]
            if positive.all() or not positive.any():
                offsets[label] = 1.0 if len(rows) and positive.all() else -1.0
                continue
            machine = SVC(C=self.cost, kernel="precomputed").fit(kernel[np.ix_(rows, rows)], positive)
            duals[rows[machine.support_], label] = machine.dual_coef_[0]
            offsets[label] = machine.intercept_[0]
        used = np.flatnonzero(np.abs(duals).max(axis=1, initial=0) > 0)
        self.remembered, self.duals = vectors[used].clone(), torch.from_numpy(duals[used]).to(vectors.device)
        self.offsets.copy_(torch.from_numpy(offsets))
        self.gamma.fill_(gamma)

    def _weigh(self, validation: Validation | None) -> None:
        """Choose the share of the regions on the validation part; half where there is none."""
        self.share.fill_(0.5)
        if validation is None:
            return
        pictures, windows = self._encoded(validation.features)
        best = window_scores(windows.float(), self.planes).amax(dim=1)
        for number, scores in enumerate((self._picture(pictures), best)):
            self.spread[number] = scores.std(correction=0).clamp(min=1e-3)
        found = []
        for share in WEIGHTS:
            self.share.fill_(share)
            found.append(validation.score(self))
        self.share.fill_(WEIGHTS[int(np.argmax(found))])

    def _load_from_state_dict(self, state_dict: Mapping[str, torch.Tensor], prefix: str, *rest: Any) -> None:
        """Take the number of remembered images from the stored weights before the usual loading checks shapes."""
        sized_by(self, ("remembered", "duals"), state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def window_scores(windows: torch.Tensor, planes: torch.Tensor) -> torch.Tensor:
    """Return (n, windows, labels) scores of (n, windows, width) vectors; the last number of a plane is its offset."""
    return windows @ planes[:, :-1].T + planes[:, -1]


def latent_planes(windows: torch.Tensor, truth: BoolArray, counts: BoolArray, seed: int) -> torch.Tensor:
    """Return each label's plane, (labels, width + 1): the hinge loss of each picture's best window, one against all."""
    generator, device = torch.Generator().manual_seed(seed), windows.device
    sign = torch.from_numpy(np.where(truth, 1.0, -1.0)).float().to(device)
    counted = torch.from_numpy(counts).float().to(device)
    planes = torch.zeros(truth.shape[1], windows.shape[2] + 1, device=device, requires_grad=True)
    optimizer = torch.optim.Adam([planes], lr=RATE, weight_decay=DECAY)
    batches = math.ceil(len(windows) / CHUNK)
    epochs = max(EPOCHS, math.ceil(UPDATES / batches))
    for _ in progress_bar(range(epochs), "regions", unit="epochs"):
        for rows in torch.split(torch.randperm(len(windows), generator=generator), CHUNK):
            best = window_scores(windows[rows].float(), planes).amax(dim=1)
            loss = ((1.0 - sign[rows] * best).relu() * counted[rows]).sum(dim=1).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return planes.detach()
