"""Files of other places written whole, read and listed, of one command: what stands there now is asked for anew."""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import StorageError
from bench.remote.address import OBJECT_STORES, opened, reaching, scheme_of
from bench.remote.paths import entry_of
from bench.system.files import LEFTOVER

CHUNK = 1 << 20

WORKERS = 8
"""Files that are on their way at once: what takes time is waiting for answers."""


def read(address: str) -> bytes | None:
    """Return the content of a file; ``None``: there is none. Raises ``StorageError``."""
    system, place = opened(address)
    with reaching(address, "read"):
        system.invalidate_cache()
        try:
            return bytes(system.cat_file(place))
        except FileNotFoundError:
            return None


def listed(address: str) -> Mapping[str, str]:
    """Return the files below a folder, their names relative to it and what tells their content from a changed one.

    Empty where there is no such folder. Raises ``StorageError``, also for a bucket that is not there.
    """
    system, place = opened(address)
    with reaching(address, "list"):
        system.invalidate_cache()
        found = system.find(place, detail=True)
    if not found:
        check_bucket(address)
    before = place.strip("/") + "/"
    entries = {name.strip("/").removeprefix(before): entry_of(info) for name, info in found.items()}
    return {name: f"{entry.size} {entry.version}" for name, entry in entries.items()}


def check_bucket(address: str) -> None:
    """Raise ``StorageError`` where the bucket of an address is not there: nothing could be written to it."""
    scheme, _, rest = address.partition("://")
    bucket = f"{scheme}://{rest.partition('/')[0]}"
    if scheme in OBJECT_STORES - {"memory", "hf"}:
        system, place = opened(bucket)
        with reaching(address, "write"), contextlib.suppress(PermissionError):  # who may not list may still write
            if not system.exists(place):
                raise StorageError(f"no bucket {bucket}. Try: make it first, or another --out")


def size(address: str) -> int | None:
    """Return how many bytes a file has; ``None``: there is none. Raises ``StorageError``."""
    system, place = opened(address)
    with reaching(address, "read"):
        system.invalidate_cache()
        try:
            return int(system.info(place)["size"])
        except FileNotFoundError:
            return None


def holds(address: str, size: int, sha256: str) -> bool:
    """Return whether a file of these bytes lies there already: it is read, as what was half written may be as long."""
    system, place = opened(address)
    with reaching(address, "read"):
        try:
            if int(system.info(place)["size"]) != size:
                return False
            hasher = hashlib.sha256()
            with system.open(place, "rb") as file:
                while chunk := file.read(CHUNK):
                    hasher.update(chunk)
        except FileNotFoundError:
            return False
    return hasher.hexdigest() == sha256


def upload(path: Path, address: str) -> None:
    """Write a file there, whole or not at all where the place can. Raises ``StorageError``."""
    with _writing(address) as (system, place):
        system.put_file(str(path), place)


def write(content: bytes, address: str) -> None:
    """Write ``content`` there, whole or not at all where the place can. Raises ``StorageError``."""
    with _writing(address) as (system, place):
        system.pipe_file(place, content)


def download(address: str, path: Path) -> None:
    """Write what lies there to ``path``. Raises ``StorageError``, also where nothing does."""
    system, place = opened(address)
    with reaching(address, "read"):
        system.get_file(place, str(path))


@contextlib.contextmanager
def _writing(address: str) -> Any:
    """Give the file system and where to write what then stands at ``address``.

    An object appears when it is whole. Elsewhere it is written beside its place and renamed into it.
    """
    system, place = opened(address)
    with reaching(address, "write"):
        if scheme_of(address) in OBJECT_STORES:
            yield system, place
            return
        folder, _, name = place.rpartition("/")
        system.makedirs(folder, exist_ok=True)
        beside = f"{folder}/.{name}.{uuid.uuid4().hex}{LEFTOVER}"
        try:
            yield system, beside
            system.mv(beside, place)
        except BaseException:
            with contextlib.suppress(Exception):
                system.rm_file(beside)
            raise
