"""Plugins that are one Python file, with no packaging: ``bench --plugin ./mine.py``, or the variable ``BENCH_PLUGINS``.

A file is a plugin as an installed one is, called by its name without ``.py``: its hooks, its failures and its claims to
names are treated alike. What it imports from its own folder counts as its code.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from types import ModuleType

from bench.errors import PluginError, UsageError
from bench.system.modules import file_of
from bench.system.seeding import drawing_alike
from bench.system.source import drop_stale, imported_by

VARIABLE = "BENCH_PLUGINS"
"""Environment variable: plugin files, separated as in ``PATH``; ``--plugin`` adds to it."""

VERSION = "file"
"""In place of a version, which a file has not: the hash of its code tells two of them apart."""

_folders: set[Path] = set()
"""Where the files that were loaded lie."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a file has in place of an installed distribution."""

    name: str
    version: str = VERSION


@dataclass(frozen=True, slots=True)
class PluginFile:
    """A file as an entry point; ``name`` is the path as it was typed."""

    name: str

    @property
    def value(self) -> str:
        """Return the name of the module that the file becomes."""
        return Path(self.name).stem

    @property
    def dist(self) -> Distribution:
        """Return what stands in place of a distribution."""
        return Distribution(self.value)

    def load(self) -> ModuleType:
        """Return the file as a module, run now if it was not yet. Raises ``PluginError`` where its name is taken."""
        path, name = Path(self.name).expanduser().resolve(), self.value
        if fault := fault_of(self.name):
            raise PluginError(fault)
        if path.parent not in _folders:
            # Behind all else, so that the folder hides no installed module.
            sys.path.append(str(path.parent))
            _folders.add(path.parent)
        there = sys.modules.get(name)
        spec = getattr(there, "__spec__", None) if there else importlib.util.find_spec(name)
        origin = getattr(there, "__file__", None) or getattr(spec, "origin", None) or "built in"
        if (there or spec) and Path(origin).resolve() != path:
            raise PluginError(f"there is a module '{name}' already ({origin}). Try: another name for the file")
        if hidden := _hidden(name, path, path.parent, {path}):
            raise PluginError(hidden)
        return there or _run(name, path)


def named() -> list[PluginFile]:
    """Return the files that ``BENCH_PLUGINS`` names, each once."""
    return [PluginFile(name) for name in dict.fromkeys(filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)))]


def add(paths: Iterable[str]) -> None:
    """Add files to ``BENCH_PLUGINS``, for this process and its children. Raises ``UsageError`` for what is no file."""
    known = [file.name for file in named()]
    for path in paths:
        if fault := fault_of(path):
            raise UsageError(f"--plugin: {fault}")
        known += [path] if path not in known else []
    os.environ[VARIABLE] = os.pathsep.join(known)


def taken_out(arguments: Sequence[str], option: str) -> list[str]:
    """Return ``arguments`` without each ``option FILE``, wherever it stands, and ``add`` the files."""
    rest, waiting = [], iter(arguments)
    for argument in waiting:
        name, equals, path = argument.partition("=")
        if name == option:
            add([path if equals else next(waiting, "")])
        else:
            rest.append(argument)
    return rest


def fault_of(name: str) -> str:
    """Return why ``name`` can be no plugin file; empty: it can."""
    path = Path(name).expanduser()
    if path.suffix != ".py" or not path.stem.isidentifier() or path.stem == "bench":
        return f"found '{name}', allowed: a file called as a Python module, as in ./mine.py"
    if os.pathsep in name:
        return f"found '{name}', allowed: a path without '{os.pathsep}'"
    return "" if path.is_file() else f"no file '{name}'"


def within_folder(module: str) -> Path | None:
    """Return the folder that ``module`` shares with a plugin file that was loaded; ``None`` where it shares none."""
    loaded = sys.modules.get(module.partition(".")[0])
    file = getattr(loaded, "__file__", None)
    if file is None:
        return None
    place = Path(file).resolve()
    folder = place.parent.parent if place.name == "__init__.py" else place.parent
    return folder if folder in _folders else None


def _hidden(module: str, file: Path, folder: Path, seen: set[Path]) -> str:
    """Return which module in ``folder`` ``module``, or one of those, does not import by its name; empty: none."""
    drop_stale(file)
    for imported in imported_by(file, module):
        name, beside = _beside(imported, folder)
        if beside is None or beside in seen or name in sys.stdlib_module_names:
            continue
        found = file_of(name) or file_of(name.partition(".")[0])
        if found is not None and found.resolve() != beside.resolve():
            return f"{file.name} imports '{name}', and {found} comes before {beside}. Try: another name for that file"
        seen.add(beside)
        if hidden := _hidden(name, beside, folder, seen):
            return hidden
    return ""


def _beside(module: str, folder: Path) -> tuple[str, Path | None]:
    """Return the first module or package with a file in ``folder`` on the way to ``module``, and that file."""
    for name in accumulate(module.split("."), lambda above, step: f"{above}.{step}"):
        for place in (f"{name.replace('.', '/')}.py", f"{name.replace('.', '/')}/__init__.py"):
            if (folder / place).is_file():
                return name, folder / place
    return module, None


def _run(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "a .py file has a loader"
    assert spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with drawing_alike(name):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
