"""A user's own file of weights put into a network: one set of floating-point numbers, whatever it was wrapped in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import ModelError
from bench_backbones.weights import load_file, load_into

if TYPE_CHECKING:
    import torch
    from torch import nn

SETS = ("state_dict", "model")
"""What a checkpoint calls the weights that ``load_file`` reads: one in the other, where both are there so."""

Names = tuple[str, ...]
"""Of a mapping, of one in it, and so on."""

AUXILIARY = ("aux1", "aux2", "AuxLogits")
"""Classifiers halfway through torchvision's GoogLeNet and Inception, of use in training alone."""

OTHER_HEADS = ("head_dist.", "aux_head.", "classif.", "heads.", *(f"{name}." for name in AUXILIARY))
"""Classifiers of some of timm's networks and of torchvision's, which are left aside as all are."""

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
    if other := _other_set(path, len(tensors)):
        read, place = ("".join(f"['{name}']" for name in names) for names in other)
        raise ModelError(
            f"weights {path}: {place} and {read} are both weights of a network. Try: a file of those alone"
            f" that you mean, by torch.save(torch.load(FILE){place}, OTHER)"
        )
    tensors = _unwrapped(path, tensors, own)
    numbers = {name for name, value in own.items() if value.is_floating_point()}
    odd = [name for name, value in tensors.items() if name in numbers and not value.is_floating_point()]
    if odd:
        raise ModelError(
            f"weights {path}: '{odd[0]}' holds {tensors[odd[0]].dtype}, allowed: floating-point numbers."
            " Try: the weights before they were quantised"
        )
    kept = {name: value for name, value in tensors.items() if name in own or not name.startswith(OTHER_HEADS)}
    load_into(module, kept, path=path, architecture=architecture)


def _unwrapped(path: Path, tensors: Mapping[str, torch.Tensor], own: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return ``tensors`` by the names of ``own``, where these stand all in them behind one and the same text.

    Raises ``ModelError`` where they do so behind two.
    """
    needed = [name for name in own if not name.endswith("num_batches_tracked")]
    found = {name: tensor for name, tensor in tensors.items() if name != COUNTED}
    ends = {name[: -len(needed[0])]: None for name in found if name.endswith(f".{needed[0]}")}
    wholes = [before for before in ends if all(before + name in found for name in needed)]
    if not wholes or not own.keys().isdisjoint(found):
        return dict(tensors)
    if len(wholes) > 1:
        raise ModelError(
            f"weights {path}: '{wholes[0]}' and '{wholes[1]}' are both before all names of a network."
            " Try: a file of those alone that you mean"
        )
    return {name.removeprefix(wholes[0]): tensor for name, tensor in found.items()}


def _other_set(path: Path, size: int) -> tuple[Names, Names] | None:
    """Return where in a checkpoint the set of ``size`` tensors is that is read, and where one that is as good."""
    import torch

    if path.suffix == ".safetensors":
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError:  # a file of an old torch, which cannot be mapped
        content = torch.load(path, map_location="cpu", weights_only=True)
    read, at = tuple[str, ...](), content
    for name in SETS:
        if isinstance(at.get(name), dict):
            read, at = (*read, name), at[name]
    others = (place for place, count in _sets(content) if place != read and 2 * count >= size)
    return next(((read, place) for place in others), None)


def _sets(content: Mapping[Any, Any], place: Names = ()) -> Iterator[tuple[Names, int]]:
    """Yield where in ``content`` mappings are, however deep, and how many tensors each holds itself."""
    import torch

    yield place, sum(isinstance(value, torch.Tensor) for value in content.values())
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _sets(value, (*place, str(name)))
