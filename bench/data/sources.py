"""Pictures to be labelled, wherever a user says they are: files, folders, patterns, lists of paths, tar archives.

One after another and in the order they were named; what cannot be used is a source too, with the reason, so that
whoever reads them can go on and count. Nothing is unpacked to disk.
"""

from __future__ import annotations

import codecs
import glob
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from bench.data.pictures import ImageBytes, open_rgb, shown
from bench.data.unpack import DAMAGED
from bench.errors import DataError, UsageError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
"""Endings of what is read as an archive, whatever their case."""

NOT_OPENED = frozenset({".heic", ".heif", ".hif"})
"""Endings of pictures that Pillow does not read: in a folder they are named as such and not passed over."""

LONGEST_LINE = 1 << 16
"""Bytes of a line of paths; no system has longer ones."""

LARGEST_MEMBER = 512 * 2**20
"""Bytes of an archive's member: the file of a picture of the most pixels that are read, uncompressed, and as much."""

LARGEST_PASSED = 16 * 2**30
"""Bytes of a packed archive's member that are read only to reach the next one."""

LARGEST_HEADER = 1 << 20
"""Bytes of a header that gives a member's name and attributes, which is read into memory whole."""

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Source:
    """A picture called ``name``: a file, the bytes of one from ``start`` on, or its content; or why there is none."""

    name: str
    path: Path | None = None
    start: int = 0
    length: int = -1
    content: bytes | None = None
    reason: str = ""

    def picture(self) -> Picture:
        """Return the picture as RGB, as ``bench.data.pictures.open_rgb`` reads it. Raises ``DataError``."""
        if self.reason:
            raise DataError(f"cannot read image {shown(self.name)}: {self.reason}")
        if self.path is not None and self.length < 0:
            if self.path.exists() and not self.path.is_file():  # opening a pipe would wait for whoever writes to it
                raise DataError(f"cannot read image {shown(self.name)}: no file")
            return open_rgb(self.path)
        return open_rgb(ImageBytes(self._bytes(), self.name))

    def _bytes(self) -> bytes:
        if self.content is not None:
            return self.content
        assert self.path is not None
        try:
            with self.path.open("rb") as file:
                file.seek(self.start)
                content = file.read(self.length)
        except OSError as error:
            raise DataError(f"cannot read image {shown(self.name)}: {error.strerror}") from None
        if len(content) != self.length:
            raise DataError(f"cannot read image {shown(self.name)}: the archive ends before it does")
        return content


def number_of(arguments: Sequence[str]) -> int | None:
    """Return how many pictures ``arguments`` name where each is a picture's file; ``None`` where that is not known."""
    single = (name != STDIN and not name.lower().endswith(ARCHIVES) and Path(name).is_file() for name in arguments)
    return len(arguments) if all(single) else None


def sources(arguments: Iterable[str], lines: BinaryIO | None) -> Iterator[Source]:
    """Yield the pictures that ``arguments`` name, in order; ``-`` stands for the paths in ``lines``, one a line.

    A folder stands for the image files in it and in all folders below it, by the endings of their names, those of each
    folder by name; what begins with a dot is passed over, and links to folders are not followed. A pattern, as
    ``photos/*.jpg`` or ``**/*.png``, stands for what it finds, by name.
    Raises ``UsageError`` for lines that are no paths.
    """
    for argument in arguments:
        if argument == STDIN:
            if lines is None:
                raise UsageError("standard input is closed, of which '-' would read paths")
            for line in _lines(lines):
                yield from _named(line)
        elif not os.path.lexists(argument) and glob.has_magic(argument):
            found = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 - of a text, which may be absolute
            if not found:
                yield Source(argument, reason="no file matches this pattern")
            for name in found:
                yield from _named(name)
        else:
            yield from _named(argument)


def _named(name: str) -> Iterator[Source]:
    """Yield the pictures of one path."""
    path = Path(name)
    if not name:  # of which pathlib makes the current folder
        yield Source(name, reason="an empty name")
    elif path.is_dir():
        yield from _below(path)
    elif name.lower().endswith(ARCHIVES) and path.is_file():
        yield from _members(path)
    elif name.lower().endswith(".zip") and path.is_file():
        yield Source(name, reason="a zip archive, allowed: tar archives. Try: unzip it, and name the folder")
    elif path.is_file():
        yield Source(name, path)
    elif os.path.lexists(path):
        yield Source(name, reason="no file" if path.exists() else "a link to nothing")
    else:
        yield Source(name, reason="no such file")


