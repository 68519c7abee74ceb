"""What shapes a row of a third party's and is in no key, as far as it can be seen: its notes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from bench.code import led_to_by, patches
from bench.guard import is_first_party
from bench.plugins import Found
from bench.system.modules import file_of
from bench.system.reads import read_by
from bench.system.source import closure, counted, variables
from bench.system.text import first_few
from bench.system.told import told

TOLD = 3
"""Most files that a note names."""

USUAL = re.compile("(BENCH|OMP|MKL|CUDA|HF|TORCH|XDG)_.*|(LOCAL_)?RANK|WORLD_SIZE|HOME|USER|PATH|TMPDIR")
"""Variables of the environment that say where things lie, and on what a run is computed."""


def uncounted(found: Found[Any], what: str, made: Iterable[object]) -> tuple[str, ...]:
    """Return notes on modules that the classes of ``made``, by the ``build`` of ``found``, are of, and no key holds.

    Such are found in a registry that they entered themselves in, or imported by a name that is made at run time.
    """
    if is_first_party(found.origin):
        return ()
    roots, within, _ = led_to_by(found)
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
    roots, within, _ = led_to_by(found)
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
    return (
        f"{first_few(names, TOLD)}, read by {what} '{found.spec.name}', is in no key: edited, it may give the"
        " stored run. Try: beside the code, with its name there as a text, or an option for what it says",
    )


def uncounted_variables(found: Found[Any], what: str) -> tuple[str, ...]:
    """Return a note on the variables of the environment that the plugin's part ``what`` reads, if there are any."""
    roots, within, _ = led_to_by(found)
    read = () if is_first_party(found.origin) else sorted(variables(roots, within))
    names = ", ".join(name for name in read if not USUAL.fullmatch(name))
    told = (
        f"{names} of the environment, read by {what} '{found.spec.name}', is in no key: set otherwise, it may give the"
        " stored run. Try: an option"
    )
    return (told,) if names else ()


def _shown(file: Path) -> str:
    """Return a file from where modules are imported on, and of one elsewhere the name: no path of this machine."""
    found = str(told(file, []))
    return file.name if Path(found).is_absolute() else found


def patched_by_others(parts: Iterable[Found[Any]]) -> tuple[str, ...]:
    """Return a note on functions of bench and its libraries that code other than that of ``parts`` has replaced."""
    found = patches(parts)
    if not found:
        return ()
    files = first_few(sorted({_shown(file) for file in found.values()}), TOLD)
    return (
        f"{first_few(list(found), TOLD)} is that of {files}, not the library's: what was computed with it may be"
        " another number. Try: without that plugin",
    )
