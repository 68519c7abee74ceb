"""Which files of a folder are images: one rule for every reader. What is passed over is named and counted."""

from __future__ import annotations

import itertools
import os
import posixpath
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from bench import is_remote

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff"}
    | {".avif", ".avifs", ".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm"}
    | {".tga", ".icb", ".vda", ".vst", ".pcx", ".dcx", ".dds", ".qoi", ".ico", ".icns", ".sgi", ".rgb", ".rgba"}
    | {".bw", ".ras", ".psd", ".xbm", ".xpm", ".heic", ".heif", ".hif"}
)
"""Endings that say image. HEIC is one that is refused when it is read, so that no photograph is passed over."""

SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"II*\0", b"MM\0*", b"\xff\x4f\xff\x51", b"qoif", b"8BPS")
SIGNATURE_BYTES = 32

LITTER = frozenset({"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "$recycle.bin"})
"""What systems leave in folders, beside all names that begin with a dot."""

MOST_FOLDERS, DEEPEST = 100, 3
"""Folders in the data root in which a file is looked for that is not where a table says, and how deep they lie."""

ADDRESSED = re.compile(r"\?(?!d=).*|(?<=/local-files/)\?d=")
UPLOADED = re.compile(r"(?:\A|(?<=/))[0-9a-f]{8}-(?=[^/]*\Z)")
"""What stands in the address of a picture beside its path, and before its name."""

NO_IMAGE, HIDDEN, BROKEN, CIRCLE = "no image", "hidden", "a link to nothing", "a link to a folder that it lies in"

Passed = Mapping[str, Sequence[str]]
"""Reason -> the names that were passed over for it."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The images below ``folder``, as paths relative to it in the order of their parts; and what else is there.

    ``folders`` are the folders directly in it.
    """

    images: tuple[str, ...]
    folders: tuple[str, ...]
    passed: Passed


def list_images(folder: Path, *, deep: bool = True, known: Collection[str] = ()) -> Listing:
    """Return the images of ``folder``; ``known`` are files in it that are no images and are read otherwise.

    Endings decide, or where one is unknown the file's first bytes. Links are followed, unless in a circle.
    """
    images: list[str] = []
    folders: list[str] = []
    passed: dict[str, list[str]] = {}

    def look(place: Path, before: str, above: tuple[tuple[int, int], ...]) -> None:
        # Of a folder elsewhere, as on s3://, the system knows nothing.
        entries: Iterable[Any] = place.iterdir() if is_remote(place) else os.scandir(place)
        for entry in entries:
            name = before + entry.name
            if is_hidden(entry.name):
                passed.setdefault(HIDDEN, []).append(name)
            elif entry.is_dir():
                if not before:
                    folders.append(entry.name)
                status = entry.stat()
                here = (status.st_dev, status.st_ino)
                if here in above:
                    passed.setdefault(CIRCLE, []).append(name)
                elif deep:
                    look(place / entry.name, f"{name}/", (*above, here))
            elif not entry.is_file():  # a pipe, or a link to nothing
                passed.setdefault(BROKEN if entry.is_symlink() else NO_IMAGE, []).append(name)
            elif has_image_ending(entry.name) or _is_image(place / entry.name):
                images.append(name)
            elif name not in known:
                passed.setdefault(NO_IMAGE, []).append(name)

    status = folder.stat()
    look(folder, "", ((status.st_dev, status.st_ino),))
    return Listing(tuple(sorted(images, key=_parts)), tuple(sorted(folders)), passed)


def is_hidden(name: str) -> bool:
    """Return whether a file's or folder's own name is one that systems write, not people."""
    return name.startswith(".") or name.lower() in LITTER


def has_image_ending(name: str) -> bool:
    """Return whether a name ends as an image's."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def starts_as_image(start: bytes) -> bool:
    """Return whether a file with these first bytes is an image that is read.

    >>> starts_as_image(b"GIF89a"), starts_as_image(b"GIFT,dog")
    (True, False)
    """
    if start.startswith(SIGNATURES) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP"):
        return True
    if start[:2] == b"BM":  # the length of the header that follows
        return start[14:18] in {size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124)}
    if start[4:8] == b"ftyp":
        return start[8:12] in {b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1"}
    return start[:1] == b"P" and start[1:2] in {b"1", b"2", b"3", b"4", b"5", b"6"} and start[2:3] in {b"\n", b"\r"}


def in_words(where: str, passed: Passed) -> tuple[str, ...]:
    """Return a note for each reason for which files of ``where`` were passed over."""
    return counted(where, {f"passed over, {reason}": names for reason, names in passed.items()})


def counted(where: str, found: Passed) -> tuple[str, ...]:
    """Return a note for each of ``found`` that has names: how many, and the first."""
    return tuple(
        f"{where}: {len(names):,} {reason}, as {printable(min(names))}" for reason, names in found.items() if names
    )


def printable(name: str) -> str:
    r"""Return a file's name as text: bytes that are no UTF-8, and control characters, written as ``\xe9``."""
    try:
        content = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # halves of surrogate pairs, which JSON can hold, stand for no byte of a name
        content = name.encode("utf-8", "backslashreplace")
    text = content.decode("utf-8", "backslashreplace")
    return "".join(repr(letter)[1:-1] if unicodedata.category(letter) == "Cc" else letter for letter in text)


def find_file(folder: Path, name: str) -> str | None:
    """Return the path below ``folder`` of the file that a table calls ``name``, or ``None``.

    The name as it is; else with slashes for Windows's backslashes; else in the other Unicode form, as a Mac writes it.
    """
    for form in dict.fromkeys((name, posixpath.normpath(name.replace("\\", "/")))):
        if is_file(folder / form):
            return form
        found = [Path()]
        for part in PurePosixPath(form).parts:  # a folder's two forms may lie side by side
            nfc = unicodedata.normalize("NFC", part)
            found = [above / one for above in found for one in _by_form(folder / above).get(nfc, (part,))]
        if len(there := [path for path in found if is_file(folder / path)]) == 1:
            return str(there[0])
    return None


def why_absent(folder: Path, name: str) -> str:
    """Return what a user may want to know of a file that is not there, as a sentence; empty where there is nothing."""
    place = folder
    try:
        for part in PurePosixPath(name.replace("\\", "/")).parts:
            place /= part
            if place.is_symlink() and not place.exists():
                return f". {printable(str(place))} is a link to {printable(str(place.readlink()))}, which is not there"
        if place.is_dir():
            return f". {printable(place.name)} is a folder"
    except (OSError, ValueError):  # a name too long to be one
        return ""
    for other in sorted(itertools.chain.from_iterable(_by_form(place.parent).values())):
        if other.casefold() == place.name.casefold():
            return f". There is {printable(other)}, in other letters"
        if has_image_ending(other) and PurePosixPath(other).stem in {place.name, place.stem}:
            return f". There is {printable(other)}"
    return elsewhere(folder, name)


def elsewhere(folder: Path, name: str) -> str:
    """Return as a sentence where below ``folder`` a file lies that a table calls ``name``; empty without one."""
    found = [printable(path) for path in found_below(folder, name)]
    if len(found) > 1:
        return f". There are {' and '.join(found)} in {folder}. Try: write paths so, each to the one that is meant"
    return f". There is {found[0]} in {folder}. Try: write paths so" if found else ""


def found_below(folder: Path, name: str) -> list[str]:
    """Return the path below ``folder`` of the file that a table calls ``name``, or two of several; empty without one.

    A table may hold the paths of another machine or of the web, or names alone of files in a folder, which may lie in
    others; Label Studio's are the names of what was uploaded behind eight digits.
    """
    parts = PurePosixPath(unquote(ADDRESSED.sub("", name)).replace("\\", "/")).parts
    ends = ["/".join(parts[start:]) for start in range(1, len(parts))]
    names = [*parts[-1:], *(UPLOADED.sub("", part) for part in parts[-1:] if UPLOADED.match(part))]
    ends += [posixpath.join(posixpath.dirname(end), names[-1]) for end in ends if len(names) > 1]
    if end := next(filter(None, (_there(folder, end) for end in ends)), []):
        return end[:2]
    below = (posixpath.join(above, name) for name in names for above in _folders_below(folder))
    return list(itertools.islice(itertools.chain.from_iterable(_there(folder, path) for path in below), 2))


def begun_below(folder: Path, name: str) -> list[str]:
    """Return two paths below ``folder`` of images whose names begin with ``name`` and a mark, as a_red.png for a."""
    for above in _folders_below(folder) if "/" not in name else ():
        names = sorted(itertools.chain.from_iterable(_by_form(folder / above).values()))
        begun = [one for one in names if one.startswith((f"{name}_", f"{name}-")) and has_image_ending(one)]
        if begun:
            return [posixpath.join(above, one) for one in begun[:2]]
    return []


def _folders_below(folder: Path) -> list[str]:
    """Return a folder, as nothing, and those below it, the highest first; of one elsewhere, as on s3://, it alone."""
    found = [""]
    for above in found if not is_remote(folder) else ():
        if len(found) <= MOST_FOLDERS and above.count("/") < DEEPEST:
            inner = sorted(path.name for path in (folder / above).iterdir() if path.is_dir())
            found += [posixpath.join(above, name) for name in inner if not is_hidden(name)]
    return found[: MOST_FOLDERS + 1]


def _there(folder: Path, path: str) -> list[str]:
    """Return ``path``, below ``folder``, if it is there; else all that are there with an image's ending behind it."""
    if is_file(folder / path):
        return [path]
    above, name = posixpath.split(path)
    beside = sorted(itertools.chain.from_iterable(_by_form(folder / above).values()))
    stems = {one: PurePosixPath(one).stem for one in beside if has_image_ending(one)}
    nfc = unicodedata.normalize("NFC", name)
    same = [one for one, stem in stems.items() if unicodedata.normalize("NFC", stem) == nfc]
    if not same and name.isdecimal():  # of 000001 a spreadsheet leaves 1
        same = [one for one, stem in stems.items() if stem.lstrip("0") == name.lstrip("0")]
    return [posixpath.join(above, one) for one in same]


def is_file(path: Path) -> bool:
    """Return whether a file is there; a name that is too long to be one is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def same_content(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield ``paths`` in groups of equal bytes, in the order of their first."""
    import hashlib

    files = {(status.st_dev, status.st_ino) for status in (path.stat() for path in paths)}
    groups: dict[bytes, list[Path]] = {}
    for path in paths:
        with path.open("rb") as file:
            key = hashlib.file_digest(file, "sha256").digest() if len(files) > 1 else b""
        groups.setdefault(key, []).append(path)
    yield from groups.values()


def _by_form(folder: Path) -> Mapping[str, Sequence[str]]:
    """Return the names in a folder by their composed Unicode form."""
    try:
        return _forms(folder, folder.stat().st_mtime_ns)
    except (OSError, ValueError):
        return {}


@lru_cache(maxsize=1024)
def _forms(folder: Path, _changed: int) -> Mapping[str, Sequence[str]]:
    forms: dict[str, list[str]] = {}
    for name in (path.name for path in folder.iterdir()):
        forms.setdefault(unicodedata.normalize("NFC", name), []).append(name)
    return forms


def _is_image(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return starts_as_image(file.read(SIGNATURE_BYTES))
    except OSError:
        return False


def _parts(path: str) -> list[str]:
    return path.split("/")
