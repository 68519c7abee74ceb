"""Archives fetched with checksum; a transfer that was stopped goes on where it stopped."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse

from bench.contracts import Archive
from bench.errors import DataError, StoreError
from bench.system.files import canonical_json, sync_folder
from bench.system.notes import note
from bench.system.progress import progress_bar
from bench.system.sealed_files import read_sealed, write_sealed

BLOCK = 1 << 20

NOTED_EVERY = 64 * BLOCK
"""Bytes after which the hash of what came is noted: what a killed process fetched since is fetched again."""

NAMES = {"sha256": "SHA-256", "md5": "MD5"}
"""Of hashes, for people."""

TIMEOUT = 60
"""Seconds without a byte after which a transfer counts as interrupted."""


def fetch(archive: Archive, folder: Path) -> Path:
    """Return the archive's file in ``folder``, downloaded or what is missing of it; whole files are only checked.

    Raises ``DataError`` for a wrong checksum, no space, or an interrupted transfer, which the same call continues.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = place(archive, folder)
    if not path.exists():
        part = _part(path)
        try:
            _transfer(archive.url, part)
        except urllib.error.HTTPError as error:
            error.close()
            reason = " ".join(str(error.reason).split()) + _through_proxy(archive.url)
            later = "Try: the same command later, or fetch it by hand" if error.code >= 500 else "Try: fetch it by hand"
            raise DataError(f"no download of {archive.url}: HTTP {error.code} {reason}. {later} to {path}") from None
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            cause = getattr(error, "reason", error)
            reason = getattr(cause, "strerror", None) or str(cause) or type(error).__name__
            reason += _through_proxy(archive.url)
            raise DataError(
                f"download of {archive.url} stopped: {reason}. The same command continues it,"
                f" or fetch it by hand to {path}"
            ) from error
        except OSError as error:
            raise DataError(
                f"download of {archive.url} stopped: cannot write {part}: {error.strerror or error}."
                " What came is kept; the same command continues it"
            ) from error
        part.replace(path)
        sync_folder(folder)
        _notes(part).unlink(missing_ok=True)
    for kind, published in (("sha256", archive.sha256), ("md5", archive.md5)):
        found = checksum(path, kind) if published else ""
        if found != published:
            path.unlink()
            raise DataError(
                f"{archive.url}: {NAMES[kind]} {found}, expected {published}; the file was deleted."
                " Try: the same command again"
            )
    return path


def checksum(path: Path, kind: str = "sha256") -> str:
    """Return the hash of a file, ``sha256`` or ``md5``, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def still_to_fetch(archives: Sequence[Archive], folder: Path) -> int:
    """Return how many bytes of archives of known size are not in ``folder`` yet."""
    left = 0
    for archive in archives:
        path = place(archive, folder)
        there = next((each.stat().st_size for each in (path, _part(path)) if each.exists()), 0)
        left += max(archive.size - there, 0)
    return left


def _through_proxy(url: str) -> str:
    """Return words for a message where the environment has ``url`` fetched through a proxy, which may be at fault."""
    scheme, host, *_ = urlparse(url)
    through = scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host)
    return f" (through the proxy of {scheme}_proxy)" if through else ""


def place(archive: Archive, folder: Path) -> Path:
    """Return the path of the archive's file in ``folder``."""
    return folder / PurePosixPath(urlparse(archive.url).path).name


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _transfer(url: str, part: Path) -> None:
    """Append to ``part`` what the server still has; where it cannot go on, or has another file, begin again."""
    known = _read_notes(part, url)
    have, hasher = _kept(part, known)
    headers = {"Range": f"bytes={have}-"} if have else {}
    if have and known.get("version"):
        # The server sends the rest if the file is still the one that was begun, and all of it if not.
        headers["If-Range"] = known["version"]
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        error.close()
        whole = error.headers.get("Content-Range") == f"bytes */{have}" or known.get("length") == have
        if not whole:
            part.unlink()
            _transfer(url, part)
        return
    with response:
        continued = response.status == 206
        if continued and not _goes_on(response.headers, have, known):
            if not have:
                raise ConnectionError("the server sent a part of the file, and was asked for all of it")
            part.unlink()
            _transfer(url, part)
            return
        _receive(response, _Part(part, url, have, hasher, known) if continued else _Part(part, url))


