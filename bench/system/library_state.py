"""What NumPy, torch, Pillow and ``decimal`` hold for a process or a thread: how it is read and put back."""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from typing import Any


@dataclass(frozen=True, slots=True)
class Setting:
    """One piece of state: how it is read, and how a value that was read is put back."""

    read: Callable[[], Any]
    write: Callable[[Any], object]


LOADED_LATER = ("numpy", "torch", "PIL.ImageFile", "decimal")
"""Modules whose state counts from when they are loaded."""


def library_settings(name: str) -> dict[str, Setting]:
    """Return the settings of a loaded one of ``LOADED_LATER``."""
    return _SETTINGS[name](sys.modules[name])


def differs(now: Any, before: Any) -> bool:
    """Return whether two values that a setting read are not the same; arrays and tensors count by their content."""
    # Of Python's random generator, 625 numbers at once; arrays in a tuple say neither yes nor no.
    with contextlib.suppress(Exception):
        if isinstance(before, tuple) and now == before:
            return False
    if isinstance(before, tuple | list) and type(now) is type(before) and len(now) == len(before):
        return any(differs(one, other) for one, other in zip(now, before, strict=True))
    if hasattr(before, "tobytes"):
        return bool(now.tobytes() != before.tobytes())
    if hasattr(before, "numpy"):
        return not bool(before.equal(now))
    return bool(now is not before and now != before)


@contextlib.contextmanager
def told_when_loaded(tell: Callable[[str], object]) -> Iterator[None]:
    """Call ``tell`` with the name of each of ``LOADED_LATER`` that the body is the first to load, once it is loaded."""
    watcher = _Watcher({name for name in LOADED_LATER if name not in sys.modules}, tell)
    if not watcher.waiting:
        yield
        return
    sys.meta_path.insert(0, watcher)
    try:
        yield
    finally:
        watcher.waiting.clear()
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(watcher)


class _Watcher(importlib.abc.MetaPathFinder):
    """Finds nothing itself; puts a word in after the loading of what it waits for."""

    def __init__(self, waiting: set[str], tell: Callable[[str], object]) -> None:
        self.waiting = waiting
        self._tell = tell

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        """Return the spec that the other finders find of what is waited for, its loader watched."""
        if name not in self.waiting:
            return None
        self.waiting.discard(name)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def watched(module: Any) -> None:
            execute(module)
            self._tell(name)

        with contextlib.suppress(AttributeError):
            spec.loader.exec_module = watched  # type: ignore[method-assign]
        return spec


def _of_numpy(numpy: Any) -> dict[str, Setting]:
    return {
        "numpy errors": Setting(numpy.geterr, lambda value: numpy.seterr(**value)),
        "numpy error call": Setting(numpy.geterrcall, numpy.seterrcall),
        "numpy printing": Setting(numpy.get_printoptions, lambda value: numpy.set_printoptions(**value)),
        "numpy random": Setting(numpy.random.get_state, numpy.random.set_state),
    }


def _of_pillow(image_file: Any) -> dict[str, Setting]:
    image = sys.modules["PIL.Image"]
    return {
        f"Pillow {name}": Setting(
            lambda holder=holder, name=name: getattr(holder, name),  # type: ignore[misc]
            lambda value, holder=holder, name=name: setattr(holder, name, value),  # type: ignore[misc]
        )
        for holder, name in ((image_file, "LOAD_TRUNCATED_IMAGES"), (image, "MAX_IMAGE_PIXELS"))
    }


def _of_decimal(decimal: Any) -> dict[str, Setting]:
    def read() -> tuple[Any, ...]:
        now = decimal.getcontext()
        traps = {signal: now.traps[signal] for signal in now.traps}
        return now.prec, now.rounding, now.Emin, now.Emax, now.capitals, now.clamp, traps

    def write(value: tuple[Any, ...]) -> None:
        prec, rounding, smallest, largest, capitals, clamp, traps = value
        decimal.setcontext(decimal.Context(prec, rounding, smallest, largest, capitals, clamp, [], traps))

    return {"decimal": Setting(read, write)}


def _of_torch(torch: Any) -> dict[str, Setting]:
    from bench.system.torch_state import torch_settings

    return torch_settings(torch)


_SETTINGS: dict[str, Callable[[Any], dict[str, Setting]]] = {
    "numpy": _of_numpy,
    "torch": _of_torch,
    "PIL.ImageFile": _of_pillow,
    "decimal": _of_decimal,
}
