"""The runs under a folder: opened for writing, found, and named as a user names them."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bench.errors import StoreError
from bench.remote.address import is_remote, normal
from bench.remote.copies import address_of
from bench.store.following import runs_of
from bench.store.required import RECORDS
from bench.store.run_folder import RunFolder
from bench.store.sealed import KEY, MANIFEST, SealedFolder
from bench.store.stored import RunSummary
from bench.system.files import canonical_json, digest, matching
from bench.system.notes import note

SHORTEST = 4
"""Digits from which a whole number is looked up among the keys, too, and not only among the rows."""

LEAST_SHOWN = 6
"""Digits of a key that are shown at least."""

MOST_TOLD = 6
"""Runs that an error names."""

_FILES = sorted({name for names in RECORDS.values() for name in names})


def open_run(root: Path, config: Mapping[str, Any]) -> RunFolder:
    """Return the folder of the run with this ``config`` under ``root``, made if absent.

    Raises ``StoreError`` where it cannot be written, or was written by a newer version.
    """
    key = digest(canonical_json(config))
    names = (folder_name(str(config[part]["name"])) for part in ("dataset", "model"))
    folder = RunFolder(root.joinpath(*names, key))
    if address_of(root):
        from bench.store.mirror import fetch

        fetch(folder.path)
    files = SealedFolder(folder.path)
    if (folder.path / MANIFEST).exists() and not files.is_damaged() and _belongs(files, key) and folder.has("config"):
        return folder
    new = not folder.path.exists()
    # Looked at again under the lock: meanwhile another process may have made the folder, or finished the run in it.
    with folder.held(), _taken_back(folder.path) if new else contextlib.nullcontext():
        if files.is_damaged():
            note(f"{folder.path / MANIFEST} is damaged, so none of the run's files counts: it is made anew")
            files.create(key)
        elif not (folder.path / MANIFEST).exists():
            if any(folder.path.joinpath(name).exists() for name in _FILES):
                note(f"{folder.path} has no {MANIFEST}, so none of the run's files counts: it is made anew")
            files.create(key)
        if _belongs(files, key) and not folder.has("config"):
            folder.write_config(config)
    return folder


@contextlib.contextmanager
def _taken_back(folder: Path) -> Iterator[None]:
    """Remove the new ``folder`` where the body finds no room for its first files: no run would be damaged there."""
    try:
        yield
    except StoreError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _belongs(files: SealedFolder, key: str) -> bool:
    """Return true; raise ``StoreError`` where the folder is another run's."""
    if files.key != key:
        raise StoreError(f"{files.path} holds run {files.key}: it was moved here. Delete it, or choose --out")
    return True


def find(root: Path, dataset: str = "", models: tuple[str, ...] = ()) -> list[RunFolder]:
    """Return the run folders under ``root``, of this data set and these models if given, in order of path.

    A run that lost its manifest is among them: it is damaged, not gone.
    """
    return [folder for folder in _held(root, "*/*/*") if is_of(folder, dataset, models)]


def is_of(folder: RunFolder, dataset: str = "", models: tuple[str, ...] = ()) -> bool:
    """Return whether a run is of this data set, by its plugin's or by a given name, and of one of these models.

    Its config tells, wherever it was moved to; of a damaged run the place. Empty: any.
    """
    if not dataset and not models:
        return True
    try:
        config = folder.config
        model, called = config["model"]["name"], {config["dataset"]["name"]}
        with contextlib.suppress(StoreError):  # an unfinished run may have no name yet
            called.add(folder.read_about().dataset)
    except (StoreError, KeyError, TypeError):
        model, called = folder.path.parent.name, {folder.path.parent.parent.name}
        dataset, models = dataset and folder_name(dataset), tuple(map(folder_name, models))
    return (not dataset or dataset in called) and (not models or model in models)


