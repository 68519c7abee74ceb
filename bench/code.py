"""The code that a result was made by, as hashes in a run's config: an edited plugin is another run.

A plugin's part is what its ``build``, or a policy's or a decoder's functions, lead to within its distribution and where
nothing is installed, with their names and what they were made with. The host's parts are what features, training and
decoding lead to within ``bench``; tables, commands and reports are in none of them, so an edit there keeps every row.
Metrics are in it as far as they choose in training: measures and label sets follow from stored predictions, and are
checked by computing them again.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from bench.contracts import DatasetSpec
from bench.errors import PluginError
from bench.guard import HOST as HOST_NAME
from bench.guard import is_first_party
from bench.hookspecs import PROJECT
from bench.options import OptionValue
from bench.plugin_files import VERSION, within_folder
from bench.plugins import Found
from bench.system.files import digest, sha256_of
from bench.system.modules import is_installed, places_of
from bench.system.patched import MEASURING, patched
from bench.system.source import UNKNOWN, closure, code_hash, counted
from bench.system.told import STANDARD, attributes, is_code, name_of, reduced, told

HOST: dict[str, tuple[str, ...]] = {
    "features": ("bench.model.features", "bench.data.images", "bench.data.preprocess", "bench.data.loading"),
    "training": (
        "bench.model.train",
        "bench.model.arrays",
        "bench.model.estimators",
        "bench.model.finetune",
        "bench.model.predict",
        "bench.model.label_steps",
        "bench.data.splits",
    ),
    "decoding": ("bench.decode.decoder", "bench.decode.search", "bench.decode.annotated"),
}
"""What computes a run's predictions, by part; a part is its modules and all that they lead to within ``bench``."""

NOT_COMPUTING = frozenset(
    f"bench.{name}"
    for name in (
        "code",
        "errors",
        "guard",
        "contracts",
        "options",
        "plugin_files",
        "plugins",
        "spec_faults",
        "decode._beam",
        "model._update",
        "records.exhibits",
        "records.run_request",
    )
)
"""Modules that say, store or show something and shape no number; compiled modules count by their sources."""

COMPUTING_SYSTEM = frozenset({"bench.system.deterministic"})
"""All that counts of ``bench.system``, whose other modules are files, locks, words and clocks."""

LIBRARIES = frozenset({"numpy", "torch", "torchvision", "timm", "sklearn", "scipy", "onnx", "onnxruntime", "PIL"})
"""What a run's environment has the versions of: of a function or class of these that a ``build`` holds the name counts.

Their sources would be half a minute's work.
"""


def plugin_code(
    found: Found[Any],
    options: Mapping[str, OptionValue] = MappingProxyType({}),
    *,
    begins: bool = False,
    anew: bool = False,
) -> str:
    """Return the hash of the code behind a plugin's part, ``unknown`` where it has no source.

    What the files hold that its ``options`` name counts as code: whether its value is a path only the plugin knows.

    ``begins``: with a run, for which a file that the code names must be as it was, as ``code_hash`` says. ``anew``:
    with the values that a function was given as they are now, and not as they were when it first counted.
    """
    roots, within, values = led_to_by(found, anew=anew)
    _refuse_hidden(roots, closure(roots, within))
    named = option_files(found, options).items()
    values += [f"{name} names {_content(file, file.stat().st_ctime_ns)}" for name, file in named]
    reads = _reads_code if isinstance(found.spec, DatasetSpec) else _reads_all
    return code_hash(roots, within, values, reads, begins=begins) if roots else UNKNOWN


def option_files(found: Found[Any], options: Mapping[str, OptionValue]) -> dict[str, Path]:
    """Return the files that options of a third party's name, by option."""
    if is_first_party(found.origin):
        return {}
    # Any text may be an option's: pathlib raises for some, as ~nobody.
    texts = {name: os.path.expanduser(text) for name, text in options.items() if isinstance(text, str)}  # noqa: PTH111
    return {name: Path(text) for name, text in sorted(texts.items()) if os.path.isfile(text)}  # noqa: PTH113


@cache
def _content(file: Path, _changed: int) -> str:
    return sha256_of(file)


def _refuse_hidden(roots: Iterable[str], modules: Mapping[str, Path | None]) -> None:
    """Raise ``PluginError`` where one of ``modules`` is another checkout's, of the name of one beside ``roots``."""
    places = {place for root in roots for place in places_of(root.partition(".")[0]) if not is_installed(place)}
    for folder in {(one.parent.parent if one.name == "__init__.py" else one.parent).resolve() for one in places}:
        for name, file in modules.items():
            beside = (folder / f"{name.replace('.', '/')}{ending}" for ending in (".py", "/__init__.py"))
            own = next(filter(Path.is_file, beside), None)
            if own and file and own.resolve() != file.resolve() and not file.resolve().is_relative_to(folder):
                raise PluginError(f"it imports '{name}', and {file} comes before {own}. Try: another name for one")


