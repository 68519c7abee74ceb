"""Global random generators, and the numbers that modules draw from them as they are imported.

A network's fixed projection is often such a constant. It would be another one by when its module is first imported, in
this run or in one before it, and what it drew would be missing from what is drawn behind it.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import random
import sys
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ExtensionFileLoader, ModuleSpec, SourceFileLoader
from typing import Any

NOT_SEEDED = sys.stdlib_module_names | {
    "bench",
    "numpy",
    "onnx",
    "scipy",
    "sklearn",
    "sympy",
    "timm",
    "torch",
    "torchvision",
}
"""Packages whose modules are many and draw nothing as they are imported."""

_seeds: list[int] = []
"""What generators started from, the innermost last; so do those of a library that is loaded meanwhile."""


def seed_all(seed: int) -> None:
    """Start the global random generators of Python, and of NumPy and torch where they are loaded, from ``seed``."""
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def seed_loaded(library: str) -> None:
    """Start the generator of a ``library`` that was loaded just now as those before it."""
    if _seeds and library in _GENERATORS:
        _GENERATORS[library][2](sys.modules[library], _seeds[-1])


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Start the global random generators from ``seed``, those of libraries that the body loads too."""
    seed_all(seed)
    _seeds.append(seed)
    try:
        yield
    finally:
        _seeds.pop()


@contextlib.contextmanager
def imports_seeded() -> Iterator[None]:
    """Have each module that the body imports draw as ``drawing_alike`` says."""
    finder = _Seeding()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(finder)


@contextlib.contextmanager
def drawing_alike(module: str) -> Iterator[None]:
    """Have the body, which imports ``module``, draw the same whenever it does, and who draws beside it not notice."""
    before = _states()
    _seeds.append(zlib.crc32(module.encode()))
    try:
        for library in before:
            seed_loaded(library)
        yield
    finally:
        _seeds.pop()
        for library in _states():
            if library in before:
                _GENERATORS[library][1](sys.modules[library], before[library])
            else:
                seed_loaded(library)


def _states() -> dict[str, Any]:
    """Return the states of the generators that there are; one that is asked while torch is loaded ends the process."""
    there = {library: sys.modules[library] for library in _GENERATORS if library in sys.modules}
    return {
        library: _GENERATORS[library][0](module)
        for library, module in there.items()
        if not getattr(module.__spec__, "_initializing", False)
    }


_GENERATORS: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], object], Callable[[Any, int], object]]] = {
    "random": (
        lambda module: module.getstate(),
        lambda module, state: module.setstate(state),
        lambda module, seed: module.seed(seed),
    ),
    "numpy": (
        lambda module: module.random.get_state(),
        lambda module, state: module.random.set_state(state),
        lambda module, seed: module.random.seed(seed % 2**32),
    ),
    "torch": (
        lambda module: module.get_rng_state(),
        lambda module, state: module.set_rng_state(state),
        lambda module, seed: module.default_generator.manual_seed(seed),
    ),
}
"""By the module that holds it, how a generator is read, put back, and started from a seed; torch's of the CPU."""


class _Seeding(importlib.abc.MetaPathFinder):
    """Finds nothing itself; stands around the execution of what the others find for the thread that made it."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        """Return the spec that the other finders find of a module that may draw, its loader one that seeds."""
        if name.partition(".")[0] in NOT_SEEDED or threading.get_ident() != self._thread:
            return None
        others = (one for one in list(sys.meta_path) if not isinstance(one, _Seeding) and hasattr(one, "find_spec"))
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next(filter(None, found), None)
        # Each has one of its own; of those of other kinds some are shared.
        if spec is not None and isinstance(spec.loader, SourceFileLoader | ExtensionFileLoader):
            execute = spec.loader.exec_module

            def seeded_execution(module: Any) -> None:
                with drawing_alike(name):
                    execute(module)

            spec.loader.exec_module = seeded_execution  # type: ignore[method-assign]
        return spec
