"""The paper's Tables 1-4 in its own row and column order: published value, ours, difference, status."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace

from bench import plugins
from bench.contracts import ModelSpec
from bench.show.csv_text import csv_text
from bench.show.published import PublishedRow, PublishedTable, source
from bench.show.rendering import Grid, Text, latex, markdown, shown
from bench.show.row_settings import typed
from bench.show.table_notes import SPREAD
from bench.show.tables import Cell, Column, Row, known, rows_of
from bench.store.sealed import to_json
from bench.store.stored import RunSummary

TOLERANCE = 2.0
"""Points within which a value counts as reproduced: the paper leaves too much open to ask for less."""

UNDEFINED_IN_PAPER = "MAP@10"
"""The paper does not define this column; ours is per image, so no agreement with it is claimed."""


@dataclass(frozen=True, slots=True)
class LedgerCell:
    """One cell of a paper's table beside ours, in percent. ``status`` says in words how the two stand."""

    table: int
    row: str
    variant: str
    column: str
    published: float | None
    ours: float | None
    spread: float | None
    difference: float | None
    status: str


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A printed row and one of our measurements of it; ``ours`` is ``None`` where there is none.

    ``deviations`` is where the method that was measured is not that of its source. A ``control`` is a row of ours that
    the paper does not print: what any of its methods must beat.
    """

    published: PublishedRow
    ours: Row | None
    status: str
    cells: tuple[LedgerCell, ...]
    deviations: str = ""
    control: bool = False


@dataclass(frozen=True, slots=True)
class Ledger:
    """One of the paper's tables, every printed row at least once and in order, then the controls."""

    published: PublishedTable
    rows: tuple[LedgerRow, ...]


def of_installed(tables: Iterable[PublishedTable], runs: Sequence[RunSummary]) -> list[Ledger]:
    """Return the ledgers of ``tables`` with what the installed models could measure, and the controls among them."""
    specs = [found.spec for found in plugins.installed().all(plugins.MODELS).values()]
    controls = [spec for spec in specs if spec.every_table]
    return [build(table, runs, {spec.row for spec in specs}, controls) for table in tables]


def build(
    published: PublishedTable,
    runs: Iterable[RunSummary],
    rerunnable: Collection[str] = (),
    controls: Iterable[ModelSpec] = (),
) -> Ledger:
    """Return the ledger of one table from stored runs.

    A run belongs to the row that its model names and to the table of its protocol's family, whatever its
    version. ``rerunnable`` are the rows that an installed model could measure; the others are quoted. Each of
    ``controls`` has a line, and where it has no run, the command that makes one; one that is told tags has a line
    only where it was run.
    """
    mine = [
        _with_class_ap(run) for run in runs if str(run.config.get("protocol", "")).startswith(f"{published.protocol}@")
    ]
    possible = {name.casefold() for name in rerunnable}
    columns = [Column(column.name, column.measure) for column in published.columns]
    rows = []
    for row in published.rows:
        of_row = [run for run in mine if run.about.row.casefold() == row.name.casefold()]
        measured = rows_of(of_row, columns)
        if not measured:
            why = "no data" if not mine else "no run of this model"
            absent = f"not run: {why}" if row.name.casefold() in possible else "published only"
            rows.append(LedgerRow(row, None, absent, _cells(published, row, None, absent, "")))
        rows += _measured(published, row, measured, of_row)
    for control in controls:
        rows += _control(published, control, mine, columns)
    return Ledger(published, tuple(rows))


def _measured(
    published: PublishedTable, row: PublishedRow, measured: Iterable[Row], of_row: Sequence[RunSummary]
) -> list[LedgerRow]:
    """Return a row for each of our measurements of a printed one."""
    rows, by_key = [], {run.key: run for run in of_row}
    for ours in measured:
        # Seeds of one row share data and backbone. Where one came from elsewhere, so did the mean.
        done = [run for key in ours.keys if (run := by_key[key]).measures is not None]
        most = max(done or of_row, key=lambda run: (run.provenance is not None, run.images))
        status, obstacle = _standing(published, row, ours, most)
        cells = _cells(published, row, ours, status, obstacle)
        rows.append(LedgerRow(row, ours, status, cells, most.about.deviations))
    return rows


