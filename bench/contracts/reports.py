"""What a plugin adds to what is shown: a section of the report, a format of ``bench table``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.contracts.api import API_VERSION

if TYPE_CHECKING:
    from bench.contracts.trackers import TrackedTable


@dataclass(frozen=True, slots=True)
class ReportSection:
    """A section at the end of each data set's part of ``bench report``.

    ``summary`` is its heading. ``tables`` takes the folders of finished runs that compare, which ``bench.runs`` reads,
    and returns tables of texts and numbers; none: the section is left out there. Texts are escaped: a section brings
    neither markup nor scripts.
    """

    name: str
    summary: str
    tables: Callable[[Sequence[Path]], Sequence[TrackedTable]]
    source: str = ""
    api_version: int = API_VERSION


@dataclass(frozen=True, slots=True)
class TableFormat:
    """A format of ``bench table --format NAME``.

    ``render`` takes what ``--format json`` prints, a mapping for each table, and returns the text that is printed.
    """

    name: str
    summary: str
    render: Callable[[Sequence[Mapping[str, Any]]], str]
    source: str = ""
    api_version: int = API_VERSION
