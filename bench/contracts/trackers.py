"""Trackers: what they are told of runs and tables, and how a plugin gives one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.contracts.api import API_VERSION
from bench.options import Option, OptionValue


@dataclass(frozen=True, slots=True)
class Series:
    """One curve of a run's training: a value at each epoch, counted from 1.

    ``training/loss``, ``training/learning_rate`` and ``validation/score`` are of the learning rate that was kept;
    those of another one tried begin with it, as in ``tried lr 0.0003/training/loss``.
    """

    name: str
    epochs: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TrackedTable:
    """A table as rows of texts and numbers; ``None``: undefined. Tables of one ``key`` are the same table, made anew.

    Numbers are in the units that ``title`` names, unrounded. ``notes`` are what a reader must know beside them.
    """

    key: str
    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """What is stored of a finished run, as trackers take it. ``key`` is the hash of its config, 16 hex digits.

    ``config`` is flat, as in ``model.options.cell``; lists are JSON texts. ``measures`` are as in measures.json,
    fractions by name; undefined ones are absent. ``finished`` is when, in seconds since 1970.
    """

    key: str
    dataset: str
    model: str
    seed: int
    finished: float
    config: Mapping[str, OptionValue]
    series: tuple[Series, ...]
    measures: Mapping[str, float]
    per_class: TrackedTable


@dataclass(frozen=True, slots=True)
class TrackerRequest:
    """How a tracker is opened: its resolved options, and a folder of its own for what it keeps on this machine."""

    options: Mapping[str, OptionValue]
    folder: Path


class Tracker(Protocol):
    """An open tracker. Told of the same key again, it replaces what it holds, so that nothing stands twice.

    Both return where a user finds it: a path or an address. Whatever they raise is one line to the user.
    """

    def run(self, run: TrackedRun) -> str: ...
    def table(self, table: TrackedTable) -> str: ...


@dataclass(frozen=True, slots=True)
class TrackerSpec:
    """A place that experiments are followed in. ``requires`` is what pip installs where ``open`` lacks a package."""

    name: str
    summary: str
    open: Callable[[TrackerRequest], Tracker]
    options: tuple[Option, ...] = ()
    requires: str = ""
    source: str = ""
    api_version: int = API_VERSION
