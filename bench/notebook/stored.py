"""Stored runs as a script reads them: each file read and checked when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from bench.errors import StoreError, UsageError
from bench.records import BoolArray, LabelSets, Ledger, Measures, Scores
from bench.records.checks import freeze
from bench.remote.address import is_remote
from bench.store import runs as stored_runs
from bench.store.mirror import synchronised
from bench.store.run_folder import RunFolder
from bench.store.stored import RunSummary, Truth, ValidationPart

if TYPE_CHECKING:
    from bench.notebook.table import RunTable


LEFT = 'style="text-align:left"'
"""Notebooks set cells to the right."""


class StoredRun:
    """One stored run. What is asked for is read, checked against its checksum, and kept; nothing is written.

    ``state`` is done, failed, unfinished, damaged or "not run", and ``reason`` says why it is not done. What a run does
    not hold raises ``StoreError`` with that reason. Arrays are (images, labels), ordered as ``ids`` and ``labels`` are.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder: RunFolder | None = folder

    @classmethod
    def of(cls, summary: RunSummary) -> StoredRun:
        """Return the run that ``summary`` is of; one that failed before it had a folder has no key."""
        run = cls(RunFolder(summary.path))
        run._folder = run._folder if summary.key else None
        run.__dict__["summary"] = summary
        return run

    @cached_property
    def summary(self) -> RunSummary:
        """Return how the run stands and what it measured, every file of it checked."""
        return self._stored.summary()

    @property
    def key(self) -> str:
        """Return the hash of the config, 16 hex digits; empty for a run that failed before it had a folder."""
        return self._folder.path.name if self._folder else ""

    @property
    def path(self) -> Path:
        """Return the run's folder; of a run that has none, the folder of runs."""
        return self._folder.path if self._folder else self.summary.path

    @property
    def state(self) -> str:
        """Return done, failed, unfinished, damaged, or "not run": beyond this machine or its data."""
        return self.summary.state

    @property
    def done(self) -> bool:
        """Return whether the run is finished and whole."""
        return self.state == "done"

    @property
    def reason(self) -> str:
        """Return why the run is not done; empty where it is."""
        return self.summary.reason

    @property
    def config(self) -> dict[str, Any]:
        """Return everything that shaped the result; of a damaged run, what can be told of it."""
        return self._config

    @property
    def model(self) -> str:
        """Return the model's name."""
        return str(self._config["model"]["name"])

    @property
    def dataset(self) -> str:
        """Return what the data set is called: the name that it was given, or its plugin's."""
        name = str(self._config["dataset"]["name"])
        try:
            return (self._folder.read_about().dataset if self._folder else "") or name
        except StoreError:
            return name

    @property
    def seed(self) -> int | None:
        """Return the seed; ``None`` where damage hides it."""
        seed = self._config.get("seed")
        return None if seed is None else int(seed)

    @property
    def protocol(self) -> str:
        """Return the evaluation protocol's name; empty where the run did not come that far, or damage hides it."""
        return str(self._config.get("protocol", ""))

    @property
    def measures(self) -> Measures:
        """Return what the protocol measured."""
        if self.summary.measures is None:
            raise self._lacks("measures")
        return self.summary.measures

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what was noted of the data set, and of the run or of somebody's own scores."""
        about = self.summary.about
        return (*about.notes, *about.remarks)

    @property
    def trials(self) -> Ledger | None:
        """Return the trials that chose the options; ``None`` where none were asked for."""
        return self._stored.read_trials() if self._stored.lists("trials") else None

    @property
    def per_class(self) -> Mapping[str, tuple[float, ...]]:
        """Return ap, precision, recall, support and predicted, each with a value per label (NaN: undefined)."""
        return self.measures.per_class

    @cached_property
    def scores(self) -> Scores:
        """Return the scores of the test part: ``.values`` is memory-mapped, ``.kind`` says what they mean."""
        return self._stored.read_scores()

    @property
    def truth(self) -> BoolArray:
        """Return which labels are true."""
        return self._truth.truth

    @property
    def ignore(self) -> BoolArray | None:
        """Return which pairs count neither way; ``None`` where all count."""
        return self._truth.ignore

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids of the test images."""
        return self._truth.ids

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the label names."""
        return self._truth.labels

    @cached_property
    def predicted(self) -> BoolArray:
        """Return the label sets as the run's policy, or else the protocol, read them."""
        predicted = self._stored.read_predicted()
        freeze(predicted)
        return predicted

    @cached_property
    def label_sets(self) -> LabelSets | None:
        """Return the label sequences; ``None`` for a model that makes none."""
        # Of a run that is not whole, what is absent and what is damaged must not look alike.
        if self.done and not self._stored.has("label_sets"):
            return None
        return self._stored.read_label_sets()

    @cached_property
    def validation(self) -> ValidationPart:
        """Return truth and predictions of the validation part, by which label-set policies are chosen."""
        part = self._stored.read_validation()
        _freeze_truth(part.truth)
        freeze(part.prediction.predicted)
        return part

    def intervals(self) -> dict[str, tuple[float, float]]:
        """Return by metric where 95 % of resamples of the test images lie, (low, high), as ``bench score`` prints it.

        They are drawn once, and then kept in the user's cache folder.
        """
        from bench.show import intervals
        from bench.store.resamples import kept_in
        from bench.system.files import default_cache

        _, found = intervals.of_run(self._stored, kept_in(default_cache()))
        return {metric: (one.low, one.high) for metric, one in found.items()}

    def by_policy(self, name: str) -> StoredRun:
        """Return this run under the label-set policy called ``name``, made now if it is not there: nothing is trained.

        Raises ``UsageError`` for an unknown policy or one that is not for such a model.
        """
        from bench.store.derived import derive

        if not isinstance(name, str):
            raise UsageError(f"name: found {name!r}, allowed: a policy, as in 'threshold'. See: bench list policies")
        return StoredRun(derive(self._stored, name))

    @cached_property
    def timings(self) -> dict[str, Any]:
        """Return wall times by stage, in seconds, and thread counts."""
        return self._stored.read_timings()

    @cached_property
    def _config(self) -> dict[str, Any]:
        # Without the checksums of all other files, which the summary computes.
        if self._folder is None or "summary" in self.__dict__:
            return self.summary.config
        try:
            return self._folder.config
        except StoreError:
            return self.summary.config

    @cached_property
    def _truth(self) -> Truth:
        truth = self._stored.read_truth()
        _freeze_truth(truth)
        return truth

    @property
    def _stored(self) -> RunFolder:
        if self._folder is None:
            raise self._lacks("folder")
        return self._folder

    def _lacks(self, what: str) -> StoreError:
        reason = " ".join(self.reason.split())
        return StoreError(f"{self.model} on {self.dataset}, seed {self.seed}, has no {what}: {self.state}: {reason}")

    def __repr__(self) -> str:
        reason = "" if self.done else f": {self.reason}"
        return f"<run {self.key or '-'}: {self.model} on {self.dataset}, seed {self.seed}, {self.state}{reason}>"


