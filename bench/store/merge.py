"""Archives of somebody else's results, added to a store: looked at whole first, and none of it or all of it taken.

Nothing of an archive is run, and none of its names becomes a path before it is one that a run has.
"""

from __future__ import annotations

import contextlib
import hashlib
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError, StoreError
from bench.store import choice, claims, packed, runs
from bench.store.leftovers import MERGING, STAGING_LOCK
from bench.store.mirror import publish
from bench.store.packed import PackedRun, Reader
from bench.store.run_folder import RunFolder
from bench.store.sealed import MANIFEST, SCHEMA, SealedFolder, to_json
from bench.store.stored import Provenance
from bench.store.validate import verdict
from bench.system.files import canonical_json, digest, sha256_of, write_atomic
from bench.system.locks import exclusive
from bench.system.text import one_line

RESULTS = (
    *("config.json", "ids.json", "labels.json", "truth.npz", "scores.npy", "predicted.npz", "label_sets.npz"),
    *("known.npz", "validation.npz", "policy.npz", "trials.json", "measures.json"),
)
"""Files that two runs of one key have alike, whoever made them; times and machines differ."""

NOT_UNDERSTOOD = (
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    MemoryError,
    RecursionError,
)
"""What code raises that reads a run whose files are not as any run stores them."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What came of one archive: the runs that were added, and those that were stored already."""

    archive: Path
    added: tuple[RunFolder, ...]
    present: tuple[RunFolder, ...]


def merge(archives: Sequence[Path], root: Path) -> list[Merged]:
    """Add the runs of ``archives`` to the store ``root`` and return, archive by archive, which.

    Raises ``StoreError`` for an archive that is none, damaged, or holds a run that is not what it claims, that differs
    from one of the same key, or whose truth is not that of stored runs on the same data; nothing is added then.
    """
    with _staging(root, archives) as staging:
        staged = [_staged(archive, staging / str(number) / "runs") for number, archive in enumerate(archives)]
        stored = _stored(root)
        truths = _truths(stored.values())
        results, places = [], list[tuple[Path, Path]]()
        for archive, folders in zip(archives, staged, strict=True):
            added, present = [], []
            for folder in folders:
                _check_truth(archive, folder, truths)
                target = root.joinpath(*folder.path.parts[-3:])
                same = stored.get(folder.key)
                if same is None:
                    added.append(RunFolder(target))
                    places.append((folder.path, target))
                    stored[folder.key] = folder
                else:
                    _check_same(archive, folder, same)
                    present.append(same)
            results.append(Merged(archive, tuple(added), tuple(present)))
        _rename_all(places)
    for folder in (one for result in results for one in (*result.added, *result.present)):
        publish(folder.path)
    return results


def _stored(root: Path) -> dict[str, RunFolder]:
    """Return the runs of a store by their keys; of copies of one, as beside a damaged one, the first that is whole."""
    found: dict[str, RunFolder] = {}
    for folder in runs.find(root):
        first = found.setdefault(folder.path.name, folder)
        if first is not folder and not first.done and folder.done:
            found[folder.path.name] = folder
    return found


@contextlib.contextmanager
def _staging(root: Path, archives: Sequence[Path]) -> Iterator[Path]:
    """Give a folder in ``root`` that is gone afterwards, and ``root`` with it where it was not there and stays empty.

    A lock in it says that it is in use; one of a killed process is for ``bench gc``. Raises ``StoreError`` where the
    disk is full, or ``root`` cannot be written.
    """
    made = [place for place in (root, *root.parents) if not place.exists()]
    with contextlib.ExitStack() as undo:
        try:
            for place in reversed(made):
                undo.callback(_remove_empty, place)
            root.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(dir=root, prefix=MERGING))
            undo.callback(shutil.rmtree, staging, ignore_errors=True)
            with exclusive(staging / STAGING_LOCK, f"{staging}"):
                yield staging
        except OSError as error:
            if error.filename in map(str, archives):
                raise
            reason = error.strerror or error
            raise StoreError(f"cannot write {root}: {reason}. Nothing was merged. Try: another --out") from error


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # what came in meanwhile stays
        folder.rmdir()


def _rename_all(places: Sequence[tuple[Path, Path]]) -> None:
    """Rename each of ``places`` to the other, all of them or, where one cannot be, none."""
    with contextlib.ExitStack() as undo:
        for staged, target in places:
            for parent in (target.parents[1], target.parent):
                if not parent.exists():
                    parent.mkdir(parents=True, exist_ok=True)
                    undo.callback(_remove_empty, parent)
            staged.rename(target)
            undo.callback(target.rename, staged)
        undo.pop_all()


def _staged(archive: Path, place: Path) -> list[RunFolder]:
    """Return the runs of ``archive``, unpacked below ``place`` as a store of their own, each as it claims."""
    if archive.is_dir():
        raise StoreError(
            f"{archive} is a folder, no archive. Try: bench results pack --runs {shlex.quote(str(archive))}"
        )
    if not archive.is_file():
        raise StoreError(f"no file {archive}")
    with archive.open("rb") as file:
        reader = Reader(file, archive)
        index = packed.read_index(reader)
        raw = place.with_name("raw")
        for run, name in packed.members(index):
            _unpack(reader, run, name, raw / run.key)
        reader.end()
    sha256, found = sha256_of(archive), []
    for run in index.runs:
        provenance = Provenance(one_line(archive.name), sha256, index.by, run.left_out)
        found.append(_checked(archive, run, raw / run.key, place, provenance))
    return found


