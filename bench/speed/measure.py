"""Timing the kernel and its peers, turn by turn in one process, so that both meet the same machine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.decode.decoder import Decoder, PrefixTree
from bench.exported.engine import OnnxStepNetwork
from bench.exported.export import export_step
from bench.exported.model_folder import Description
from bench.model.networks import by_chunks
from bench.records import FloatArray, Preprocessing, SearchOptions
from bench.speed import peers
from bench.speed.workloads import Workload

SECONDS = 1.0
"""Time spent on each method in one comparison, at least ``REPEATS`` turns."""

REPEATS = 5


@dataclass(frozen=True, slots=True)
class Timing:
    """One method's time for a set of images: median and quartiles over turns, in microseconds an image.

    ``ratio`` is this median over the kernel's; ``agree`` the share of images whose sequence is the kernel's.
    """

    workload: str
    labels: int
    beam_width: int
    images: int
    tree: str
    method: str
    median: float
    low: float
    high: float
    ratio: float
    agree: float

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


class Bench:
    """A workload with its step network in ONNX Runtime and the peers that decode it."""

    def __init__(self, workload: Workload, options: SearchOptions, *, compiled: bool = False) -> None:
        self.workload, self.options = workload, options
        model = workload.model
        description = Description(
            model=workload.name,
            kind="sequence",
            labels=tuple(map(str, range(workload.labels))),
            score_kind="probability",
            preprocessing=Preprocessing(),
            protocol="",
            k=1,
            threshold=None,
            search=options,
            activation=model.activation,
            sees_image=False,
            precision="fp32",
            weights_hash="",
            run="",
            versions={},
        )
        with tempfile.TemporaryDirectory() as folder:
            export_step(model, description, Path(folder), workload.features.shape[1])
            self.network = OnnxStepNetwork(Path(folder), description)
        self.terms = by_chunks(model, model.image_term, workload.features)
        self.warm = PrefixTree(self.network, self.network.start_states.shape[1])
        self.decoder = self.make_decoder(self.warm)
        self.reference = self.decode(self.decoder, self.terms)
        self.peers: dict[str, peers.Peer] = {
            "PyTorch, batched": peers.batched_torch(model, options),
            "ONNX Runtime + NumPy": peers.numpy_beam(self.network, options, self.network.start_states),
        }
        if compiled:
            self.peers["PyTorch, torch.compile"] = peers.batched_torch(model, options, compiled=True)
        self.loop = peers.image_loop(model, options)

    def make_decoder(self, tree: PrefixTree | None = None) -> Decoder:
        """Return a decoder; without ``tree``, one that knows no prefix yet."""
        return Decoder(self.network, self.network.start_states, self.options, tree=tree)

    @staticmethod
    def decode(decoder: Decoder, terms: FloatArray) -> peers.Sequences:
        """Return the kernel's sequences as the peers return theirs."""
        return [[label for label in row if label >= 0] for row in decoder.sequences(terms).tolist()]

    def compare(self, images: int, tree: str = "warm") -> list[Timing]:
        """Time the kernel, with a ``warm`` or a ``cold`` tree, and every peer on at most ``images`` images."""
        terms = np.ascontiguousarray(self.terms[:images])
        images = len(terms)  # a small workload has fewer
        if tree == "warm":
            kernel: Callable[[], object] = lambda: self.decoder.sequences(terms)  # noqa: E731
        else:
            kernel = lambda: self.make_decoder().sequences(terms)  # noqa: E731
        calls: dict[str, Callable[[], object]] = {"kernel": kernel}
        agree = {"kernel": 1.0}
        for name, peer in self.peers.items():
            found = peer(terms)
            agree[name] = sum(a == b for a, b in zip(found, self.reference, strict=False)) / len(found)
            calls[name] = lambda peer=peer: peer(terms)  # type: ignore[misc]
        if images <= 64:  # one path at a time: too slow to wait for with more
            found = self.loop(terms)
            agree["PyTorch, image by image"] = sum(map(list.__eq__, found, self.reference)) / len(found)
            calls["PyTorch, image by image"] = lambda: self.loop(terms)
        times = turns(calls)
        base = float(np.median(times["kernel"]))
        rows = []
        for name, seconds in times.items():
            low, median, high = (float(value) / images * 1e6 for value in np.percentile(seconds, [25, 50, 75]))
            ratio = median * images / 1e6 / base
            shape = (self.workload.name, self.workload.labels, self.options.beam_width, images, tree)
            rows.append(Timing(*shape, name, median, low, high, ratio, agree[name]))
        return rows

    def latencies(self, images: int = 1000) -> dict[str, dict[str, float]]:
        """Return p50, p95 and p99 of single images, one after another, in microseconds, for kernel and PyTorch."""
        from bench.system.clock import item_times, summarize

        rows = [np.ascontiguousarray(self.terms[row : row + 1]) for row in range(min(images, len(self.terms)))]
        result = {}
        for name, call in {
            "kernel": self.decoder.sequences,
            "PyTorch, batched": self.peers["PyTorch, batched"],
        }.items():
            items = rows if name == "kernel" else rows[:200]
            summary = summarize(item_times(call, items))
            result[name] = {key: summary[key] * 1e6 for key in ("p50", "p95", "p99")}
        return result

    def floor(self, images: int = 2000) -> dict[str, float]:
        """Return the counted work of a warm decode per image, and the microseconds that its bytes and FLOPs need.

        A row of scores reads labels + 1 scores (float32) and weights (float64) of the prefix and of the image; the
        image row is a (D, labels + 1) product. The limits are what this machine does in NumPy on one thread.
        """
        images = min(images, len(self.terms))
        terms = np.ascontiguousarray(self.terms[:images])
        self.decoder.sequences(terms)
        labels, depth = self.workload.labels + 1, terms.shape[1]
        rows = self.decoder.rows_scored / images
        flops = 2 * depth * labels + rows * 4 * labels
        bytes_read = rows * 2 * 12 * labels + 4 * depth + 12 * labels
        peak_flops, peak_bytes = machine_limits()
        return {
            "rows_scored": rows,
            "flops": flops,
            "bytes": bytes_read,
            "microseconds": max(flops / peak_flops, bytes_read / peak_bytes) * 1e6,
            "prefixes": float(len(self.warm)),
            "tree_mib": len(self.warm) * self.warm.compiled.bytes_per_prefix / 2**20,
        }

    def scaling(self, counts: Sequence[int]) -> list[dict[str, float]]:
        """Return the kernel's seconds from a cold tree for growing numbers of images, made by drawing with noise."""
        rng = np.random.default_rng(0)
        rows = []
        for count in counts:
            terms = self.terms[rng.integers(len(self.terms), size=count)]
            terms += rng.standard_normal(terms.shape, dtype=np.float32) * np.float32(0.05 * self.terms.std())
            decoder = self.make_decoder()
            started = time.perf_counter()
            _, statistics = decoder.answers(terms, self.network.start_states, class_scores=False)
            seconds = time.perf_counter() - started
            rows.append(
                {
                    "images": count,
                    "seconds": seconds,
                    "microseconds": seconds / count * 1e6,
                    "prefixes": statistics["prefixes"],
                    "peak_rss_mib": peak_memory(),
                }
            )
        return rows