def _held(folder: Path, levels: str) -> list[RunFolder]:
    """Return the runs so many ``levels`` below ``folder``, in order of path; a note tells where none can look.

    A folder in a run's own is none, as the model that was exported there, whose manifest is another; nor is one in a
    hidden folder, as .hypothesis/examples, which are called as keys are.
    """
    above = [folder, *(place for end in range(1, len(levels), 2) for place in matching(folder, levels[:end]))]
    for place in above:
        if place.is_dir() and not os.access(place, os.R_OK | os.X_OK):
            _tell_closed(place.resolve())
    seen = [
        path for path in matching(folder, levels) if not any(part[0] == "." for part in path.relative_to(folder).parts)
    ]
    found = sorted(filter(is_run, seen))
    around = set(filter(is_run, {path.parent for path in found}))
    return [RunFolder(path) for path in found if path.parent not in around]


@cache
def _tell_closed(folder: Path) -> None:
    note(f"this user may not look into {folder}: what runs it holds is not known")


def given_name(root: Path, dataset: str, fingerprints: Mapping[str, str]) -> str:
    """Return the name that stored runs under ``root`` on the same images give their data set; empty: none, or two."""
    names = set()
    for folder in find(root, dataset):
        with contextlib.suppress(StoreError):  # a damaged run has lost the name
            if dict(folder.config["dataset"]["fingerprints"]) == dict(fingerprints) and folder.has("about"):
                names.add(folder.read_about().dataset)
    names.discard("")
    return names.pop() if len(names) == 1 else ""


def in_rows(root: Path) -> list[RunFolder]:
    """Return the run folders under ``root`` in the order in which they were begun: a new run moves no other's row."""

    def begun(folder: RunFolder) -> int:
        for place in (folder.path / "config.json", folder.path):
            with contextlib.suppress(OSError):
                return place.stat().st_mtime_ns
        return 0

    return sorted(find(root), key=lambda folder: (begun(folder), folder.path))


def each_once(runs: Iterable[RunSummary]) -> list[RunSummary]:
    """Return ``runs`` without copies of one that is among them, of which a note tells: a copy is no second seed.

    Of copies the first that is finished stays. Raises ``StoreError`` where they measured differently.
    """
    kept: list[RunSummary] = []
    places: dict[str, int] = {}
    copies = []
    for run in runs:
        place = places.setdefault(run.key, len(kept)) if run.key else len(kept)
        if place == len(kept):
            kept.append(run)
            continue
        first = kept[place]
        copies.append((first, run))
        if first.measures is None:
            kept[place] = run
        elif run.measures is not None and not _alike(first.measures.values, run.measures.values):
            raise StoreError(
                f"{first.path} and {run.path} are of one key, and measured differently. Name one of them, or see: bench"
                " validate --recompute"
            )
    if copies:
        first, copy = copies[0]
        more = f", and {len(copies) - 1} more copies" if len(copies) > 1 else ""
        note(f"{copy.path} is a copy of {first.path}{more}: a run counts once")
    return kept


def finished_summaries(summaries: Sequence[RunSummary]) -> list[RunSummary]:
    """Return those of runs that are finished and whole; of each other a note tells, unless there is none at all."""
    finished = [run for run in summaries if run.state == "done"]
    for run in summaries if finished else ():
        if run.state != "done":
            note(f"{run.path} is {run.state}, left out{f': {run.reason}' if run.state == 'damaged' else ''}")
    return finished


def _alike(ours: Mapping[str, float], theirs: Mapping[str, float]) -> bool:
    """Return whether what both measured is equal; one may be older than a metric."""
    return all(repr(ours[name]) == repr(theirs[name]) for name in ours.keys() & theirs.keys())


def by_other_code(folder: RunFolder) -> list[RunFolder]:
    """Return the runs beside ``folder`` that differ from it by the code that made them and by nothing else."""
    own = {**folder.config, "code": None}
    found = []
    for file in sorted(matching(folder.path.parent, f"*/{MANIFEST}")):
        other = RunFolder(file.parent)
        with contextlib.suppress(StoreError):  # a damaged neighbour says so itself, in every list
            if other.path != folder.path and {**other.config, "code": None} == own:
                found.append(other)
    return found


