"""From image to label set: eager PyTorch against ONNX Runtime, and how much of it decoding is."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.speed.measure import Bench, turns


def image_to_labels(bench: Bench, architecture: str = "resnet18", size: int = 224) -> list[dict[str, Any]]:
    """Return seconds per image of network and decoding for batches of 1 and 64, with ratios.

    The network is torchvision's ``architecture`` with random weights, which change no time, and a projection to the
    joint space. Its image terms mean nothing, so real ones of the workload are decoded instead, as many.
    """
    import torch
    import torchvision

    from bench.exported.engine import open_session

    depth = bench.terms.shape[1]
    network = torchvision.models.get_model(architecture, weights=None)
    network.fc = torch.nn.Linear(network.fc.in_features, depth)
    network.eval()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        _export(network, path, size)
        session = open_session(path)
        for images in (1, 64):
            pixels = np.random.default_rng(0).standard_normal((images, 3, size, size), dtype=np.float32)
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
            median = {name: float(np.median(values)) for name, values in times.items()}
            spread = {name: [float(v) for v in np.percentile(values, [25, 75])] for name, values in times.items()}
            rows.append(
                {
                    "architecture": architecture,
                    "images": images,
                    "milliseconds": {name: seconds * 1e3 for name, seconds in median.items()},
                    "quartiles_ms": {name: [v * 1e3 for v in values] for name, values in spread.items()},
                    "ratio": median["eager"] / median["ours"],
                    "decode_share": median["decode"] / median["ours"],
                }
            )
    return rows


def _export(network: Any, path: Path, size: int) -> None:
    import torch

    from bench.exported.export import quiet

    batch = torch.export.Dim("batch")
    with quiet():
        example = (torch.zeros(2, 3, size, size),)
        program: Any = torch.onnx.export(
            network, example, input_names=["pixels"], dynamic_shapes=({0: batch},), dynamo=True, verbose=False
        )
        program.save(path)
