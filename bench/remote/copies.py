"""Folders of this machine that stand for one elsewhere: worked on here, and known by a mark of where they belong."""

from __future__ import annotations

import contextlib
import json
import re
from functools import lru_cache
from pathlib import Path

from bench.errors import StorageError
from bench.remote.address import check_scheme, is_remote, normal, scheme_of
from bench.system.files import digest, own_folder, write_atomic

MARK = ".elsewhere.json"
"""The file by which a folder says what it is a copy of."""


def copy_of(place: Path, *, cache: bool = False) -> Path:
    """Return the folder of this machine for ``place``, made if absent; ``place`` itself where that is no address.

    It lies in the user's data folder, unless it is of a ``cache``: what is not published yet is there alone. Nothing is
    fetched. Raises ``UsageError`` for an address that is refused.
    """
    if not is_remote(place):
        return place
    address = normal(place)
    check_scheme(scheme_of(address))
    above = own_folder("cache" if cache else "data")
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", address)[:80]
    root = above / "elsewhere" / f"{name}-{digest(address)[:8]}"
    if address_of(root) != address:
        write_atomic(root / MARK, json.dumps({"address": address}) + "\n")
        address_of.cache_clear()
    return root


@lru_cache(maxsize=64)
def address_of(root: Path) -> str:
    """Return what the folder ``root`` is a copy of; empty: it stands for itself."""
    try:
        content = (root / MARK).read_bytes()
    except OSError:
        return ""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return normal(json.loads(content)["address"])
    raise StorageError(f"{root / MARK} does not say what the folder is a copy of. Try: delete that file")


def shown(root: Path) -> str:
    """Return how a user names the folder: by its address, or by its path."""
    return address_of(root) or str(root)
