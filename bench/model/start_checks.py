"""A model before it is trained, looked at beside a second build of it: what would train less of it than it says.

Everything raises ``PluginError``, to which the border adds the plugin's name, the stage and the method.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.contracts import Validation
from bench.errors import PluginError
from bench.model.arrays import ArrayModule
from bench.model.train import left_out, takes
from bench.options import OptionValue
from bench.records import BoolArray, Features, FloatArray
from bench.system.room import blocks
from bench.system.text import first_few

if TYPE_CHECKING:
    import torch

TOLD = 3
"""Most weights that are named."""


def check_built_again(model: Any, again: Any) -> None:
    """Raise unless ``again``, a second build with the same seed, starts as ``model`` does and shares no weight with it.

    What builds share, one run hands on to the next. Tensors that are never trained may be shared: they are tables.
    """
    from torch.nn.parameter import is_lazy

    if model is again or (isinstance(model, ArrayModule) and model.model is again.model):
        raise PluginError("build returned the same object twice, so that runs would go on from one another's weights")
    if isinstance(model, ArrayModule):
        return  # it has no state before its fit
    one, other = (dict([*built.named_parameters(), *built.named_buffers()]) for built in (model, again))
    if lazy := [name for name, tensor in one.items() if is_lazy(tensor)]:
        raise PluginError(f"{first_few(lazy, TOLD)} has no shape before the first batch. Try: request.dimensions")
    shared = [name for name, tensor in one.items() if tensor.requires_grad and tensor is other.get(name)]
    if shared:
        raise PluginError(
            f"{first_few(shared, TOLD)} is one tensor in two builds, so that runs would go on from one another's"
            " weights. Try: a module of its own for each build"
        )
    differ = [name for name, tensor in one.items() if name not in other or not _equal(tensor, other[name])]
    if differ:
        raise PluginError(
            f"built twice with one seed it starts from another {first_few(differ, TOLD)}: drawn from the clock, or"
            " never filled, as torch.empty is. Try: torch.nn.init"
        )


def check_reached(
    model: Any, values: FloatArray, truth: BoolArray, ignore: BoolArray | None, options: Mapping[str, OptionValue]
) -> tuple[str, ...]:
    """Return a note on the weights that no gradient reaches; raise where the loss makes some, or asks one of no weight.

    ``model`` is one that is thrown away: its loss is asked of the first images, as many as a batch has. A loss that
    sets its gradients itself says nothing of either.
    """
    import torch

    if takes(model.loss, "gradients"):
        return ()
    rows = slice(0, int(options["batch_size"]))
    features = torch.from_numpy(np.array(values[rows], dtype=np.float32))
    mask = None if ignore is None else torch.from_numpy(ignore[rows].copy())
    model.train()
    built = {name for name, _ in model.named_parameters()}
    loss = model.loss(
        features, torch.from_numpy(truth[rows].copy()), torch.Generator().manual_seed(0), **left_out(model.loss, mask)
    )
    if late := [name for name, _ in model.named_parameters() if name not in built]:
        raise PluginError(
            f"{first_few(late, TOLD)} is made as the first batch comes, when it is too late to train it."
            " Try: make it in build, of request.dimensions"
        )
    known = {id(parameter) for parameter in model.parameters()}
    if strange := [leaf for leaf in _leaves(loss) if id(leaf) not in known]:
        shapes = ", ".join(str(tuple(leaf.shape)) for leaf in strange[:TOLD])
        raise PluginError(
            f"the loss depends on {len(strange)} tensors that are no parameters of the model, of shape {shapes}:"
            " nothing trains or stores them. Try: nn.ModuleList for a list of modules, nn.Parameter for a tensor"
        )
    loss.backward()
    left = [name for name, parameter in model.named_parameters() if parameter.requires_grad and parameter.grad is None]
    return (f"no gradient reaches {first_few(left, TOLD)}, which stays as it began",) if left else ()


@contextlib.contextmanager
def unchanged(
    model: Any, fit: Features, truth: BoolArray, ignore: BoolArray | None, held_out: Validation | None
) -> Iterator[tuple[Features, Validation | None]]:
    """Give ``fit`` and ``held_out``, and raise where the body changes an array that ``model`` is handed whole.

    They are read-only to NumPy, and not to ``torch.from_numpy``: to write into a mapped file would end the process.
    """
    if not hasattr(model, "fit") and not hasattr(model, "calibrate"):
        yield fit, held_out
        return
    fit = replace(fit, values=_mapped_apart(fit.values))
    arrays = {"features": fit.values, "truth": truth, "ignore": ignore}
    if held_out is not None:
        held_out = replace(held_out, features=_mapped_apart(held_out.features))
        of_validation = {"features": held_out.features, "truth": held_out.truth, "ignore": held_out.ignore}
        arrays |= {f"{name} of the validation part": array for name, array in of_validation.items()}
    before = {name: _sum_of(array) for name, array in arrays.items()}
    yield fit, held_out
    for name, array in arrays.items():
        if _sum_of(array) != before[name]:
            raise PluginError(f"the model changes the {name} that it is given, in place. Try: torch.tensor, a copy")


def _mapped_apart(values: FloatArray) -> FloatArray:
    """Return ``values``, those of a file mapped so that what is written into them is written into memory alone."""
    if not isinstance(values, np.memmap) or values.filename is None:
        return values
    apart: Any = np.memmap(values.filename, values.dtype, "c", values.offset, values.shape)
    apart.flags.writeable = False
    mapped: FloatArray = apart
    return mapped


def _sum_of(array: FloatArray | BoolArray | None) -> int:
    if array is None:
        return 0
    total = 0
    for rows in blocks(array):
        total = zlib.crc32(np.ascontiguousarray(array[rows]).data, total)
    return total


def _leaves(loss: torch.Tensor) -> list[Any]:
    """Return the tensors that autograd would add a gradient of ``loss`` to."""
    found, seen, waiting = [], set(), [loss.grad_fn]
    while waiting:
        function = waiting.pop()
        if function is None or function in seen:
            continue
        seen.add(function)
        if hasattr(function, "variable"):
            found.append(function.variable)
        waiting += [following for following, _ in function.next_functions]
    return found


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Return whether two tensors are alike bit by bit: NumPy has not all of torch's types."""
    import torch

    alike = one.dtype == other.dtype and one.shape == other.shape
    first, second = (tensor.detach().cpu().flatten().view(torch.uint8) for tensor in (one, other))
    return alike and torch.equal(first, second)
