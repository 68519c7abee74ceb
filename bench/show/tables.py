"""Tables as pure functions of stored runs: one row per model and options, the mean and spread over its seeds.

    RunSummary, ... -> build() -> Table -> bench.show.rendering

Nothing is computed from pictures or networks here: values are what the runs' protocol measured.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.contracts import KNOWN_SHARE, Direction, Metric
from bench.errors import StoreError, unknown
from bench.evaluation import metric_table
from bench.evaluation.significance import Difference, Distributions, ties
from bench.show import plugin_metrics, table_notes, trials
from bench.show.row_labels import flatten, row_labels
from bench.store import external
from bench.store.external import EXTERNAL
from bench.store.protocol import stored_code
from bench.store.stored import RunSummary
from bench.system.files import canonical_json


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``key`` in the measured values, shown times ``scale`` with ``digits`` decimals.

    ``direction`` says which value is marked as the best; the mean number of labels has no better or worse.
    """

    name: str
    key: str
    scale: float = 100.0
    digits: int = 1
    direction: Direction = "higher"

    @property
    def percent(self) -> bool:
        """Return whether fractions are shown as percent."""
        return self.scale == 100.0

    @classmethod
    def of(cls, metric: Metric) -> Column:
        """Return the column of ``metric``."""
        return cls(metric.heading, metric.name, metric.scale, metric.digits, metric.direction)


def usual_columns() -> tuple[Column, ...]:
    """Return the columns of a table where none are asked for: the metrics, plugins' too, that have a heading."""
    added = (found.spec for found in plugin_metrics.added().values())
    return tuple(map(Column.of, (*metric_table.with_columns(), *(metric for metric in added if metric.column))))


TIE = "≈"

AMOUNTS = {
    "exactly k": "exactly k labels an image",
    "at most k": "at most k labels an image",
    "any number": "any number of labels an image",
}
"""How many labels the rows of a table have, in words, where they do not compare by what the protocol asks for."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The mean over ``n`` seeds, and their sample standard deviation where there are two or more; in shown units."""

    mean: float
    spread: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Row:
    """One model with its options. ``cells`` is empty where no seed has finished; ``failures`` says why.

    ``keys`` are of its runs: first the finished ones, in the order of ``seeds``. ``unmeasured`` maps a column's name to
    the seeds whose runs are older than its metric.
    """

    label: str
    model: str
    seeds: tuple[int, ...]
    cells: Mapping[str, Cell]
    failures: tuple[str, ...]
    keys: tuple[str, ...]
    unmeasured: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows and columns, what they were measured on, and what a reader must know beside the numbers.

    ``ties`` are (row label, column key) that other test images could have put above the column's best value, of the
    column keys in ``resampled``, which is empty where nothing was told apart;
    ``differences`` those of each pair of rows, where they were asked for. ``mixed``: rows do not compare, so that no
    value is the best of its column.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    ties: frozenset[tuple[str, str]] = frozenset()
    differences: tuple[Difference, ...] = ()
    resampled: frozenset[str] = frozenset()
    mixed: bool = False

    def best(self, column: Column) -> float | None:
        """Return the best value of ``column`` as shown, rounded, so that equal looks share the mark."""
        if column.direction == "none" or len(self.rows) < 2 or self.mixed:
            return None
        shown = [round(row.cells[column.name].mean, column.digits) for row in self.rows if column.name in row.cells]
        return min(shown, default=None) if column.direction == "lower" else max(shown, default=None)

    def is_best(self, row: Row, column: Column) -> bool:
        """Return whether ``row`` holds the column's best value."""
        cell = row.cells.get(column.name)
        return cell is not None and round(cell.mean, column.digits) == self.best(column)

    def is_tied(self, row: Row, column: Column) -> bool:
        """Return whether ``row`` cannot be told from the column's best by the test images."""
        return (row.label, column.key) in self.ties


