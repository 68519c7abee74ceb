"""Inputs that are nearly right: seeds damaged by byte, by number, by word and by the structure of their format."""

from __future__ import annotations

import io
import json
import random
import re
import struct
import zipfile
from collections.abc import Callable
from typing import Any

HUGE = 10**400
NUMBERS = (0, -1, 1, 2**31, 2**31 - 1, 2**32, 2**62, 2**63, 2**64, -(2**63), 1e308, 0.5, HUGE, -HUGE)
ODD: tuple[Any, ...] = (
    *NUMBERS,
    *(None, True, False, float("nan"), float("inf"), float("-inf"), "", " ", "0", "x" * 5000, "a\nb", "\x1b[31m"),
    *("\ud800", "\0", "../x", "/etc/passwd", "a.jpg", "=1+1", "\N{SNOWMAN}", [], {}, [[]], [{}], {"": []}, [1, 2]),
)
WORDS = (
    *(b"", b"0", b"-1", b"1e999", b"nan", b"inf", b"4294967296", b"9223372036854775808", b"9" * 400, b"a" * 5000),
    *(
        b"\n",
        b"\r\n",
        b",",
        b";",
        b'"',
        b"'",
        b"\t",
        b"\0",
        b"../",
        b"/",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b"(",
        b"[" * 2000,
    ),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xff", b"=cmd", b"\x1b[2J", b"True", b"null", b"NaN"),
)
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)
INTEGERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)


