"""What foreign code has put in place of what torch and NumPy compute with: every row of the process is made with it."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from bench.system.reads import is_own

MODULES = ("torch", "torch.nn.functional", "torch.nn.init", "torch.linalg", "numpy", "numpy.linalg")
"""Whose functions are looked at, as far as they are loaded; and the classes of ``CLASSES``, method by method."""

CLASSES = ("torch.nn", "torch.nn.modules.module", "torch.optim")

HOOKS = "torch.nn.modules.module"
"""Where torch keeps what is called with every module."""

COMPUTES_NOTHING = frozenset({"load", "save", "set_printoptions", "__repr__", "__str__", "__format__"})


def patched(packages: Collection[str]) -> dict[str, Path]:
    """Return what is foreign there by its dotted name, each with the file of its code.

    Foreign is what ``packages`` hold, those of plugins, or what is installed nowhere, as a plugin file or a script.
    """
    found: dict[str, Path] = {}
    for name, value in _looked_at():
        if (code := _code_of(value)) and (code[0].partition(".")[0] in packages or is_own(code[1])):
            found[name] = Path(code[1]).resolve()
    return found


def _looked_at() -> Iterator[tuple[str, Any]]:
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


def _code_of(value: Any) -> tuple[str, str] | None:
    """Return the module and the file of a function's code, or a class's; ``None`` of what has none."""
    if isinstance(value, functools.partial | property):
        value = value.func if isinstance(value, functools.partial) else value.fget
    elif isinstance(value, staticmethod | classmethod):
        value = value.__func__
    if isinstance(value, type):
        return value.__module__, str(getattr(sys.modules.get(value.__module__), "__file__", None) or "")
    return (str(value.__globals__.get("__name__")), value.__code__.co_filename) if inspect.isfunction(value) else None
