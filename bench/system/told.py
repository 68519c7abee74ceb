"""Values as texts that are alike in every process, and other ones of other values."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import deque
from collections.abc import Iterable, Mapping
from functools import cache
from numbers import Number
from pathlib import PurePath
from types import ModuleType
from typing import Any

from bench.system.files import digest

STANDARD = sys.stdlib_module_names - {"__main__"}
"""The standard library's modules; a plugin typed at a prompt lives in ``__main__``."""

DEEPEST = 8
"""Containers and objects in one another that are looked into, of what a ``build`` was made with."""


def told(value: Any, code: list[Any], above: tuple[int, ...] = ()) -> Any:
    """Return ``value`` as what is printed alike in every process; functions and classes that it holds join ``code``.

    ``above`` are what holds it, by their places in memory.
    """
    if value is None or isinstance(value, (Number, bytes)):
        return value
    if isinstance(value, (str, PurePath)):
        return _located(value)
    if is_code(value):
        code.append(value)
        return name_of(value)

    def of(one: Any) -> Any:
        return told(one, code, (*above, id(value)))

    found: Any = _of_array(value)
    if id(value) in above or len(above) == DEEPEST:
        found = "..."
    elif isinstance(value, Mapping):
        found = {name if isinstance(name, str) else (repr(of(name)),): of(one) for name, one in value.items()}
    elif isinstance(value, (list, tuple, deque)):
        found = [of(one) for one in value] if not isinstance(value, tuple) else tuple(map(of, value))
    elif isinstance(value, (set, frozenset)):
        found = _of_set(value, code, (*above, id(value)))
    elif not found:
        code.append(type(value))
        held = attributes(value)
        found = name_of(type(value)), of(held) if held else _shown(value) or of(reduced(value))
    return found


def _of_set(value: Iterable[Any], code: list[Any], above: tuple[int, ...]) -> list[str]:
    """Return what a set holds in one order, and have ``code`` grow in that: its own is another one in each process."""
    held: list[list[Any]] = [[] for _ in value]
    texts = [repr(told(one, parts, above)) for one, parts in zip(value, held, strict=True)]
    order = sorted(range(len(texts)), key=texts.__getitem__)
    code += [part for place in order for part in held[place]]
    return [texts[place] for place in order]


def _of_array(value: Any) -> tuple[Any, ...]:
    """Return type, shape and a hash of the numbers of an array or a tensor; empty of anything else."""
    with contextlib.suppress(Exception):  # whatever looks like one
        kind = str(getattr(value, "dtype", ""))
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            value = value.double() if value.is_floating_point() else value  # NumPy has not all of torch's
        array = value.__array__()
        if not array.dtype.hasobject:
            return kind or str(array.dtype), array.shape, digest(array.tobytes())
    return ()


def reduced(value: Any) -> list[Any]:
    """Return what an object that neither has attributes nor prints its value would be copied from, as a fitted tree."""
    with contextlib.suppress(Exception):  # what cannot be copied, as a lock
        function, given, *state = value.__reduce_ex__(4)
        items = [list(one) for one in state[1:3] if one is not None]
        return [name_of(function), given, *state[:1], *items]
    return []


def _located(value: str | PurePath) -> str:
    """Return a text or a path; of one below a folder that modules are imported from, what is below it.

    Where a checkout lies is no part of its code.
    """
    path = PurePath(value)
    if not path.is_absolute():
        return str(value)
    places = _forms(tuple(place or os.getcwd() for place in sys.path))  # noqa: PTH109 - a text as the others
    # Of an editable install the folder may stand in no list of folders.
    places |= {folder.parent for folder in path.parents if _is_package(folder)}
    below = [path.relative_to(place) for place in places if path.is_relative_to(place)]
    return min((one.as_posix() for one in below), key=len, default=str(value))


@cache
def _forms(places: tuple[str, ...]) -> frozenset[PurePath]:
    """Return folders as they are called and as they lie, without links."""
    return frozenset(PurePath(form(place)) for place in places for form in (os.path.abspath, os.path.realpath))


def _is_package(folder: PurePath) -> bool:
    loaded = getattr(sys.modules.get(folder.name), "__path__", ())
    return any(os.path.realpath(one) == os.path.realpath(folder) for one in loaded)


def _shown(value: Any) -> str:
    """Return how an object prints that has no attributes, as a range or a date; empty where that says not all of it."""
    with contextlib.suppress(Exception):  # whatever a third party's does
        text = repr(value)
        return "" if text.startswith("<") or " at 0x" in text or "..." in text else text
    return ""


def name_of(one: Any) -> str:
    """Return the full name of a function, a class or a module; of anything else that of its class.

    Of functions that have no name of their own, or are made in another, there may be several: it says which.
    """
    named = one if hasattr(one, "__qualname__") or isinstance(one, ModuleType) else type(one)
    module, name = getattr(named, "__module__", "") or "", getattr(named, "__qualname__", named.__name__)
    top, code = module.partition(".")[0], getattr(one, "__code__", None)
    if "<" not in name or code is None or top == "bench" or top in STANDARD:
        return f"{module}.{name}"
    ends = [(line, column) for _, line, _, column in code.co_positions() if line and column]
    return f"{module}.{name} {code.co_firstlineno} {max(ends, default=())}"


def attributes(one: Any) -> dict[str, Any]:
    """Return the attributes of an object; none of one of the standard library, as a lock or a logger is."""
    if type(one).__module__.partition(".")[0] in STANDARD - {"types", "argparse"}:
        return {}
    slots = ((kind, getattr(kind, "__slots__", ())) for kind in type(one).__mro__)
    names = [_mangled(kind, name) for kind, some in slots for name in ([some] if isinstance(some, str) else some)]
    return {name: getattr(one, name) for name in names if hasattr(one, name)} | getattr(one, "__dict__", {})


def _mangled(kind: type, name: str) -> str:
    """Return what a name in the body of a class is called outside of it."""
    private = name.startswith("__") and not name.endswith("__")
    return f"_{kind.__name__.lstrip('_')}{name}" if private else name


def is_code(value: Any) -> bool:
    """Return whether a value is a function, a class, a module, or an object that is called as one."""
    return callable(value) or isinstance(value, ModuleType)
