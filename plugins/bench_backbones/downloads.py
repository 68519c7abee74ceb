"""Weights that torch and the hub downloaded before: checked by the hash in their names before they are read again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def of_url(url: str) -> Path:
    """Return where torch keeps what it downloads from ``url``."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name


def of_timm(config: Any) -> list[Path]:
    """Return the files that timm may read for a model's ``pretrained_cfg``, if they were downloaded before."""
    from huggingface_hub import try_to_load_from_cache

    paths = [of_url(config["url"])] if isinstance(config.get("url"), str) else []
    repository, _, revision = str(config.get("hf_hub_id") or "").partition("@")
    names = dict.fromkeys((config.get("hf_hub_filename"), "model.safetensors", "pytorch_model.bin"))
    for name in filter(None, names) if repository else ():
        found = try_to_load_from_cache(repository, name, revision=revision or None)
        if isinstance(found, str):
            paths.append(Path(found))
    return [path for path in paths if path.is_file()]


def is_damaged(path: Path) -> bool:
    """Return whether ``path`` is another content than its name promises; a name without a hash promises none.

    torch's names end in the first digits of SHA-256, as in ``resnet18-f37072fd.pth``; the hub's files are links to
    files that are named by all of it, or, small ones, by git's SHA-1.
    """
    real = path.resolve()
    if re.fullmatch(r"[0-9a-f]{64}", real.name):
        return file_hash(real) != real.name
    if re.fullmatch(r"[0-9a-f]{40}", real.name):
        return file_hash(real, "sha1", b"blob %d\0" % real.stat().st_size) != real.name
    promised = re.search(r"-([0-9a-f]{8,64})\.[^.]+$", path.name)
    return promised is not None and not file_hash(path).startswith(promised[1])


def file_hash(path: Path, kind: str = "sha256", head: bytes = b"") -> str:
    """Return the hash of ``head`` and the file's bytes, in hex digits."""
    import hashlib

    with path.open("rb") as file:
        hasher = hashlib.new(kind, head, usedforsecurity=False)
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()


def discard_damaged(paths: Iterable[Path]) -> tuple[str, ...]:
    """Remove what is damaged, so that it is downloaded again, and return a line on each."""
    lines = []
    for path in paths:
        if path.is_file() and is_damaged(path):
            path.resolve().unlink()
            path.unlink(missing_ok=True)
            lines.append(f"downloaded weights {path.name} were damaged in their cache, and are downloaded again")
    return tuple(lines)
