"""Checks that parts of every kind share: what a plugin does to the process, the disk and the network."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.data.pictures import silence_pillow
from bench.errors import NotRun
from bench.system.deterministic import deterministic
from bench.system.global_state import changes
from bench.testing.checks import Table, require
from bench.testing.sandbox import sandboxed

Use = Callable[[Any], Any]
"""Has a part do all that it is for, once."""

BORDER = "the border puts it back, and a notebook's does not. Set it in a `with` block, or not at all"


@dataclass(frozen=True, slots=True)
class Left:
    """What the use of a part left behind: settings changed, files written elsewhere, machines asked for."""

    settings: tuple[str, ...]
    files: tuple[str, ...]
    machines: tuple[str, ...]


def add_common(table: Table, use: Use, needs: str) -> None:
    """Add to ``table`` the checks of what a part leaves behind when it is used, by ``use``, after ``needs`` passed."""
    seen: list[tuple[Any, Left]] = []

    def left_by(part: Any) -> Left:
        for one, left in seen:
            if one is part:
                return left
        seen.append((part, left := _left(part, use)))
        return left

    @table.check("it leaves global state as it was", remedy=BORDER, needs=[needs])
    def leaves_global_state(part: Any) -> None:
        _require_none(left_by(part).settings, "changed")

    @table.check(
        "it writes nothing outside the folder that it is given",
        remedy="write below the request's cache or folder, or tempfile.mkdtemp()",
        needs=[needs],
    )
    def writes_nothing_elsewhere(part: Any) -> None:
        _require_none(left_by(part).files, "wrote")

    @table.check(
        "it asks no other machine",
        remedy="let the user download, as bench data download and --weights do, and say so in the error",
        needs=[needs],
    )
    def asks_no_network(part: Any) -> None:
        _require_none(left_by(part).machines, "asked for")


def _require_none(found: Sequence[str], did: str) -> None:
    require(not found, f"it {did} {', '.join(found[:3])}{' ...' if len(found) > 3 else ''}")


def _left(part: Any, use: Use) -> Left:
    # What the host itself sets, for a training and for pictures, is no change of the plugin's.
    silence_pillow()
    with deterministic():
        pass
    with sandboxed() as heard:
        with changes() as changed:
            use(part)
        given = getattr(part, "folders", ())
        names = [path.name for path in heard.folder.iterdir()]
    # Random generators start from the run's seed and are put back: a plugin may draw from them.
    settings = tuple(name for name in changed if "random" not in name)
    here = [f"{name} in the working directory" for name in names if name not in given and not name.startswith("tmp")]
    return Left(settings, (*heard.written, *here), tuple(dict.fromkeys(heard.asked)))


def pickled(thing: Any) -> Any:
    """Return ``thing`` as a worker process gets it. Raises ``NotRun`` for a class that stands inside a function."""
    within = getattr(thing, "model", thing)  # of arrays: behind the host's module
    if "<locals>" in (name := type(within).__qualname__):
        raise NotRun(f"{name} stands inside a function; at the top of a module that build imports it can be pickled")
    return pickle.loads(pickle.dumps(thing))
