"""Where modules lie that are loaded, or would be."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from pathlib import Path


def file_of(module: str) -> Path | None:
    """Return the file, or the archive, that ``module`` is loaded from, or would be; ``None`` where there is none."""
    loaded = sys.modules.get(module)
    if loaded is not None:
        return _file_at(getattr(loaded, "__file__", None))
    package, _, last = module.rpartition(".")
    if not package:
        return _file_at(getattr(_found(module), "origin", None))
    # As Python looks: what Cython makes of a source is taken before it.
    names = (f"{last}/__init__.py", *(f"{last}{ending}" for ending in (*EXTENSION_SUFFIXES, ".py")))
    for folder in _folders(package):
        if found := next(filter(Path.is_file, map(folder.joinpath, names)), None) or _file_at(folder):
            return found
    return None


def _file_at(place: str | Path | None) -> Path | None:
    """Return the file at ``place``, or the one that it leads into as a folder, as ``lib.zip/nets.py`` does."""
    return next(filter(Path.is_file, (Path(place), *Path(place).parents)), None) if place else None


def places_of(package: str) -> list[Path]:
    """Return where a top-level module or package lies: its file, or the folders of one without ``__init__``."""
    found = file_of(package)
    return [found] if found is not None else _folders(package)


@cache
def is_installed(place: Path) -> bool:
    """Return whether a file or folder of a package lies where distributions are installed to, by pip's --target too."""
    folder = place.parent.parent if place.name == "__init__.py" else place.parent
    return not {"site-packages", "dist-packages"}.isdisjoint(place.parts) or any(folder.glob("*.dist-info"))


def _found(top: str) -> ModuleSpec | None:
    """Return where a top-level module that is not loaded would be loaded from; ``None`` where nowhere."""
    named = top.isidentifier() and top != "__main__" and top not in sys.modules
    return importlib.util.find_spec(top) if named else None


def _folders(package: str) -> list[Path]:
    """Return the folders that a package's modules lie in; without ``__init__`` there may be several."""
    if loaded := getattr(sys.modules.get(package), "__path__", None):
        return [Path(folder) for folder in loaded]
    above, _, last = package.rpartition(".")
    if not above:
        return [Path(folder) for folder in getattr(_found(package), "submodule_search_locations", None) or ()]
    file = file_of(package)
    if file is not None:
        return [file.parent] if file.name == "__init__.py" else []
    return [folder / last for folder in _folders(above) if (folder / last).is_dir()]
