"""``bench speed-metrics``: this project's metrics beside scikit-learn's and torchmetrics'."""

from __future__ import annotations

import re
from itertools import chain, starmap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli.choose import run_folders
from bench.cli.options import STORE, AsJson, RunsFolder, whole_numbers
from bench.show.console import print_table, put, put_raw, say

if TYPE_CHECKING:
    from bench.speed.metric_peers import Case
    from bench.speed.metrics import MetricTiming

EXAMPLES = """Examples:

  bench speed-metrics

  bench speed-metrics --sizes 40504x80,100000x1000 --threads 1,2 --rounds 3 --json > metrics.json

  bench speed-metrics 9b2f

  bench speed-metrics --memory 1000000x1000"""


def speed_metrics(  # noqa: PLR0917 - the parser passes options by name
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUNS", help="Rows of bench runs, first digits of keys, or folders, to measure."),
    ] = None,
    store: RunsFolder = STORE,
    sizes: Annotated[
        str,
        typer.Option(
            "--sizes", metavar="IMAGESxLABELS,...", help="Generated data; 40504x80 where nothing else is asked for."
        ),
    ] = "",
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, help="Turns of each way at least; short ones get more.")
    ] = 5,
    threads: Annotated[
        str, typer.Option("--threads", metavar="N,N", help="Of torchmetrics; the others run on one.")
    ] = "1",
    memory: Annotated[
        str,
        typer.Option(
            "--memory", metavar="IMAGESxLABELS", help="Store a run of this size and say what measuring it takes."
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Compute precision, recall, F1 and average precision by each library, turn by turn in one process.

    Times are milliseconds; a ratio is a median over ours. Exit code 2 if any value differs from ours by over 1e-6.
    """
    from bench.errors import NotRun
    from bench.speed import metric_peers as peers
    from bench.speed.memory import stored_run
    from bench.speed.metrics import TOLERANCE, compare, floors
    from bench.store.sealed import to_json
    from bench.system.environment import environment

    wanted = _sizes("--sizes", sizes or ("" if runs or memory else "40504x80"))
    large, torch_threads = _sizes("--memory", memory), whole_numbers("--threads", threads)
    folders = run_folders(runs, store) if runs else []
    record: dict[str, Any] = {"environment": environment(), "cases": [], "memory": [], "not_run": []}
    different = False
    for case in chain(map(peers.from_run, folders), starmap(peers.generated, wanted)):
        timings, not_run = compare(case, rounds, torch_threads)
        floor = floors(case)
        record["cases"].append(_case(case, timings, floor))
        record["not_run"] += [reason for reason in not_run if reason not in record["not_run"]]
        different |= any(timing.difference > TOLERANCE for timing in timings)
        if not as_json:
            _print(case, timings, floor)
    for size in large:
        try:
            record["memory"].append(stored_run(*size))
        except NotRun as reason:
            record["not_run"].append(str(reason))
    if as_json:
        put_raw(to_json(record))
    else:
        _print_rest(record)
    if different:
        raise typer.Exit(2)


def _sizes(option: str, text: str) -> list[tuple[int, int]]:
    from bench.errors import UsageError

    parts = [re.fullmatch(r"([1-9]\d{0,8})x([1-9]\d{0,5})", part) for part in text.split(",") if text]
    if not all(parts):
        raise UsageError(
            f"{option}: found '{text}', allowed: images x labels, separated by commas. Try: {option} 40504x80"
        )
    return [(int(part[1]), int(part[2])) for part in parts if part]


def _case(case: Case, timings: list[MetricTiming], floor: dict[str, float]) -> dict[str, Any]:
    from dataclasses import asdict

    images, labels = case.truth.shape
    rows = [asdict(timing) for timing in timings]
    return {"name": case.name, "images": images, "labels": labels, "timings": rows, "floor_seconds": floor}


def _print(case: Case, timings: list[MetricTiming], floor: dict[str, float]) -> None:
    images, labels = case.truth.shape
    put()
    say(f"{case.name}: {images:,} images, {labels:,} labels", "bold")
    rows = [
        (
            timing.part,
            timing.method,
            f"{timing.seconds.median * 1e3:,.1f}",
            f"{timing.seconds.q1 * 1e3:,.1f}-{timing.seconds.q3 * 1e3:,.1f}",
            f"{timing.ratio:,.1f}",
            f"{timing.difference:.0e}" if timing.difference else "0",
        )
        for timing in timings
    ]
    print_table(("part", "method", "ms", "quartiles", "times", "difference"), rows, names=2)
    put()
    for part in dict.fromkeys(timing.part for timing in timings):
        ours, *others = [timing for timing in timings if timing.part == part]
        say(
            f"{part}: {min(timing.ratio for timing in others):.1f} times faster than the fastest other;"
            f" {ours.seconds.median / floor[part]:.1f} times the least possible, {floor[part] * 1e3:,.1f} ms"
        )
    say(
        f"least possible on one thread: each array read once, and one sort of each class ({floor['sorting'] * 1e3:,.1f}"
        " ms)"
    )


def _print_rest(record: dict[str, Any]) -> None:
    for row in record["memory"]:
        put()
        say(
            f"{row['images']:,} x {row['labels']:,} from the store: read and checked in {row['read_seconds']:.1f} s,"
            f" every metric in {row['measure_seconds']:.1f} s; at most {row['allocated_mib']:,.0f} MiB allocated,"
            f" {row['peak_rss_mib']:,.0f} MiB resident with the mapped {row['scores_mib']:,.0f} MiB of scores"
        )
    for reason in record["not_run"]:
        say(f"not run: {reason}")
