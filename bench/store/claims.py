"""What the files of somebody else's run may hold, before any other code reads them: types, sizes and texts.

Whether its numbers follow from one another is then for ``bench.store.validate``.
"""

from __future__ import annotations

import io
import json
import math
import re
import time
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from bench.contracts import KNOWN_SHARE
from bench.errors import StoreError
from bench.store.sealed import RUN
from bench.system.text import plain

LONGEST = 10_000
"""Characters of a text; a name has 200 at most."""

SMALL, EXPANDED = 2**28, 20
"""Bytes that the arrays of an npz file may take whatever its size, or else so many times its size."""

PICTURE_SIDE = 1024
DAY = 86_400.0

NAMES = re.compile(r"[^/\\\x00]*[^/\\\x00.][^/\\\x00]*")
"""What a data set or a model can be called: more than dots, and no path."""


def require(holds: bool, what: str) -> None:
    """Raise ``StoreError`` that says ``what`` is wrong unless it ``holds``."""
    if not holds:
        raise StoreError(what)


def check_json(name: str, value: Any) -> None:
    """Raise ``StoreError`` where a JSON file is not of the shape that a run's file of that ``name`` has."""
    kinds: dict[str, type] = {"ids.json": list, "labels.json": list}
    require(isinstance(value, kinds.get(name, dict)), f"{name} is a {type(value).__name__}")
    if name in kinds:
        require(len(value) > 0, f"{name} is empty")
        for text in value:
            _text(name, text)
    check = {
        "config.json": _config,
        "about.json": _about,
        "status.json": _status,
        "timings.json": _timings,
        "measures.json": _measures,
        **dict.fromkeys(("environment.json", "training.json", "trials.json"), _record),
    }.get(name)
    if check is not None:
        check(value)


