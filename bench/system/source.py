"""The source code that a module leads to: found by reading import statements, hashed file by file, never executed.

What counts is every module that is imported, at the top or inside a function, as far as ``within`` says, and every file
beside a module, or in a folder beside it, that a text in its source names: tables and weights are read so, and code by
``exec``. A package's ``__init__`` counts where something is imported from it, with the modules that a text in it names,
as in ``__all__``; importing ``a.b`` alone does not lead to everything else that ``a/__init__.py`` lists. Not seen:
names made at run time, and files elsewhere.

A module counts as it was when it was first seen loaded: an edit of its file is not what the process runs. Nor is what
Python keeps compiled of a file that has another content by now, of the same length and second: see ``drop_stale``.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.util
import marshal
import os
import re
import shlex
import sys
import warnings
from collections.abc import Callable, Collection, Iterable
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from itertools import islice
from pathlib import Path

from bench.errors import PluginError
from bench.system.notes import note

FILE_NAME = re.compile(r"(?:\.{0,2}/)*([^./\\\0\n][^/\\\0\n]{0,99}(?:/[^./\\\0\n][^/\\\0\n]{0,99}){0,4})")
"""A text that may be a path below the folder of the source that it stands in, or what is put behind that folder's."""

DEEPEST = 5
"""Folders below a source's own that are looked into, each named by a text."""

MANY = 2000
"""Entries of a folder that are listed."""

IMPORTERS = frozenset({"import_module", "__import__"})
"""What is called to import a module by its name."""

_as_loaded: dict[Path, int] = {}
"""When the files of loaded modules were written, as far as they were ``remember``ed; what they held is cached."""

_loads: dict[Path, object] = {}
"""What loaded modules were loaded by when they first counted; ``importlib.reload`` makes another."""

_as_named: dict[tuple[Path, int], list[tuple[str, Path]]] = {}
"""The files that sources of loaded modules name, as far as they were there when these first counted."""

UNKNOWN = "unknown"
"""In place of a hash where a module has no file, as one typed at a prompt."""


def code_hash(
    roots: Iterable[str],
    within: Callable[[str], bool],
    extra: Iterable[str] = (),
    reads: Callable[[str], bool] = lambda _: True,
    *,
    begins: bool = False,
) -> str:
    """Return 16 hex digits over the source of everything that ``roots`` lead to, ``UNKNOWN`` where a root has none.

    ``within`` says of a dotted module name whether it counts, ``reads`` of the name of a file that a source names.
    ``extra`` are texts that count too. The same source gives the same hash on every machine: line ends do not matter,
    and neither does where the files lie. A file that a loaded module names counts as it was, or was not, when the
    module first counted: whether it was read by then nobody knows, and where a run ``begins`` after an edit,
    ``PluginError`` is raised.
    """
    modules = closure(roots, within)
    if any(modules.get(root) is None for root in roots):
        return UNKNOWN
    total = hashlib.sha256()
    for name, file in sorted(modules.items()):
        if file is not None:
            _refuse_stale(name, file)
            version = _version(name, file)
            _refuse_reloaded(name, file, version)
            total.update(f"{name}\0{_hash_of(file, version)}\n".encode())
            _tell_edited(file, version)
            there_now = _named_files(file, name)
            counting = _as_named.setdefault((file, version), there_now) if name in sys.modules else there_now
            for named, there in filter(lambda one: reads(one[0]), counting):
                first = _version(name, there)
                total.update(f"{name} names {named}\0{_hash_of(there, first)}\n".encode())
                if begins and _is_edited(there, first):
                    raise _edited_data(there)
            for named, there in there_now:
                if begins and reads(named) and (named, there) not in counting:
                    raise _edited_data(there)
    for text in extra:
        total.update(f"{text}\n".encode())
    return total.hexdigest()[:16]


def _edited_data(file: Path) -> PluginError:
    return PluginError(
        f"{file} was edited while this process goes on. Try: start again, or, where the plugin writes it, another"
        " folder than its own"
    )


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
            waiting += [one for one in _imports(file, _version(name, file), name, is_package) if within(one)]
    return found


def remember(modules: Iterable[str]) -> None:
    """Keep what the files of loaded ``modules`` hold now; those that are installed are kept when they first count."""
    for name in modules:
        top = name.partition(".")[0]
        file = None if top in {"bench", *sys.stdlib_module_names} else file_of(name)
        if file is not None and file.suffix == ".py" and not any(map(is_installed, places_of(top))):
            _refuse_stale(name, file)
            version = _version(name, file)
            _refuse_reloaded(name, file, version)
            _hash_of(file, version)
            _said(file, version)


