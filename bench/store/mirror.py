"""Stores elsewhere, as ``s3://bucket/runs``: worked on in a copy on this machine, published run by run.

    <address>/<dataset>/<model>/<key>/manifest.json               written last, as it lies in the run's folder
    <address>/<dataset>/<model>/<key>/<first 16 of SHA-256>/<file>    each file that a manifest names

There is no rename there, and no lock. So no file is ever written over by another: each has its content's hash in its
name, and a run is what its manifest names. Who reads finds the old manifest or the new one, and all files of either;
of two machines that publish one run at once, either's is whole. What is half uploaded is in no manifest.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.errors import StorageError, StoreError
from bench.remote import objects
from bench.remote.copies import address_of, copy_of
from bench.store.following import of_store
from bench.store.required import RECORDS
from bench.store.run_folder import CHECKPOINT, TUNING_CHECKPOINT, HeldError, RunFolder
from bench.store.sealed import MANIFEST, parsed_manifest
from bench.system.files import canonical_json, matching, sha256_of, write_atomic
from bench.system.locks import exclusive
from bench.system.notes import note
from bench.system.progress import progress_bar
from bench.system.threads import in_threads

PUBLISHED = ".published.json"
"""Of a run's folder: the manifest that stands elsewhere, as far as this machine knows."""

TAKING, STALE = ".taking-", 24 * 3600.0
"""How folders of a copy begin for files on their way, and seconds after which one is a killed process's."""

_RUN = re.compile(r"([A-Za-z0-9._-]+/[A-Za-z0-9._-]+/[0-9a-f]{16})/" + re.escape(MANIFEST))
_FILES = frozenset(name for names in RECORDS.values() for name in names)


class _NotWholeError(StoreError):
    """A run elsewhere one of whose files is absent or another than its manifest says."""


def synchronised(place: Path) -> Path:
    """Return the folder of this machine for the store at ``place``, with every run that stands there by now.

    ``place`` is an address, or the copy of one; any other is returned as it is. Raises ``StorageError`` where the
    address cannot be reached: what came is kept.
    """
    root = copy_of(place)
    if not (address := address_of(root)):
        return root
    try:
        _bring_up_to_date(root, address)
    except StorageError as error:
        raise StorageError(f"{error}. What is here can be read without it: --runs {shlex.quote(str(root))}") from error
    return root


