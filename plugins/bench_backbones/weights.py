"""Weights of backbones: read from files, fitted to an architecture, and hashed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bench import ModelError, digest

if TYPE_CHECKING:
    import torch
    from torch import nn


def weights_hash(module: nn.Module) -> str:
    """Return 16 hex digits over the names, shapes and values of all parameters and buffers."""
    tensors = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in module.state_dict().items()}
    parts = [part for name in sorted(tensors) for part in (name, str(tensors[name].shape), tensors[name].tobytes())]
    return digest(*parts)


def load_file(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of ``path``: safetensors, or a torch state dict, which is read without running any code.

    Raises ``ModelError`` with one line for a file that is absent, damaged or something else.
    """
    from pickle import UnpicklingError

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file as load_safetensors

    if not path.is_file():
        raise ModelError(
            f"no weights file {path}. Try: --weights with a .safetensors file, a state dict (.pth), or a folder with"
            " config.json and model.safetensors"
        )
    try:
        if path.suffix == ".safetensors":
            return dict(load_safetensors(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise ModelError(f"cannot read weights {path}: {_first_line(error)}. Is the file whole?") from error
    except UnpicklingError as error:
        raise ModelError(
            f"cannot read weights {path}: it holds more than tensors, or is damaged; only state dicts are read."
            " Try: torch.save(model.state_dict(), FILE), or safetensors"
        ) from error
    for name in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ModelError(
            f"cannot read weights {path}: no state dict of tensors. Try: torch.save(model.state_dict(), FILE)"
        )
    return content


def load_into(module: nn.Module, tensors: Mapping[str, torch.Tensor], *, path: Path, architecture: str) -> None:
    """Put ``tensors`` into ``module``; those of a classifier head that was cut off are left aside.

    Raises ``ModelError`` where a parameter is absent, has another shape, or belongs to something the
    architecture does not have.
    """
    own = module.state_dict()
    # Counters of batches seen shape no activation, and some exporters leave them out.
    absent = [name for name in own if name not in tensors and not name.endswith("num_batches_tracked")]
    other = [name for name in own if name in tensors and tensors[name].shape != own[name].shape]
    heads = ("fc.", "head.", "classifier.", "last_linear.", "conv_head_logits.")
    foreign = [name for name in tensors if name not in own and not name.startswith(heads)]
    for what, names in (("lacks", absent), ("has in another shape", other), ("has besides", foreign)):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ModelError(
                f"weights {path} do not fit {architecture}: the file {what} '{names[0]}'{more}."
                " Try: --backbone with the architecture the file was saved from"
            )
    module.load_state_dict({name: tensors[name] for name in own if name in tensors}, strict=False)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
