"""The module behind ``metric-learning``: a linear map before the neighbours of ``knn``."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

import bench
from bench import BoolArray, FloatArray, Validation
from bench_models.neighbours import Neighbours


class MetricNeighbours(Neighbours):
    """``Neighbours`` under a metric W W^T: unit-length features times ``projection``, W, (dimensions, dimensions)."""

    projection: torch.Tensor

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__(request)
        options = request.options
        self.learns, self.shrink = options["metric"] == "learnt", float(options["shrink"])
        self.subset, self.pairs, self.seed = int(options["subset"]), int(options["pairs"]), request.seed
        self.register_buffer("projection", torch.eye(request.dimensions))

    def fit(
        self,
        features: FloatArray,
        truth: BoolArray,
        ignore: BoolArray | None = None,
        validation: Validation | None = None,
    ) -> None:
        """Keep the training part in the form that is best without a metric, learn the metric, and choose again."""
        super().fit(features, truth, ignore, validation)
        if not self.learns:
            return
        given = torch.from_numpy(truth & ~ignore if ignore is not None else truth.copy()).float()
        unit = self.input(torch.from_numpy(features.copy()).to(self.projection.device)).cpu().double()
        order = torch.from_numpy(np.random.default_rng(self.seed).permutation(len(unit)))
        parts = order.chunk(max(round(len(order) / self.subset), 1))
        metrics = torch.stack([learnt_metric(unit[rows], given[rows], self.pairs, self.shrink) for rows in parts])
        values, vectors = torch.linalg.eigh(metrics.mean(dim=0))
        self.projection = (vectors * values.clamp(min=0).sqrt()).float().to(self.projection.device)
        self.choose((self.form,), features, validation)

    def placed(self, features: torch.Tensor) -> torch.Tensor:
        """Return (n, dimensions) vectors whose scalar products are cosines under the metric."""
        return nn.functional.normalize(super().placed(features) @ self.projection, dim=1)


def learnt_metric(images: torch.Tensor, truth: torch.Tensor, pairs: int, shrink: float) -> torch.Tensor:
    """Return a positive semidefinite (d, d) metric of trace 1 from (n, d) ``images`` and float (n, labels) ``truth``.

    An image's ``pairs`` nearest ones with label sets at least half alike are pulled, the nearest with no label in
    common pushed. Where there are none of either, the metric is the identity.
    """
    shared = truth @ truth.T
    union = truth.sum(dim=1)[:, None] + truth.sum(dim=1) - shared
    alike = torch.where(union > 0, shared / union.clamp(min=1), torch.zeros_like(shared))
    distance = torch.cdist(images, images)
    distance.fill_diagonal_(torch.inf)
    identity = torch.eye(images.shape[1], dtype=images.dtype) / images.shape[1]
    scatters = []
    for wanted in (alike >= 0.5, shared == 0):
        nearest, rows = distance.masked_fill(~wanted, torch.inf).topk(min(pairs, len(images)), largest=False)
        first, place = nearest.isfinite().nonzero(as_tuple=True)
        if not len(first):
            return identity
        apart = images[first] - images[rows[first, place]]
        scatters.append(apart.T @ apart / len(apart))
    floor = shrink * scatters[0].trace() + 1e-12
    pulled, pushed = (torch.linalg.inv(scatter + floor * identity) for scatter in scatters)
    values, vectors = torch.linalg.eigh(pulled - pushed)
    values = values.clamp(min=0)
    if not bool(values.sum() > 1e-12):
        return identity
    metric: torch.Tensor = (vectors * (values / values.sum())) @ vectors.T
    return metric