def turns(calls: dict[str, Callable[[], object]], repeats: int = REPEATS) -> dict[str, list[float]]:
    """Return seconds per call, at least ``repeats``; the methods take turns, and each has had one untimed call."""
    once = {}
    for name, call in calls.items():
        call()
        started = time.perf_counter()
        call()
        once[name] = time.perf_counter() - started
    # Short calls are timed in bunches, so that the clock's own cost does not count.
    bunch = {name: max(1, int(2e-3 / max(seconds, 1e-7))) for name, seconds in once.items()}
    wanted = {name: max(repeats, min(200, int(SECONDS / max(once[name] * bunch[name], 1e-6)))) for name in calls}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(max(wanted.values())):
        for name, call in calls.items():
            if turn >= wanted[name]:
                continue
            started = time.perf_counter()
            for _ in range(bunch[name]):
                call()
            times[name].append((time.perf_counter() - started) / bunch[name])
    return times


def machine_limits() -> tuple[float, float]:
    """Return the FLOP/s of a float32 matrix product and the bytes/s of a sum over 64 MiB, in NumPy, best of five."""
    a = np.ones((512, 512), dtype=np.float32)
    b = np.ones(16 * 2**20, dtype=np.float32)
    product, total = (min(_seconds(call) for _ in range(5)) for call in (lambda: np.matmul(a, a), lambda: np.sum(b)))
    return 2 * 512**3 / product, b.nbytes / total


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def peak_memory() -> float:
    """Return the largest resident memory of this process so far, in MiB."""
    import re
    import resource

    try:
        # Where the system says so: what getrusage tells of a spawned process begins with its parent's.
        mark = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        mark = None
    return (int(mark[1]) if mark else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024