def patches(parts: Iterable[Found[Any]] = ()) -> dict[str, Path]:
    """Return what third parties have put in place of functions of bench and its libraries, by name, each with its file.

    None of the libraries' in the code of ``parts``, which counts in their keys; bench's own measure every row alike.
    """
    own: set[Path] = set()
    for roots, within, _ in map(led_to_by, parts):
        own |= counted(roots, within)
    points = importlib.metadata.entry_points(group=PROJECT)
    named = {point.module.partition(".")[0] for point in points if point.dist and point.dist.name != HOST_NAME}
    packages = named.union(*map(_packages_of, _offering() - {HOST_NAME}))  # of an editable install only what is named
    theirs = patched(lambda package: package in packages or within_folder(package))
    counts = {name for name, file in theirs.items() if file not in own or name.startswith(f"{MEASURING}.")}
    return {name: theirs[name] for name in sorted(counts)}


def patches_code(found: Mapping[str, Path]) -> str:
    """Return a hash of ``patches``; empty of none."""
    return (
        digest(*(f"{name} {_content(file, file.stat().st_ctime_ns)}" for name, file in found.items())) if found else ""
    )


def led_to_by(found: Found[Any], *, anew: bool = False) -> tuple[list[str], Callable[[str], bool], list[str]]:
    """Return the modules that a plugin's functions are of, what says of others whether they count, and values."""
    spec = found.spec
    calls = [getattr(spec, name) for name in ("build", "fit", "label_sets", "search") if hasattr(spec, name)]
    made = [_made_of(call, anew=anew) for call in calls]
    roots = sorted({module for one in made for module in one.modules} | _plugin_file(found))
    others = frozenset[str]() if is_first_party(found.origin) else _offering() | _by_content()
    taken = frozenset[str]().union(*map(_packages_of, others)) - LIBRARIES
    within = _of(taken.union((root.partition(".")[0] for root in roots), _packages_of(found.origin.distribution)))
    return roots, within, sorted({text for one in made for text in one.values})


def _plugin_file(found: Found[Any]) -> set[str]:
    """Return the module of a plugin that is one file: what its options and hooks say counts, wherever its build is."""
    module = found.origin.distribution
    return {module} if found.origin.version == VERSION and within_folder(module) else set()


def images_code(images: object) -> str:
    """Return the hash of the code that makes a split's images where it is a plugin's; empty where it is the host's."""
    while type(images).__module__.startswith("bench.") and hasattr(images, "images"):
        if made_by := getattr(images, "made_by", ""):
            return str(made_by)
        images = images.images  # a plugin's, with their names or a part of them
    module = type(images).__module__
    package = module.partition(".")[0]
    return "" if package == "bench" else code_hash([module], _of({package}), reads=_reads_code)


def _reads_all(_: str) -> bool:
    return True


def _reads_code(name: str) -> bool:
    """Return whether a file that a source names counts of a data set, whose fingerprint has what it reads."""
    return name.endswith(".py")


def _of(packages: Collection[str]) -> Callable[[str], bool]:
    """Return what says of a module whether it is in ``packages`` or lies where nothing is installed.

    Such are files beside a plugin file, and whoever's checkout an editable install runs from: code under work.
    """
    uninstalled = cache(_is_uninstalled)

    def counts(module: str) -> bool:
        top = module.partition(".")[0]
        if top == "bench" or top in sys.stdlib_module_names:
            return False
        return top in packages or uninstalled(top)

    return counts


def _is_uninstalled(package: str) -> bool:
    """Return whether a top-level module or package, with or without ``__init__``, lies where nothing is installed."""
    found = places_of(package)
    return bool(found) and not any(map(is_installed, found))


def resampling_code() -> str:
    """Return the hash of the code that resamples metrics, ``unknown`` where a metric's has no source."""
    from bench.evaluation import metric_table

    resampled = {name: metric.resampled for name, metric in metric_table.by_name().items() if metric.resampled}
    roots = {"bench.evaluation.bootstrap", *(function.__module__ for function in resampled.values())}
    return code_hash(sorted(roots), lambda name: name.startswith("bench.evaluation"), sorted(resampled))


@cache
def host_code() -> dict[str, str]:
    """Return the hash of each of the host's parts; those of training and decoding hold compiled sources'."""
    from bench.decode import _beam
    from bench.model import _update

    extra = {"decoding": (f"csrc {_beam.source_hash}",), "training": (f"csrc {_update.source_hash}",)}
    return {part: code_hash(roots, _computes, extra.get(part, ())) for part, roots in HOST.items()}