def is_run(path: Path) -> bool:
    """Return whether ``path`` is a run's folder: it has a manifest, a record, or a key as its name."""
    keyed = KEY.fullmatch(path.name) is not None
    try:
        return (path / MANIFEST).exists() or (
            path.is_dir() and (keyed or any((path / name).exists() for name in _FILES))
        )
    except PermissionError:
        return keyed  # its row says why nothing can be read


def named(text: str, root: Path) -> RunFolder:
    """Return the run that ``text`` names under ``root``: its folder, its row in ``bench runs``, or how its key begins.

    A folder may be named from here or from ``root``. Fewer than ``SHORTEST`` digits up to the number of runs are a row;
    of more, what can be either is neither. Raises ``StoreError`` with what there is.
    """
    for place in (Path(text), root / text):
        if is_run(place):
            return RunFolder(place)
    held = in_rows(root)
    short, begun = short_keys(held), text.lower()
    keyed = re.fullmatch("[0-9a-f]+", begun) is not None
    matches = [folder for folder in held if keyed and folder.path.name.startswith(begun)]
    row = held[int(text) - 1] if text.isascii() and text.isdigit() and 1 <= int(text) <= len(held) else None
    if row is not None and (len(text) < SHORTEST or matches in ([], [row])):
        return row
    if row is None and len(matches) == 1:
        return matches[0]

    def told(folders: Sequence[RunFolder]) -> str:
        names = [f"{held.index(one) + 1} {short[one.path]} {one.path.parent.name}" for one in folders[:MOST_TOLD]]
        return "; ".join(names) + (f"; and {len(folders) - MOST_TOLD} more" if len(folders) > MOST_TOLD else "")

    if row is not None:
        found = f"it is row {text}, and keys begin so: {told(matches)}"
    elif matches:
        found = f"{len(matches)} runs under {root} begin so: {told(matches)}"
    elif Path(text).is_dir():
        found = "none is in that folder"
    else:
        found = f"found neither a folder of runs nor a key under {root}"
        found += f", nor a row; there are (row, key, model) {told(held)}" if held else ""
    raise StoreError(f"no run '{text}': {found}. See: bench runs{runs_of(root)}")


def short_keys(folders: Sequence[RunFolder]) -> dict[Path, str]:
    """Return the first digits of each run's key that name it among ``folders``, by its path; six at least."""
    keys = sorted({folder.path.name for folder in folders})
    digits = dict.fromkeys(keys, LEAST_SHOWN)
    for one, other in itertools.pairwise(keys):
        same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
        shared = same + 1
        digits[one], digits[other] = max(digits[one], shared), max(digits[other], shared)
    return {folder.path: folder.path.name[: digits[folder.path.name]] for folder in folders}


def all_named(text: str, root: Path) -> list[RunFolder]:
    """Return the runs that ``text`` names: as ``named`` does, or all in a folder that holds runs (``below``)."""
    if is_remote(text):
        raise StoreError(f"{normal(text)}: a run elsewhere is named by its store and its key. Try: --runs ADDRESS KEY")
    if not text.strip():  # as of a variable that is not set; as a path it is the folder one works in
        raise StoreError(f"no run '{text}': it is empty. See: bench runs{runs_of(root)}")
    for folder in (Path(text), root / text):
        if is_run(folder):
            break
        if held := below(folder):
            return held
    return [named(text, root)]


def below(folder: Path) -> list[RunFolder]:
    """Return the runs in ``folder``, a whole store or its part for one data set or one model, in order of path."""
    return next(filter(None, (_held(folder, levels) for levels in ("*/*/*", "*/*", "*"))), [])


def folder_name(name: str) -> str:
    """Return how the folder of a data set or model is called."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)
