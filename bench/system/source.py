"""The source code that a module leads to: found by reading import statements, hashed file by file, never executed.

What counts is every module that is imported, at the top or inside a function, as far as ``within`` says. A package's
``__init__`` counts where something is imported from it; importing ``a.b`` alone does not lead to everything else that
``a/__init__.py`` lists. Not seen: imports whose name is made at run time, and files that are only read.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Collection, Iterable
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

UNKNOWN = "unknown"
"""In place of a hash where a module has no file, as one typed at a prompt."""


def code_hash(roots: Iterable[str], within: Callable[[str], bool], extra: Iterable[str] = ()) -> str:
    """Return 16 hex digits over the source of everything that ``roots`` lead to, ``UNKNOWN`` where a root has none.

    ``within`` says of a dotted module name whether it counts. ``extra`` are texts that count too. The same source gives
    the same hash on every machine: line ends do not matter, and neither does where the files lie.
    """
    modules = closure(roots, within)
    if any(modules.get(root) is None for root in roots):
        return UNKNOWN
    total = hashlib.sha256()
    for name, file in sorted(modules.items()):
        if file is not None:
            total.update(f"{name}\0{_hash_of(file, file.stat().st_mtime_ns)}\n".encode())
    for text in extra:
        total.update(f"{text}\n".encode())
    return total.hexdigest()[:16]


def closure(roots: Iterable[str], within: Callable[[str], bool]) -> dict[str, Path | None]:
    """Return every module that ``roots`` lead to, themselves included, with its file; ``None`` where it has none."""
    found: dict[str, Path | None] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = file = file_of(name)
        if file is not None and file.suffix == ".py":
            is_package = file.name == "__init__.py"
            waiting += [one for one in _imports(file, file.stat().st_mtime_ns, name, is_package) if within(one)]
    return found


def file_of(module: str) -> Path | None:
    """Return the file that ``module`` is loaded from, or would be; ``None`` where there is none."""
    loaded = sys.modules.get(module)
    if loaded is not None:
        path = getattr(loaded, "__file__", None)
        return Path(path) if path and Path(path).is_file() else None
    package, _, last = module.rpartition(".")
    if not package:
        spec = importlib.util.find_spec(module) if _named(module) else None
        return Path(spec.origin) if spec and spec.origin and Path(spec.origin).is_file() else None
    for folder in _folders(package):
        for candidate in (folder / last / "__init__.py", folder / f"{last}.py", *_compiled(folder, last)):
            if candidate.is_file():
                return candidate
    return None


def _named(module: str) -> bool:
    return module.isidentifier() and module != "__main__"


def _folders(package: str) -> list[Path]:
    """Return the folders that a package's modules lie in; without ``__init__`` there may be several."""
    if loaded := getattr(sys.modules.get(package), "__path__", None):
        return [Path(folder) for folder in loaded]
    file = file_of(package)
    if file is not None:
        return [file.parent] if file.name == "__init__.py" else []
    above, _, last = package.rpartition(".")
    return [folder / last for folder in _folders(above) if (folder / last).is_dir()] if above else []


def _compiled(folder: Path, name: str) -> Iterable[Path]:
    return (folder / f"{name}{suffix}" for suffix in EXTENSION_SUFFIXES)


@cache
def _hash_of(file: Path, _changed: int) -> str:
    content = file.read_bytes()
    if file.suffix == ".py":
        content = content.replace(b"\r\n", b"\n")
    return hashlib.sha256(content).hexdigest()


@cache
def _imports(file: Path, _changed: int, module: str, is_package: bool) -> Collection[str]:
    """Return the dotted names of the modules that ``file``, the source of ``module``, imports anywhere in it."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return ()
    names: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= dict.fromkeys(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, module, is_package)
            members = [f"{base}.{alias.name}" for alias in node.names if alias.name != "*"]
            submodules = [member for member in members if file_of(member) is not None]
            # ``from package import name`` runs the package's own code; of a submodule, only the submodule's.
            names |= dict.fromkeys(submodules)
            if len(submodules) < len(node.names):
                names[base] = None
    return tuple(names)


def _base(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    """Return the absolute name of what ``from ... import`` names."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    kept = parts[: len(parts) - node.level + is_package]
    return ".".join([*kept, *(node.module or "").split(".")]).rstrip(".")