def of_bytes(content: bytes, draw: random.Random) -> bytes:
    """Return ``content`` after a few flips, cuts, copies and insertions."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4, 8))):
        place = draw.randrange(len(data) + 1)
        kind = draw.randrange(8)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << draw.randrange(8)
        elif kind == 1 and place < len(data):
            data[place] = draw.randrange(256)
        elif kind == 2:
            del data[place : place + draw.choice((1, 2, 4, 16, 64, 1024))]
        elif kind == 3:
            data[place:place] = draw.choice(WORDS)
        elif kind == 4:
            start = draw.randrange(len(data) + 1)
            data[place:place] = data[start : start + draw.choice((1, 4, 32, 256))]
        elif kind == 5:
            form = draw.choice(("<B", "<H", ">H", "<I", ">I", "<Q", ">Q"))
            size = struct.calcsize(form)
            if place + size <= len(data):
                data[place : place + size] = struct.pack(form, draw.choice(INTEGERS) % (1 << (8 * size)))
        elif kind == 6:
            del data[place:]
        elif numbers := list(re.finditer(rb"\d+", bytes(data))):
            number = draw.choice(numbers)
            data[number.start() : number.end()] = str(draw.choice(NUMBERS)).encode()
    return bytes(data)


def by(mutate: Callable[[bytes, random.Random], bytes], content: bytes, draw: random.Random) -> bytes:
    """Return what ``mutate`` makes of ``content``; of what is damaged beyond it, what ``of_bytes`` does."""
    try:
        return mutate(content, draw)
    except (ValueError, RecursionError, MemoryError, OverflowError):
        return of_bytes(content, draw)


def of_lines(content: bytes, draw: random.Random) -> bytes:
    """Return text whose cells, words or lines are exchanged for odd ones, or stand twice."""
    if draw.random() < 0.3:
        return of_bytes(content, draw)
    lines = content.split(b"\n")
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = draw.randrange(len(lines))
        kind = draw.randrange(5)
        if kind == 0:
            lines.insert(at, draw.choice(lines))
        elif kind == 1:
            lines[at] = draw.choice(WORDS)
        elif kind == 2 and len(lines) > 1:
            del lines[at]
        else:
            pieces = re.split(rb"([,;\t <>/=\"]+)", lines[at])
            pieces[draw.randrange(len(pieces))] = draw.choice(
                (*WORDS, *(str(odd).encode(errors="replace") for odd in ODD))
            )
            lines[at] = b"".join(pieces)
    return b"\n".join(lines)


def of_json(content: bytes, draw: random.Random) -> bytes:
    """Return JSON of which a few values are odd, absent, renamed, deeper or of another type."""
    if draw.random() < 0.2:
        return of_bytes(content, draw)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return of_bytes(content, draw)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        value = _changed(value, draw)
    if draw.random() < 0.01:
        return b"[" * 100_000 + content + b"]" * 100_000
    return json.dumps(value).encode()


def _changed(value: Any, draw: random.Random) -> Any:
    """Return ``value`` with something in it absent, twice, renamed or odd."""
    if not isinstance(value, (dict, list)) or not value or draw.random() < 0.1:
        return draw.choice(ODD)
    names = list(value) if isinstance(value, dict) else list(range(len(value)))
    chosen, kind = draw.choice(names), draw.randrange(10)
    if isinstance(value, list):
        middle = ([], [value[chosen]] * 2)[kind] if kind < 2 else [_changed(value[chosen], draw)]
        return [*value[:chosen], *middle, *value[chosen + 1 :]]
    if kind < 2:
        rest = {name: entry for name, entry in value.items() if name != chosen}
        return rest if kind == 0 else rest | {str(draw.choice(ODD)): value[chosen]}
    return value | {chosen: _changed(value[chosen], draw)}


def of_json_lines(content: bytes, draw: random.Random) -> bytes:
    """Return lines one of which is changed as JSON is; one time in five the text is changed as any."""
    if draw.random() < 0.2:
        return of_lines(content, draw)
    lines = content.split(b"\n")
    at = draw.randrange(len(lines))
    lines[at] = of_json(lines[at], draw)
    return b"\n".join(lines)


def of_npy(content: bytes, draw: random.Random) -> bytes:
    """Return an npy file whose header says something else than what follows it, or whose bytes are damaged."""
    if draw.random() < 0.3 or not content.startswith(b"\x93NUMPY"):
        return of_bytes(content, draw)
    length = int.from_bytes(content[8:10], "little")
    header, rest = content[10 : 10 + length], content[10 + length :]
    header = draw.choice((of_bytes, of_lines))(header, draw)
    if draw.random() < 0.5:
        shape = tuple(draw.choice((*NUMBERS, 3, 4)) for _ in range(draw.randrange(4)))
        kinds = ("<f4", "|O", "<U2147483647", "|V0", "|S99999999999", "<f8", "|b1", "<M8[ns]", "no", ">i2")
        order = draw.choice(("True", "False", "1"))
        header = f"{{'descr': {draw.choice(kinds)!r}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    length = len(header) % 65536 if draw.random() < 0.9 else draw.randrange(65536)
    return (
        content[:6]
        + draw.choice((b"\1\0", b"\1\0", b"\2\0", b"\3\0", b"\0\0"))
        + length.to_bytes(2, "little")
        + header
        + rest
    )


def of_zip(inner: Callable[[bytes, random.Random], bytes]) -> Callable[[bytes, random.Random], bytes]:
    """Return what changes a member of a zip file by ``inner`` and packs it again, or damages the packed bytes."""

    def mutated(content: bytes, draw: random.Random) -> bytes:
        if draw.random() < 0.4:
            return of_bytes(content, draw)
        buffer = io.BytesIO()
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as stored, zipfile.ZipFile(buffer, "w") as written:
                names = stored.namelist()
                chosen = draw.choice(names)
                called = chosen if draw.random() < 0.9 else draw.choice(("", "../x", "/x", "x" * 300, *names))
                for name in names:
                    member = inner(stored.read(name), draw) if name == chosen else stored.read(name)
                    kind = draw.choice(PACKED) if draw.random() < 0.1 else zipfile.ZIP_DEFLATED
                    written.writestr(called if name == chosen else name, member, kind)
        except Exception:  # the seed was damaged already
            return of_bytes(content, draw)
        packed = buffer.getvalue()
        return of_bytes(packed, draw) if draw.random() < 0.2 else packed

    return mutated


def of_safetensors(content: bytes, draw: random.Random) -> bytes:
    """Return a safetensors file whose header is changed as JSON is, its length told again."""
    length = int.from_bytes(content[:8], "little")
    if draw.random() < 0.3 or length > len(content):
        return of_bytes(content, draw)
    header = of_json(content[8 : 8 + length], draw)
    told = len(header) if draw.random() < 0.9 else draw.choice(INTEGERS)
    return told.to_bytes(8, "little") + header + content[8 + length :]


def of_tar(content: bytes, draw: random.Random) -> bytes:
    """Return a tar file with changed fields whose header's sum is right again, or with damaged bytes."""
    if draw.random() < 0.4 or len(content) < 512:
        return of_bytes(content, draw)
    data = bytearray(content)
    start = 512 * draw.randrange(len(data) // 512)
    fields = ((0, 100), (124, 12), (156, 1), (157, 100), (257, 8), (345, 155))
    at, size = draw.choice(fields)
    odd = (
        b"../x",
        b"/x",
        b"\x80" + b"\xff" * 11,
        b"77777777777",
        b"L",
        b"K",
        b"x",
        b"g",
        b"S",
        b"2",
        b"\xff\xfe",
        b"-1",
        b"",
    )
    data[start + at : start + at + size] = draw.choice(odd)[:size].ljust(size, b"\0")
    data[start + 148 : start + 156] = b" " * 8
    data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])
    return of_bytes(bytes(data), draw) if draw.random() < 0.2 else bytes(data)


def of_named(
    inner: Callable[[str], Callable[[bytes, random.Random], bytes]],
) -> Callable[[bytes, random.Random], bytes]:
    """Return what changes the content behind a first line that names a file, by what ``inner`` says for that name."""

    def mutated(content: bytes, draw: random.Random) -> bytes:
        name, _, rest = content.partition(b"\n")
        return name + b"\n" + inner(name.decode(errors="replace"))(rest, draw)

    return mutated
