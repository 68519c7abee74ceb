"""The runs under a folder: opened for writing, found, and named as a user names them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import StoreError
from bench.store.run_folder import RunFolder
from bench.store.sealed import MANIFEST, SealedFolder
from bench.system.files import canonical_json, digest


def open_run(root: Path, config: Mapping[str, Any]) -> RunFolder:
    """Return the folder of the run with this ``config`` under ``root``, made if absent.

    Raises ``StoreError`` where it cannot be written, or was written by a newer version.
    """
    key = digest(canonical_json(config))
    names = (_folder_name(str(config[part]["name"])) for part in ("dataset", "model"))
    folder = RunFolder(root.joinpath(*names, key))
    files = SealedFolder(folder.path)
    if (folder.path / MANIFEST).exists() and _belongs(files, key) and folder.has("config"):
        return folder
    # Looked at again under the lock: meanwhile another process may have made the folder, or finished the run in it.
    with folder.held():
        if not (folder.path / MANIFEST).exists():
            files.create(key)
        if _belongs(files, key) and not folder.has("config"):
            folder.write_config(config)
    return folder


def _belongs(files: SealedFolder, key: str) -> bool:
    """Return true; raise ``StoreError`` where the folder is another run's."""
    if files.key != key:
        raise StoreError(f"{files.path} holds run {files.key}: it was moved here. Delete it, or choose --out")
    return True


def find(root: Path, dataset: str = "", models: tuple[str, ...] = ()) -> list[RunFolder]:
    """Return the run folders under ``root``, of this data set and these models if given, in order of path."""
    pattern = f"{_folder_name(dataset) or '*'}/*/*/{MANIFEST}"
    wanted = {_folder_name(model) for model in models}
    folders = (file.parent for file in root.glob(pattern))
    return [RunFolder(path) for path in sorted(folders) if not wanted or path.parent.name in wanted]


def named(text: str, root: Path) -> RunFolder:
    """Return the run that ``text`` names: the path of its folder, or the first digits of its key under ``root``."""
    if (Path(text) / MANIFEST).exists():
        return RunFolder(Path(text))
    keyed = re.fullmatch("[0-9a-f]+", text) is not None
    matches = [folder for folder in find(root) if keyed and folder.path.name.startswith(text)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        found = f"{len(matches)} runs under {root} begin so"
    elif Path(text).is_dir():
        found = "none is in that folder"
    else:
        found = f"found neither a folder of runs nor a key under {root}"
    raise StoreError(f"no run '{text}': {found}. See: bench runs --runs {root}")


def all_named(text: str, root: Path) -> list[RunFolder]:
    """Return the runs that ``text`` names: as ``named`` does, or all in a folder that holds runs, in order of path.

    Such a folder is a whole store, or its part for one data set or one model.
    """
    folder = Path(text)
    if not (folder / MANIFEST).exists():
        for levels in ("*/*/*", "*/*", "*"):
            if held := [RunFolder(file.parent) for file in sorted(folder.glob(f"{levels}/{MANIFEST}"))]:
                return held
    return [named(text, root)]


def _folder_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)
