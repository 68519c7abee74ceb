"""Finished features that machines share through a cache elsewhere, ``--cache s3://bucket/cache``.

    <address>/features/<key>.npy .speed     as they lie in the cache here

Whoever needs features looks there before computing, and puts there what it has computed. A cache saves time and is no
store: where the network is lost, features are computed or stay here, with a word.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from bench.errors import StorageError
from bench.model.feature_file import FeatureFile
from bench.remote import objects
from bench.remote.copies import address_of
from bench.system.files import atomic_path
from bench.system.notes import note


def fetch(file: FeatureFile) -> bool:
    """Return whether shared features were put into the place of ``file``, where the caller checks every block."""
    if not (address := address_of(file.path.parents[1])):
        return False
    try:
        found = objects.size(_place(address, file.path))
        if found is None:
            return False
        if found != file.size:
            note(f"{_place(address, file.path)} has {found:,} bytes, not {file.size:,}: features are computed here")
            return False
        for path in (_speed(file), file.path):  # features last: what is there is whole
            if path == file.path or objects.size(_place(address, path)) is not None:
                with atomic_path(path) as temporary:
                    objects.download(_place(address, path), temporary)
    except StorageError as error:
        note(f"{error}; features are computed here")
        return False
    return True


def share(file: FeatureFile, *, anew: bool = False) -> None:
    """Put finished features where they are shared, unless others have; ``anew``: what others have is damaged."""
    if not (address := address_of(file.path.parents[1])):
        return
    try:
        if not anew and objects.size(_place(address, file.path)) == file.size:
            return
        with contextlib.suppress(FileNotFoundError):
            objects.upload(_speed(file), _place(address, _speed(file)))
        objects.upload(file.path, _place(address, file.path))
    except StorageError as error:
        note(f"{error}; features stay on this machine")


def _speed(file: FeatureFile) -> Path:
    return file.path.with_suffix(".speed")


def _place(address: str, path: Path) -> str:
    return f"{address}/features/{path.name}"
