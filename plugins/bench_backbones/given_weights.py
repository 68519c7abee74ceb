"""A user's own file of weights put into a network: one set of floating-point numbers, whatever it was wrapped in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bench import ModelError
from bench_backbones.weights import load_file, load_into

if TYPE_CHECKING:
    import torch
    from torch import nn

SETS = ("state_dict", "model")
"""What a checkpoint calls the weights that ``load_file`` reads, the first that is there."""

AUXILIARY = ("aux1", "aux2", "AuxLogits")
"""Classifiers halfway through torchvision's GoogLeNet and Inception, of use in training alone."""

OTHER_HEADS = ("head_dist.", "heads.", *(f"{name}." for name in AUXILIARY))
"""Classifiers of timm's distilled networks and of torchvision's, which are left aside as all are."""

COUNTED = "n_averaged"
"""What torch's ``AveragedModel`` stores besides the network."""


def load_given(module: nn.Module, path: Path, architecture: str) -> None:
    """Put the weights of the file ``path`` into ``module``, as ``load_into`` does.

    What stands before all names of the network, as ``module.`` or ``backbone.``, is left out. Raises ``ModelError``
    for a file of two sets of weights, as of a moving average beside the last, and for weights that are no
    floating-point numbers: quantised ones mean nothing without their scales.
    """
    tensors, own = load_file(path), module.state_dict()
    if not all(isinstance(name, str) for name in tensors):
        raise ModelError(f"cannot read weights {path}: its tensors have no names")
    if others := _other_sets(path, len(tensors)):
        first = next(iter(others))
        raise ModelError(
            f"weights {path}: '{first}' and '{others[first]}' are both weights of a network. Try: a file of those alone"
            f" that you mean, by torch.save(torch.load(FILE)['{first}'], OTHER)"
        )
    tensors = _unwrapped(tensors, own)
    numbers = {name for name, value in own.items() if value.is_floating_point()}
    odd = [name for name, value in tensors.items() if name in numbers and not value.is_floating_point()]
    if odd:
        raise ModelError(
            f"weights {path}: '{odd[0]}' holds {tensors[odd[0]].dtype}, allowed: floating-point numbers."
            " Try: the weights before they were quantised"
        )
    kept = {name: value for name, value in tensors.items() if name in own or not name.startswith(OTHER_HEADS)}
    load_into(module, kept, path=path, architecture=architecture)


def _unwrapped(tensors: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return ``tensors`` by the names of ``own``, where these stand all in them behind one and the same text."""
    needed = [name for name in own if not name.endswith("num_batches_tracked")]
    found = {name: tensor for name, tensor in tensors.items() if name != COUNTED}
    ends = {name[: -len(needed[0])] for name in found if name.endswith(f".{needed[0]}")}
    wholes = [before for before in ends if all(before + name in found for name in needed)]
    if len(wholes) != 1 or not own.keys().isdisjoint(found):
        return dict(tensors)
    return {name.removeprefix(wholes[0]): tensor for name, tensor in found.items()}


def _other_sets(path: Path, size: int) -> dict[str, str]:
    """Return what else in a checkpoint is as good as a set of ``size`` tensors, each with the name of the one read."""
    import torch

    if path.suffix == ".safetensors":
        return {}
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError:  # a file of an old torch, which cannot be mapped
        content = torch.load(path, map_location="cpu", weights_only=True)
    read = next((name for name in SETS if isinstance(content.get(name), dict)), "")
    return {
        name: read
        for name, value in content.items()
        if read and name != read and isinstance(value, dict) and 2 * len(value) >= size and _are_tensors(value)
    }


def _are_tensors(values: Mapping[str, object]) -> bool:
    import torch

    return all(isinstance(value, torch.Tensor) for value in values.values())
