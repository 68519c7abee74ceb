"""Archives fetched with resume and checksum, and unpacked so that nothing lands outside their folder."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import urlparse

from bench.contracts import Archive
from bench.errors import DataError
from bench.progress import track

BLOCK = 1 << 20
TIMEOUT = 60
"""Seconds without a byte after which a transfer counts as interrupted."""


def fetch(archive: Archive, folder: Path) -> Path:
    """Return the archive's file in ``folder``, downloaded or what is missing of it; whole files are only checked.

    Raises ``DataError`` for a wrong checksum, no space, or an interrupted transfer, which the same call continues.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PurePosixPath(urlparse(archive.url).path).name
    if not path.exists():
        part = path.with_name(path.name + ".part")
        try:
            _transfer(archive.url, part)
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            reason = getattr(error, "reason", error)
            raise DataError(
                f"download of {archive.url} stopped: {reason}. The same command continues it,"
                f" or fetch it by hand to {path}"
            ) from error
        part.replace(path)
    if archive.md5:
        found = checksum(path)
        if found != archive.md5:
            path.unlink()
            raise DataError(
                f"{archive.url}: MD5 {found}, expected {archive.md5}; the file was deleted. Try: the same command again"
            )
    return path


def checksum(path: Path) -> str:
    """Return the MD5 of a file, which is what the data sets' owners publish."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _transfer(url: str, part: Path) -> None:
    """Append to ``part`` what the server still has; a server without ranges starts from the beginning."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left: the file was whole
            return
        raise
    with response, part.open("ab" if response.status == 206 else "wb") as file:
        left = response.headers.get("Content-Length")
        total = -(-int(left) // BLOCK) if left else None
        written = 0
        for block in track(_blocks(response), f"downloading {part.stem}", total=total, unit="MiB"):
            file.write(block)
            written += len(block)
    if left and written != int(left):
        raise ConnectionError(f"{written:,} of {int(left):,} bytes came")


def _blocks(response: object) -> Iterator[bytes]:
    while block := response.read(BLOCK):  # type: ignore[attr-defined]
        yield block


def extract(path: Path, folder: Path) -> int:
    """Unpack a tar or zip file into ``folder`` and return how many files it held.

    Raises ``DataError`` before anything is written where a member would lie outside ``folder``, is a link or a
    device, or there is not enough space; and for a file that is no archive, or damaged.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                files = [entry for entry in archive.infolist() if not entry.is_dir()]
                _check(path, folder, {entry.filename: entry.file_size for entry in files})
                for entry in track(files, f"unpacking {path.name}", unit="files"):
                    archive.extract(entry, folder)
        else:
            with tarfile.open(path) as archive:
                members = [member for member in archive.getmembers() if not member.isdir()]
                for member in members:
                    if not member.isfile():
                        raise DataError(
                            f"{path}: member '{member.name}' is a link or a device, only files are unpacked"
                        )
                _check(path, folder, {member.name: member.size for member in members})
                for member in track(members, f"unpacking {path.name}", unit="files"):
                    archive.extract(member, folder, filter="data")
                files = members  # type: ignore[assignment]
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(
            f"{path} is no archive, or damaged: {error}. Delete it and run the same command again"
        ) from error
    return len(files)


def _check(path: Path, folder: Path, sizes: dict[str, int]) -> None:
    for name in sizes:
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in parts.parts[0]:
            raise DataError(f"{path}: member '{name}' lies outside the archive; nothing was unpacked")
    folder.mkdir(parents=True, exist_ok=True)
    needed, free = sum(sizes.values()), shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(f"{path}: unpacked it takes {needed / 1e9:.1f} GB, {folder} has {free / 1e9:.1f} GB free")
