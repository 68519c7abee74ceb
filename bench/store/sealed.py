"""A folder whose every file is named, with its SHA-256, in a manifest: damage is found when a file is read.

A file counts as written once the manifest holds its hash. The manifest is replaced after each file,
so a process killed at any moment leaves whole files, and at most one that does not count yet.
JSON objects and npz files also hold, as ``run``, the key of the folder they were written for: one that was copied from
another folder is refused, whatever the manifest says.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bench.errors import BenchError, StoreError
from bench.system.files import atomic_path, sha256_of, write_atomic
from bench.system.lazy import lazy_import
from bench.system.npz import load_npz, save_npz
from bench.system.text import ESCAPE, one_line, plain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = lazy_import("numpy")

T = TypeVar("T")

MANIFEST = "manifest.json"

KEY = re.compile("[0-9a-f]{16}")
"""What a run's key looks like, which is the name of its folder."""

SCHEMA = 4
"""Version of the folder's layout. A folder of another one is refused, never guessed at."""

RUN = "run"
"""Name of the entry by which a file says which run it is of."""

UNNAMED = ("config.json", "ids.json", "labels.json")
"""Files that do not hold the key: the key is a hash over them."""

REPAIR = "Run the same 'bench run' or 'bench score' again to make it anew, or delete the folder"


class UnreadableError(StoreError):
    """A file that may be sound cannot be read here and now: nothing is made anew for that."""