def _unpack(reader: Reader, run: PackedRun, name: str, folder: Path) -> None:
    """Write one file below ``folder``; both names are among those that a run has."""
    size = reader.size_of(packed.path_of(run, name))
    if name.endswith(".json") and size > packed.MOST_JSON:
        raise StoreError(f"{reader.place}: run {run.key}: {name} is too large")
    folder.mkdir(parents=True, exist_ok=True)
    hasher = hashlib.sha256()
    with (folder / name).open("wb") as file:
        for piece in reader.chunks(size):
            hasher.update(piece)
            file.write(piece)
    if hasher.hexdigest() != run.files[name]:
        raise StoreError(f"{reader.place}: run {run.key}: {name} is not what its index says")


def _checked(archive: Path, run: PackedRun, raw: Path, place: Path, provenance: Provenance) -> RunFolder:
    """Return the run as it will be stored. Raises ``StoreError`` unless every check of a stored run holds."""
    try:
        config = _look_at(run, raw)
        names = [runs.folder_name(str(config[part]["name"])) for part in ("dataset", "model")]
        folder = RunFolder(place.joinpath(*names, run.key))
        folder.path.parent.mkdir(parents=True, exist_ok=True)
        raw.rename(folder.path)
        write_atomic(folder.path / MANIFEST, to_json({"schema": SCHEMA, "key": run.key, "files": run.files}))
        folder.write_provenance(provenance)
        found = verdict(folder)
        if found.faults or found.state != "done":
            raise StoreError(f"it is not what it claims: {'; '.join(found.faults) or found.state}")
        if folder.lists("gallery"):
            claims.check_pictures(folder.exhibits.gallery().values())
        if folder.lists("sizes"):
            folder.read_sizes()
        folder.summary()
    except BenchError as error:
        raise StoreError(f"{archive}: run {run.key}: {one_line(str(error))[:400]}. Nothing was merged") from None
    except NOT_UNDERSTOOD as error:
        what = f"{type(error).__name__} {error}"
        raise StoreError(
            f"{archive}: run {run.key} is not as a run is stored: {one_line(what)[:200]}. Nothing was merged"
        ) from None
    return folder


def _look_at(run: PackedRun, raw: Path) -> dict[str, dict[str, object]]:
    """Return the config of an unpacked run, each of whose files is of the kind that its name says."""
    values = {name: claims.parsed(name, (raw / name).read_bytes()) for name in run.files if name.endswith(".json")}
    for name, value in values.items():
        claims.check_json(name, value)
    for name in ("config.json", "ids.json", "labels.json", "scores.npy", "scores.json", "status.json", "measures.json"):
        claims.require(name in run.files, f"it has no {name}")
    config: dict[str, dict[str, object]] = values["config.json"]
    claims.require(digest(canonical_json(config)) == run.key, "its key is not the hash of its config")
    for name in run.files:
        if name.endswith(".npz"):
            claims.check_arrays(name, (raw / name).read_bytes())
    with (raw / "scores.npy").open("rb") as file:
        shape = len(values["ids.json"]), len(values["labels.json"])
        claims.check_matrix("scores.npy", file.read(8192), (raw / "scores.npy").stat().st_size, shape)
    return config


def _truths(folders: Iterable[RunFolder]) -> dict[str, tuple[str, str]]:
    """Return by a test part's fingerprint the hash of its truth, and whose run says so."""
    found = {}
    for folder in folders:
        try:
            dataset = folder.config["dataset"]
            found[str(dataset["fingerprints"]["test"])] = str(dataset["truth"]), folder.path.name
        except (StoreError, KeyError, TypeError):  # a damaged run says nothing of others
            continue
    return found


def _check_truth(archive: Path, folder: RunFolder, truths: dict[str, tuple[str, str]]) -> None:
    """Raise ``StoreError`` where a run has other truth than a stored one that claims the same test part."""
    dataset = folder.config["dataset"]
    own = str(dataset["truth"])
    known, whose = truths.setdefault(str(dataset["fingerprints"]["test"]), (own, folder.key))
    if own != known:
        raise StoreError(
            f"{archive}: run {folder.key} claims the test part of run {whose}, and has other truth. Nothing was merged"
        )


def _check_same(archive: Path, folder: RunFolder, stored: RunFolder) -> None:
    """Raise ``StoreError`` where the stored run of the same key is not whole, or has other results."""
    if not stored.done:
        raise StoreError(
            f"{archive}: run {folder.key} is stored as {stored.path}, which is not whole. Nothing was merged."
            " Try: delete that folder, or another --out"
        )
    ours, theirs = SealedFolder(stored.path), SealedFolder(folder.path)
    other = [name for name in RESULTS if ours.seal(name) != theirs.seal(name) and not _alike(ours, theirs, name)]
    if other:
        raise StoreError(
            f"{archive}: run {folder.key} is stored as {stored.path} with other {', '.join(other)}. Nothing was merged."
            " Try: another --out, and bench validate --recompute on both"
        )


def _alike(ours: SealedFolder, theirs: SealedFolder, name: str) -> bool:
    """Return whether two files that differ by their bytes hold the same.

    Another zlib packs arrays otherwise, and each machine writes down how long its trials took.
    """
    if name == "trials.json" and ours.lists(name) and theirs.lists(name):
        one, other = (RunFolder(files.path).read_trials() for files in (ours, theirs))
        return choice.apart_from_times(one) == choice.apart_from_times(other)
    if not name.endswith(".npz") or not (ours.lists(name) and theirs.lists(name)):
        return False
    mine, given = ours.read_arrays(name), theirs.read_arrays(name)
    return mine.keys() == given.keys() and all(
        mine[key].dtype == given[key].dtype and mine[key].tobytes() == given[key].tobytes() for key in mine
    )