def parsed(name: str, content: bytes) -> Any:
    """Return the value of a JSON file. Raises ``StoreError`` for what is none, or nested beyond reason."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{name} is no JSON: {type(error).__name__}") from None


def check_arrays(name: str, content: bytes) -> None:
    """Raise ``StoreError`` where an npz file holds other than plain arrays, or more than its size lets expect."""
    limit = max(SMALL, EXPANDED * len(content))
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            require(len({entry.filename for entry in entries}) == len(entries), f"{name} holds an array twice")
            require(sum(entry.file_size for entry in entries) <= limit, f"{name} expands beyond reason")
            for entry in entries:
                require(entry.filename.endswith(".npy"), f"{name} holds '{entry.filename[:40]}', no array")
                with archive.open(entry) as member:
                    _array(name, member, entry.file_size)
    except StoreError:
        raise
    except Exception as error:  # the readers of zip and npy raise whatever they ran into
        raise StoreError(f"{name} is no file of arrays: {type(error).__name__}") from None


def check_matrix(name: str, content: bytes, size: int, shape: tuple[int, int]) -> None:
    """Raise ``StoreError`` where an npy file of ``size`` bytes, which begins as ``content``, is of another shape."""
    try:
        stream = io.BytesIO(content)
        _, found, fortran, dtype = _header(stream)
    except Exception as error:  # the reader of headers raises whatever it ran into
        raise StoreError(f"{name} is no array: {type(error).__name__}") from None
    whole = stream.tell() + math.prod(found) * dtype.itemsize == size
    fits = found == shape and dtype == np.float32 and not fortran
    require(whole and fits, f"{name} is {dtype} {found}, must be float32 {shape}")


def check_pictures(pictures: Iterable[bytes]) -> None:
    """Raise ``StoreError`` for what is no small JPEG."""
    from PIL import Image

    for content in pictures:
        try:
            with Image.open(io.BytesIO(content), formats=["JPEG"]) as picture:
                fits = max(picture.size) <= PICTURE_SIDE
        except Exception:  # Pillow's readers raise whatever they ran into
            fits = False
        require(fits, "gallery.npz holds what is no small JPEG")


def _array(name: str, stream: Any, size: int) -> None:
    start, shape, _, dtype = _header(stream)
    require(dtype.kind in "biufU", f"{name} holds an array of {dtype}")
    whole = start + math.prod(shape) * dtype.itemsize == size and bool(dtype.itemsize)
    require(whole, f"{name} holds an array of another size than it says")


def _header(stream: Any) -> tuple[int, tuple[int, ...], bool, np.dtype[Any]]:
    """Return where an array begins, its shape, its order and its type; nothing is made of that size."""
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError("another version of arrays")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=4096)
    if dtype.hasobject:
        raise ValueError("objects")
    return stream.tell(), shape, fortran, dtype


def _text(name: str, value: Any, longest: int = LONGEST) -> None:
    require(isinstance(value, str), f"{name} holds {type(value).__name__} where a text belongs")
    require(len(value) <= longest, f"{name} holds a text of {len(value):,} characters")
    steers = plain(value) != value or "\n" in value or "\t" in value
    require(not steers, f"{name} holds control characters: '{plain(value)[:60]}'")


def _number(name: str, value: Any, *, least: float = 0.0) -> None:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and least <= value < math.inf
    require(fits, f"{name} holds {str(value)[:40]!r} where a number belongs")


def _config(config: Mapping[str, Any]) -> None:
    texts = ["protocol", *(f"{part}.name" for part in ("dataset", "model", "backbone", "policy")), "model.kind"]
    for dotted in texts:
        value: Any = config
        for part in dotted.split("."):
            require(isinstance(value, Mapping) and part in value, f"config.json has no {dotted}")
            value = value[part]
        _text("config.json", value, 200)
    for part in ("dataset", "model"):
        require(NAMES.fullmatch(config[part]["name"]) is not None, f"config.json: no {part} can be called so")
    for part in ("training", "search", "code", "dataset", "model", "backbone", "policy"):
        require(isinstance(config.get(part), dict), f"config.json has no {part}")
    require(config["model"]["kind"] in {"scores", "sets", "sequence"}, "config.json: no kind of model")
    prints = config["dataset"].get("fingerprints")
    require(isinstance(prints, dict) and {*prints} == {"train", "validation", "test"}, "config.json: no fingerprints")
    for value in prints.values():
        require(
            isinstance(value, str) and re.fullmatch("[0-9a-f]{1,64}", value) is not None, "config.json: no fingerprint"
        )
    require(type(config.get("seed")) is int and config["seed"] >= 0, "config.json: seed is no whole number")
    if KNOWN_SHARE.name in config["training"]:
        _number("config.json", config["training"][KNOWN_SHARE.name])
    _leaves("config.json", config)


def _leaves(name: str, value: Any, depth: int = 0) -> None:
    """Raise ``StoreError`` for text that steers and nesting beyond what a record has."""
    require(depth < 8, f"{name} is nested beyond reason")
    if isinstance(value, dict):
        for key, item in value.items():
            _text(name, key, 200)
            _leaves(name, item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _leaves(name, item, depth + 1)
    elif isinstance(value, str):
        _text(name, value)
    elif isinstance(value, float):
        require(math.isfinite(value), f"{name} holds a number that is none")


def _record(record: Mapping[str, Any]) -> None:
    _leaves("a record", record)


def _about(about: Mapping[str, Any]) -> None:
    _leaves("about.json", about)
    for name, kind in (("notes", list), ("remarks", list), ("origins", dict)):
        require(isinstance(about.get(name, kind()), kind), f"about.json: {name} is no {kind.__name__}")
    lines = (*about.get("notes", ()), *about.get("remarks", ()), *about.get("origins", {}).values())
    for text in (*lines, *(about.get(name, "") for name in ("row", "variant", "deviations", "part_of"))):
        _text("about.json", text)


def _status(status: Mapping[str, Any]) -> None:
    known = {RUN, "state", "stage", "reason", "finished"}
    require(status.get("state") == "done" and {*status} <= known, "status.json: it is not done")
    _number("status.json", status.get("finished"))
    require(status["finished"] <= time.time() + DAY, "status.json: it was done in the future")


def _timings(timings: Mapping[str, Any]) -> None:
    require(isinstance(timings.get("seconds"), dict), "timings.json has no seconds")
    for name, value in timings["seconds"].items():
        _text("timings.json", name)
        _number("timings.json", value)


def _measures(measures: Mapping[str, Any]) -> None:
    require(isinstance(measures.get("notes"), list), "measures.json has no notes")
    for name, kind in (("values", dict), ("per_class", dict), ("notes", list)):
        require(isinstance(measures.get(name), kind), f"measures.json has no {name}")
    for line in (*measures["notes"], *measures["values"], *measures["per_class"]):
        _text("measures.json", line)
    _text("measures.json", measures.get("protocol"))
