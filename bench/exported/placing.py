"""Where an exported folder is put: made beside its place and renamed into it, so that a place never holds a half."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.data.pictures import shown
from bench.errors import ModelError, StoreError
from bench.exported.manifest import COMPILED, MANIFEST, NO_UTF8, can_be_opened
from bench.exported.model_folder import parse_json
from bench.system.files import sync_folder
from bench.system.interrupts import held_back

AT_CWD, EXCHANGE = -100, 2
"""Of ``renameat2``: names are as the process sees them, and change places; the 2 is macOS's ``RENAME_SWAP`` too."""


@contextlib.contextmanager
def placed(out: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of ``out`` when the body ends, and vanishes when it fails.

    An earlier export at ``out`` stands until then. A process killed at any moment leaves the earlier one or the new
    one, whole; what it leaves beside ``out`` the next export removes. Only where the file system cannot exchange two
    names is there neither for a moment.
    Raises ``StoreError`` where ``out`` must not be replaced, cannot be written, or the disk is full.
    """
    target = replaceable(out)
    work: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(target)
        work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part"))
        with _held(work):
            new = work / "new"
            new.mkdir()
            try:
                yield new
            except StoreError as error:
                raise StoreError(str(error).replace(str(new), str(out))) from error
            replaceable(out)
            sync_folder(new)
            with held_back():
                _put(new, target, work / "old")
            sync_folder(target.parent)
    except OSError as error:
        raise StoreError(f"cannot write {out}: {error.strerror or error}. Try: another folder with --out") from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)


def replaceable(out: Path) -> Path:
    """Return the folder that ``out`` is, links followed, if an export may be put there.

    Raises ``StoreError`` unless it is absent, empty, or holds what an export wrote and nothing else, and for a path
    that ONNX Runtime cannot open.
    """
    target = Path(os.path.realpath(out))
    if not can_be_opened(target):
        raise StoreError(f"cannot export to {shown(out)}: {NO_UTF8}. Try: another --out")
    other = "Try: another --out, or delete it first"
    if not os.path.lexists(target):
        return target
    if not target.is_dir():
        raise StoreError(f"{out} is a file, and no exported model. {other}")
    if Path.cwd().is_relative_to(target):
        raise StoreError(f"{out} is the folder you work in, which cannot be replaced. Try: --out {out / 'model'}")
    names = sorted(path.name for path in target.iterdir())
    if not names:
        return target
    try:
        manifest = parse_json((target / MANIFEST).read_bytes(), target / MANIFEST)
        written = {MANIFEST, COMPILED, *manifest["files"]} if "export" in manifest else set()
    except (OSError, ModelError, KeyError, TypeError):
        written = set()
    if not written:
        raise StoreError(f"{out} is no exported model and is not overwritten: it holds {names[0]!a}. {other}")
    for name in names:
        if name not in written:
            raise StoreError(f"{out} is not overwritten: it holds {name!a}, which no export wrote. {other}")
    return target


def _put(new: Path, target: Path, aside: Path) -> None:
    """Rename ``new`` to ``target``; what is there goes to ``aside``, or comes to where ``new`` was."""
    if not target.exists():
        new.rename(target)
    elif not exchanged(new, target):
        target.rename(aside)
        try:
            new.rename(target)
        except OSError:
            aside.rename(target)
            raise


def exchanged(one: Path, other: Path) -> bool:
    """Exchange two names in one step, and return whether system and file system can."""
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if function := getattr(library, "renameat2", None):  # Linux
        return bool(function(AT_CWD, names[0], AT_CWD, names[1], EXCHANGE) == 0)
    if function := getattr(library, "renamex_np", None):  # macOS
        return bool(function(*names, EXCHANGE) == 0)
    return False


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold ``folder`` while its process lives, so that another export takes it for no leftover."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _remove_leftovers(target: Path) -> None:
    """Remove what killed exports to ``target`` left beside it."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
        with contextlib.suppress(OSError):
            handle = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(handle)