def _control(
    published: PublishedTable, spec: ModelSpec, runs: Iterable[RunSummary], columns: Sequence[Column]
) -> list[LedgerRow]:
    """Return the lines of a control, which no paper prints: ours, or how to make it."""
    # It does not look at the image, so no backbone makes it another.
    row = PublishedRow(spec.row, "", {}, {}, backbone="")
    of_row = [run for run in runs if run.config["model"]["name"] == spec.name]
    rows = _measured(published, row, rows_of(of_row, columns), of_row)
    if not rows and not spec.known_tags:
        absent = f"not run: bench run --model {spec.name} --dataset {published.dataset}"
        rows = [LedgerRow(row, None, absent, _cells(published, row, None, absent, ""))]
    return [
        replace(one, control=True, cells=tuple(replace(cell, status=_of_control(cell.status)) for cell in one.cells))
        for one in rows
    ]


def _of_control(status: str) -> str:
    return f"control, not published: {status}" if status else ""


def _with_class_ap(run: RunSummary) -> RunSummary:
    """Return ``run`` with each class's AP among its values, as ``AP <label>``."""
    if run.measures is None:
        return run
    ap = {f"AP {label}": value for label, value in zip(run.labels, run.measures.per_class.get("ap", ()), strict=False)}
    return replace(run, measures=replace(run.measures, values=run.measures.values | ap))


def _standing(published: PublishedTable, row: PublishedRow, ours: Row, run: RunSummary) -> tuple[str, str]:
    """Return the status of a measured row, and what keeps it from counting as a reproduction, if anything does."""
    if not ours.cells:
        return f"failed: {ours.failures[0]}", "failed"
    obstacle = _obstacle(published, row, run)
    return f"measured {obstacle}".strip(), obstacle


def _obstacle(published: PublishedTable, row: PublishedRow, run: RunSummary) -> str:
    """Return what keeps a run from counting as a reproduction; empty: nothing."""
    policy, data = run.config.get("policy", {}), run.config["dataset"]
    if run.provenance is not None:
        obstacle = f"elsewhere, merged from {run.provenance.archive}"
    elif known(run):
        obstacle = f"with {known(run)}"
    elif run.about.part_of:
        obstacle = f"on {run.about.part_of}"
    elif not policy.get("by_protocol", True):
        obstacle = f"by policy {policy['name']}, which the paper has not"
    elif data["name"] not in published.datasets:
        obstacle = f"on {data['name']}, the paper has {published.dataset}"
    elif (train := data.get("train", "another part")) != published.train:
        obstacle = f"trained on {train}, the paper on {published.train}"
    elif len(run.labels) != published.labels:
        obstacle = f"over {len(run.labels):,} labels, the paper has {published.labels:,}"
    elif published.test_images and run.images not in published.test_images:
        expected = " or ".join(f"{count:,}" for count in published.test_images)
        obstacle = f"on {run.images:,} test images, the paper has {expected}"
    elif published.positives and (held := _held(run)) not in {None, published.positives}:
        obstacle = f"on test images with {held:,} labels, the published lists have {published.positives:,}"
    elif row.backbone and (looks := _backbone(run)) != row.backbone:
        obstacle = f"with {looks} features, the paper has {row.backbone}"
    elif options := typed(run):
        obstacle = f"with {' '.join(options)}, which was typed"
    else:
        obstacle = ""
    return obstacle


def _held(run: RunSummary) -> int | None:
    """Return how many labels the test images hold; ``None`` where nothing says it."""
    support = run.measures.per_class.get("support", ()) if run.measures else ()
    return round(sum(support)) if support else None


def _backbone(run: RunSummary) -> str:
    backbone = run.config["backbone"]
    # Of a family the variant is half the name: crops/vgg16 looks at windows with the paper's network.
    return "/".join(filter(None, (str(backbone["name"]), str(backbone.get("variant", "")))))


def _cells(
    published: PublishedTable, row: PublishedRow, ours: Row | None, absent: str, obstacle: str
) -> tuple[LedgerCell, ...]:
    cells = []
    for column in published.columns:
        printed = row.values.get(column.name)
        cell = ours.cells.get(column.name) if ours else None
        difference = round(cell.mean - printed, 6) if cell and printed is not None else None
        if column.name in row.suspect:
            status = f"published value suspect: {row.suspect[column.name].why}"
        elif cell is None:
            measured_then = ours is None or column.name not in ours.unmeasured or not ours.cells
            missing = absent if measured_then else "not measured then"
            status = missing if printed is not None or ours is None else ""
        elif difference is not None and not obstacle and _is_reproduced(column.name, difference):
            status = f"reproduced within {abs(difference):.1f}"
        else:
            status = f"measured {obstacle}".strip()
        cells.append(
            LedgerCell(
                published.number,
                row.label,
                ours.label if ours else "",
                column.name,
                printed,
                cell.mean if cell else None,
                cell.spread if cell else None,
                difference,
                status,
            )
        )
    return tuple(cells)


