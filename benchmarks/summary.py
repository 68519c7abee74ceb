"""The table on top of docs/performance.md, from a stored run of the benchmarks: ``nox -s speed``, then ``-s summary``.

Each row: our time, that of the fastest peer measured beside it, and the limit: the least that the work would take on
this machine, the larger of its FLOPs and its bytes at the speed of a NumPy matrix product and of a NumPy sum.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STORE = Path(__file__).resolve().parents[1] / ".benchmarks"
MOBILENET = 0.6e9
"""FLOPs of MobileNetV2 on one picture of 224 pixels: 0.3 billion multiplications and as many additions."""


CNN_RNN = 6 * (4_342 * 4 * 512 * 512 + 11_179 * 64 * (512 + 31))
"""FLOPs of an epoch of the benchmark's cnn-rnn: its batches have 4,342 distinct prefixes, each a product with 4 x 512 x
512 weights, and 11,179 steps, each a product with both embeddings. Six FLOPs a weight: forward and two gradients."""


@dataclass(frozen=True, slots=True)
class Work:
    """What cannot be done without: floating-point operations, and bytes that are read or written."""

    flops: float = 0.0
    bytes: float = 0.0

    def seconds(self, flops_per_second: float, bytes_per_second: float) -> float:
        """Return the least time that it takes."""
        return max(self.flops / flops_per_second, self.bytes / bytes_per_second)


@dataclass(frozen=True, slots=True)
class Line:
    """One row: ``ours`` and ``peers`` are benchmarks, each by its file's name, ``::`` and the beginning of its own."""

    what: str
    ours: str
    peers: Mapping[str, str]
    work: Work | None = None


LINES = (
    Line(
        "decode 64 images, 80 labels, beam 2, warm tree",
        "test_decode.py::test_decode_with_a_warm_tree[80-2-64-kernel]",
        {
            "PyTorch, batched": "test_decode.py::test_decode_with_a_warm_tree[80-2-64-PyTorch, batched]",
            "ONNX Runtime + NumPy": "test_decode.py::test_decode_with_a_warm_tree[80-2-64-ONNX",
        },
        Work(64 * 12.8e3, 64 * 15.7e3),
    ),
    Line(
        "features of 32 ready pictures, MobileNetV2, over torch",
        "test_features.py::test_our_engine",
        {"eager PyTorch": "test_features.py::test_torch"},
        Work(32 * MOBILENET),
    ),
    Line(
        "image to labels, 16 pictures",
        "test_image_to_labels.py::test_image_to_labels[16]",
        {"its encoder alone": "test_image_to_labels.py::test_encode[16-ONNX Runtime]"},
        Work(16 * MOBILENET),
    ),
    Line(
        "features of 32 ready pictures, MobileNetV2",
        "test_features.py::test_our_engine",
        {"ONNX Runtime": "test_features.py::test_plain_onnx_runtime"},
        Work(32 * MOBILENET),
    ),
    Line(
        "read 128 photographs of 640x480",
        "test_loader.py::test_our_loader[640x480]",
        {"torchvision DataLoader": "test_loader.py::test_torchvisions_data_loader[640x480"},
    ),
    *(
        Line(
            f"`pixels.onnx`: {name} of {sides}, {threads}",
            f"test_pixels.py::test_pixels_onnx_without_an_encoder[{sides}-{name}-{threads}]",
            {"Pillow": f"test_pixels.py::test_pillows_resize_alone[{sides}-{name}]"},
            Work(bytes=pixels),
        )
        for sides, pixels in (("375x500", 3 * 375 * 500), ("3000x4000", 3 * 3000 * 4000))
        for name in ("bilinear", "bicubic")
        for threads in ("one thread", "every core")
    ),
    Line(
        "precision, recall, F1 of 40,504 x 80",
        "test_metrics.py::test_metrics[40504-80-precision, recall, F1-bench]",
        {
            name: f"test_metrics.py::test_metrics[40504-80-precision, recall, F1-{name}]"
            for name in ("scikit-learn", "torchmetrics")
        },
        Work(bytes=2 * 40_504 * 80),
    ),
    Line(
        "average precision of 40,504 x 80",
        "test_metrics.py::test_metrics[40504-80-average precision-bench]",
        {
            name: f"test_metrics.py::test_metrics[40504-80-average precision-{name}]"
            for name in ("scikit-learn", "torchmetrics")
        },
        Work(bytes=5 * 40_504 * 80),
    ),
    Line(
        "error bars: 200 resamples of 3 x 5,000 x 80",
        "test_report.py::test_error_bars_drawn",
        {"kept from an earlier report": "test_report.py::test_error_bars_kept"},
        Work(3 * 5_000 * 80 * 200, 2 * 3 * 5_000 * 80 * 200),
    ),
    *(
        Line(
            f"an epoch of {name}: 2,500 images of 128 features, 30 labels",
            f"test_training.py::test_an_epoch[{name}-bench]",
            {"plain PyTorch loop": f"test_training.py::test_an_epoch[{name}-plain loop"},
            Work(flops),
        )
        for name, flops in (("cnn-rnn", CNN_RNN), ("bce", 6 * 2_500 * 128 * 30))
    ),
    Line(
        "`bench list`, from the shell and back",
        "test_start.py::test_start[bench list]",
        {"Python with NumPy": "test_start.py::test_start[Python with NumPy"},
    ),
)


