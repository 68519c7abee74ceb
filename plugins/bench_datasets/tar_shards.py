"""Shards as WebDataset writes them: tar files whose members ``key.jpg`` and ``key.json`` make up one sample.

A shard is read once for an index, of where each image lies and what its labels are; images are then read by seeking.
"""

from __future__ import annotations

import io
import json
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import bench
from bench import DataError, EncodedImages, Option, canonical_json, digest, is_remote, kept, progress_bar
from bench_datasets.arrow_columns import says_of_labels
from bench_datasets.cells import unique
from bench_datasets.listing import (
    HIDDEN,
    SIGNATURE_BYTES,
    Passed,
    has_image_ending,
    in_words,
    is_hidden,
    starts_as_image,
)
from bench_datasets.own_images import Part

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = bench.lazy_import("numpy")

MEMBERS = ("json", "cls", "txt")
LABELS_MEMBER = Option("labels_member", "auto", "which member of a sample holds its labels", choices=("auto", *MEMBERS))
LABELS_FIELD = Option("labels_field", "labels", "field of a sample's JSON that holds its labels")
INDEX_VERSION = 4
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?", re.ASCII)
CHUNK = 1 << 20
ENDS = 4096
"""Bytes at both ends of a shard that its kept index is bound to."""

LARGEST_LABELS = 1 << 20
"""Bytes of a labels member; a larger one is no list of labels."""

Sample = tuple[str, str, int, int, Any]
"""Key, image suffix, where the image starts in the shard, its length, and its labels as they stand there."""


ImageMembers = dict[str, tuple[str, int, int]]
"""Key -> suffix, start, length."""

LabelMembers = dict[str, dict[str, tuple[int, int]]]
"""Key -> kind -> start, length."""


@dataclass(frozen=True, slots=True)
class Index:
    """What a shard holds: its samples, and the members that were passed over, by reason."""

    samples: Sequence[Sample]
    passed: Passed


@dataclass(frozen=True, slots=True)
class TarImages(EncodedImages):
    """Images in tar shards, each where the index says."""

    shards: tuple[Path, ...]
    names: tuple[str, ...]
    places: NDArray[np.int64]
    """(images, 3): number of the shard, start, length."""

    def __len__(self) -> int:
        return len(self.names)

    def encoded(self, index: int) -> bytes:
        """Return the member's content. Raises ``DataError`` with its shard and name."""
        shard, start, length = self.places[index].tolist()
        try:
            with self.shards[shard].open("rb") as file:
                file.seek(start)
                content: bytes = file.read(length)
        except OSError as error:
            raise DataError(f"cannot read image {self.describe(index)}: {error.strerror}") from None
        if len(content) != length:
            raise DataError(f"cannot read image {self.describe(index)}: the shard has become shorter")
        return content

    def describe(self, index: int) -> str:
        """Return the shard and the member."""
        return f"{self.shards[int(self.places[index, 0])]} member {self.names[index]}"

    def sections(self) -> Iterator[tuple[BinaryIO, int, int]]:
        """Yield each member: its shard, start and length."""
        for number, shard in enumerate(self.shards):
            with shard.open("rb") as file:
                for _, start, length in self.places[self.places[:, 0] == number].tolist():
                    yield file, start, length


def read_tar(name: str, shards: Sequence[Path], member: str, field: str, cache: Path | None) -> Part:
    """Return the split called ``name``; indices are kept in ``cache``, so opening it again reads no shard.

    Raises ``DataError`` naming shard and member for what is wrong.
    """
    samples: list[Sample] = []
    places: list[tuple[int, int, int]] = []
    seen: dict[str, Path] = {}
    passed: dict[str, list[str]] = {}
    for number, shard in enumerate(progress_bar(shards, f"index of {name}", unit="shards")):
        index = _index(shard, member, field, cache)
        for reason, names in index.passed.items():
            passed.setdefault(reason, []).extend(names)
        for sample in index.samples:
            first = seen.setdefault(sample[0], shard)
            if first is not shard:
                raise DataError(f"{shard}: key '{sample[0]}' stands in {first.name} too; keys must be unique")
            samples.append(sample)
            places.append((number, sample[2], sample[3]))
    members = tuple(f"{key}.{suffix}" if suffix else key for key, suffix, *_ in samples)
    images = TarImages(tuple(shards), members, np.array(places, dtype=np.int64))
    ids = tuple(f"{name}/{sample[0]}" for sample in samples)
    labels = [sample[4] for sample in samples]
    return Part(name, ids, labels, images, images.describe, notes=in_words(name, passed))