def _is_reproduced(column: str, difference: float) -> bool:
    return column != UNDEFINED_IN_PAPER and abs(difference) <= TOLERANCE


def grid(ledger: Ledger, cited: bool = True) -> Grid:
    """Return the texts: each printed row, and below it ours and the difference where there is a measurement.

    ``cited``: the remarks begin with where the values were printed.
    """
    names = [column.name for column in ledger.published.columns]
    rows: list[tuple[Text, ...]] = []
    remarks = [f"published: {source()}"] if cited else []
    seen: set[str] = set()
    for row in ledger.rows:
        printed = row.published
        if row.control:
            cells = [_ours(row.ours.cells.get(name)) if row.ours else Text("-") for name in names]
            label = row.ours.label if row.ours else printed.label
            rows.append((Text(f"{label} (control)"), *cells, Text(_of_control(row.status))))
            continue
        if printed.label not in seen:
            seen.add(printed.label)
            cells = [_printed(printed, name) for name in names]
            rows.append((Text(printed.label), *cells, Text("published" if row.ours else row.status)))
            remarks += [_suspicion(printed, name) for name in names if name in printed.suspect]
        if row.ours is None:
            continue
        ours = [_ours(row.ours.cells.get(name)) for name in names]
        rows.append((Text(f"  {row.ours.label}"), *ours, Text(_row_status(row))))
        if row.ours.cells:
            rows.append((Text("  difference"), *(_difference(cell) for cell in row.cells), Text("")))
    remarks += dict.fromkeys(
        f"{row.ours.model}: {row.deviations}" for row in ledger.rows if row.ours and row.deviations
    )
    if any(row.ours and UNDEFINED_IN_PAPER in row.ours.cells for row in ledger.rows):
        remarks.append("MAP@10: ours is per image; the paper does not define it")
    measured = [row.ours for row in ledger.rows if row.ours and row.ours.cells]
    if any(cell.spread is not None for row in measured for cell in row.cells.values()):
        remarks.append(SPREAD)
    remarks += [f"{row.label}: {failure}" for row in measured for failure in row.failures]
    title = f"Table {ledger.published.number}. {ledger.published.title}"
    return Grid(title, ("", *names, "status"), tuple(rows), tuple(remarks))


def _row_status(row: LedgerRow) -> str:
    """Return the row's standing: reproduced only if every trusted cell is, by the largest difference."""
    trusted = [
        cell
        for cell in row.cells
        if cell.difference is not None
        and cell.column not in row.published.suspect
        and cell.column != UNDEFINED_IN_PAPER
    ]
    if trusted and all(cell.status.startswith("reproduced") for cell in trusted):
        return f"reproduced within {max(abs(cell.difference or 0.0) for cell in trusted):.1f}"
    return row.status


def _printed(row: PublishedRow, name: str) -> Text:
    value = row.values.get(name)
    return Text("-" if value is None else f"{value:.1f}{'†' if name in row.suspect else ''}")


def _ours(cell: Cell | None) -> Text:
    return Text(shown(cell, Column("", "")))


def _difference(cell: LedgerCell) -> Text:
    return Text("" if cell.difference is None else f"{cell.difference:+.1f}")


def _suspicion(row: PublishedRow, name: str) -> str:
    doubt = row.suspect[name]
    fits = f" ({doubt.repair:.1f} would fit)" if doubt.repair is not None else ""
    return f"† {row.label}, {name} {row.values[name]:.1f}: published value suspect: {doubt.why}{fits}"


def render(ledgers: Sequence[Ledger], style: str) -> str:
    """Return ledgers as text: ``style`` is markdown, latex, csv or json. CSV and JSON have one entry per cell."""
    if style in {"markdown", "latex"}:
        return "\n".join({"markdown": markdown, "latex": latex}[style](grid(ledger)) for ledger in ledgers)
    cells = [asdict(cell) for ledger in ledgers for row in ledger.rows for cell in row.cells]
    if style == "json":
        return to_json(cells)
    return csv_text(LedgerCell.__slots__, (cell.values() for cell in cells))
