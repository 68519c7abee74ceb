"""The layers behind ``query2label``: a transformer decoder whose queries are labels."""

from __future__ import annotations

import torch
from torch import nn

import bench
from bench import UsageError


class Attention(nn.Module):
    """Multi-head attention of (n or 1, queries, width) to (n, places, width), residual and normalised."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, asking: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Return ``asking`` and what it found among ``values``, by their ``keys``."""
        query, key, value = (
            layer(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer, tokens in ((self.query, asking), (self.key, keys), (self.value, values))
        )
        weights = (query @ key.transpose(2, 3) * query.shape[-1] ** -0.5).softmax(dim=3)
        found = (weights @ value).transpose(1, 2).flatten(2)
        result: torch.Tensor = self.norm(asking + self.out(found))
        return result


class DecoderLayer(nn.Module):
    """Labels attend to one another, then to the places; then a layer of each label's own."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.among_labels = Attention(width, heads)
        self.to_places = Attention(width, heads)
        self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.norm = nn.LayerNorm(width)

    def forward(self, labels: torch.Tensor, places: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
        """Return the labels, (n, labels, width), with what they gathered."""
        labels = self.among_labels(labels, labels, labels)
        labels = self.to_places(labels, places + where, places)
        result: torch.Tensor = self.norm(labels + self.feed(labels))
        return result


class LabelQueries(nn.Module):
    """(n, channels, height, width) maps -> (n, labels) logits. Raises ``UsageError`` where the heads do not fit."""

    where: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor

    def __init__(self, request: bench.ModelRequest) -> None:
        super().__init__()
        width, heads = int(request.options["width"]), int(request.options["heads"])
        if width % heads or width % 4:
            raise UsageError(f"width={width}: allowed: multiples of heads={heads} and of 4. Try: --set width=128")
        assert request.feature_map is not None, "the host gives a model of maps their shape"
        labels = len(request.labels)
        most = int(request.options["side"])
        height, across = (min(most or side, side) for side in request.feature_map[1:])
        self.project = nn.Conv2d(request.dimensions, width, 1)
        self.queries = nn.Parameter(torch.randn(labels if request.options["queries"] == "label" else 1, width))
        self.layers = nn.ModuleList(DecoderLayer(width, heads) for _ in range(int(request.options["layers"])))
        self.out = nn.Parameter(torch.randn(labels, width) * width**-0.5)
        self.bias = nn.Parameter(torch.zeros(labels))
        self.register_buffer("where", sine_encoding(width, height, across), persistent=False)
        self.averaged = (height, across) != request.feature_map[1:]
        # Products in place of a pooling, which ONNX has for whole multiples alone.
        self.register_buffer("rows", averages(request.feature_map[1], height), persistent=False)
        self.register_buffer("columns", averages(request.feature_map[2], across), persistent=False)

    def start_at(self, logits: torch.Tensor) -> None:
        """Give ``logits``, (labels,), to every image."""
        self.out.zero_()
        self.bias.copy_(logits)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        smaller = self.rows @ maps @ self.columns.T if self.averaged else maps
        places = self.project(smaller).flatten(2).transpose(1, 2)
        # One row for all images: until the places are seen, what labels say to one another is the same for each.
        labels = self.queries.unsqueeze(0)
        for layer in self.layers:
            labels = layer(labels, places, self.where)
        logits: torch.Tensor = (labels * self.out).sum(dim=2) + self.bias
        return logits


def sine_encoding(width: int, height: int, across: int) -> torch.Tensor:
    """Return where each place is, (height * across, width): half of it for the row, half for the column."""
    rates = 10_000.0 ** (-torch.arange(0, width // 2, 2) / (width // 2))

    def of(count: int) -> torch.Tensor:
        angles = torch.arange(count)[:, None] * rates
        return torch.cat((angles.sin(), angles.cos()), dim=1)[:, : width // 2]

    rows, columns = of(height), of(across)
    both = (rows[:, None].expand(-1, across, -1), columns[None].expand(height, -1, -1))
    return torch.cat(both, dim=2).flatten(0, 1)


def averages(places: int, wanted: int) -> torch.Tensor:
    """Return the matrix, (wanted, places), that averages ``places`` neighbours to ``wanted``."""
    return nn.functional.adaptive_avg_pool1d(torch.eye(places), wanted).T.contiguous()
