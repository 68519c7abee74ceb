"""Finished runs in one archive, for somebody else's tables: the same runs give the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.errors import StoreError
from bench.store import packed
from bench.store.following import of_store
from bench.store.packed import FILES, PICTURES, PRIVATE, Index, PackedRun
from bench.store.run_folder import RunFolder
from bench.store.runs import each_once
from bench.store.sealed import SealedFolder
from bench.store.validate import verdict
from bench.system.files import atomic_path


def pack(folders: Sequence[RunFolder], out: Path, by: str = "", *, pictures: bool = False) -> Index:
    """Write the finished runs in ``folders`` to the archive ``out`` and return its index.

    It holds configs, measures, truth, predictions, scores, curves, machine and times; neither paths of this machine nor
    weights, and the small pictures of test images only with ``pictures``. Raises ``StoreError`` for a run that is not
    finished or not what it claims, and for copies of one that measured differently.
    """
    if not by.isprintable() or len(by) > 100:
        raise StoreError("--by: allowed: up to 100 printable characters. Try: --by 'Ada Lovelace'")
    by_key: dict[str, RunFolder] = {}
    for folder in (RunFolder(run.path) for run in each_once(folder.summary() for folder in folders)):
        checked = verdict(folder)
        if checked.state != "done" or checked.faults:
            why = checked.faults[0] if checked.faults else f"it is {checked.state}"
            raise StoreError(f"{folder.path} cannot be packed: {why}. See: bench validate{of_store(folder.path)}")
        by_key[folder.key] = folder
    index = Index(tuple(_packed(by_key[key], pictures) for key in sorted(by_key)), by)
    with atomic_path(out) as temporary, temporary.open("wb") as file:
        written = _write(file.write, packed.INDEX, packed.write_index(index))
        for run, name in packed.members(index):
            files = SealedFolder(by_key[run.key].path)
            written += _write(file.write, packed.path_of(run, name), files.read(name))
        file.write(packed.ending(written))
    return index


def _packed(folder: RunFolder, pictures: bool) -> PackedRun:
    files = {name: str(seal) for name, seal in SealedFolder(folder.path).manifest()["files"].items()}
    kept = {name: seal for name, seal in files.items() if name in FILES or (pictures and name in PICTURES)}
    before = folder.read_provenance()
    left_out = {name: seal for name, seal in files.items() if name in (PRIVATE | PICTURES) - kept.keys()}
    return PackedRun(folder.key, kept, {**(before.left_out if before else {}), **left_out})


def _write(write: object, name: str, content: bytes) -> int:
    block = packed.header(name, len(content)) + content + bytes(packed.padding(len(content)))
    write(block)  # type: ignore[operator]
    return len(block)
