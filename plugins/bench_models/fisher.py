"""Fisher vectors of the places of a feature map, over the whole of it and over parts of it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from bench import FloatArray

SAMPLE = 40_000
"""Places of training maps that the mixture is fitted to."""


class FisherVectors(nn.Module):
    """(n, channels, height, width) maps -> (n, parts, 2 * gaussians * components), each part of unit length or zero.

    ``parts`` are (top, bottom, left, right) as shares of the map; a place belongs to a part that holds its middle.
    A part's vector is the gradient of its places' log-likelihood by means and deviations of a Gaussian mixture, signed
    square roots of it taken (Perronnin, Sánchez and Mensink, ECCV 2010).
    """

    centre: torch.Tensor
    axes: torch.Tensor
    shares: torch.Tensor
    means: torch.Tensor
    deviations: torch.Tensor
    masks: torch.Tensor

    def __init__(
        self,
        shape: tuple[int, int, int],
        gaussians: int,
        components: int,
        parts: Sequence[tuple[float, float, float, float]],
    ) -> None:
        super().__init__()
        channels, height, width = shape
        self.gaussians, self.components = gaussians, min(components, channels)
        self.register_buffer("centre", torch.zeros(channels))
        self.register_buffer("axes", torch.eye(channels)[: self.components].clone())
        self.register_buffer("shares", torch.full((gaussians,), 1.0 / gaussians))
        self.register_buffer("means", torch.zeros(gaussians, self.components))
        self.register_buffer("deviations", torch.ones(gaussians, self.components))
        self.register_buffer("masks", part_masks(height, width, parts), persistent=False)

    @property
    def dimensions(self) -> int:
        """Return the length of a part's vector."""
        return 2 * self.gaussians * self.components

    def fit(self, maps: FloatArray, seed: int) -> None:
        """Find principal axes and mixture from places of ``maps`` (images, channels, height, width)."""
        from sklearn.decomposition import PCA
        from sklearn.mixture import GaussianMixture

        rng = np.random.default_rng(seed)
        each = max(min(SAMPLE // len(maps), maps.shape[2] * maps.shape[3]), 1)
        images = np.sort(rng.permutation(len(maps))[:SAMPLE])
        drawn = [rng.permutation(maps.shape[2] * maps.shape[3])[:each] for _ in images]
        flat = maps.reshape(len(maps), maps.shape[1], -1)
        sample = np.concatenate([flat[image][:, places].T for image, places in zip(images, drawn, strict=True)])
        sample = sample.astype(np.float64)
        axes = PCA(self.components, svd_solver="full" if len(sample) <= 500 else "covariance_eigh")
        options: dict[str, Any] = {"covariance_type": "diag", "reg_covar": 1e-3, "init_params": "k-means++"}
        mixture = GaussianMixture(self.gaussians, max_iter=50, random_state=seed, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it would go on converging; that constant maps have no variance
            reduced = axes.fit_transform(sample)
            scale = max(float(reduced.std()), 1e-6)
            mixture.fit(reduced / scale)
        found = {
            "centre": axes.mean_,
            "axes": axes.components_ / scale,
            "shares": mixture.weights_,
            "means": mixture.means_,
            "deviations": np.sqrt(mixture.covariances_),
        }
        for name, values in found.items():
            getattr(self, name).copy_(torch.from_numpy(values))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the vectors."""
        places = maps.flatten(2).transpose(1, 2) - self.centre
        reduced = places @ self.axes.T  # (n, places, components)
        log = self.shares.clamp(min=1e-12).log() - self.deviations.log().sum(dim=1)
        # One Gaussian after another: all of them at once would be large.
        squares = [((reduced - mean) / deviation).square().sum(dim=2) for mean, deviation in self._gaussians()]
        belongs = (log[None, None] - 0.5 * torch.stack(squares, dim=2)).softmax(dim=2)
        parts = []
        for number, (mean, deviation) in enumerate(self._gaussians()):
            share, weight = self.shares[number].clamp(min=1e-6), belongs[:, :, number : number + 1]
            away = (reduced - mean) / deviation
            parts.append(self.masks @ (weight * away) / share.sqrt())
            parts.append(self.masks @ (weight * (away.square() - 1.0)) / (2.0 * share).sqrt())
        vectors = torch.cat(parts, dim=2)
        rooted = vectors.sign() * vectors.abs().clamp(min=1e-12).sqrt()
        return nn.functional.normalize(rooted, dim=2)

    def _gaussians(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return [(self.means[number], self.deviations[number]) for number in range(self.gaussians)]


def part_masks(height: int, width: int, parts: Sequence[tuple[float, float, float, float]]) -> torch.Tensor:
    """Return which places belong to which part, as weights that add up to one, (parts, places).

    A part so small that it holds no place's middle has the place that its own middle lies in.
    """
    rows, columns = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    masks = np.zeros((len(parts), height, width), dtype=np.float32)
    for number, (top, bottom, left, right) in enumerate(parts):
        inside = np.outer((rows >= top) & (rows < bottom), (columns >= left) & (columns < right))
        masks[number] = inside
        if not inside.any():
            masks[number, int((top + bottom) / 2 * height), int((left + right) / 2 * width)] = 1.0
    flat = masks.reshape(len(parts), -1)
    return torch.from_numpy(flat / flat.sum(axis=1, keepdims=True))


def sized_by(module: nn.Module, names: Sequence[str], state: Mapping[str, Any], prefix: str) -> None:
    """Give buffers the shapes of what is stored: how many images are remembered is known by then alone."""
    for name in names:
        stored, own = state.get(prefix + name), getattr(module, name)
        if stored is not None and stored.ndim == own.ndim and stored.shape[1:] == own.shape[1:]:
            setattr(module, name, own.new_zeros(stored.shape))