def _index(shard: Path, member: str, field: str, cache: Path | None) -> Index:
    """Return the index of ``shard``, from its kept index or from the shard itself."""

    def make() -> bytes:
        index = read_index(shard, member, field)
        return json.dumps({"samples": index.samples, "passed": index.passed}, separators=(",", ":")).encode()

    if cache is None:
        return read_index(shard, member, field)
    key = _index_key(shard, member, field)
    return Index(**json.loads(kept(cache / "shards" / f"{key}.index", key, make, f"index of {shard}")))


def _index_key(shard: Path, member: str, field: str) -> str:
    """Return the hash of all that an index depends on, and of what shows that a shard is another one.

    A copy may keep size and time of modification; the file's number and the time its state changed are the system's.
    """
    try:
        status, ends = shard.stat(), b""
        if not is_remote(shard):  # elsewhere, as on s3://, the number is of the content
            with shard.open("rb") as file:
                start = file.read(ENDS)
                file.seek(max(status.st_size - ENDS, 0))
                ends = start + file.read(ENDS)
    except OSError as error:
        raise DataError(f"cannot read {shard}: {error.strerror}") from None
    about = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    return digest(canonical_json([INDEX_VERSION, str(shard.resolve()), *about, member, field]), ends)


def read_index(shard: Path, member: str = "auto", field: str = "labels") -> Index:
    """Return the samples of a shard in its order, read from the headers of its members and the labels members.

    The key of a member is its name up to the last dot, so keys may hold dots. A member without its partner belongs to
    the sample whose key it begins with, as WebDataset's ``key.seg.png`` does to ``key``, and is passed over.
    """
    with shard.open("rb") as file:
        images, others, passed = _sorted_members(shard, file)
        if not images:
            raise DataError(f"{shard}: no image. Expected: members <key>.jpg with <key>.json, .cls or .txt")
        kind = _kind(shard, member, others)
        whole = {key for key in images if kind in others.get(key, {})}
        samples = []
        for key, (suffix, start, length) in images.items():
            name = f"{key}.{suffix}" if suffix else key
            if key not in whole:
                if not _is_part_of(key, whole):
                    raise DataError(f"{shard} member {name}: no member {key}.{kind} with its labels")
                passed.setdefault("more images of a sample", []).append(name)
                continue
            place = f"{shard} member {key}.{kind}"
            labels, beside = _labels(place, kind, _text(file, place, *others[key][kind]), field)
            for name in beside:
                passed.setdefault(f"fields '{name}' beside the labels", []).append(f"{key}.{kind}")
            samples.append((key, suffix, start, length, labels))
    for key, found in others.items():
        if kind in found and key not in images:
            if not _is_part_of(key, whole):
                raise DataError(f"{shard} member {key}.{kind}: no image of key '{key}'")
            passed.setdefault("more members of a sample", []).append(f"{key}.{kind}")
        if others_of_it := [f"{key}.{other}" for other in found if other != kind]:
            passed.setdefault("labels are read from ." + kind, []).extend(others_of_it)
    return Index(samples, passed)


def _sorted_members(shard: Path, file: BinaryIO) -> tuple[ImageMembers, LabelMembers, dict[str, list[str]]]:
    """Return the members that are images and those that may be labels, by key; and the names of all others."""
    images: ImageMembers = {}
    others: LabelMembers = {}
    passed: dict[str, list[str]] = {}
    for name, start, length in _members(shard, file):
        if any(map(is_hidden, name.split("/"))):
            passed.setdefault(HIDDEN, []).append(name)
            continue
        folder, slash, base = name.rpartition("/")
        stem, _, suffix = base.rpartition(".")
        key, suffix = (f"{folder}{slash}{stem}", suffix) if stem else (name, "")
        kind = suffix.lower()
        if has_image_ending(name) or (kind not in MEMBERS and _starts_as_image(file, start, length)):
            if key in images:
                raise DataError(f"{shard} member {name}: a second image of key '{key}'")
            images[key] = suffix, start, length
        elif kind in MEMBERS:
            if kind in others.setdefault(key, {}):
                raise DataError(f"{shard} member {name}: stands twice")
            others[key][kind] = start, length
        else:
            passed.setdefault(f"no image and no labels: {'.' + kind if kind else 'no ending'}", []).append(name)
    return images, others, passed