def _computes(module: str) -> bool:
    if module.startswith(("bench.system", "bench.remote")):  # the latter fetches bytes, which the fingerprint is of
        return module in COMPUTING_SYSTEM
    return module.startswith("bench.") and module not in NOT_COMPUTING and not module.startswith("bench.contracts.")


@dataclass(frozen=True, slots=True)
class _Made:
    """What a ``build`` is put together from: modules of its functions and classes, their names, and what these hold.

    Names and values are texts. They may stand in a file of no code, as a package's ``__init__`` that only offers them.
    """

    build: Any
    given: tuple[str, ...]
    modules: frozenset[str]
    values: tuple[str, ...]


_made: dict[int, _Made] = {}
"""As they were when they first counted, by the place of each ``build``: what one keeps as it works is not its code.

Where a key is made they count again if what a function was given was changed in place, as a notebook may do.
"""


def _made_of(build: Any, *, anew: bool) -> _Made:
    """Return what a ``build`` is put together from; ``anew``: with what it was given as that is now."""
    known = _made.get(id(build))
    if known is not None and not (anew and known.given != _given(build)):
        return known
    found: dict[int, Any] = {}
    values: list[str] = []
    whose: list[str] = []
    waiting = [build]
    while waiting:
        one = waiting.pop()
        if id(one) in found:
            continue
        found[id(one)] = one
        waiting += _called_by(one)
        for held in _held_by(one):
            text = repr(told(held, waiting))
            values += [] if is_code(held) else [text]
            whose.append(f"{name_of(one)} {text}")
    modules = frozenset(module for one in found.values() if (module := _module_of(one)))
    names = {name_of(one) for one in found.values()}
    values += ["\n".join(whose)] if len(whose) > 1 else []  # of several, which is where
    _made[id(build)] = made = _Made(build, _given(build), modules, (*names, *values))
    return made


def _given(build: Any) -> tuple[str, ...]:
    """Return the plain values that a function or a partial one was made with, as texts."""
    found: list[str] = []
    for held in _held_by(build) if isinstance(build, partial) or inspect.isfunction(build) else ():
        code: list[Any] = []
        text = repr(told(held, code))
        found += [] if code else [text]
    return tuple(found)


def _called_by(one: Any) -> list[Any]:
    """Return what a callable calls: a partial's function, a method's and its object's class, what is wrapped."""
    if isinstance(one, partial):
        return [one.func]
    if inspect.ismethod(one):
        return [one.__func__, one.__self__ if isinstance(one.__self__, type) else type(one.__self__)]
    wrapped = [one.__wrapped__] if hasattr(one, "__wrapped__") else []
    return wrapped if isinstance(one, (type, ModuleType)) or inspect.isroutine(one) else [*wrapped, type(one)]


def _held_by(one: Any) -> Iterable[Any]:
    """Return what a callable was made with: a partial's arguments, a closure and defaults, an object's attributes."""
    if isinstance(one, partial):
        return (*one.args, *one.keywords.items())
    if inspect.isfunction(one):
        cells = [cell.cell_contents for cell in one.__closure__ or () if _filled(cell)]
        return (*cells, *(one.__defaults__ or ()), *(one.__kwdefaults__ or {}).items())
    of = getattr(one, "__self__", one)
    return () if isinstance(of, (type, ModuleType)) else attributes(of).items() or reduced(of)


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - asking is the test
    except ValueError:
        return False
    return True


def _module_of(one: Any) -> str:
    name = one.__name__ if isinstance(one, ModuleType) else str(getattr(one, "__module__", "") or "")
    top = name.partition(".")[0]
    # A plugin typed at a prompt lives in __main__, which counts as the standard library's.
    named = top == "bench" or top in LIBRARIES or top in STANDARD
    return "" if named else name


@cache
def _offering() -> frozenset[str]:
    """Return the distributions that offer plugins: what one takes of another's counts as its own."""
    points = importlib.metadata.entry_points(group=PROJECT)
    return frozenset(point.dist.name for point in points if point.dist is not None and point.dist.name)


@cache
def _by_content() -> frozenset[str]:
    """Return the distributions that were installed from a folder, a file or a repository: versions say nothing of them.

    So says all that conda installs, where versions do.
    """
    placed = (one for one in importlib.metadata.distributions() if one.read_text("direct_url.json"))
    ours = (
        one for one in placed if (one.read_text("INSTALLER") or "").strip() != "conda" and one.read_text("METADATA")
    )
    return frozenset(one.name for one in ours)


@cache
def _packages_of(distribution: str) -> frozenset[str]:
    """Return the top-level packages and modules, compiled ones too, that a distribution installs."""
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return frozenset()
    modules = [file for file in files if file.name.endswith((".py", *EXTENSION_SUFFIXES))]
    return frozenset(file.parts[0].partition(".")[0] for file in modules)  # of a module the name, of a package itself