def _freeze_truth(truth: Truth) -> None:
    for array in (truth.truth, truth.ignore):
        if array is not None:
            freeze(array)


class Runs(Sequence[StoredRun]):
    """Stored runs in order. A slice is again ``Runs``; ``table()`` is one row per model and options."""

    def __init__(self, runs: Sequence[StoredRun]) -> None:
        self._runs = tuple(runs)

    def __len__(self) -> int:
        return len(self._runs)

    @overload
    def __getitem__(self, place: int) -> StoredRun: ...
    @overload
    def __getitem__(self, place: slice) -> Runs: ...
    def __getitem__(self, place: int | slice) -> StoredRun | Runs:
        return Runs(self._runs[place]) if isinstance(place, slice) else self._runs[place]

    def __iter__(self) -> Iterator[StoredRun]:
        return iter(self._runs)

    def table(self, columns: str | Sequence[str] = (), *, mix: bool = False) -> RunTable:
        """Return means and spreads over seeds, a row for each model and options, as ``bench table`` prints them.

        ``columns`` are the usual ones if none is named, or any value that the runs hold, as in "I-F1". Raises
        ``StoreError`` where the runs do not compare, unless ``mix``, and where there are none.
        """
        from bench.notebook.table import RunTable
        from bench.show import tables

        summaries = stored_runs.each_once(run.summary for run in self)
        chosen = tables.columns_named(as_names("columns", columns), summaries)
        return RunTable(tables.build(summaries, chosen, mix))

    def __repr__(self) -> str:
        return "\n".join([f"{len(self)} runs", *map(repr, self)])

    def _repr_html_(self) -> str:
        header = "".join(f"<th {LEFT}>{name}</th>" for name in ("dataset", "model", "seed", "state", "key", "reason"))
        cells = [(run.dataset, run.model, run.seed, run.state, run.key, run.reason) for run in self]
        rows = "".join(f"<tr>{''.join(f'<td {LEFT}>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in cells)
        return f"<table><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>"


def runs(
    folder: str | Path = "runs", *, dataset: str = "", models: str | Sequence[str] = (), protocol: str = ""
) -> Runs:
    """Return the runs stored under ``folder``: all, or those of a data set, of models in this order, of a protocol.

    ``folder`` may be a store, its part for a data set or a model, a run's own, or an address as s3://bucket/runs, of
    which the copy here is brought up to date first. Failed and damaged runs are among them, with their ``state`` and
    ``reason``; where damage hides the protocol, a run counts as of any. Raises ``StoreError`` where there is no such
    folder.
    """
    root, order = as_place("folder", folder), as_names("models", models)
    root = synchronised(root) if is_remote(folder) else root
    if not root.is_dir():
        raise StoreError(f"no folder {root}. Try: bench.run('bce', 'digit-scenes', out={str(root)!r})")
    held = [RunFolder(root)] if stored_runs.is_run(root) else stored_runs.below(root)
    found = [StoredRun(one) for one in held if stored_runs.is_of(one, dataset, order)]
    kept = [run for run in found if is_of(run, dataset, protocol) and (not order or run.model in order)]
    return Runs(sorted(kept, key=lambda run: order.index(run.model)) if order else kept)


def is_of(run: StoredRun, dataset: str, protocol: str) -> bool:
    """Return whether a run is of this data set and protocol, as far as damage lets it be told; empty: any."""
    named = not dataset or dataset in {run.dataset, run.config["dataset"]["name"]}
    return named and (not protocol or run.protocol in {protocol, ""})


def as_place(keyword: str, given: str | Path) -> Path:
    """Return a folder's path. Raises ``UsageError`` for what is none."""
    if not isinstance(given, str | Path) or given == "":
        raise UsageError(f"{keyword}: found {given!r}, allowed: a path")
    return Path(given)


def as_names(keyword: str, given: str | Sequence[str]) -> tuple[str, ...]:
    """Return names given one by one, or as the command line takes them: "cnn-rnn,bce"."""
    names = given.split(",") if isinstance(given, str) else list(given) if isinstance(given, Iterable) else [given]
    if not all(isinstance(name, str) for name in names):
        raise UsageError(f"{keyword}: found {given!r}, allowed: names")
    return tuple(filter(None, (name.strip() for name in names)))
