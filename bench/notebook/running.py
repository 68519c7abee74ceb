"""Runs made from a script: the same as ``bench run`` and ``bench compare``, stored in the same folders."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.notebook.stored import Runs, StoredRun, as_names
from bench.options import OptionValue
from bench.records import RunRequest
from bench.system.files import default_cache
from bench.system.threads import bound_waiting

_UNDER_WAY = threading.Lock()
"""Held while runs are made: training sets random state and algorithms of torch that hold for the whole process."""


def run(
    model: str,
    dataset: str,
    *,
    options: Mapping[str, OptionValue] | None = None,
    backbone: str = "",
    protocol: str = "",
    policy: str = "",
    name: str = "",
    data_root: str | Path | None = None,
    weights: str | Path | None = None,
    train_split: str | None = None,
    test_split: str | None = None,
    finetune: int | None = None,
    trials: int | None = None,
    seed: int = 0,
    out: str | Path = "runs",
    cache: str | Path | None = None,
    device: str = "cpu",
    engine: str = "auto",
    export: bool = False,
) -> StoredRun:
    """Return the run of one model on one data set, made now, continued, or found done under ``out``.

    Keywords are those of ``bench run``; ``options`` are what ``--set`` takes, as in ``{"cell": "gru",
    "dataset.k": 5}``. With ``export`` the model also lies as ONNX in the run folder's ``onnx``.
    Raises ``BenchError`` for what cannot be run, or what a plugin raises; the failure is stored first. One thread of a
    process at a time: a second one gets a ``UsageError``.
    """
    request = as_request(locals())
    with _alone():
        from bench.pipeline import run_one

        folder = run_one(request)
        if export:
            from bench.exported.publish import export_beside

            export_beside(folder)
    return StoredRun(folder)


def compare(
    models: str | Sequence[str],
    dataset: str,
    *,
    seeds: int = 1,
    options: Mapping[str, OptionValue] | None = None,
    backbone: str = "",
    protocol: str = "",
    policy: str = "",
    name: str = "",
    data_root: str | Path | None = None,
    weights: str | Path | None = None,
    train_split: str | None = None,
    test_split: str | None = None,
    finetune: int | None = None,
    trials: int | None = None,
    out: str | Path = "runs",
    cache: str | Path | None = None,
    device: str = "cpu",
    engine: str = "auto",
    prior: bool = True,
) -> Runs:
    """Return the runs of each model with seeds 0, 1, ..., ``seeds`` of them; what is stored already is not made again.

    Keywords are those of ``bench compare``; ``prior`` adds the label prior where it is not named. An option goes to the
    models that have it, ``"cnn-rnn.cell"`` to one. Names and options are checked before anything is run, and raise
    ``UsageError``. A run that fails is a run with its ``state`` and ``reason``; the others go on, but where data or
    backbone of all cannot be opened: then what a run would raise is raised. One thread of a process at a time, as with
    ``run``.
    """
    request = as_request(locals(), model="", seed=0)
    names, count = as_names("models", models), whole("seeds", seeds, 1)
    with _alone():
        from bench.sweep import plan_runs, sweep

        return Runs(
            [StoredRun.of(summary) for summary in sweep(plan_runs(request, names, count, controls=bool(prior)))]
        )


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Hold the process's only place for making runs, or raise ``UsageError``."""
    if not _UNDER_WAY.acquire(blocking=False):
        raise UsageError(
            "a bench.run or bench.compare is under way in this process, and training sets torch's state for all of its"
            " threads. Wait for it, or use another process"
        )
    try:
        from bench.assembly import open_anew

        open_anew()
        bound_waiting()
        yield
    finally:
        _UNDER_WAY.release()


def as_request(given: Mapping[str, Any], **changes: Any) -> RunRequest:
    """Return what a function's arguments ask for, by the names of a request's fields, each value of its type.

    ``changes`` go before them. Raises ``UsageError`` naming the keyword.
    """
    values = {field.name: given[field.name] for field in fields(RunRequest) if field.name in given}
    values |= {"sets": as_sets(given["options"])} | changes
    for name in ("model", "dataset", "backbone", "protocol", "policy", "device", "engine", "name"):
        if not isinstance(values.get(name, ""), str):
            raise UsageError(f"{name}: found {values[name]!r}, allowed: text")
    for name in ("train_split", "test_split"):
        if not isinstance(values.get(name), str | None):
            raise UsageError(f"{name}: found {values[name]!r}, allowed: text or None")
    for name in filter(values.__contains__, ("data_root", "weights", "out", "cache")):
        none = {"", None} if name == "out" else {""}
        if not isinstance(values[name], str | Path | None) or values[name] in none:
            raise UsageError(f"{name}: found {values[name]!r}, allowed: a path")
        values[name] = None if values[name] is None else Path(values[name])
    values["cache"] = values["cache"] or default_cache()
    values["seed"] = whole("seed", values["seed"], 0)
    values |= {
        name: whole(name, values[name], least)
        for name, least in (("finetune", 0), ("trials", 1))
        if values.get(name) is not None
    }
    return RunRequest(**values)


def whole(name: str, value: Any, least: int) -> int:
    """Return a whole number, NumPy's too. Raises ``UsageError`` naming the keyword for what is none, or too small."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < least:
        raise UsageError(f"{name}: found {value!r}, allowed: whole numbers from {least}")
    return int(value.__index__())


def as_sets(options: Mapping[str, OptionValue] | None) -> tuple[str, ...]:
    """Return options as ``--set`` takes them."""
    if options is not None and not isinstance(options, Mapping):
        raise UsageError(f"options: found {options!r}, allowed: a dict, as in {{'beam_width': 5}}")
    sets = []
    for name, given in (options or {}).items():
        # A NumPy number is one of Python's.
        value = given.item() if hasattr(given, "item") and getattr(given, "ndim", None) == 0 else given
        if not isinstance(name, str) or not name.strip() or "=" in name:
            raise UsageError(f"options: found the name {name!r}, allowed: names. See: bench list --options")
        if not isinstance(value, bool | int | float | str):
            raise UsageError(f"option {name}: found {given!r}, allowed: True or False, a number or text")
        sets.append(f"{name}={value}")
    return tuple(sets)
