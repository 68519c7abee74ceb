"""What takes up disk and is not needed: old caches, trials and unfinished runs, and what killed processes left.

Looked for in known places alone, by the names that bench gives, so that a folder that was named by mistake loses
nothing else. Links are not followed and not removed. All of it can be made again.
"""

from __future__ import annotations

import contextlib
import fcntl
import re
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import StoreError
from bench.store.live import held_by_a_process
from bench.store.run_folder import CHECKPOINT, TUNING_CHECKPOINT, HeldError, RunFolder
from bench.store.runs import find
from bench.store.sealed import KEY, MANIFEST, parsed_manifest
from bench.system.files import LEFTOVER, SETTLED, matching
from bench.system.notes import note

CACHED = {
    "features": ("features", r"[0-9a-f]{16}\.(npy|speed|json)"),
    "engines": ("features/engines", r"[0-9a-f]{16}\.onnx"),
    "resamples": ("resamples", r"[0-9a-f]{16}\.npz"),
    "shards": ("shards", r"[0-9a-f]{16}\.(index|json)"),
    "thumbnails": ("thumbnails", r"[0-9a-f]{16}\.(npz|npy|json)"),
    "remote": ("remote", r"[0-9a-f]{16}\.(block|hash)"),
    "backbones": ("backbones", r"[\w.-]+-[0-9a-f]{16}\.safetensors"),
}
"""Kinds of cached files: the folder below the cache, and how they are called."""

LEFT = r"([\w.-]+-)?[0-9a-f]{16}(\.\w+)?\.(part|lock)|\..+" + re.escape(LEFTOVER)
"""How files are called that only a process that lives has."""

MERGING, STAGING_LOCK = ".merging-", "lock"
"""How a folder begins in which archives are unpacked, and the file in it that their merge holds."""

TRIALS, RUNS, PARTS, CHECKPOINTS = "trials", "runs", "parts", "checkpoints"
KINDS = (*CACHED, TRIALS, RUNS, PARTS, CHECKPOINTS)

DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing that can go: its files, ``size`` in bytes, when it was ``used`` last, ``what`` more is known of it."""

    kind: str
    path: Path
    what: str
    size: int
    used: float
    files: tuple[Path, ...] = ()


def found(
    store: Path, cache: Path, *, days: float, kinds: Collection[str] = KINDS, now: float | None = None
) -> list[Leftover]:
    """Return what under ``store`` and ``cache`` was not used for ``days``, the oldest first.

    What a killed process left is there whatever its age, a minute after; finished runs never are, and nothing that a
    process that lives holds.
    """
    before = (time.time() if now is None else now) - days * DAY
    settled = (time.time() if now is None else now) - SETTLED
    held = _mapped()
    every = [*_cached(cache, kinds), *_trials(store, kinds), *_runs(store, kinds), *_left(store, cache, kinds)]
    old = [one for one in every if one.used < (settled if one.kind in {PARTS, CHECKPOINTS} else before)]
    return sorted((one for one in old if not _is_held(one, held)), key=lambda one: (one.used, one.path))


def of_runs(folders: Sequence[RunFolder]) -> list[Leftover]:
    """Return these runs, finished or not, as what can go: a user named them.

    Raises ``StoreError`` for a link, and for a folder that by its name and manifest is no run's.
    """
    for folder in folders:
        if not _is_surely_one(folder.path):
            raise StoreError(
                f"{folder.path} is not removed: neither its name nor its {MANIFEST} is a run's. Try: a key, or: rm"
            )
        if folder.path.is_symlink():
            raise StoreError(f"{folder.path} is a link to {folder.path.resolve()}. Try: that folder, or: rm the link")
    return [_run(folder, _state(folder)) for folder in folders]


def _is_surely_one(path: Path) -> bool:
    """Return whether a folder is a run's: exported models and data sets, too, hold files that are called as a run's."""
    if KEY.fullmatch(path.absolute().name):
        return True
    with contextlib.suppress(Exception):  # a damaged or foreign manifest raises whatever its parsing runs into
        return bool(parsed_manifest((path / MANIFEST).read_bytes())[1])
    return False


def remove(one: Leftover) -> bool:
    """Remove it, and return whether it is gone: not where a process took hold of it meanwhile.

    Raises ``OSError``, or ``StoreError``, where the system does not let go of a file.
    """
    if one.kind == RUNS:
        return _remove_run(RunFolder(one.path))
    if _is_held(one):
        return False
    if one.path.is_dir():
        shutil.rmtree(one.path)
    for path in one.files:
        path.unlink(missing_ok=True)
    return True


def _remove_run(folder: RunFolder) -> bool:
    path = folder.path.absolute()
    try:
        with folder.held():
            # The manifest last: a process killed in between leaves a run that is unfinished, and none that is whole.
            for file in sorted(path.iterdir(), key=lambda file: file.name in {MANIFEST, ".lock"}):
                if file.is_dir() and not file.is_symlink():
                    shutil.rmtree(file)
                else:
                    file.unlink(missing_ok=True)
            path.rmdir()
    except HeldError:
        return False
    for parent in path.parents[:2]:
        with contextlib.suppress(OSError):
            parent.rmdir()  # where it was the last of its model, of its data set
    return True


def _cached(cache: Path, kinds: Collection[str]) -> Iterator[Leftover]:
    chosen = [(kind, cache / place, name) for kind, (place, name) in CACHED.items() if kind in kinds]
    for link in sorted({link for _, place, _ in chosen if (link := _link(place, cache))}):
        note(f"{link} is a link, which is not followed. Try: --cache with the folder that its target lies in")
    for kind, place, name in chosen:
        if not _link(place, cache):
            groups: dict[str, list[Path]] = {}
            for path in _files(place, name):
                groups.setdefault(path.name.partition(".")[0] if kind == "features" else path.name, []).append(path)
            for files in groups.values():
                main = max(files, key=_size)
                yield Leftover(kind, main, "", sum(map(_size, files)), max(map(_used, files)), tuple(files))


def _trials(store: Path, kinds: Collection[str]) -> Iterator[Leftover]:
    if TRIALS in kinds:
        for folder in _trial_folders(store):
            for path in _files(folder, r"[0-9a-f]{16}\.json"):
                yield Leftover(TRIALS, path, "finished", _size(path), _used(path), (path,))


def _runs(store: Path, kinds: Collection[str]) -> Iterator[Leftover]:
    for folder in _own_runs(store):
        state = _state(folder)
        if RUNS in kinds and state in {"failed", "unfinished"}:
            yield _run(folder, state)
        if CHECKPOINTS in kinds and state == "done":
            for path in _files(folder.path, "|".join(map(re.escape, (CHECKPOINT, TUNING_CHECKPOINT)))):
                yield Leftover(CHECKPOINTS, path, "run is done", _size(path), _used(path), (path,))


def _left(store: Path, cache: Path, kinds: Collection[str]) -> Iterator[Leftover]:
    if PARTS in kinds:
        places = [cache / place for place, _ in CACHED.values() if not _link(cache / place, cache)]
        places += [folder.path for folder in _own_runs(store)] + _trial_folders(store)
        for place in places:
            for path in _files(place, LEFT):
                yield Leftover(PARTS, path, "its writer is gone", _size(path), _used(path), (path,))
        for folder in store.glob(f"{MERGING}*/"):
            if not folder.is_symlink():
                files = _below(folder)
                used = max([folder.stat().st_mtime, *map(_used, files)])
                yield Leftover(PARTS, folder, "its merge is gone", sum(map(_size, files)), used, tuple(files))


def _own_runs(store: Path) -> list[RunFolder]:
    return [folder for folder in find(store) if not _link(folder.path, store)]


def _trial_folders(store: Path) -> list[Path]:
    return sorted(folder for folder in matching(store, f"*/*/{TRIALS}") if not _link(folder, store))


def _link(path: Path, root: Path) -> Path | None:
    """Return the link through which ``path`` is below ``root``, if one: what it leads to may be another's."""
    places = [place for place in (path, *path.parents) if place != root and place.is_relative_to(root)]
    return next((place for place in places if place.is_symlink()), None)