@dataclass(frozen=True, slots=True)
class SealedFolder:
    """Reads and writes the files of one folder. Reads raise ``StoreError`` naming what is absent or damaged."""

    path: Path

    @property
    def key(self) -> str:
        """Return the key that the folder was made with."""
        return str(self.manifest()["key"])

    def create(self, key: str) -> None:
        """Make the folder, with no file in it yet."""
        write_atomic(self.path / MANIFEST, to_json({"schema": SCHEMA, "key": key, "files": {}}))

    def is_damaged(self) -> bool:
        """Return whether there is a manifest that is none: cut off, zeroed or overwritten."""
        try:
            parsed_manifest((self.path / MANIFEST).read_bytes())
        except OSError:
            return False
        except Exception:
            return True
        return False

    def manifest(self) -> dict[str, Any]:
        """Return ``schema``, ``key`` and ``files``, a mapping of file name to SHA-256."""
        file = self.path / MANIFEST
        try:
            schema, key, files = parsed_manifest(file.read_bytes())
        except FileNotFoundError:
            if not self.path.exists():
                raise StoreError(
                    f"{self.path} is not there from here. Was it moved, or the current folder changed?"
                ) from None
            raise StoreError(
                f"{self.path} has no {MANIFEST}, so none of its files counts. Run the same 'bench run' again to make it"
                " anew, or delete the folder"
            ) from None
        except OSError as error:
            raise StoreError(f"cannot read {file}: {error.strerror or error}") from error
        except Exception as error:
            raise StoreError(f"{file} is damaged, so no file of the folder counts. {REPAIR}") from error
        if schema > SCHEMA:
            raise StoreError(
                f"{self.path} was written by a newer bench: layout {schema}, this one reads {SCHEMA}."
                " Try: pip install --upgrade multilabel-bench"
            )
        if schema < SCHEMA:
            raise StoreError(
                f"{self.path} was written by an older bench: layout {schema}, this one reads {SCHEMA}."
                f" Delete the folder and run again, or read it with the bench that wrote it"
            )
        return {"schema": schema, "key": key, "files": files}

    def seal(self, name: str) -> str:
        """Return the SHA-256 that file ``name`` was written with; empty where it was not written."""
        return str(self.manifest()["files"].get(name, ""))

    def lists(self, *names: str) -> bool:
        """Return whether every one of ``names`` was written, without reading it."""
        return set(names) <= set(self.manifest()["files"])

    def intact(self, name: str) -> bool:
        """Return whether file ``name`` was written and is still what was written.

        Raises ``UnreadableError`` where that cannot be told, as without the right to read it.
        """
        expected: str | None = self.manifest()["files"].get(name)
        try:
            return expected is not None and sha256_of(self.path / name) == expected
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return False
        except OSError as error:
            raise self._unreadable(name, error) from error

    def own(self, name: str) -> bool:
        """Return whether file ``name`` is of this folder's run, as far as it says; a damaged one says nothing."""
        try:
            if name.endswith(".npz"):
                with (self.path / name).open("rb") as file:
                    return str(load_npz(file, only=RUN)[RUN]) == self.key
            if name.endswith(".json") and name not in UNNAMED:
                return bool(json.loads((self.path / name).read_bytes())[RUN] == self.key)
        except KeyError:
            return False
        except Exception:  # of a damaged file, the readers raise whatever their parsing ran into
            return True
        return True

    def check(self, name: str) -> None:
        """Raise ``StoreError`` unless file ``name`` is what was written."""
        if not self.lists(name):
            raise StoreError(f"{self.path} has no {name}: the run is unfinished. Run it again to complete it")
        if not self.intact(name):
            state = "damaged" if (self.path / name).exists() else "absent"
            raise StoreError(f"{self.path / name} is {state}. {REPAIR}")

    @contextlib.contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        """Give a temporary path whose content becomes file ``name``."""
        # Both are written before either is renamed: where the manifest finds no room, the old file stays, and counts.
        with atomic_path(self.path / MANIFEST) as listed, atomic_path(self.path / name) as temporary:
            yield temporary
            manifest = self.manifest()
            manifest["files"][name] = sha256_of(temporary)
            listed.write_text(to_json(manifest), encoding="utf-8")

    def forget(self, *names: str) -> None:
        """Take files out of the manifest: they no longer count as written."""
        manifest = self.manifest()
        for name in names:
            del manifest["files"][name]
        write_atomic(self.path / MANIFEST, to_json(manifest))

    def write(self, name: str, content: bytes | str) -> None:
        """Write one file."""
        with self.replacing(name) as temporary:
            temporary.write_bytes(content.encode() if isinstance(content, str) else content)

    def write_json(self, name: str, value: Any) -> None:
        """Write ``value`` as JSON; NaN and infinity become null."""
        if isinstance(value, Mapping) and name not in UNNAMED:
            value = {RUN: self.key, **value}
        self.write(name, to_json(value))

    def write_arrays(self, name: str, **arrays: NDArray[Any]) -> None:
        """Write named arrays as a compressed npz file."""
        with self.replacing(name) as temporary, temporary.open("wb") as file:
            save_npz(file, {**arrays, RUN: np.array(self.key)}, compressed=True)

    def read(self, name: str) -> bytes:
        """Return the content of one file."""
        self.check(name)
        return (self.path / name).read_bytes()

    def read_json(self, name: str) -> Any:
        """Return the value in a JSON file."""
        content = self.read(name)
        value = self.parse(name, lambda: json.loads(content))
        if isinstance(value, dict) and name not in UNNAMED:
            self._check_run(name, value.pop(RUN, None))
        return value

    def read_arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the named arrays of an npz file. Nothing in it is unpickled."""
        self.check(name)
        with (self.path / name).open("rb") as file:
            arrays: dict[str, NDArray[Any]] = self.parse(name, lambda: load_npz(file))
        self._check_run(name, arrays.pop(RUN, None))
        return arrays

    def _check_run(self, name: str, run: Any) -> None:
        """Raise ``StoreError`` unless ``run``, which file ``name`` says it is of, is the run of this folder."""
        if str(run) != self.key:
            of = "does not say which run it is of" if run is None else f"is of run {run}, not of {self.key}"
            raise StoreError(f"{self.path / name} {of}. {REPAIR}")

    def parse(self, name: str, parse: Callable[[], Any]) -> Any:
        """Return ``parse()``; what it cannot make sense of is a ``StoreError`` that names the file.

        A file that was handed over may hold anything, sealed: its readers raise whatever their parsing ran into.
        """
        try:
            return parse()
        except BenchError:
            raise
        except Exception as error:
            if isinstance(error, MemoryError) or getattr(error, "errno", None) not in {None, errno.EINVAL}:
                raise self._unreadable(name, error) from error
            reason = one_line(str(error)) or type(error).__name__
            raise StoreError(f"cannot read {self.path / name}: {reason}. {REPAIR}") from error

    def _unreadable(self, name: str, error: Exception) -> UnreadableError:
        reason = "not enough memory" if isinstance(error, MemoryError) else getattr(error, "strerror", None) or error
        return UnreadableError(f"cannot read {self.path / name}: {reason}")


def reads(name: str) -> Callable[[Callable[[Any], T]], Callable[[Any], T]]:
    """Decorate a method that reads file ``name`` of its folder's ``_files``: it raises what ``parse`` raises."""

    def decorate(read: Callable[[Any], T]) -> Callable[[Any], T]:
        @functools.wraps(read)
        def named(self: Any) -> T:
            found: T = self._files.parse(name, lambda: read(self))
            return found

        return named

    return decorate


def parsed_manifest(content: bytes) -> tuple[int, str, dict[str, str]]:
    """Return layout, key and files of a manifest's content; raises whatever it is that makes it none."""
    manifest = json.loads(content)
    schema = int(manifest["schema"])
    try:
        files = {str(name): str(checksum) for name, checksum in dict(manifest["files"]).items()}
        if any(name in {"", ".", ".."} or "/" in name or "\0" in name for name in files):
            raise ValueError("a name that is no file's in the folder")
        return schema, str(manifest["key"]), files
    except (KeyError, TypeError, ValueError):
        if schema == SCHEMA:
            raise
        return schema, "", {}  # another layout, which is refused and never written over, may hold anything else


def to_json(value: Any) -> str:
    """Return ``value`` as indented JSON; NaN and infinity, which JSON lacks, become null."""
    text = json.dumps(_finite(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return text.encode("utf-8", ESCAPE).decode()


def to_json_line(value: Any) -> str:
    """Return the same on one line without its end, and with what steers a terminal escaped."""
    return plain(json.dumps(_finite(value), ensure_ascii=False, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if type(value).__module__ == "numpy":  # a number of NumPy's, which is then imported already
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
