"""What the source of a module says: which modules it imports, and which files it names. Nothing of it is executed."""

from __future__ import annotations

import ast
import builtins
import contextlib
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from itertools import islice
from pathlib import Path

from bench.system.modules import file_of

FILE_NAME = re.compile(r"(?:\.{0,2}/)*([^./\\\0\n][^/\\\0\n]{0,99}(?:/[^./\\\0\n][^/\\\0\n]{0,99}){0,4})")
"""A text that may be a path below the folder of the source that it stands in, or what is put behind that folder's."""

HIDDEN = re.compile(r"\.\w[^/\\\0\n]{0,99}")
"""A text that may be a file or a folder whose name begins with a dot, as ``.env``."""

HOLE = re.compile(r"\{[^{}]*\}|%s")
"""What ``format`` and ``%`` put a folder in, as in ``{}/prior.json``."""

MODULE_NAME = re.compile(r"(\.*[^\W\d]\w*(?:\.[^\W\d]\w*)*)(?::[\w.]*)?")
"""A text that may be a module's name, with what is taken of it, as in ``heads.mlp:Head``; dots before: from here."""

WORD = re.compile(r"[^\s\"'=:,()\[\]{}]+")
LISTS = frozenset({".json", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp"})
"""Endings of files that may name others, as a source in C its headers, and what may be a name there."""

UNHEARD = (".safetensors", ".onnx", ".gguf")
"""Endings of files that compiled code opens, so that nobody hears which one of a folder that is named is read."""

LONGEST_LIST, MOST_LISTED = 1 << 18, 100
"""Bytes of the longest list that is looked into, and the most files that it may name: more are pictures."""

DEEPEST = 5
"""Folders below a source's own that are looked into, each named by a text."""

MANY = 2000
"""Entries of a folder that are listed."""

IMPORTERS = frozenset({"import_module", "__import__"})
"""What is called to import a module by its name."""


HARMLESS = frozenset({"bench", "numpy", "torch", *sys.stdlib_module_names, *dir(builtins)})
"""Whose decorators enter nothing anywhere."""

Importing = ast.Import | ast.ImportFrom | ast.Call


@dataclass(frozen=True, slots=True)
class Said:
    """Of a source: statements and calls that import, texts that may be files or folders, and modules' names.

    ``at_once`` are the statements that its own import runs. ``acts``: that sets or calls something, as what enters
    itself in a registry does, beside defining names. ``variables`` are those of the environment that it reads.
    """

    importing: tuple[Importing, ...] = ()
    texts: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    at_once: tuple[Importing, ...] = ()
    acts: bool = False
    variables: frozenset[str] = frozenset()


@cache
def said(file: Path, _changed: int) -> Said:
    """Return what the source ``file`` says, as it was when it was ``_changed`` if that was asked for then."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return Said()
    importing: list[Importing] = []
    texts: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            ends = (end.value for end in node.values[-1:] if isinstance(end, ast.Constant))
            texts |= {f"*{end}" for end in ends if isinstance(end, str)}
        if isinstance(node, ast.Import | ast.ImportFrom) or (isinstance(node, ast.Call) and _name(node) in IMPORTERS):
            importing.append(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            texts.add(node.value if isinstance(node.value, str) else node.value.decode(errors="ignore"))
    behind = {part for text in texts for part in HOLE.split(text)[1:] if part.startswith("/")}
    names = (FILE_NAME.fullmatch(text.lstrip(".")) for text in texts | behind)
    modules = (MODULE_NAME.fullmatch(text) for text in texts)
    run = list(_run(tree.body))
    harmless = HARMLESS | {name for one in run for name, package in _imported(one).items() if package in HARMLESS}
    return Said(
        tuple(importing),
        frozenset(found[1] for found in names if found) | set(filter(HIDDEN.fullmatch, texts)),
        frozenset(found[1] for found in modules if found),
        tuple(one for one in run if isinstance(one, ast.Import | ast.ImportFrom)),
        any(_acts(one, harmless) for one in run),
        frozenset(_variables(tree)),
    )


def _variables(tree: ast.Module) -> Iterator[str]:
    """Yield the variables of the environment that a source reads, each named by a text or a constant of the source."""
    given = [(one.targets[0], one.value) for one in ast.walk(tree) if isinstance(one, ast.Assign)]
    constants = {target.id: value for target, value in given if isinstance(target, ast.Name)}
    for node in ast.walk(tree):
        asked: ast.expr | None = None
        if isinstance(node, ast.Call) and node.args:
            called, of = _name(node), getattr(node.func, "value", None)
            asked = node.args[0] if called == "getenv" or (called == "get" and _is_environment(of)) else None
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            asked = node.slice if _is_environment(node.value) else None
        elif isinstance(node, ast.Compare):
            asked = node.left if _is_environment(node.comparators[0]) else None
        value = constants.get(getattr(asked, "id", ""), asked)
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value


def _is_environment(node: object) -> bool:
    return getattr(node, "attr", getattr(node, "id", "")) == "environ"


def _run(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that an import runs, those in blocks too; of functions and classes only that they are."""
    for statement in statements:
        yield statement
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for block in ("body", "orelse", "finalbody"):
                yield from _run(getattr(statement, block, ()))
            for branch in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
                yield from _run(branch.body)


def _acts(statement: ast.stmt, harmless: Collection[str]) -> bool:
    """Return whether a statement calls something for its effect, or sets a part of something."""
    if isinstance(statement, ast.Expr):
        return not isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return any(isinstance(part, ast.Attribute | ast.Subscript) for one in targets for part in ast.walk(one))
    return any(_root(one) not in harmless for one in getattr(statement, "decorator_list", ()))


def _root(decorator: ast.expr) -> str:
    """Return the first name of what decorates, as ``bench`` of ``@bench.hookimpl``."""
    while isinstance(decorator, ast.Call | ast.Attribute):
        decorator = decorator.func if isinstance(decorator, ast.Call) else decorator.value
    return getattr(decorator, "id", "")


def _imported(statement: ast.stmt) -> dict[str, str]:
    """Return the names that a statement imports, each with the package that it is from."""
    if isinstance(statement, ast.Import):
        return {one.asname or one.name.partition(".")[0]: one.name.partition(".")[0] for one in statement.names}
    if isinstance(statement, ast.ImportFrom) and not statement.level:
        return {one.asname or one.name: str(statement.module).partition(".")[0] for one in statement.names}
    return {}


@cache
def imports(file: Path, _changed: int, module: str, *, at_once: bool = False) -> Collection[str]:
    """Return the dotted names of the modules that ``file``, the source of ``module``, imports or names anywhere.

    ``at_once``: of those that its own import imports.
    """
    names: dict[str, None] = {}
    is_package, told = file.name == "__init__.py", said(file, _changed)
    for node in told.at_once if at_once else told.importing:
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
    if at_once:
        return tuple(names)
    if is_package:  # its ``__all__``, or what a ``__getattr__`` of its own looks names up in
        named = [f"{module}.{text}" for text in told.texts if text.isidentifier()]
        names |= dict.fromkeys(one for one in sorted(named) if file_of(one) is not None)
    return tuple(names | dict.fromkeys(sorted(_named_modules(file, module, told, is_package=is_package))))


def _named_modules(file: Path, module: str, told: Said, *, is_package: bool) -> Iterator[str]:
    """Yield the modules that lie with ``module``, itself a source in ``file``, and that a text names, or a file's."""
    package = module if is_package else module.rpartition(".")[0]
    names = {text: "" for text in told.modules if not text.startswith(".")}
    scripts = [text.removesuffix(".py").replace("/", ".") for text in told.texts if text.endswith(".py")]
    relative = [*(text for text in told.modules if text.startswith(".")), *(f".{name}" for name in scripts)]
    names |= {_absolute(text, package): package for text in relative}
    above = [file.parent, *file.parents[: module.count(".") + is_package + 1]][-1]
    first = {name: name.partition(".")[0] for name in names if name}
    there = _entries(above, {f"{top}{ending}" for top in first.values() for ending in ("", ".py", *EXTENSION_SUFFIXES)})
    tops = {entry.partition(".")[0] for entry in there}
    for name in [name for name, top in first.items() if top in tops]:
        found = name
        while found not in {"", names[name]} and not _lies_in(above, file_of(found)):
            found = found.rpartition(".")[0]  # what is behind may be a class
        if found not in {"", names[name], module}:
            yield found


def _lies_in(folder: Path, file: Path | None) -> bool:
    return file is not None and file.is_relative_to(folder)


def _name(node: ast.Call) -> str:
    """Return the last part of the name of what is called; empty where it has none."""
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


def _called(node: ast.Call, module: str, is_package: bool) -> list[str]:
    """Return the module that a call of one of ``IMPORTERS`` names by a text, if it is one."""
    given = [*node.args[:2], *(keyword.value for keyword in node.keywords if keyword.arg in {"name", "package"})]
    texts = [one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    if not texts or (texts[0].startswith(".") and _name(node) == "__import__"):
        return [text.lstrip(".") for text in texts[:1]]
    package = texts[1] if len(texts) > 1 else module if is_package else module.rpartition(".")[0]
    return [_absolute(texts[0], package)]


def _absolute(text: str, package: str) -> str:
    """Return the whole name of a module that ``text`` names, from ``package`` on where dots stand before it."""
    name = text.lstrip(".")
    if name == text:
        return name
    above = package.split(".")
    return ".".join([*above[: len(above) - (len(text) - len(name)) + 1], name]).lstrip(".")


def named_files(file: Path, changed: int, module: str) -> list[tuple[str, Path]]:
    """Return the files that texts in the source ``file`` name: beside it, or in folders beside it that others name.

    Of a module in a package, also beside the packages above it. A package is such a folder, too, by its dotted name,
    and a list that is named, as a JSON file, may name others. Of a folder that is named, all files count that compiled
    code opens, and beside the source those that end as ``f"{name}.safetensors"`` and ``"*.safetensors"`` do.
    """
    if file.suffix != ".py" or not (texts := said(file, changed).texts):
        return []
    # As ``Path(__file__).with_suffix(".npz")`` and ``f"{name}_vectors.npz"`` put the module's own name before a text.
    texts = texts | {f"{file.stem}{text}" for text in texts if "." in text}
    packages = [*texts, *_members(said(file, changed).importing)]
    folders = {f"{form}/" for one in packages for form in (one.rpartition(".")[2], one.replace(".", "/"))}
    wanted = {*texts, *folders}
    above = module.count(".") + (file.name == "__init__.py")
    found: dict[str, Path] = {}
    for level, place in enumerate([file.parent, *file.parents[1:above]]):
        names, asked = _named_below(place, wanted), wanted
        while words := _words(place / name for name in names) - asked:
            asked = asked | words
            listed = _named_below(place, asked)
            names |= listed if len(listed) <= len(names) + MOST_LISTED else set()
        found |= {"../" * level + name: place / name for name in names if place / name != file}
    return sorted(found.items())


def _members(importing: Iterable[Importing]) -> Iterator[str]:
    """Yield what statements import by its dotted name, which may be a folder of tables."""
    for node in importing:
        if not isinstance(node, ast.Call):
            above = getattr(node, "module", "")
            yield from (f"{above}.{one.name}" if above else one.name for one in node.names)


def _words(files: Iterable[Path]) -> set[str]:
    """Return what may be names of files in those of ``files`` that are lists."""
    found: set[str] = set()
    for file in files:
        if file.suffix in LISTS:
            with contextlib.suppress(OSError, ValueError):
                if file.stat().st_size <= LONGEST_LIST:
                    found |= set(WORD.findall(file.read_text(encoding="utf-8")))
    return {match[1] for word in found if (match := FILE_NAME.fullmatch(word.lstrip(".")))}


def _named_below(place: Path, wanted: Collection[str], depth: int = 0) -> set[str]:
    """Return the files below ``place`` that ``wanted`` names: each a path, or one step of it, a folder's with a /."""
    folders = _entries(place, {text.partition("/")[0] for text in wanted})
    ends = [text[1:] for text in wanted if text.startswith("*") and text.endswith(UNHEARD)]
    tails = UNHEARD if depth else tuple(ends)
    unheard = [name for name, is_folder in folders.items() if name.endswith(tails) and not is_folder]
    found = set(unheard) if len(unheard) <= MOST_LISTED else set()
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
