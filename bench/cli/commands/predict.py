"""``bench predict``: labels of pictures, from an exported model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bench.errors import UsageError
from bench.show.console import put, put_raw
from bench.system.threads import MOST_THREADS

if TYPE_CHECKING:
    from bench.exported.labelling import Unread
    from bench.exported.predict import Labelled

    Row = Labelled | Unread

EXAMPLES = """Examples:

  bench predict model photo.jpg

  bench predict model photos 'more/**/*.png' shard-000.tar --csv > labels.csv

  find photos -newer labels.csv -type f | bench predict model - --jsonl --top-k 5"""

Form = Literal["text", "json", "jsonl", "csv"]

FIELDS = ("image", "labels", "scores", "probabilities", "log_probability", "error")
"""What a record holds; of an image that could not be read, only ``image`` and ``error``."""


MOST_AT_ONCE = 65_536
"""Beyond what any machine gains from: the system ends the process when it is too late."""


def predict(  # noqa: PLR0917 - the parser passes options by name
    model: Annotated[Path, typer.Argument(metavar="MODEL_DIR", help="Folder written by: bench export")],
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...",
            help="Image files, folders with all below them, quoted patterns, tar archives; -: paths on standard input.",
        ),
    ],
    device: Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[
        int, typer.Option("--threads", min=0, max=MOST_THREADS, help="Processor threads; 0: all cores.")
    ] = 0,
    batch: Annotated[int, typer.Option("--batch", min=1, max=MOST_AT_ONCE, help="Images computed at once.")] = 16,
    top_k: Annotated[
        int | None, typer.Option("--top-k", metavar="K", help="The K best labels in place of the model's label sets.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", metavar="T", help="Labels of at least this probability (score, of margins)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list of records.")] = False,
    as_jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print a JSON record on each line, as it is known.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table, a row for each image.")] = False,
) -> None:
    """Print the labels of each image; needs neither torch nor the data set.

    In the order of the arguments. An image that cannot be read is a row with the reason; the others are labelled.

    The exit status is then 1, else 0.
    """
    import sys
    from itertools import chain, islice

    from bench.data.sources import number_of, sources
    from bench.exported.labelling import Choice, Unread, label
    from bench.exported.predict import Predictor
    from bench.system.progress import progress_bar

    form = _form(as_json, as_jsonl, as_csv)
    choice = Choice(top_k, threshold)
    pictures = sources(images, getattr(sys.stdin, "buffer", None))
    first = list(islice(pictures, batch))
    predictor = Predictor(model, device, threads, max(len(first), 1))
    if form == "csv" and (divided := next((name for name in predictor.description.labels if ";" in name), "")):
        raise UsageError(f"label '{divided}' holds ';', by which CSV joins labels. Try: --jsonl")
    counts = {True: 0, False: 0}

    def counted(rows: Iterator[Row]) -> Iterator[Row]:
        for row in rows:
            counts[isinstance(row, Unread)] += 1
            yield row

    found = label(predictor, chain(first, pictures), choice)
    total = len(first) if len(first) < batch else number_of(images)
    for text in _texts(counted(progress_bar(found, "labelling", total=total)), form):
        put_raw(text)
    if counts[True]:
        every = counts[True] + counts[False]
        put(f"{counts[False]:,} of {every:,} images labelled, {counts[True]:,} not read", file=sys.stderr)
        raise typer.Exit(1)


def _form(as_json: bool, as_jsonl: bool, as_csv: bool) -> Form:
    asked: dict[Form, bool] = {"json": as_json, "jsonl": as_jsonl, "csv": as_csv}
    chosen = [name for name, given in asked.items() if given]
    if len(chosen) > 1:
        raise UsageError(f"found {' and '.join(f'--{name}' for name in chosen)}, allowed: one of them")
    return chosen[0] if chosen else "text"


def _texts(rows: Iterator[Row], form: Form) -> Iterator[str]:
    """Yield what is printed of ``rows``, each as soon as it is known."""
    import sys

    from bench.show.csv_text import csv_text
    from bench.store.sealed import to_json_line
    from bench.system.text import for_stream

    if form == "csv":
        yield csv_text(FIELDS, [])
    before = "[\n"
    for row in rows:
        values = record(row)
        if form == "csv":
            yield csv_text(map(_cell, values.values()), [])
        elif form == "text":
            line = _line(values).replace("\n", r"\n").replace("\t", r"\t")
            yield for_stream(line, sys.stdout) + "\n"
        else:
            yield (before if form == "json" else "") + to_json_line(values)
            yield "\n" if form == "jsonl" else ""
            before = ",\n"
    if form == "json":
        yield "[]\n" if before == "[\n" else "\n]\n"


def record(row: Row) -> dict[str, Any]:
    """Return the fields of ``FIELDS``; those that there are not are ``None``."""
    from bench.exported.labelling import Unread

    if isinstance(row, Unread):
        return dict.fromkeys(FIELDS) | {"image": row.image, "error": row.reason}
    return {name: getattr(row, name, None) for name in FIELDS}


def _cell(value: Any) -> Any:
    """Return a field as CSV has it: lists joined with ``;``, as the tables of a data set join labels."""
    if isinstance(value, tuple):
        if not value or isinstance(value[0], str):
            return ";".join(value)
        return Numbers(";".join(f"{number:.6g}" for number in value))
    return Numbers(f"{value:.6g}") if isinstance(value, float) else value


class Numbers:
    """Numbers as a cell of CSV: no text, so that a minus before them is no formula."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


def _line(values: dict[str, Any]) -> str:
    if values["error"] is not None:
        return f"{values['image']}: not read: {values['error']}"
    shown = values["scores"] if values["probabilities"] is None else values["probabilities"]
    pairs = zip(values["labels"], shown, strict=True)
    return f"{values['image']}: {', '.join(f'{name} {value:.2f}' for name, value in pairs) or 'no label'}"