def _bring_up_to_date(root: Path, address: str) -> None:
    for left in root.glob(f"{TAKING}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE:
                shutil.rmtree(left)
    there = {found[1]: told for name, told in objects.listed(address).items() if (found := _RUN.fullmatch(name))}
    changed = {name: told for name, told in there.items() if _noted(root / name).get("version") != told}
    for name in progress_bar(sorted(changed), f"runs of {address}", unit="runs"):
        content = objects.read(f"{address}/{name}/{MANIFEST}")
        if content is not None and _take(root / name, f"{address}/{name}", content):
            _write_note(root / name, _sha256(content), changed[name])
    _tell_of_others(root, address, set(there))


def fetch(path: Path) -> None:
    """Have in the run's folder ``path`` of a copy what stands elsewhere, where that is further than what is here."""
    if address := address_of(path.parents[2]):
        objects.check_bucket(address)
        here = "/".join(path.parts[-3:])
        content = objects.read(f"{address}/{here}/{MANIFEST}")
        if content is None:
            return
        if _own(path) == _sha256(content) and RunFolder(path).verify():
            note(f"{path} is damaged, and fetched anew")
            with contextlib.suppress(HeldError):
                _fill(path, f"{address}/{here}", content)
        if _take(path, f"{address}/{here}", content):
            _write_note(path, _sha256(content))


def publish(path: Path) -> None:
    """Put the run in the folder ``path`` of a copy where its store is; nothing is done for a store of this machine.

    The first finished run of a key stands: where another machine has published it meanwhile, that one is taken.
    Raises ``StorageError`` where the place cannot be reached: the run stays whole here.
    """
    address = address_of(path.parents[2])
    if not address:
        return
    here = f"{address}/{'/'.join(path.parts[-3:])}"
    with exclusive(path / ".publishing.lock", f"publishing {path.name}"):
        content, known = (path / MANIFEST).read_bytes(), _noted(path).get("manifest", "")
        try:
            there = objects.read(f"{here}/{MANIFEST}")
            if there is not None and there != content and _sha256(there) != known and _is_done(here, there):
                if _take(path, here, there, told=True):
                    _write_note(path, _sha256(there))
                return
            if there == content and known == _sha256(content):
                return
            if there != content:
                _upload(path, here, content)
        except StorageError as error:
            kept = f"The run is whole in {path}; the same command publishes it"
            raise StorageError(f"not published: {error}. {kept}") from error
        _write_note(path, _sha256(content))


def _upload(path: Path, here: str, manifest: bytes) -> None:
    """Put every file there that is not, and then the manifest."""
    _, _, files = parsed_manifest(manifest)
    begun = objects.listed(here)

    def put(name: str) -> None:
        target, sha256 = _place(here, name, files[name]), sha256_of(path / name)
        if sha256 != files[name]:
            raise StoreError(
                f"{path / name} is damaged, so the run is not published. See: bench validate{of_store(path)}"
            )
        there = target.removeprefix(f"{here}/") in begun
        if not there or not objects.holds(target, (path / name).stat().st_size, sha256):
            objects.upload(path / name, target)

    for _ in in_threads(put, progress_bar(sorted(files), f"publishing {path.name}", unit="files"), objects.WORKERS):
        pass
    objects.write(manifest, f"{here}/{MANIFEST}")


def _take(path: Path, here: str, content: bytes, *, told: bool = False) -> bool:
    """Return whether the run's folder now holds what the manifest ``content`` names.

    What is only here, and not as far elsewhere, stays. What is not whole there is left out with a word.
    """
    there, known, own = _sha256(content), _noted(path).get("manifest", ""), _own(path)
    if there in {own, known}:
        return True  # nothing is new there
    if own in {"", known} or _is_done(here, content):
        try:
            _fill(path, here, content)
        except _NotWholeError as error:
            note(f"{error}; left out: it is being published, or whoever did was stopped")
            return False
        except HeldError:
            return False
        if told:
            note(f"run {path.name} was published by another machine meanwhile, and is taken from {here}")
        return True
    return False


def _fill(path: Path, here: str, content: bytes) -> None:
    """Fetch what the folder lacks of the manifest's files, check all, and only then put them into their places.

    Raises ``HeldError`` where a process of this machine is at work on the run.
    """
    key, files = _checked_manifest(here, content)
    if key != path.name:
        raise _NotWholeError(f"{here} holds run {key}")
    taking = Path(tempfile.mkdtemp(dir=path.parents[2], prefix=TAKING))

    def get(name: str) -> None:
        with contextlib.suppress(OSError):
            if sha256_of(path / name) == files[name]:
                return
        try:
            objects.download(_place(here, name, files[name]), taking / name)
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise _NotWholeError(f"run {key} has no {name} at {here}") from None
            raise
        if sha256_of(taking / name) != files[name]:
            raise _NotWholeError(f"run {key} has another {name} at {here} than its manifest says")

    try:
        for _ in in_threads(get, sorted(files), objects.WORKERS):
            pass
        with RunFolder(path).held():
            for file in sorted(taking.iterdir()):
                file.replace(path / file.name)
            write_atomic(path / MANIFEST, content)
            for name in (CHECKPOINT, TUNING_CHECKPOINT):
                (path / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(taking, ignore_errors=True)


def _checked_manifest(here: str, content: bytes) -> tuple[str, Mapping[str, str]]:
    """Return key and files of a manifest; names that no run has, as of what would be unpickled, are refused."""
    try:
        _, key, files = parsed_manifest(content)
    except Exception as error:
        raise _NotWholeError(f"{here}/{MANIFEST} is no manifest ({type(error).__name__})") from None
    odd = [name for name in files if name not in _FILES]
    odd += [name for name, seal in files.items() if not re.fullmatch("[0-9a-f]{64}", seal)]
    if odd:
        raise _NotWholeError(f"{here}/{MANIFEST} names {odd[0]!r:.60}, which no run has")
    return key, files


def _is_done(here: str, content: bytes) -> bool:
    """Return whether the run of a manifest elsewhere is finished, as its status says."""
    with contextlib.suppress(_NotWholeError, ValueError, TypeError, AttributeError):
        _, files = _checked_manifest(here, content)
        status = objects.read(_place(here, "status.json", files["status.json"])) if "status.json" in files else None
        return status is not None and json.loads(status).get("state") == "done"
    return False


def _place(here: str, name: str, sha256: str) -> str:
    return f"{here}/{sha256[:16]}/{name}"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _own(path: Path) -> str:
    """Return the SHA-256 of the manifest here; empty: none."""
    try:
        return sha256_of(path / MANIFEST)
    except OSError:
        return ""


def _noted(path: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads((path / PUBLISHED).read_bytes())
        return found if isinstance(found, dict) and _own(path) else {}
    return {}


def _write_note(path: Path, manifest: str, version: str = "") -> None:
    write_atomic(path / PUBLISHED, canonical_json({"manifest": manifest, "version": version}))


def _tell_of_others(root: Path, address: str, there: set[str]) -> None:
    """Say which runs are here alone: not published yet, or no longer there."""
    gone, waiting = [], []
    for file in matching(root, f"*/*/*/{MANIFEST}"):
        path, known = file.parent, _noted(file.parent).get("manifest")
        if "/".join(path.parts[-3:]) not in there and known:
            gone.append(path.name)
        elif known != _own(path) and RunFolder(path).lists("status"):
            waiting.append(path.name)
    for names, what in (
        (gone, "no longer there, and only here"),
        (waiting, "only here, and not published yet: the command that made it does that"),
    ):
        if names:
            note(f"{address}: {len(names)} of the runs {'is' if len(names) == 1 else 'are'} {what}, as {names[0]}")
