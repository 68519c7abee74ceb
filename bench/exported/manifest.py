"""What an exported folder is whole by: the SHA-256 of every file, its description and its checks, in one sealed file.

The manifest is written last, so a folder without one is no model. It seals itself too: a changed byte is found in
whichever file it stands. It guards against damage, mixing and mistakes; whoever wants to forge a folder can.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.data.pictures import shown
from bench.errors import BenchError, DataError, ModelError
from bench.exported.model_folder import FORMAT, Description, check_fields, check_format, from_values, parse_json
from bench.system.files import canonical_json, sha256_of, write_atomic

MANIFEST, COMPILED = "manifest.json", "__pycache__"


@dataclass(frozen=True, slots=True)
class Check:
    """A comparison of exported files with what they must equal: ``difference`` found, and ``allowed``.

    ``unit``: ``relative``, to the largest magnitude of what was expected, or ``images``, the share of images whose
    label set is another. ``batch`` images were computed at once, ``count`` in all. ``difference`` is ``None`` where the
    comparison was not done; ``reason`` then says why, and what it needs.
    """

    name: str
    unit: str
    allowed: float
    difference: float | None
    count: int = 0
    batch: int = 0
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Return whether the difference is allowed; a comparison that was not done has not failed."""
        return self.difference is None or self.difference <= self.allowed  # NaN is not

    @property
    def excess(self) -> float:
        """Return how many times what is allowed was found; what is not a number is beyond all."""
        found = self.difference or 0.0
        return math.inf if math.isnan(found) or not self.allowed else found / self.allowed

    @property
    def at(self) -> str:
        """Return at which batch size, in words."""
        return f" at batch size {self.batch}" if self.batch else ""

    @property
    def of(self) -> str:
        """Return what a difference is a part of, in words."""
        return " of the largest value" if self.unit == "relative" else " of the images"

    def shown(self, value: float) -> str:
        """Return ``value`` as it is printed."""
        return f"{value:.1e}" if self.unit == "relative" else f"{value:.1%}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What ``read_manifest`` gives: ``files`` holds the SHA-256 of each by its name."""

    description: Description
    checks: tuple[Check, ...]
    files: Mapping[str, str]
    seal: str


def write_manifest(folder: Path, description: Description, checks: Sequence[Check]) -> None:
    """Write the manifest of the files that are now in ``folder``, which makes it a model."""
    names = sorted(path.name for path in folder.iterdir() if path.name != MANIFEST)
    values = {
        "export": FORMAT,
        "description": description.to_values(),
        "checks": [asdict(check) for check in checks],
        "files": dict(zip(names, _hashes(folder, names), strict=True)),
    }
    write_atomic(folder / MANIFEST, _sealed(values))


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of the model in ``folder``.

    Raises ``ModelError`` where there is none, or it is damaged or from another version.
    """
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = f"{MANIFEST} is absent" if isinstance(error, FileNotFoundError | NotADirectoryError) else str(error)
        raise ModelError(f"no exported model at {folder}: {reason}. Try: bench export RUN --out DIR") from None
    values = parse_json(content, path)
    if "export" not in values:
        raise ModelError(f"no exported model at {folder}: {path} is of something else. Try: bench export RUN --out DIR")
    check_format(values["export"], path)
    seal = values.pop("seal", None)
    # Also the text, or a changed byte between two values would pass.
    if not isinstance(seal, str) or not _is_sealed(values, content):
        raise ModelError(f"{path} is damaged: it is not as it was written. Try: bench export RUN --out DIR")
    try:
        checks = tuple(Check(**check) for check in values["checks"])
        for check in checks:
            check_fields(check, "check ")
        files = {str(name): str(checksum) for name, checksum in values["files"].items()}
        return Manifest(from_values(values["description"], path), checks, files, seal)
    except (KeyError, TypeError, AttributeError, DataError) as error:
        raise ModelError(f"{path} is damaged: {error}. Try: bench export RUN --out DIR") from error


NO_UTF8 = "its path is not UTF-8, and ONNX Runtime opens no other"


def can_be_opened(folder: Path) -> bool:
    """Return whether ONNX Runtime takes the paths of files in ``folder``."""
    try:
        return bool(str(folder).encode())
    except UnicodeEncodeError:
        return False


def open_whole(folder: Path) -> Manifest:
    """Return the manifest of the model in ``folder`` once every file in it is the one that was exported.

    Names that begin with a dot are passed over: file managers leave them, and nothing reads them; so is what Python
    leaves where someone imports the folder's ``predict.py``.
    Raises ``ModelError`` naming the first file that is absent, changed or of another export, and for a path that
    ONNX Runtime cannot open.
    """
    if not can_be_opened(folder):
        raise ModelError(f"{shown(folder)}: {NO_UTF8}. Try: a folder of another name")
    manifest = read_manifest(folder)
    again = "Try: bench export RUN --out DIR"
    present = {path.name for path in folder.iterdir() if not path.name.startswith(".")} - {MANIFEST, COMPILED}
    for name in sorted(manifest.files.keys() - present):
        raise ModelError(f"no whole model at {folder}: {name} is absent, which {MANIFEST} lists. {again}")
    for name in sorted(present - manifest.files.keys()):
        raise ModelError(f"{folder} holds {name!a}, which is not of this export. Try: delete {name!a}, or export again")
    names = sorted(manifest.files)
    for name, found in zip(names, _hashes(folder, names), strict=True):
        if found != manifest.files[name]:
            raise ModelError(
                f"{folder / name} is not the file that was exported: damaged, or of another model. {again}"
            )
    return manifest


def is_whole(folder: Path, run: str) -> bool:
    """Return whether ``folder`` holds a whole model of the run with key ``run``."""
    try:
        return open_whole(folder).description.run == run
    except BenchError:
        return False


def _sealed(values: Mapping[str, Any]) -> str:
    """Return the manifest's text: ``values`` and a hash over them."""
    seal = hashlib.sha256(canonical_json(values).encode("utf-8", "surrogatepass")).hexdigest()
    return json.dumps({**values, "seal": seal}, indent=1, allow_nan=False) + "\n"


def _is_sealed(values: Mapping[str, Any], content: bytes) -> bool:
    try:
        return _sealed(values).encode() == content
    except (ValueError, RecursionError):  # NaN, or nested too deeply: nothing that was written
        return False


def _hashes(folder: Path, names: Sequence[str]) -> list[str]:
    """Return the SHA-256 of each file; hashing lets other threads run."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(_sha256, [folder / name for name in names]))


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}. Try: bench export RUN --out DIR") from error
