"""Timing decoding: the kernel beside its peers, turn by turn in one process, and the work it cannot do without."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.decode.decoder import Decoder, PrefixTree
from bench.exported.engine import OnnxStepNetwork
from bench.exported.export import export_step
from bench.exported.model_folder import Description
from bench.model.networks import by_chunks
from bench.records import FloatArray, Preprocessing, SearchOptions
from bench.speed import decode_peers as peers
from bench.speed.limits import machine_limits, peak_memory
from bench.speed.spread import Spread, summarize
from bench.speed.workloads import Workload
from bench.system.clock import item_times, turns

LATENCY_IMAGES, LATENCY_IMAGES_OF_PEERS = 1000, 200
"""Images decoded one after another for a latency; peers are slower, and get fewer."""


@dataclass(frozen=True, slots=True)
class DecodeTiming:
    """One method's time for a set of images: microseconds an image, over turns.

    ``tree`` says whether the kernel knew the prefixes before: warm or cold. ``ratio`` is this median over the
    kernel's; ``agree`` the share of images whose sequence is the kernel's.
    """

    workload: str
    labels: int
    beam_width: int
    images: int
    tree: str
    method: str
    microseconds: Spread
    ratio: float
    agree: float


class DecodeBench:
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
            cut_to_k=False,
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
            export_step(model, description, Path(folder), workload.features.shape[1:])
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

    def compare(self, images: int, tree: str = "warm") -> list[DecodeTiming]:
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
        spreads = {name: summarize(times) for name, times in turns(calls).items()}
        shape = (self.workload.name, self.workload.labels, self.options.beam_width, images, tree)
        return [
            DecodeTiming(
                *shape, name, spread.times(1e6 / images), spread.median / spreads["kernel"].median, agree[name]
            )
            for name, spread in spreads.items()
        ]

    def latencies(self) -> dict[str, Spread]:
        """Return the microseconds of single images, decoded one after another, by the kernel and by PyTorch."""
        rows = [np.ascontiguousarray(self.terms[row : row + 1]) for row in range(min(LATENCY_IMAGES, len(self.terms)))]
        batched = "PyTorch, batched"
        times = {
            "kernel": item_times(self.decoder.sequences, rows),
            batched: item_times(self.peers[batched], rows[:LATENCY_IMAGES_OF_PEERS]),
        }
        return {name: summarize(each, per_item=True).times(1e6) for name, each in times.items()}

    def floor(self, images: int = 2000) -> dict[str, float]:
        """Return the counted work of a warm decode per image, and the microseconds that its bytes and FLOPs need.

        A row of scores reads labels + 1 scores (float32) and weights (float64) of the prefix and of the image, or,
        where a first look is enough, weights (float32) alone; the image row is a (D, labels + 1) product. The limits
        are what this machine does in NumPy on one thread.
        """
        images = min(images, len(self.terms))
        terms = np.ascontiguousarray(self.terms[:images])
        self.decoder.sequences(terms)
        labels, depth = self.workload.labels + 1, terms.shape[1]
        rows = self.decoder.rows_scored / images
        flops = 2 * depth * labels + rows * 4 * labels
        bytes_read = rows * 2 * (4 if self.warm.compiled.screens else 12) * labels + 4 * depth + 12 * labels
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
            elapsed = time.perf_counter() - started
            rows.append(
                {
                    "images": count,
                    "seconds": elapsed,
                    "microseconds": elapsed / count * 1e6,
                    "prefixes": statistics["prefixes"],
                    "peak_rss_mib": peak_memory(),
                }
            )
        return rows
