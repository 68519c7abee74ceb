"""Ways in which a cached file comes to hold something else than what was written, by name."""

import io
import os

import numpy as np


def _edit(path, place, content):
    with path.open("r+b") as file:
        file.seek(place)
        file.write(content)


def _zeros(path, other):
    size = path.stat().st_size
    _edit(path, max(size // 2 - (1 << 15), 0), bytes(min(1 << 16, size)))


def _flip(share):
    def flip(path, other):
        place = min(int(path.stat().st_size * share), path.stat().st_size - 1)
        with path.open("rb") as file:
            file.seek(place)
            byte = file.read(1)[0]
        _edit(path, place, bytes([byte ^ 4]))

    return flip


def _truncate(share, less=0):
    return lambda path, other: os.truncate(path, int(path.stat().st_size * share) - less)


def _append(path, other):
    path.write_bytes(path.read_bytes() + b"more")


def _npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return lambda path, other: path.write_bytes(buffer.getvalue())


def _hostile(path, other):
    """A header that asks for 240 GiB, and a file of that length without anything in it."""
    path.write_bytes(b"")
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (60 * 2**30, 1)})
        file.truncate(file.tell() + 240 * 2**30)


DAMAGE = {
    "64 KiB of zeros": _zeros,
    "a bit of the first byte": _flip(0),
    "a bit of the header": lambda path, other: _flip(20 / path.stat().st_size)(path, other),
    "a bit at a third": _flip(0.33),
    "a bit at two thirds": _flip(0.66),
    "a bit of the last byte": _flip(1),
    "half": _truncate(0.5),
    "a byte short": _truncate(1, 1),
    "a byte long": _append,
    "empty": _truncate(0),
    "another key's": lambda path, other: path.write_bytes(other.read_bytes()),
    "a random header": lambda path, other: _edit(path, 0, np.random.default_rng(0).bytes(40)),
    "another dtype": _npy(np.zeros((40, 7))),
    "another order": _npy(np.asfortranarray(np.ones((40, 7), dtype=np.float32))),
    "a pickle": _npy(np.array([{"an": "object"}] * 40, dtype=object)),
}
"""Name -> what is done to the file at a path, given the path of a sound file of another key."""

HOSTILE = {"240 GiB": _hostile}
"""Those that take long where every byte of a file is read before its length is looked at."""