def _is_part_of(key: str, whole: set[str]) -> bool:
    """Return whether a sample's key is the beginning of ``key``, up to one of its dots."""
    folder, slash, name = key.rpartition("/")
    places = [place for place, letter in enumerate(name) if letter == "."]
    return any(f"{folder}{slash}{name[:place]}" in whole for place in places)


def _starts_as_image(file: BinaryIO, start: int, length: int) -> bool:
    """Return whether a member is an image by its first bytes; ``file`` is left where it stood."""
    place = file.tell()
    file.seek(start)
    content = file.read(min(length, SIGNATURE_BYTES))
    file.seek(place)
    return starts_as_image(content)


def _members(shard: Path, file: BinaryIO) -> Iterator[tuple[str, int, int]]:
    """Yield name, start and length of each file in the archive; raise ``DataError`` for one not whole or not safe."""
    import tarfile

    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
            while (entry := archive.next()) is not None:
                # tarfile would keep the header of every member: 1 KB each.
                archive.members.clear()  # type: ignore[attr-defined]
                name = posixpath.normpath(entry.name) if entry.name else ""
                place = f"{shard} member {name.encode(errors='backslashreplace').decode()}"
                if entry.isdir():
                    continue
                if name.startswith("/") or ".." in name.split("/"):
                    raise DataError(f"{place}: lies outside the archive")
                if not entry.isreg() or entry.issparse():
                    raise DataError(f"{place}: a link or a special file, allowed: plain files")
                if any("\ud800" <= letter <= "\udfff" for letter in name):
                    raise DataError(f"{place}: its name is not UTF-8")
                if entry.size < 0 or entry.offset_data + entry.size > length:
                    raise DataError(f"{shard}: cut off or damaged in member {name}. Write or fetch it again")
                yield name, entry.offset_data, entry.size
            end = archive.offset
    except (tarfile.TarError, LookupError, ValueError, OverflowError, MemoryError) as error:
        reason = str(error) or "a name of more bytes than there is memory"
        raise DataError(f"{shard}: no whole tar file: {reason}. Compressed ones must be unpacked to .tar") from None
    # tarfile takes a header that is cut off or damaged for the end; the end is marked with zeros, and nothing follows.
    file.seek(end)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise DataError(f"{shard}: cut off or damaged at byte {end:,}. Write or fetch it again")
    while rest := file.read(CHUNK):
        if rest.count(0) != len(rest):
            raise DataError(f"{shard}: more follows the end mark at byte {end:,}. Joined archives: list them as shards")


def _kind(shard: Path, asked: str, others: Mapping[str, Mapping[str, tuple[int, int]]]) -> str:
    """Return which member holds the labels: the one asked for, or the only one that samples have."""
    found = {kind for members in others.values() for kind in members}
    if asked != "auto" or len(found) == 1:
        return asked if asked != "auto" else found.pop()
    if not found:
        raise DataError(f"{shard}: no labels. Expected beside <key>.jpg: a member <key>.json, <key>.cls or <key>.txt")
    kinds = sorted(found)
    raise DataError(
        f"{shard}: the labels may be in {' or '.join('.' + kind for kind in kinds)}."
        f" Try: --set dataset.labels_member={kinds[0]}"
    )


def _text(file: BinaryIO, place: str, start: int, length: int) -> str:
    if length > LARGEST_LABELS:
        raise DataError(f"{place}: {length:,} bytes, allowed for labels: {LARGEST_LABELS:,}")
    file.seek(start)
    try:
        return file.read(length).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{place}: not UTF-8 text") from None


def _labels(place: str, kind: str, text: str, field: str) -> tuple[object, list[str]]:
    """Return a member's labels: a field of JSON, class numbers, or names on lines; on one line, all in one text.

    And what fields beside them are called that may say that a label is not there or not sure.
    """
    if kind == "json":
        try:
            value = json.loads(text, object_pairs_hook=unique)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{place} is no JSON: {error}") from None
        if isinstance(value, dict) and field not in value:
            found = ", ".join(value) or "none"
            raise DataError(f"{place}: no field '{field}', found: {found}. Try: --set dataset.labels_field=NAME")
        if not isinstance(value, dict):
            return value, []
        return value[field], [name for name in value if name != field and says_of_labels(name)]
    words = text.split()
    if kind == "cls" and all(NUMBER.fullmatch(word) for word in words):
        # A number with a point or a sign is no label's, and is refused where its place is known.
        return [int(word) if word.isascii() and word.lstrip("-").isdigit() else float(word) for word in words], []
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (lines[0] if len(lines) == 1 else lines), []