def columns_named(names: Sequence[str], runs: Iterable[RunSummary] = ()) -> tuple[Column, ...]:
    """Return the columns called ``names``: a heading, a metric as in I-F1, or any other value that the runs hold.

    Raises ``UsageError`` for a name that is none of them.
    """
    usual = usual_columns()
    if not names:
        return usual
    stored = (key for run in runs if run.measures for key in run.measures.values)
    # A heading wins over a metric of that name: the column MAP@10 is the metric MAP@10_image.
    allowed = {name: Column(name, name) for name in stored}
    allowed |= {name: Column.of(metric) for name, metric in metric_table.by_name().items()}
    allowed |= {name: Column.of(found.spec) for name, found in plugin_metrics.added().items()}
    allowed |= {column.name: column for column in usual}
    for name in names:
        if name not in allowed:
            raise unknown("column", name, allowed)
    return tuple(allowed[name] for name in names)


def build(runs: Sequence[RunSummary], columns: Sequence[Column] | None = None, mix: bool = False) -> Table:
    """Return the table of ``runs``, rows in the order in which their models first appear; ``None``: usual columns.

    Raises ``StoreError`` where the runs were measured on different images or by different protocols, whose
    numbers do not compare; ``mix`` takes them into one table that says so.
    """
    if not runs:
        raise StoreError("no runs to tabulate. Try: bench run --model cnn-rnn --dataset digit-scenes")
    notes = _check_comparable(runs, mix)
    columns = usual_columns() if columns is None else tuple(columns)
    runs = plugin_metrics.measured(runs, [column.key for column in columns])
    rows, tried = trials.foot(runs, rows_of(runs, columns))
    return Table(_title(runs), columns, rows, (*notes, *tried, *table_notes.of(runs, rows)), mixed=bool(notes))


def with_ties(table: Table, found: Distributions) -> Table:
    """Return ``table`` with the marks of what cannot be told apart, and notes that say what they mean and lack."""
    marks, notes = ties(found), [*table.notes]
    if marks:
        of = "0 is within the middle 95 % of paired resamples of the test images"
        notes.append(f"{TIE} not distinguishable from the column's best: {of}")
    resampled = frozenset(metric for values in found.values() for metric in values)
    told = {name for row in table.rows for name in row.cells}
    compared = [column for column in table.columns if column.direction != "none" and column.name in told]
    if absent := [column.name for column in compared if column.key not in resampled]:
        notes.append(f"not resampled, so nothing is told apart in it: {', '.join(absent)}")
    return replace(table, ties=marks, resampled=resampled, notes=tuple(notes))


def rows_of(runs: Iterable[RunSummary], columns: Sequence[Column]) -> tuple[Row, ...]:
    """Return one row per config, seeds aside, in the order of first appearance, whether or not rows compare."""
    groups: dict[str, list[RunSummary]] = {}
    for run in runs:
        groups.setdefault(_without_seed(run), []).append(run)
    rows = [apart for members in groups.values() for apart in _rows_apart(members)]
    labels = row_labels(list(map(_shared, rows)))
    return tuple(_row(label, members, columns) for label, members in zip(labels, rows, strict=True))


def by_dataset(runs: Iterable[RunSummary]) -> dict[str, list[RunSummary]]:
    """Return the runs of each data set, by its name; two names of the same images are one data set."""
    runs, names = list(runs), dict[str, str]()
    for run in sorted(runs, key=lambda run: not run.about.dataset):  # the name that one was given is that of all
        names.setdefault(f"{_dataset_name(run)} {_fingerprints(run)}", run.dataset)
    groups: dict[str, list[RunSummary]] = {}
    for run in runs:
        prints = _fingerprints(run)
        groups.setdefault(names[f"{_dataset_name(run)} {prints}"] if prints else run.dataset, []).append(run)
    return groups


def comparison_key(run: RunSummary) -> str:
    """Return what two runs must share for their numbers to compare: data set, fingerprints, protocol, known tags."""
    dataset = run.config["dataset"]
    measured_by = [run.config.get("protocol"), protocol_code(run)]
    return canonical_json([dataset["name"], dataset.get("fingerprints"), *measured_by, known(run)])


def protocol_code(run: RunSummary) -> str:
    """Return the hash of the choices of a plugin's protocol, which can differ under one name; empty: the host's."""
    return stored_code(run.config)


