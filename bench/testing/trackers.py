"""A tracker under its checks: opened in a folder of its own, told of a made-up run and table."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bench.contracts import Series, TrackedRun, TrackedTable, TrackerRequest, TrackerSpec
from bench.errors import NotRun
from bench.options import OptionValue
from bench.plugins import Origin
from bench.testing.checks import Table, require
from bench.testing.common import add_common

TABLE = TrackedTable(
    "0123456789abcdef", "a table", ("model", "O-F1"), (("bce", 0.5), ("cnn-rnn", None)), ("percent", "made up")
)
RUN = TrackedRun(
    key="fedcba9876543210",
    dataset="made-up",
    model="bce",
    seed=0,
    finished=1_700_000_000.0,
    config={"model.name": "bce", "training.epochs": 2, "seed": 0, "device": "cpu"},
    series=(Series("training/loss", (1, 2), (1.0, 0.5)), Series("validation/score", (1, 2), (0.2, 0.3))),
    measures={"O-F1": 0.5, "mAP": 0.25},
    per_class=TABLE,
)
"""What a tracker is told in its checks."""


@dataclass(slots=True)
class TrackerPart:
    """One tracker under its checks, with its options, resolved."""

    spec: TrackerSpec
    origin: Origin | str
    options: Mapping[str, OptionValue]
    kind: str = "tracker"
    folders: tuple[str, ...] = ("told",)

    @property
    def name(self) -> str:
        """Return the tracker's name."""
        return self.spec.name

    def tell(self, *told: TrackedRun | TrackedTable, folder: str = "told") -> list[str]:
        """Return where each of ``told`` is found, after the tracker was opened in ``folder`` and told of them."""
        try:
            tracker = self.spec.open(TrackerRequest(self.options, Path(folder).absolute()))
            return [tracker.run(one) if isinstance(one, TrackedRun) else tracker.table(one) for one in told]
        except ImportError as error:
            if not self.spec.requires:
                raise
            raise NotRun(f"{error}. Its package is not installed: pip install '{self.spec.requires}'") from error


TRACKER_CHECKS = Table()
check = TRACKER_CHECKS.check


@check(
    "told of a run and a table, it says where a user finds them",
    remedy="run and table return a path or an address, as text",
)
def says_where(part: TrackerPart) -> str:  # noqa: D103 - the claim says it, here and below
    found = part.tell(RUN, TABLE)
    require(all(isinstance(where, str) and where.strip() for where in found), f"it says {found}")
    return found[0].removeprefix(f"{Path.cwd()}/")


@check(
    "told of the same again, it says the same place, and holds nothing twice",
    remedy="name what you write after run.key and table.key, and replace it",
    needs=["says_where"],
)
def told_again_it_replaces(part: TrackerPart) -> None:  # noqa: D103
    first = part.tell(RUN, TABLE)
    before = _files(part)
    again = part.tell(RUN, TABLE)
    require(first == again, f"it says {again}, before: {first}")
    require(not (new := sorted(_files(part) - before)), f"{len(new)} more files, as {new[:1]}")


@check(
    "runs of other seeds are kept apart",
    remedy="name what you write after run.key, which is the hash of its whole config",
    needs=["says_where"],
)
def runs_are_kept_apart(part: TrackerPart) -> None:  # noqa: D103
    one, other = part.tell(RUN, replace(RUN, key="f" * 16, seed=1))
    require(one != other, f"two runs are both at {one}")


@check(
    "a run without curves, undefined cells and odd names are taken",
    remedy="names may hold any sign; an absent measure and an empty series are none",
    needs=["says_where"],
)
def odd_values_are_taken(part: TrackerPart) -> None:  # noqa: D103
    odd = {**RUN.config, "model.options.note": "../a b\n'\"%s \N{SNOWMAN}"}
    part.tell(
        replace(RUN, key="1" * 16, series=(), measures={}, config=odd, model="bench-x:m+1", dataset="own/data set"),
        replace(TABLE, key="2" * 16, title="odd | title", rows=(("a|b", None), ("", math.pi))),
    )


def _used(part: TrackerPart) -> None:
    part.tell(RUN, TABLE)


add_common(TRACKER_CHECKS, _used, "says_where")


@check("what it costs is told and not judged", remedy="", needs=["says_where"])
def cost(part: TrackerPart) -> str:  # noqa: D103
    started = time.perf_counter()
    part.tell(RUN, TABLE)
    return f"a run and a table told in {time.perf_counter() - started:.2f} s"


def _files(part: TrackerPart) -> set[str]:
    return {str(path) for folder in part.folders for path in Path(folder).rglob("*") if path.is_file()}
