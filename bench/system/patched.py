"""What foreign code has put in place of what bench and its libraries compute with: each row of the process has it."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.system.reads import is_own

MEASURING = "bench"
"""Whose every loaded module is looked at, function by function, and its own classes method by method."""

MODULES = ("torch", "torch.nn.functional", "torch.nn.init", "torch.linalg", "numpy", "numpy.linalg", "PIL.Image")
"""Whose functions are looked at, as far as they are loaded; and the classes of ``CLASSES``, method by method."""

CLASSES = ("torch.nn", "torch.nn.modules.module", "torch.optim", "PIL.Image")

HOOKS = "torch.nn.modules.module"
"""Where torch keeps what is called with every module."""

COMPUTES_NOTHING = frozenset({"load", "save", "set_printoptions", "__repr__", "__str__", "__format__"})


def patched(of_plugins: Callable[[str], object]) -> dict[str, Path]:
    """Return what is foreign there by its dotted name, each with the file of its code.

    Foreign is what packages and modules hold that are ``of_plugins``; in the libraries also what is installed nowhere,
    as a script.
    """
    found: dict[str, Path] = {}
    for name, value in _looked_at():
        package, file = _code_of(value)
        if not file or package == MEASURING:
            continue
        if of_plugins(package) or (_package(name) != MEASURING and is_own(file)):
            found[name] = Path(file).resolve()
    return found


def _looked_at() -> Iterator[tuple[str, Any]]:
    for name in [one for one in list(sys.modules) if _package(one) == MEASURING and sys.modules[one]]:
        for where, value in _named(name, vars(sys.modules[name])):
            yield where, value
            if isinstance(value, type) and value.__module__ == name:
                yield from _named(where, vars(value))
    for name in filter(sys.modules.get, MODULES):
        yield from _named(name, vars(sys.modules[name]))
    for name in filter(sys.modules.get, CLASSES):
        for own, kind in list(vars(sys.modules[name]).items()):
            if isinstance(kind, type):
                yield f"{name}.{own}", kind
                yield from _named(f"{name}.{own}", vars(kind))
    if torch := sys.modules.get("torch"):
        yield from _named("torch.Tensor", vars(getattr(torch, "Tensor", object)))
    for name, value in list(vars(sys.modules.get(HOOKS, functools)).items()):
        if name.startswith("_global_") and isinstance(value, dict):
            yield from ((f"{HOOKS}.{name}", hook) for hook in value.values())


def _named(where: str, found: Any) -> Iterator[tuple[str, Any]]:
    yield from ((f"{where}.{name}", value) for name, value in list(found.items()) if name not in COMPUTES_NOTHING)


def _code_of(value: Any) -> tuple[str, str]:
    """Return the package and the file of a function's code, or a class's; empty texts of what has none."""
    if isinstance(value, functools.partial | property):
        value = value.func if isinstance(value, functools.partial) else value.fget
    elif isinstance(value, staticmethod | classmethod):
        value = value.__func__
    if isinstance(value, type):
        return _package(value.__module__), str(getattr(sys.modules.get(value.__module__), "__file__", None) or "")
    if inspect.isfunction(value):
        return _package(str(value.__globals__.get("__name__"))), value.__code__.co_filename
    return "", ""


def _package(module: str) -> str:
    return module.partition(".")[0]