def known(run: RunSummary) -> str:
    """Return in words what share of the test images' labels the model was told; empty: none."""
    share = run.config.get("training", {}).get(KNOWN_SHARE.name)
    return "" if share is None else f"{share:g} of each test image's labels known beforehand"


def by_comparison(runs: Iterable[RunSummary]) -> list[list[RunSummary]]:
    """Return the runs in groups whose numbers compare, in the order of first appearance.

    A run too damaged to tell its fingerprints stands in the first group of its data set, with its reason. A run that
    compares by the protocol's label sets and by as many labels stands in a group of each.
    """
    groups: dict[str, list[RunSummary]] = {}
    homeless = []
    for run in runs:
        if run.config["dataset"].get("fingerprints"):
            groups.setdefault(comparison_key(run), []).append(run)
        else:
            homeless.append(run)
    for run in homeless:
        name = _dataset_name(run)
        home = next((group for group in groups.values() if _dataset_name(group[0]) == name), None)
        if home is None:
            home = groups.setdefault(name, [])
        home.append(run)
    return [part for group in groups.values() for part in by_policy(group)]


def by_key(runs: Iterable[RunSummary]) -> list[list[RunSummary]]:
    """Return the finished runs in groups of one data set and protocol, whatever their label sets are by."""
    groups: dict[str, list[RunSummary]] = {}
    for run in runs:
        if run.measures is not None:
            groups.setdefault(comparison_key(run), []).append(run)
    return list(groups.values())


def by_policy(runs: Sequence[RunSummary]) -> list[list[RunSummary]]:
    """Return ``runs`` in groups whose label sets compare: the protocol's own, and those of as many labels.

    So a run may be in two groups: a sequence model's free length is what its protocol asks for, and compares with a
    classifier by a threshold as well. Where one group holds all, there is no other. A run that failed before its policy
    was known stands in the first.
    """
    lost = [run for run in runs if run.measures is None and "policy" not in run.config]
    told = [run for run in runs if run not in lost]
    amounts = dict.fromkeys(str(run.config["policy"]["amount"]) for run in told if not _by_protocol(run))
    groups = [[run for run in told if _by_protocol(run)]]
    groups += [[run for run in told if run.config.get("policy", {}).get("amount") == amount] for amount in amounts]
    groups = [next((group for group in groups if len(group) == len(told)), [])] if told in groups else groups
    first, *others = [group for group in groups if group] or [[]]
    return [[run for run in runs if run in lost or run in first], *others]


def _by_protocol(run: RunSummary) -> bool:
    return bool(run.config.get("policy", {}).get("by_protocol", True))


def _amount(runs: Sequence[RunSummary]) -> str:
    """Return how many labels all the ``runs`` give, where that is what they compare by; empty: by the protocol."""
    amounts = {str(run.config.get("policy", {}).get("amount", "")) for run in runs}
    return amounts.pop() if len(amounts) == 1 and not all(map(_by_protocol, runs)) else ""


def _without_seed(run: RunSummary) -> str:
    """Return what the runs of one row share. Of somebody's own scores each seed is another file."""
    left_out = {"seed", EXTERNAL}
    kind = (external.of_config(run.config) or {}).get("kind", "")
    return canonical_json([kind, {name: value for name, value in run.config.items() if name not in left_out}])


def _shared(runs: Sequence[RunSummary]) -> dict[str, Any]:
    """Return the leaves of a config that ``runs`` of one row have alike: no name of it is that of one seed's file."""
    first, *others = (dict(flatten(run.config)) for run in runs)
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def _rows_apart(runs: Sequence[RunSummary]) -> list[list[RunSummary]]:
    """Return ``runs`` of one row, or one by one where a seed stands twice: two files, which no mean may hide."""
    seeds = [run.config.get("seed") for run in runs]
    apart = len(set(seeds)) < len(seeds) and any(external.of_config(run.config) is not None for run in runs)
    return [[run] for run in runs] if apart else [list(runs)]


