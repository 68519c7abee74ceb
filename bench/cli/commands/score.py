"""``bench score``: predictions of anybody's code as a row of the tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import run_record
from bench.cli.options import (
    STORE,
    AsJson,
    Cache,
    DataRoot,
    DatasetName,
    DataSets,
    Out,
    PolicyName,
    ProtocolName,
    Seed,
    TestSplit,
    TrainSplit,
)
from bench.cli.requests import run_request
from bench.show.console import print_table, put, put_raw, say
from bench.show.result_tables import print_tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.evaluation.bootstrap import Interval
    from bench.store.run_folder import RunFolder

EXAMPLES = """Examples:

  bench score preds.npz --dataset digit-scenes --kind probability --name my-model

  bench score results.json --labels instances_val2017.json --kind score --absent 0 --dataset coco --data-root coco

  bench score results/Main --kind score --dataset voc2007 --data-root VOCdevkit --name their-model

  bench score test.csv --validation val.csv --policy threshold --kind logit --dataset csv --data-root photos"""

READING = "How the file is read"


def score(  # noqa: PLR0917 - the parser passes options by name
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Scores or label sets of the test images: .npz, .npy, .csv, .tsv, .txt, .json, .jsonl, .parquet, or a"
            " folder of VOC's result files.",
        ),
    ],
    dataset: DatasetName,
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="What the scores are: probability, logit, score or labels.")
    ] = "",
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="What the row is called; the file's name if not given.")
    ] = "",
    validation: Annotated[
        Path | None,
        typer.Option(
            "--validation",
            metavar="FILE",
            help="The same of the validation images, on which policies and thresholds are chosen.",
            rich_help_panel=READING,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="Label names in the order of columns, one a line or a JSON list; or COCO's categories.",
            rich_help_panel=READING,
        ),
    ] = None,
    ids: Annotated[
        Path | None,
        typer.Option(
            "--ids",
            metavar="FILE",
            help="Image ids in the order of rows, one a line; or COCO's annotations, whose image ids results have.",
            rich_help_panel=READING,
        ),
    ] = None,
    validation_ids: Annotated[
        Path | None,
        typer.Option("--validation-ids", metavar="FILE", help="The same of --validation.", rich_help_panel=READING),
    ] = None,
    match: Annotated[
        str,
        typer.Option(
            "--match",
            metavar="HOW",
            help="How ids are those of the data set: exact, name (without folders), stem (nor ending) or number (the"
            " digits at the end).",
            rich_help_panel=READING,
        ),
    ] = "exact",
    absent: Annotated[
        float | None,
        typer.Option(
            "--absent",
            metavar="SCORE",
            help="The score of pairs that a file of single pairs leaves out; without it, all must be there.",
            rich_help_panel=READING,
        ),
    ] = None,
    several: Annotated[
        str,
        typer.Option(
            "--several",
            metavar="max",
            help="max: of several scores of one pair, as of boxes, the largest counts.",
            rich_help_panel=READING,
        ),
    ] = "",
    sets: DataSets = None,
    data_root: DataRoot = None,
    train_split: TrainSplit = None,
    test_split: TestSplit = None,
    protocol: ProtocolName = "",
    policy: PolicyName = "",
    seed: Seed = 0,
    out: Out = STORE,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Score predictions of any code against a data set's test part, and store them as a run like any other.

    Images are found by id and labels by name, never by place. What is missing, double, unknown or in doubt is one line
    and stores nothing. The row is marked external, with the file's SHA-256.
    """
    # What the parser has read, by the names of a request's fields, of which the row's name is the model.
    options = {option: value for option, value in locals().items() if option != "name"}
    from bench.errors import UsageError
    from bench.external.align import Reading
    from bench.external.read import names_from, read
    from bench.external.score import Predictions, open_and_read, store_scores

    if several not in {"", "max"}:
        raise UsageError(f"--several: found '{several}', allowed: max")
    Reading(kind or "score", match)  # a mistake is told before the data set is opened
    for file in filter(None, (predictions, validation, labels, ids, validation_ids)):
        if not file.exists():
            raise UsageError(f"no file {file}")
    request = run_request(options, sets or (), model=name or predictions.absolute().stem)

    def given(known: tuple[str, ...]) -> Predictions:
        test = read(predictions, names_from(known, ids, labels))
        judged = read(validation, names_from(known, validation_ids, labels)) if validation else None
        return Predictions(test, judged)

    opened, found, clock = open_and_read(request, given)
    kind = kind or found.test.given.kind
    if not kind:
        raise UsageError(
            "--kind: found none, allowed: probability, logit, score (it only ranks) or labels (label sets)."
            " Try: --kind probability"
        )
    reading = Reading(kind, match, absent, largest=several == "max")
    folder = store_scores(opened, reading, found, clock)
    from bench.show import intervals
    from bench.store.resamples import kept_in
    from bench.system.files import default_cache

    resamples, ends = intervals.of_run(folder, kept_in(cache or default_cache()))
    if as_json:
        of = {metric: [one.low, one.high] for metric, one in ends.items()}
        put_raw(run_record.as_json(folder, intervals={"share": 0.95, "resamples": resamples, "of": of}))
    else:
        _print(folder, resamples, ends)


def _print(folder: RunFolder, resamples: int, found: Mapping[str, Interval]) -> None:
    from bench.show import tables
    from bench.store.following import of_store

    summary = folder.summary()
    table = tables.build([summary])
    print_tables([table], "terminal")
    put()
    columns = [column for column in table.columns if column.key in found]
    ends = {
        end: [f"{column.scale * getattr(found[column.key], end):.{column.digits}f}" for column in columns]
        for end in ("low", "high")
    }
    rows = [("from", *ends["low"]), ("to", *ends["high"])]
    title = f"95 % of {resamples:,} resamples of the test images"
    print_table(("", *(column.name for column in columns)), rows, title=title)
    put(f"\nrun folder  {folder.path}")
    for note in summary.about.notes:  # what is odd in the scores stands below the table
        say(f"note        {note}", indent=12)
    place = of_store(folder.path)
    put(f"next        bench table{place}")
    put(f"            bench report{place} --out report.html")
    put(f"            bench lens {folder.key}{place}")