def _lines(stream: BinaryIO) -> Iterator[str]:
    """Yield the paths in ``stream``, its line ends left out and empty lines passed over."""
    number = 0
    while line := stream.readline(LONGEST_LINE):
        number += 1
        if b"\0" in line or len(line) == LONGEST_LINE:
            raise UsageError(
                f"standard input, line {number}: found no path, allowed: a path on each line."
                " Try: find photos -name '*.jpg' | bench predict MODEL_DIR -"
            )
        if name := line.removeprefix(codecs.BOM_UTF8 if number == 1 else b"").rstrip(b"\r\n"):
            yield os.fsdecode(name)


def image_endings() -> frozenset[str]:
    """Return the endings of names, in small letters, that say image."""
    from PIL import Image

    return (
        frozenset(ending for ending, name in Image.registered_extensions().items() if name in Image.OPEN) | NOT_OPENED
    )


def _below(folder: Path) -> Iterator[Source]:
    """Yield the images of ``folder`` and of those below it; a reason where there is none, or one cannot be listed."""
    endings, failures, count = image_endings(), list[OSError](), 0
    for place, below, names in os.walk(folder, onerror=failures.append):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for path in (Path(place, name) for name in sorted(names) if not name.startswith(".")):
            if path.suffix.lower() in endings:
                count += 1
                yield Source(str(path), path)
    for failure in failures:
        yield Source(str(failure.filename), reason=failure.strerror or "cannot be listed")
    if not count and not failures:
        yield Source(str(folder), reason="no image file in this folder or below it, by the endings of their names")


def _members(archive: Path) -> Iterator[Source]:
    """Yield the images in a tar archive, by the endings of their names, as ``_below`` does those of the folder packed.

    A reason where it is cut or damaged.
    """
    endings, any_image, reason = image_endings(), False, ""
    try:
        with archive.open("rb") as file:
            packed = file.read(6).startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"))
        with tarfile.open(archive, "r|*" if packed else "r:", tarinfo=_Member) as opened:
            while (member := opened.next()) is not None:
                opened.members.clear()  # type: ignore[attr-defined] # they would all be kept
                name = f"{archive}:{member.name}"
                if not 0 <= member.size <= (LARGEST_PASSED if packed else 2**63):
                    raise DataError(f"damaged: a member of {member.size:,} bytes")
                base = PurePosixPath(member.name)
                hidden = any(part.startswith(".") and part != ".." for part in base.parts)
                if hidden or base.suffix.lower() not in endings or member.isdir():
                    continue
                any_image = True
                if not member.isreg() or member.issparse():
                    yield Source(name, reason="a link, a device or a file with holes, no file of an archive's own")
                elif member.size > LARGEST_MEMBER:
                    yield Source(name, reason=f"{member.size:,} bytes, allowed: {LARGEST_MEMBER:,}")
                elif packed:
                    content = opened.extractfile(member)
                    yield Source(name, content=b"" if content is None else content.read())
                else:
                    yield Source(name, archive, member.offset_data, member.size)
    except DataError as error:
        reason = str(error)
    except DAMAGED as error:
        reason = f"damaged: {(str(error) or type(error).__name__).splitlines()[0]}"
    except OSError as error:
        reason = error.strerror or str(error)
    if reason or not any_image:
        yield Source(str(archive), reason=reason or "no image in this archive, by the endings of its members' names")


class _Member(tarfile.TarInfo):
    """A member's header, refused where ``tarfile`` would end as if the archive did, or read a name of gigabytes."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Member:
        try:
            member = super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise DataError(f"damaged or cut: {error}") from None
        named = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE)
        if member.type in {*named, tarfile.SOLARIS_XHDTYPE} and not 0 <= member.size <= LARGEST_HEADER:
            raise DataError(f"damaged: a name of {member.size:,} bytes")
        return member

    def _proc_gnusparse_10(self, *_: object) -> None:
        raise DataError("a file with holes, whose list of holes may be of any length")