def _check_comparable(runs: Sequence[RunSummary], mix: bool) -> tuple[str, ...]:
    """Return the note of a mixed table, none for one of a kind, or raise ``StoreError``."""
    differing, helps = list[str](), list[str]()
    for what, value, option in COMPARABLE:
        found = sorted({value(run) for run in runs} - {""})
        if len(found) > 1:
            differing.append(f"{what} {' and '.join(found)}")
            helps += [f"{option} NAME"] if option else []
    if len(by_policy(runs)) > 1:
        found = sorted({str(run.config["policy"]["name"]) for run in runs if "policy" in run.config})
        differing.append(f"label-set policies {' and '.join(found)}")
    if differing and not mix:
        kinds = [tuple(value(run) for _, value, _ in COMPARABLE) for run in runs]
        usual = Counter(kinds).most_common(1)[0][0]
        most = by_policy([run for run, kind in zip(runs, kinds, strict=True) if kind == usual])[0]
        named = " ".join([run.key[:8] for run in most[:MOST_NAMED]] + ["..."] * (len(most) > MOST_NAMED))
        by_option = f" {' '.join(helps)}" if helps else ""
        raise StoreError(
            f"these runs do not compare: {'; '.join(differing)}."
            f" Try: bench table{by_option or f' {named}, which do'}, or --mix for all in one table"
        )
    return tuple(f"MIXED, rows do not compare: {text}" for text in differing)


def _dataset_name(run: RunSummary) -> str:
    return str(run.config["dataset"]["name"])


def _fingerprints(run: RunSummary) -> str:
    prints = run.config["dataset"].get("fingerprints", {})
    return "/".join(str(prints[part])[:8] for part in sorted(prints))


def _protocol(run: RunSummary) -> str:
    return str(run.config.get("protocol", ""))


COMPARABLE: tuple[tuple[str, Callable[[RunSummary], str], str], ...] = (
    ("data sets", _dataset_name, "--dataset"),
    ("data set fingerprints", _fingerprints, ""),
    ("protocols", _protocol, "--protocol"),
    ("choices of their protocol", lambda run: protocol_code(run)[:8], ""),
    ("known tags", lambda run: known(run) or ("none" if "training" in run.config else ""), ""),
)
"""What runs of one table share: in words, what it is of a run, and the option that chooses by it, if any."""

MOST_NAMED = 8
"""Keys that an error names."""


def _row(label: str, runs: Sequence[RunSummary], columns: Sequence[Column]) -> Row:
    done = sorted((run for run in runs if run.measures), key=lambda run: int(run.config["seed"]))
    seeds = tuple(int(run.config["seed"]) for run in done)
    cells, unmeasured = {}, {}
    for column in columns:
        values = [run.measures.values.get(column.key) for run in done if run.measures]
        if absent := tuple(seed for seed, value in zip(seeds, values, strict=True) if value is None):
            unmeasured[column.name] = absent
        defined = [value * column.scale for value in values if value is not None and not math.isnan(value)]
        if defined:
            spread = statistics.stdev(defined) if len(defined) > 1 else None
            cells[column.name] = Cell(statistics.fmean(defined), spread, len(defined))
    others = [run for run in runs if not run.measures]
    failures = tuple(f"seed {run.config.get('seed', '?')} {run.state}: {run.reason}" for run in others)
    keys = tuple(run.key for run in (*done, *others))
    return Row(label, str(runs[0].config["model"]["name"]), seeds, cells, failures, keys, unmeasured)


def _title(runs: Sequence[RunSummary]) -> str:
    names = sorted({run.about.dataset for run in runs} - {""}) or sorted({run.dataset for run in runs})
    protocols = sorted({_protocol(run) for run in runs} - {""})
    variants = sorted({run.about.variant for run in runs} - {""})
    images = sorted({run.images for run in runs if run.measures})
    # Of a mixed table one data set's description would be read as that of all rows.
    described = variants[:1] if len({_fingerprints(run) for run in runs} - {""}) < 2 else []
    parts = [", ".join(names), *described]
    parts += [f"{' and '.join(f'{count:,}' for count in images)} test images"] if images else []
    parts += sorted({known(run) for run in runs} - {""})
    parts += [AMOUNTS[amount] for amount in [_amount(runs)] if amount]
    return f"{'; '.join(parts)} ({', '.join(protocols)})" if protocols else "; ".join(parts)
