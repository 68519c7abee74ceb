"""An exponential moving average of a module's weights, which answers in its place once training is over."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from bench_models.heads import start_at


class WeightAverage(nn.Module):
    """``layers`` while training; what answers otherwise is an average of the weights that they had.

    An update keeps ``decay`` of the average, and less while there were few: (1 + n) / (10 + n) after n. The average is
    of buffers, so that it is stored and continued with the weights, and nothing trains it.
    """

    updates: torch.Tensor

    def __init__(self, layers: nn.Module, decay: float) -> None:
        super().__init__()
        self.layers, self.decay = layers, decay
        self.average = _without_parameters(copy.deepcopy(layers))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def start_at(self, logits: torch.Tensor) -> None:
        """Give ``logits``, (labels,), to every image."""
        start_at(self.layers, logits)
        self.average.load_state_dict(self.layers.state_dict())

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return what the layers make of ``values``; while training, the average follows their weights."""
        if not self.training:
            return cast(torch.Tensor, self.average(values))
        updates = int(self.updates)
        decay = min(self.decay, (1 + updates) / (10 + updates))
        live = dict(self.layers.named_parameters())
        kept = dict(self.average.named_buffers())
        follow = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        follow([kept[name] for name in live], list(live.values()), self.updates)
        self.updates += 1
        return cast(torch.Tensor, self.layers(values))


def _without_parameters(module: nn.Module) -> nn.Module:
    """Return ``module`` with its parameters as buffers of the same names."""
    for part in module.modules():
        for name, parameter in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, parameter.detach())
    return module
