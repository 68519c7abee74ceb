"""``bench speed``: the kernel and ONNX Runtime against what a user would pick instead."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli.options import AsJson, whole_numbers
from bench.show.console import print_table, put, put_raw, say

if TYPE_CHECKING:
    from bench.speed.decode import DecodeBench, DecodeTiming

EXAMPLES = """Examples:

  bench speed

  bench speed --label-sets coco_val2014_labels.tsv.xz --widths 2,5 --plot speed.png

  bench speed --generated 1000 --widths 5 --json > speed.json"""

NOT_ADAPTED = (
    "Hugging Face generate(): its beam search keeps ended paths beside the beam and divides by length,"
    " so it answers another question than the paper's search"
)


def speed(  # noqa: PLR0917 - the parser passes options by name
    label_sets: Annotated[
        list[Path] | None,
        typer.Option(
            "--label-sets", metavar="FILE", help="Real label sets, 'image<TAB>label,label' lines; repeatable."
        ),
    ] = None,
    generated: Annotated[
        int, typer.Option("--generated", metavar="LABELS", min=0, help="Also generated label sets of this many labels.")
    ] = 0,
    widths: Annotated[str, typer.Option("--widths", metavar="N,N", help="Beam widths.")] = "2",
    images: Annotated[str, typer.Option("--images", metavar="N,N", help="Images decoded at once.")] = "1,64,2000",
    compiled: Annotated[bool, typer.Option("--compile", help="Also PyTorch under torch.compile (a minute).")] = False,
    network: Annotated[
        str, typer.Option("--network", metavar="NAME", help="torchvision network for image-to-labels; '' for none.")
    ] = "resnet18",
    scaling: Annotated[bool, typer.Option("--scaling", help="Also a thousand to a million images.")] = False,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="PNG or SVG to draw.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train on label sets with simulated image evidence, then time every way to decode, turn by turn.

    Ratios compare medians of one run on this machine; each way's sequences are compared with the kernel's first.
    """
    from dataclasses import asdict, replace

    from bench import plugins
    from bench.speed import workloads
    from bench.speed.decode import DecodeBench
    from bench.speed.end_to_end import check_network, image_to_labels
    from bench.store.sealed import to_json
    from bench.system.environment import environment

    if network:
        check_network(network)
    beam_widths, counts = whole_numbers("--widths", widths), whole_numbers("--images", images)
    spec = plugins.installed().model("cnn-rnn").spec
    chosen = [workloads.from_list(path, spec) for path in label_sets or []]
    if generated:
        chosen.append(workloads.generated(generated, spec))
    record: dict[str, Any] = {"environment": environment(), "workloads": [], "timings": [], "not_run": [NOT_ADAPTED]}
    if not compiled:
        record["not_run"].append("PyTorch under torch.compile: not asked for. Try: --compile")
    for workload in chosen or [workloads.from_digit_scenes(spec)]:
        for width in beam_widths:
            bench = DecodeBench(workload, replace(workload.options, beam_width=width), compiled=compiled)
            timings = [timing for count, tree in _sizes(counts) for timing in bench.compare(count, tree)]
            details = _details(bench, width, scaling)
            if network and not record.get("image_to_labels"):
                record["image_to_labels"] = [asdict(row) for row in image_to_labels(bench, network)]
            record["workloads"].append(details)
            record["timings"] += [asdict(timing) for timing in timings]
            if not as_json:
                _print(bench, timings, details)
    if as_json:
        put_raw(to_json(record))
    else:
        _print_rest(record)
    if plot:
        from bench.speed.plot import draw

        draw(record["timings"], plot)


def _sizes(counts: list[int]) -> list[tuple[int, str]]:
    """Return every number of images with a warm tree, and the largest with a cold one too."""
    return [*((count, "warm") for count in counts), (max(counts), "cold")]


def _details(bench: DecodeBench, width: int, scaling: bool) -> dict[str, Any]:
    from dataclasses import asdict

    workload = bench.workload
    return {
        "workload": workload.name,
        "labels": workload.labels,
        "beam_width": width,
        "top_k_f1": workload.top_k_f1,
        "latency_us": {method: asdict(spread) for method, spread in bench.latencies().items()},
        "floor": bench.floor(),
        "scaling": bench.scaling([1_000, 10_000, 100_000, 1_000_000]) if scaling else [],
    }


def _print(bench: DecodeBench, timings: list[DecodeTiming], details: dict[str, Any]) -> None:
    workload = bench.workload
    put()
    say(
        f"{workload.name}: {workload.labels} labels, beam width {bench.options.beam_width};"
        f" O-F1 of the evidence alone {100 * workload.top_k_f1:.0f}",
        "bold",
    )
    rows = [
        (
            timing.method,
            timing.tree,
            f"{timing.images:,}",
            f"{timing.microseconds.median:,.2f}",
            f"{timing.microseconds.q1:,.1f}-{timing.microseconds.q3:,.1f}",
            f"{timing.ratio:,.1f}",
            f"{100 * timing.agree:.1f} %",
        )
        for timing in timings
    ]
    header = ("method", "tree", "images", "us/image", "quartiles", "times", "same")
    print_table(header, rows, names=3, numbers=("images",))
    put()
    for method, times in details["latency_us"].items():
        say(f"one by one, {method}: p50 {times['median']:,.1f}, p95 {times['p95']:,.1f}, p99 {times['p99']:,.1f} us")
    floor = details["floor"]
    say(
        f"work of the kernel: {floor['rows_scored']:.1f} rows of scores an image, {floor['bytes'] / 1e3:,.1f} kB read,"
        f" {floor['flops'] / 1e3:,.1f} kFLOP: at least {floor['microseconds']:.2f} us on one core;"
        f" tree of {floor['prefixes']:,.0f} prefixes, {floor['tree_mib']:.1f} MiB"
    )


def _print_rest(record: dict[str, Any]) -> None:
    for row in record.get("image_to_labels", []):
        times = row["milliseconds"]
        say(
            f"image to labels, {row['architecture']}, batch {row['images']}:"
            f" ONNX Runtime + kernel {times['ours']['median']:.1f} ms,"
            f" eager PyTorch {times['eager']['median']:.1f} ms ({row['ratio']:.2f} times); decoding is"
            f" {100 * row['decode_share']:.3f} %"
        )
    for details in record["workloads"]:
        for row in details["scaling"]:
            say(
                f"{details['workload']}, {row['images']:,} images from a cold tree: {row['seconds']:.2f} s,"
                f" {row['microseconds']:.2f} us each, {row['prefixes']:,} prefixes, peak {row['peak_rss_mib']:,.0f} MiB"
            )
    for reason in record["not_run"]:
        say(f"not run: {reason}")
