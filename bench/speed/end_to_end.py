"""From image to label set: eager PyTorch against ONNX Runtime, and how much of it decoding is."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import unknown
from bench.speed.decode import DecodeBench
from bench.speed.spread import Spread, summarize
from bench.system.clock import turns

SIDE = 224
"""Of the pictures, in pixels."""


@dataclass(frozen=True, slots=True)
class EndToEndTiming:
    """Milliseconds of a batch of ``images`` by name: ``ours``, ``eager``, and ``decode``, the decoding in ours.

    ``ratio`` is the median of eager over ours, ``decode_share`` that of decode over ours.
    """

    architecture: str
    images: int
    milliseconds: dict[str, Spread]
    ratio: float
    decode_share: float


def check_network(architecture: str) -> None:
    """Raise ``UsageError`` unless torchvision has ``architecture``, and it ends in a layer that can be exchanged."""
    import torchvision

    known = torchvision.models.list_models(module=torchvision.models)
    allowed = [name for name in known if re.match("resnet|resnext|wide_resnet|regnet|shufflenet", name)]
    if architecture not in allowed:
        raise unknown("network for --network", architecture, allowed, "Try: --network resnet18")


def image_to_labels(bench: DecodeBench, architecture: str = "resnet18") -> list[EndToEndTiming]:
    """Time network and decoding on batches of 1 and of 64 images, by eager PyTorch and by ONNX Runtime with the kernel.

    The network is torchvision's ``architecture`` with random weights, which change no time, and a projection to the
    joint space. Its image terms mean nothing, so real ones of the workload are decoded instead, as many.
    """
    import torch
    import torchvision

    from bench.onnx.files import write_onnx
    from bench.onnx.sessions import open_session

    depth = bench.terms.shape[1]
    network = torchvision.models.get_model(architecture, weights=None)
    network.fc = torch.nn.Linear(network.fc.in_features, depth)
    network.eval()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        write_onnx(network, (torch.zeros(2, 3, SIDE, SIDE),), ["pixels"], ["terms"], path)
        session = open_session(path)
        for images in (1, 64):
            pixels = np.random.default_rng(0).standard_normal((images, 3, SIDE, SIDE), dtype=np.float32)
            terms = np.ascontiguousarray(bench.terms[:images])

            def eager(pixels: Any = pixels, terms: Any = terms) -> object:
                with torch.inference_mode():
                    network(torch.from_numpy(pixels)).numpy()
                return bench.peers["PyTorch, batched"](terms)

            def ours(pixels: Any = pixels, terms: Any = terms) -> object:
                session.run(None, {"pixels": pixels})
                return bench.decoder.sequences(terms)

            def decode(terms: Any = terms) -> object:
                return bench.decoder.sequences(terms)

            times = turns({"ours": ours, "eager": eager, "decode": decode})
            spent = {name: summarize(each).times(1e3) for name, each in times.items()}
            whole = spent["ours"].median
            ratio, share = spent["eager"].median / whole, spent["decode"].median / whole
            rows.append(EndToEndTiming(architecture, images, spent, ratio, share))
    return rows
