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
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.contracts import DatasetSpec
from bench.errors import PluginError
from bench.guard import is_first_party
from bench.plugin_files import VERSION, within_folder
from bench.plugins import Found
from bench.system.modules import file_of, is_installed, places_of
from bench.system.reads import read_by
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


TOLD = 3
"""Most files that a note names."""


def plugin_code(found: Found[Any], *, begins: bool = False, anew: bool = False) -> str:
    """Return the hash of the code behind a plugin's part, ``unknown`` where it has no source.

    ``begins``: with a run, for which a file that the code names must be as it was, as ``code_hash`` says. ``anew``:
    with the values that a function was given as they are now, and not as they were when it first counted.
    """
    roots, within, values = _led_to_by(found, anew=anew)
    _refuse_hidden(roots, closure(roots, within))
    reads = _reads_code if isinstance(found.spec, DatasetSpec) else _reads_all
    return code_hash(roots, within, values, reads, begins=begins) if roots else UNKNOWN


def _refuse_hidden(roots: Iterable[str], modules: Mapping[str, Path | None]) -> None:
    """Raise ``PluginError`` where one of ``modules`` is another checkout's, of the name of one beside ``roots``."""
    places = {place for root in roots for place in places_of(root.partition(".")[0]) if not is_installed(place)}
    for folder in {(one.parent.parent if one.name == "__init__.py" else one.parent).resolve() for one in places}:
        for name, file in modules.items():
            beside = (folder / f"{name.replace('.', '/')}{ending}" for ending in (".py", "/__init__.py"))
            own = next(filter(Path.is_file, beside), None)
            if own and file and own.resolve() != file.resolve() and not file.resolve().is_relative_to(folder):
                raise PluginError(f"it imports '{name}', and {file} comes before {own}. Try: another name for one")


def uncounted(found: Found[Any], what: str, made: Iterable[object]) -> tuple[str, ...]:
    """Return notes on modules that the classes of ``made``, by the ``build`` of ``found``, are of, and no key holds.

    Such are found in a registry that they entered themselves in, or imported by a name that is made at run time.
    """
    if is_first_party(found.origin):
        return ()
    roots, within, _ = _led_to_by(found)
    modules = {type(one).__module__ for one in made}
    unseen = sorted(name for name in modules - set(closure(roots, within)) if within(name) and file_of(name))
    return tuple(
        f"{name}, which {what} '{found.spec.name}' is made of, is in no key, as no import of its build leads there:"
        f" edited, it gives the stored run. Try: import {name} in the module of the build"
        for name in unseen
    )


def uncounted_files(found: Found[Any], what: str, handed: Collection[Path] = ()) -> tuple[str, ...]:
    """Return a note on the files that the plugin's part ``what`` has read so far and no key holds, if there are any.

    Their names were made at run time, or they lie elsewhere. None of them are those in ``handed``, folders and files
    that the host gives to plugins, and a package's ``__init__`` above a module that counts: where it matters, it
    counts itself.
    """
    if is_first_party(found.origin):
        return ()
    roots, within, _ = _led_to_by(found)
    own, given = counted(roots, within), {place.resolve() for place in handed}
    above = {folder / "__init__.py" for file in own for folder in file.parents}
    read = read_by(
        own, *(f"{found.origin}, {part}" for part in (found.origin.entry_point, f"{what} '{found.spec.name}'"))
    )
    names = sorted(
        {_shown(file) for file in read if file not in own | above and given.isdisjoint((file, *file.parents))}
    )
    if not names:
        return ()
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return (
        f"{', '.join(names[:TOLD])}{more}, read by {what} '{found.spec.name}', is in no key: edited, it may give the"
        " stored run. Try: beside the code, with its name there as a text, or an option for what it says",
    )


def _shown(file: Path) -> str:
    """Return a file from where modules are imported on, and of one elsewhere the name: no path of this machine."""
    found = str(told(file, []))
    return file.name if Path(found).is_absolute() else found


def _led_to_by(found: Found[Any], *, anew: bool = False) -> tuple[list[str], Callable[[str], bool], list[str]]:
    """Return the modules that a plugin's functions are of, what says of others whether they count, and values."""
    spec = found.spec
    calls = [getattr(spec, name) for name in ("build", "fit", "label_sets", "search") if hasattr(spec, name)]
    made = [_made_of(call, anew=anew) for call in calls]
    roots = sorted({module for one in made for module in one.modules} | _plugin_file(found))
    within = _of(frozenset(root.partition(".")[0] for root in roots) | _packages_of(found.origin.distribution))
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
def _packages_of(distribution: str) -> frozenset[str]:
    """Return the top-level packages and modules, compiled ones too, that a distribution installs."""
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return frozenset()
    modules = [file for file in files if file.name.endswith((".py", *EXTENSION_SUFFIXES))]
    return frozenset(file.parts[0].partition(".")[0] for file in modules)  # of a module the name, of a package itself
