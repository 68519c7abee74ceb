"""Whether a record that was read from a file holds what its fields declare: no type checker sees files."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from bench.system.text import one_line


def wrong_field(record: Any) -> str:
    """Return in words which field of a dataclass has a value of another type than it declares, the first; empty: none.

    >>> from bench.records import Preprocessing
    >>> wrong_field(Preprocessing(size=224, resize="256"))
    "resize: found '256', allowed: int"
    """
    for name, kind in _hints(type(record)).items():  # type: ignore[arg-type] # a class is hashable
        value = getattr(record, name)
        if not _is_a(value, kind):
            words = ", ".join(get_args(kind)) if get_origin(kind) is Literal else getattr(kind, "__name__", str(kind))
            return f"{name}: found {one_line(repr(value)):.120}, allowed: {words}"
    return ""


_hints = functools.cache(get_type_hints)


def _is_a(value: Any, kind: Any) -> bool:
    """Return whether ``value`` is of the annotated type ``kind``; numbers must be finite, and no truth values."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return isinstance(value, str) and value in inner
    if origin is tuple:
        each = inner[:1] * len(value) if isinstance(value, tuple) and inner[-1] is ... else inner
        return isinstance(value, tuple) and len(value) == len(each) and all(map(_is_a, value, each))
    if origin is Mapping:
        return isinstance(value, Mapping) and all(_is_a(one, inner[0]) for pair in value.items() for one in pair)
    if inner:  # a union
        return any(_is_a(value, one) for one in inner)
    if kind in {int, float}:
        number = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
        largest = math.inf if kind is int else sys.float_info.max  # JSON's whole numbers are of any size
        return number and -largest <= value <= largest
    return isinstance(value, kind)