def _run(folder: RunFolder, state: str) -> Leftover:
    files = _below(folder.path)
    used = max([path.stat().st_mtime for path in files], default=folder.path.stat().st_mtime)
    model, dataset = (parent.name for parent in folder.path.absolute().parents[:2])
    what = f"{model} on {dataset}, {state}"
    return Leftover(RUNS, folder.path, what, sum(map(_size, files)), used)


def _state(folder: RunFolder) -> str:
    """Return the state that a run's status says, ``damaged`` where its files do not let it be known."""
    try:
        state = folder.status.state
        return state if folder.config else "damaged"
    except StoreError:
        return "damaged"


def _files(folder: Path, name: str) -> list[Path]:
    with contextlib.suppress(OSError):
        every = [path for path in folder.iterdir() if re.fullmatch(name, path.name)]
        return sorted(path for path in every if path.is_file() and not path.is_symlink())
    return []


def _below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]


def _size(path: Path) -> int:
    """Return the bytes that a file takes on disk: of a sparse one those that were written."""
    with contextlib.suppress(OSError):
        return path.stat().st_blocks * 512
    return 0


def _used(path: Path) -> float:
    """Return when a file was last read, as far as the system notes that, or written."""
    with contextlib.suppress(OSError):
        return max(path.stat().st_atime, path.stat().st_mtime)
    return 0.0


def _is_held(one: Leftover, mapped: Collection[str] = ()) -> bool:
    """Return whether a process that lives has a lock on it or beside it, or is among those that ``mapped`` a file."""
    if one.kind == RUNS:
        return bool(held_by_a_process(one.path))
    names = {(path, name) for path in one.files for name in (path.name.partition(".")[0], path.name)}
    locks = {path.with_name(f"{name}.lock") for path, name in names}
    if any(_is_locked(path) for path in (*one.files, *locks)):
        return True
    return any(str(path.resolve()) in mapped for path in one.files)


def _is_locked(path: Path) -> bool:
    # A shared lock, for a moment: who wants such a file for itself waits for it.
    with contextlib.suppress(OSError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _mapped() -> set[str]:
    """Return the files that processes have mapped, as features are read, as far as this system and user can tell."""
    found: set[str] = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            found |= set(re.findall(r" (/.*)$", maps.read_text(errors="replace"), re.MULTILINE))
    return found
