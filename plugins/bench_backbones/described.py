"""What files say of the weights they hold: which network they are for, and how its pictures must be scaled.

Two forms are read: the hub's folder, ``config.json`` with timm's ``pretrained_cfg`` (or its fields at the top, as older
ones have) beside ``model.safetensors`` or ``pytorch_model.bin``; and the metadata of a safetensors file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import ModelError

HUB_FILES = ("model.safetensors", "pytorch_model.bin")
"""Names of the weights in a folder of the hub, the first that is there counts."""

CONFIG = "config.json"
SCALING = ("input_size", "crop_pct", "crop_mode", "interpolation", "mean", "std")
"""What is read of preprocessing, by timm's names."""

Said = tuple[Any, str]
"""A value as a file writes it, and in words which file that is."""


@dataclass(frozen=True, slots=True)
class Described:
    """A file of weights and what is said of it. ``architecture`` is empty where nobody names one.

    ``family`` is 'timm' where the architecture is named in timm's form, else empty; ``tag`` is timm's name of a
    training, as in ``resnet18.a1_in1k``. ``scaling`` has the values said, by the names of ``SCALING``; where two files
    differ, ``disputed`` has the second's. ``arguments`` are for making the network, as ``{"pad_type": "same"}``.
    """

    path: Path
    architecture: str = ""
    family: str = ""
    tag: str = ""
    named_by: str = ""
    scaling: Mapping[str, Said] = field(default_factory=dict)
    disputed: Mapping[str, Said] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)


def describe(weights: Path) -> Described:
    """Return the file of ``weights``, a file or a folder as the hub lays it out, and what is said of it.

    Raises ``ModelError`` where there is none, where what is beside it is no JSON, or where two files name different
    architectures.
    """
    path = _weights_in(weights)
    own = _from_metadata(path)
    # Of a file by another name, one cannot know that the folder's config.json is meant.
    config = _from_config(path) if path.name in HUB_FILES else Described(path)
    if own.architecture and config.architecture and _base(own) != _base(config):
        raise ModelError(
            f"weights {path}: {own.named_by} names '{own.architecture}', {config.named_by}"
            f" '{config.architecture}'. Try: a copy of the file alone, under another name"
        )
    named = own if own.architecture else config
    return Described(
        path,
        named.architecture,
        named.family or config.family,
        own.tag or config.tag,
        named.named_by,
        {**config.scaling, **own.scaling},
        {name: said for name, said in config.scaling.items() if _differs(name, said, own)},
        {**config.arguments, **own.arguments},
    )


def check_architecture(described: Described, family: str, variant: str, chosen: str) -> None:
    """Raise ``ModelError`` where the weights are said to be of another network than ``family``'s ``variant``.

    ``chosen`` is that network as ``--backbone`` names it.
    """
    if not described.architecture:
        return
    said_family, _, said = described.architecture.rpartition("/")
    said_family = said_family or described.family
    base, _, tag = said.partition(".")
    tag = tag or described.tag
    own_base, _, own_tag = variant.partition(".")
    other_tag = base == own_base and bool(tag and own_tag and tag != own_tag)
    if base == own_base and said_family in {"", family} and not other_tag:
        return
    name = f"{base}.{tag}" if other_tag and _knows(f"{base}.{tag}") else base
    families = [said_family] if said_family else _families(base)
    # A network with a name of its own, such as digits-cnn, is typed as it is.
    typed = name if said_family == name else " or ".join(f"{one}/{name}" for one in families)
    raise ModelError(
        f"weights {described.path} are of {described.architecture}{f' ({tag})' if other_tag else ''}, as"
        f" {described.named_by} says, not of {chosen}. Try: --backbone {typed}"
    )


def _families(architecture: str) -> list[str]:
    """Return who has a network of that name; where nobody does, both."""
    import timm
    from torchvision import models

    known = {"timm": timm.list_models(), "torchvision": models.list_models(module=models)}
    return [family for family, names in known.items() if architecture in names] or list(known)


def _knows(name: str) -> bool:
    """Return whether timm has this training of its network; a user's own may have any tag."""
    import timm

    return name in timm.list_pretrained()


def _weights_in(weights: Path) -> Path:
    if not weights.is_dir():
        return weights
    for name in HUB_FILES:
        if (weights / name).is_file():
            return weights / name
    found = sorted(path.name for path in weights.iterdir() if path.suffix in {".safetensors", ".bin", ".pth", ".pt"})
    hint = f"Try: --weights {weights / found[0]}" if len(found) == 1 else "Try: --weights FILE"
    raise ModelError(
        f"no weights in folder {weights}: found {', '.join(found[:4]) or 'no such file'}, allowed:"
        f" {' or '.join(HUB_FILES)}. {hint}"
    )


def metadata(path: Path) -> dict[str, str]:
    """Return a safetensors file's metadata; none for any other file, or where it cannot be read."""
    from safetensors import SafetensorError, safe_open

    if path.suffix != ".safetensors" or not path.is_file():
        return {}
    try:
        with safe_open(path, "numpy") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError):
        return {}  # reading the tensors says what is wrong with it


def _from_metadata(path: Path) -> Described:
    """Return what a safetensors file's metadata say: texts, with numbers as JSON or separated by commas."""
    content = {name: _parsed(text) for name, text in metadata(path).items()}
    return _described(path, content, content, f"the metadata of {path.name}")


def _from_config(path: Path) -> Described:
    place = path.parent / CONFIG
    if not place.is_file():
        return Described(path)
    try:
        content = json.loads(place.read_bytes())
    except (ValueError, OSError, RecursionError) as error:
        raise ModelError(f"cannot read {place}: {error}. Try: --weights with a copy of {path.name} alone") from error
    if not isinstance(content, dict):
        raise ModelError(f"cannot read {place}: no JSON object. Try: --weights with a copy of {path.name} alone")
    nested = content.get("pretrained_cfg")
    fields = nested if isinstance(nested, dict) else content
    where = f"{CONFIG} in {path.parent.resolve().name}"
    found = _described(path, content, fields, where)
    return replace(found, family="timm") if found.architecture else found


def _described(path: Path, content: Mapping[str, Any], fields: Mapping[str, Any], where: str) -> Described:
    """Return what ``content`` and, of preprocessing, ``fields`` say; ``None`` is how JSON says nothing."""
    architecture = content.get("architecture") or fields.get("architecture") or ""
    tag = fields.get("tag") or ""
    arguments = content.get("model_args") or {}
    for name, value, kind in (("architecture", architecture, str), ("tag", tag, str), ("model_args", arguments, dict)):
        if not isinstance(value, kind):
            raise ModelError(f"weights {path}: {where} has {name} {value!r}, allowed: {kind.__name__}")
    scaling = {name: (fields[name], where) for name in SCALING if fields.get(name) is not None}
    return Described(path, architecture, "", tag, where, scaling, {}, arguments)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return [float(part) for part in text.strip("()[] ").split(",")]
    except ValueError:
        return text


def _base(described: Described) -> str:
    return described.architecture.rpartition("/")[2].partition(".")[0]


def _differs(name: str, said: Said, other: Described) -> bool:
    return name in other.scaling and _as_list(other.scaling[name][0]) != _as_list(said[0])


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else [value]