def drop_stale(file: Path) -> bool:
    """Return whether Python would run, or has run, other code than that in ``file``; what it kept of it is removed.

    It takes compiled code for that of a source by the source's length and the second of its time alone.
    """
    try:
        kept, status = Path(importlib.util.cache_from_source(str(file))), file.stat()
        compiled = kept.stat().st_mtime_ns
        if file.suffix != ".py" or compiled >= status.st_ctime_ns:
            return False  # compiled after the file was last touched
        if not _is_stale(file, kept, status.st_ctime_ns, compiled):
            return False
    except (OSError, NotImplementedError):
        return False
    with contextlib.suppress(OSError):
        kept.unlink()
    return True


@cache
def _is_stale(file: Path, kept: Path, _changed: int, _compiled: int) -> bool:
    """Return whether Python takes ``kept`` for what ``file`` compiles to, and it is something else."""
    head, code = (content := kept.read_bytes())[:16], content[16:]
    status = file.stat()
    words = [int.from_bytes(head[place : place + 4], "little") for place in (4, 8, 12)]
    about = int(status.st_mtime), status.st_size
    same = words[0] == 0 and words[1:] == [number & 0xFFFFFFFF for number in about]
    if head[:4] != importlib.util.MAGIC_NUMBER or not (same or words[0] == 1):  # 1: by a hash that nobody checks
        return False
    with contextlib.suppress(Exception), warnings.catch_warnings():  # of a damaged one, or of a source that is none
        warnings.simplefilter("ignore")  # it was told of when the source was compiled first
        return bool(marshal.loads(code) != compile(file.read_bytes(), str(file), "exec", dont_inherit=True))
    return True


def _refuse_stale(module: str, file: Path) -> None:
    """Raise ``PluginError`` where compiled code of an earlier content of ``file`` is what runs, or will run."""
    # Of one that is not loaded yet it is enough that it is gone, which it is not where a folder cannot be written.
    if drop_stale(file) and (module in sys.modules or drop_stale(file)):
        kept = Path(importlib.util.cache_from_source(str(file))).parent
        raise PluginError(
            f"{file} was edited, and Python took its compiled code of before, as length and time are the same. Try: the"
            f" same command again, or first: rm -r {shlex.quote(str(kept))}"
        )


def _refuse_reloaded(module: str, file: Path, version: int) -> None:
    """Raise ``PluginError`` where a module was loaded again after its file was touched, as a notebook may do.

    What was made before runs old code or new, as it refers to it: nobody knows which.
    """
    by = getattr(sys.modules.get(module), "__spec__", None)
    if by is not None and _loads.setdefault(file, by) is not by and _changed(file) != version:
        raise PluginError(f"{file} was edited and loaded again while this process goes on. Try: start again")


def _version(module: str, file: Path) -> int:
    """Return when ``file`` was written, of a loaded module's the version that was loaded."""
    now = _changed(file)
    return _as_loaded.setdefault(file, now) if module in sys.modules else now


def _tell_edited(file: Path, version: int) -> None:
    """Say once of a module's file that it holds something else than what was loaded."""
    if _is_edited(file, version):
        _say_edited(file)


@cache
def _say_edited(file: Path) -> None:
    note(f"{file} was edited after it was loaded: this process goes on with it as it was. Try: start again")


def _is_edited(file: Path, version: int) -> bool:
    now = _changed(file)
    return now != version and (not now or _hash_of(file, now) != _hash_of(file, version))


def _changed(file: Path) -> int:
    """Return when a file was last touched; 0 where it is gone."""
    try:
        return file.stat().st_ctime_ns
    except FileNotFoundError:
        return 0


def imported_by(file: Path, module: str) -> Collection[str]:
    """Return the dotted names of what ``file``, the source of ``module``, imports anywhere in it."""
    return _imports(file, file.stat().st_ctime_ns, module, is_package=file.name == "__init__.py")


def file_of(module: str) -> Path | None:
    """Return the file, or the archive, that ``module`` is loaded from, or would be; ``None`` where there is none."""
    loaded = sys.modules.get(module)
    if loaded is not None:
        return _file_at(getattr(loaded, "__file__", None))
    package, _, last = module.rpartition(".")
    if not package:
        return _file_at(getattr(_found(module), "origin", None))
    names = (f"{last}/__init__.py", *(f"{last}{ending}" for ending in (".py", *EXTENSION_SUFFIXES)))
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


@cache
def _hash_of(file: Path, _changed: int) -> str:
    content = file.read_bytes()
    if file.suffix == ".py":
        content = content.replace(b"\r\n", b"\n")
    return hashlib.sha256(content).hexdigest()