def seconds(medians: Mapping[str, float], name: str) -> float | None:
    """Return the fastest benchmark whose name begins with ``name``; ``None`` where it was not run."""
    return min((value for full, value in medians.items() if full.rpartition("/")[2].startswith(name)), default=None)


def cells(line: Line, medians: Mapping[str, float], limits: tuple[float, float]) -> list[str]:
    """Return the row: what, ours, the fastest peer, how many times it takes, the limit, how many times it we take."""
    ours = seconds(medians, line.ours)
    if ours is None:
        return [line.what, "not run", "", "", "", ""]
    found = {name: value for name, start in line.peers.items() if (value := seconds(medians, start)) is not None}
    peer = min(found, key=found.__getitem__, default="")
    limit = line.work.seconds(*limits) if line.work else None
    return [
        line.what,
        shown(ours),
        f"{peer}: {shown(found[peer])}" if peer else "not run",
        times(found[peer] / ours) if peer else "",
        shown(limit) if limit else "",
        times(ours / limit) if limit else "",
    ]


def shown(value: float) -> str:
    """Return seconds as milliseconds of three digits, at least.

    >>> shown(1.23456), shown(0.00123456), shown(0.0000123456)
    ('1,235', '1.23', '0.0123')
    """
    return f"{1e3 * value:,.0f}" if value >= 0.1 else f"{1e3 * value:.3g}"


def times(ratio: float) -> str:
    """Return a ratio of two digits, at least.

    >>> times(123.4), times(12.34), times(0.956)
    ('123', '12', '0.96')
    """
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"


def table(medians: Mapping[str, float], limits: tuple[float, float], lines: Sequence[Line] = LINES) -> str:
    """Return the table in Markdown."""
    header = ["what", "now, ms", "fastest peer, ms", "peer / now", "limit, ms", "now / limit"]
    rows = [header, ["---", *["---:"] * 5], *(cells(line, medians, limits) for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def medians_of(files: Sequence[Path]) -> dict[str, float]:
    """Return seconds of each benchmark: the median, over files that pytest-benchmark stored, of its medians."""
    found: dict[str, list[float]] = {}
    for file in files:
        for one in json.loads(file.read_bytes())["benchmarks"]:
            found.setdefault(one["fullname"], []).append(float(one["stats"]["median"]))
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> None:
    """Print the table of stored runs, of the newest if none is named."""
    from bench.speed.limits import machine_limits

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*", help="JSON of pytest-benchmark; the newest under .benchmarks")
    newest = sorted(STORE.glob("*/*.json"), key=lambda path: path.stat().st_mtime)[-1:]
    files = parser.parse_args().files or newest
    if not files:
        parser.error(f"no stored run under {STORE}. Try: nox -s speed")
    # The best of many: what the machine can do, however busy it is at the moment.
    flops, transfers = zip(*(machine_limits() for _ in range(20)), strict=True)
    limits = max(flops), max(transfers)
    print(table(medians_of(files), limits))
    print(f"\nLimits at {limits[0] / 1e9:.0f} GFLOP/s and {limits[1] / 1e9:.1f} GB/s.")


if __name__ == "__main__":
    main()