def _kept(part: Path, known: dict[str, Any]) -> tuple[int, hashlib._Hash]:
    """Return how many bytes of ``part`` are what came, all others cut off, and their hash so far."""
    hasher = hashlib.sha256()
    if not part.exists():
        return 0, hasher
    noted = known.get("bytes", part.stat().st_size)
    with part.open("rb") as file:
        while chunk := file.read(min(BLOCK, noted - file.tell())):
            hasher.update(chunk)
        sound = file.tell() == noted and hasher.hexdigest() == known.get("sha256", hasher.hexdigest())
    if not sound or (not known and _notes(part).exists()):
        note(f"{part} is damaged: the download begins again")
        part.unlink()
        return 0, hashlib.sha256()
    os.truncate(part, noted)
    return noted, hasher


def _goes_on(headers: Any, have: int, known: dict[str, Any]) -> bool:
    """Return whether what comes begins where the file ends and belongs to a file as long as the one begun."""
    place, _, length = str(headers.get("Content-Range", "")).removeprefix("bytes ").partition("/")
    begun = known.get("length")
    return place.partition("-")[0] == str(have) and (begun is None or length in {"*", str(begun)})


@dataclass(slots=True)
class _Part:
    """A file on its way: its first ``have`` bytes are noted with their hash, so that no others are built upon."""

    path: Path
    url: str
    have: int = 0
    hasher: hashlib._Hash = field(default_factory=hashlib.sha256)
    about: dict[str, Any] = field(default_factory=dict)

    def note(self) -> None:
        """Hash what came since the last note, as it lies on disk, and note it."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self.have)
                while chunk := file.read(BLOCK):
                    self.hasher.update(chunk)
                self.have = file.tell()
        self.about |= {"bytes": self.have, "sha256": self.hasher.hexdigest()}
        write_sealed(_notes(self.path), self.url, canonical_json(self.about).encode())


def _receive(response: Any, part: _Part) -> None:
    told = str(response.headers.get("Content-Length", ""))
    left = told if told.isascii() and told.isdigit() else ""  # some servers send no number
    if left:
        free = shutil.disk_usage(part.path.parent).free
        if int(left) > free:
            raise DataError(
                f"{response.url} still takes {int(left) / 1e9:.2f} GB, {part.path.parent} has {free / 1e9:.2f} GB free."
                " Try: --out DIR on a larger disk"
            )
    mode = "ab" if part.have else "wb"
    if not part.have:  # noted first: what is kept of a stopped transfer is of use only with its version
        tag = response.headers.get("ETag") or ""
        # A weak tag (W/) does not promise the same bytes.
        version = response.headers.get("Last-Modified", "") if tag.startswith("W/") or not tag else tag
        part.about = {"version": version, "length": int(left) if left else None}
        part.path.unlink(missing_ok=True)
        part.note()
    total, written = -(-int(left) // BLOCK) if left else None, 0
    try:
        with part.path.open(mode) as file:
            for block in progress_bar(_blocks(response), f"downloading {part.path.stem}", total=total, unit="MiB"):
                file.write(block)
                written += len(block)
                if written % NOTED_EVERY < BLOCK:
                    file.flush()
                    part.note()
    finally:
        # On a full disk the last note stands, and what came after it is fetched again.
        with contextlib.suppress(StoreError):
            part.note()
    if left and written != int(left):
        raise ConnectionError(f"{written:,} of {int(left):,} bytes came")


def _blocks(response: Any) -> Iterator[bytes]:
    """Yield what comes, in blocks. Raises ``ConnectionError`` for whatever ends it early, and no other ``OSError``."""
    try:
        while block := response.read(BLOCK):
            yield block
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(str(error) or type(error).__name__) from error


def _notes(part: Path) -> Path:
    """Return the file that says which version of the archive ``part`` is of, and what came of it."""
    return part.with_name(part.name + ".notes")


def _read_notes(part: Path, url: str) -> dict[str, Any]:
    content = read_sealed(_notes(part), url)
    return {} if content is None else dict(json.loads(content))
