"""Models that are no torch modules, as the modules that every stage takes: arrays go in and out of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.contracts import ArrayModel
from bench.errors import PluginError, UsageError
from bench.records import ScoreKind


class ArrayModule(nn.Module):
    """An ``ArrayModel`` as a module of no parameters, always on the CPU; its ``state`` takes the place of weights."""

    def __init__(self, model: ArrayModel) -> None:
        super().__init__()
        self.model = model
        self.fit = model.fit
        if hasattr(model, "label_sets"):
            self.label_sets = self._label_sets

    @property
    def score_kind(self) -> ScoreKind:
        """Return the kind of the model's scores, as it is now."""
        return self.model.score_kind

    def forward(self, features: torch.Tensor, *known: torch.Tensor) -> torch.Tensor:
        """Return the model's scores, (n, labels); ``known`` tags are given where it takes them."""
        told = (mask.cpu().numpy() for mask in known)
        return _tensor(self.model.scores(features.cpu().numpy(), *told), np.float32, "scores")

    def _label_sets(self, features: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        sets = self.model.label_sets(features.cpu().numpy(), scores.cpu().numpy())  # type: ignore[attr-defined]
        return _tensor(sets, np.bool_, "label_sets")

    def loss(self, features: torch.Tensor, truth: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Raise ``UsageError``: there is nothing that a gradient could reach."""
        raise UsageError("a model of arrays has no gradient to fine-tune a backbone by. Try: --finetune 0")

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        for name, array in self.model.state().items():
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
                found = f"{array.dtype} array" if isinstance(array, np.ndarray) else type(array).__name__
                raise PluginError(f"state '{name}' is a {found}, must be an array of numbers or truth values")
            destination[prefix + name] = torch.from_numpy(np.array(array, order="C"))

    def _load_from_state_dict(self, state_dict: Mapping[str, torch.Tensor], prefix: str, *rest: Any) -> None:
        own = {name.removeprefix(prefix): tensor for name, tensor in state_dict.items() if name.startswith(prefix)}
        self.model.load_state({name: tensor.numpy() for name, tensor in own.items()})


def as_module(model: Any) -> Any:
    """Return ``model`` as a torch module: itself, or what makes one of an ``ArrayModel``."""
    if isinstance(model, nn.Module) or not isinstance(model, ArrayModel):
        return model
    return ArrayModule(model)


def _tensor(array: Any, dtype: Any, what: str) -> torch.Tensor:
    plain = isinstance(array, np.ndarray) and not isinstance(array, np.ma.MaskedArray)
    if not plain or array.dtype.kind not in ("b" if dtype is np.bool_ else "fiu"):
        found = f"{array.dtype} array" if plain else type(array).__name__
        raise PluginError(f"{what} gives a {found}, must be an array of {'bool' if dtype is np.bool_ else 'floats'}")
    return torch.from_numpy(np.array(array, dtype=dtype, order="C"))
