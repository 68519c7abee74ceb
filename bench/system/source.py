"""The source code that a module leads to: found by reading import statements, hashed file by file, never executed.

What counts is every module that is imported, at the top or inside a function, as far as ``within`` says, or that lies
with one and is named by a text, and every file beside a module, or in a folder beside it, that a text in its source
names: tables and weights are read so, and code by ``exec``. A package's ``__init__`` counts where something is imported
from it, with the modules that a text in it names, as in ``__all__``; importing ``a.b`` alone leads to
``a/__init__.py`` only where that sets or calls something, and not to everything else that it lists. Not seen: names
made at run time, and files elsewhere.

A module counts as it was when it was first seen loaded: an edit of its file is not what the process runs. Nor is what
Python keeps compiled of a file that has another content by now, of the same length and second: see ``drop_stale``.
"""

from __future__ import annotations

import contextlib
import importlib.util
import marshal
import shlex
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from itertools import accumulate
from pathlib import Path

from bench.errors import PluginError
from bench.system.imports import imports, named_files, said
from bench.system.modules import file_of, is_installed, places_of
from bench.system.notes import note

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
    import hashlib

    total = hashlib.sha256()
    for name, file in sorted(modules.items()):
        if file is not None:
            _refuse_stale(name, file)
            version = _version(name, file)
            _refuse_reloaded(name, file, version)
            total.update(f"{name}\0{_hash_of(file, version)}\n".encode())
            _tell_edited(file, version)
            there_now = named_files(file, version, name)
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
    waiting, run = list(roots), set[str]()
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = file = file_of(name)
        if file is not None and file.suffix == ".py":
            led_to = [*imports(file, _version(name, file), name), *_acting(name, within, run)]
            waiting += [one for one in led_to if within(one)]
    return found


def counted(roots: Iterable[str], within: Callable[[str], bool]) -> set[Path]:
    """Return every file that ``code_hash`` is over, as far as it is there."""
    modules = [(name, file) for name, file in closure(roots, within).items() if file is not None]
    named = [there for name, file in modules for _, there in named_files(file, _version(name, file), name)]
    return {file.resolve() for file in (*(file for _, file in modules), *named)}


def variables(roots: Iterable[str], within: Callable[[str], bool]) -> set[str]:
    """Return the variables of the environment that everything reads that ``roots`` lead to."""
    files = [(name, file) for name, file in closure(roots, within).items() if file is not None]
    sources = [(file, _version(name, file)) for name, file in files if file.suffix == ".py"]
    return {variable for source in sources for variable in said(*source).variables}


def _acting(module: str, within: Callable[[str], bool], seen: set[str]) -> Iterator[str]:
    """Yield what sets or calls something as the import of ``module`` runs it: packages above it, and what these import.

    So networks enter themselves in a registry, and constants of a module are set from outside. Those ``seen`` are
    passed over, and grow by what this import runs.
    """
    waiting = _with_packages(module)[:-1]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        file = file_of(name) if within(name) else None
        if file is None or file.suffix != ".py":
            continue
        if said(file, version := _version(name, file)).acts:
            yield name
        else:
            waiting += [each for one in imports(file, version, name, at_once=True) for each in _with_packages(one)]


def _with_packages(module: str) -> list[str]:
    """Return the names of the packages that a module is in, from the top, and its own: its import runs all of them."""
    return [*accumulate(module.split("."), "{}.{}".format)]


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
            said(file, version)


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
    return imports(file, file.stat().st_ctime_ns, module)


@cache
def _hash_of(file: Path, _changed: int) -> str:
    content = file.read_bytes()
    if file.suffix == ".py":
        content = content.replace(b"\r\n", b"\n")
    import hashlib

    return hashlib.sha256(content).hexdigest()