@cache
def _imports(file: Path, _changed: int, module: str, is_package: bool) -> Collection[str]:
    """Return the dotted names of the modules that ``file``, the source of ``module``, imports anywhere in it."""
    names: dict[str, None] = {}
    for node in _said(file, _changed)[0]:
        if isinstance(node, ast.Call):
            names |= dict.fromkeys(_called(node, module, is_package))
        elif isinstance(node, ast.Import):
            names |= dict.fromkeys(alias.name for alias in node.names)
        else:
            base = _base(node, module, is_package)
            members = [f"{base}.{alias.name}" for alias in node.names if alias.name != "*"]
            submodules = [member for member in members if file_of(member) is not None]
            # ``from package import name`` runs the package's own code; of a submodule, only the submodule's.
            names |= dict.fromkeys(submodules)
            if len(submodules) < len(node.names):
                names[base] = None
    if is_package:  # its ``__all__``, or what a ``__getattr__`` of its own looks names up in
        named = [f"{module}.{text}" for text in _said(file, _changed)[1] if text.isidentifier()]
        names |= dict.fromkeys(one for one in sorted(named) if file_of(one) is not None)
    return tuple(names)


@cache
def _said(file: Path, _changed: int) -> tuple[list[ast.Import | ast.ImportFrom | ast.Call], Collection[str]]:
    """Return the statements and calls of a source that import, and its texts that may be names of files or folders."""
    importing: list[ast.Import | ast.ImportFrom | ast.Call] = []
    texts: set[str] = set()
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return importing, texts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) or (isinstance(node, ast.Call) and _name(node) in IMPORTERS):
            importing.append(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = FILE_NAME.fullmatch(node.value.lstrip("."))
            texts |= {found[1]} if found else set()
    return importing, texts


def _name(node: ast.Call) -> str:
    """Return the last part of the name of what is called; empty where it has none."""
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


def _called(node: ast.Call, module: str, is_package: bool) -> list[str]:
    """Return the module that a call of one of ``IMPORTERS`` names by a text, if it is one."""
    texts = [one.value for one in node.args[:2] if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    if not texts:
        return []
    name = texts[0].lstrip(".")
    level = len(texts[0]) - len(name)
    if not level or _name(node) == "__import__":
        return [name]
    package = texts[1] if len(texts) > 1 else module if is_package else module.rpartition(".")[0]
    above = package.split(".")
    return [".".join([*above[: len(above) - level + 1], name])]


def _named_files(file: Path, module: str) -> list[tuple[str, Path]]:
    """Return the files that texts in the source ``file`` name: beside it, or in folders beside it that others name.

    Of a module in a package, also beside the packages above it. A package is such a folder, too, by its dotted name.
    """
    if file.suffix != ".py" or not (texts := _said(file, _as_loaded.get(file) or file.stat().st_ctime_ns)[1]):
        return []
    wanted = {*texts, *(f"{text.rpartition('.')[2]}/" for text in texts)}
    above = module.count(".") + (file.name == "__init__.py")
    found: dict[str, Path] = {}
    for level, place in enumerate([file.parent, *file.parents[1:above]]):
        found |= {"../" * level + name: place / name for name in _named_below(place, wanted) if place / name != file}
    return sorted(found.items())


def _named_below(place: Path, wanted: Collection[str], depth: int = 0) -> set[str]:
    """Return the files below ``place`` that ``wanted`` names: each a path, or one step of it, a folder's with a /."""
    folders = _entries(place, {text.partition("/")[0] for text in wanted})
    found: set[str] = set()
    rests: dict[str, set[str]] = {}
    for text in wanted:
        first, step, rest = text.partition("/")
        if folders.get(first):
            rests.setdefault(first, set()).add(rest)
        elif first in folders and not step and (place / first).is_file():
            found.add(first)
    if depth < DEEPEST:
        for folder, more in rests.items():
            within = _named_below(place / folder, {*wanted, *filter(None, more)}, depth + 1)
            found |= {f"{folder}/{name}" for name in within}
    return found


def _entries(place: Path, names: Collection[str]) -> dict[str, bool]:
    """Return what is in a folder, and whether it is one; in a large one, as of pictures, ``names`` are looked for."""
    try:
        with os.scandir(place) as entries:
            first = list(islice(entries, MANY + 1))
    except OSError:
        return {}
    if len(first) <= MANY:
        return {entry.name: entry.is_dir() for entry in first}
    # Path.exists raises for a name that is too long.
    return {name: (place / name).is_dir() for name in names if os.path.exists(place / name)}  # noqa: PTH110


def _base(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    """Return the absolute name of what ``from ... import`` names."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    kept = parts[: len(parts) - node.level + is_package]
    return ".".join([*kept, *(node.module or "").split(".")]).rstrip(".")
