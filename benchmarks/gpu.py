"""Images/s and latency of backbones on a GPU, and of image-to-labels with decoding beside the next batch.

torch eager, torch.compile, ONNX Runtime CUDA in fp32 and fp16; VGG16 and ResNet-50 with random weights, which
change no time. Batches 1, 64 and 256. Run by benchmarks/gpu.sh. The JSON holds a row for each network, batch and
method: ``milliseconds`` of a batch (``bench.speed.spread.Spread``), and ``share``, the images a second with decoding
over those without.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision

from bench import plugins
from bench.errors import BenchError
from bench.onnx.files import to_fp16, write_onnx
from bench.onnx.sessions import choose_device, open_session
from bench.speed import workloads
from bench.speed.decode import DecodeBench
from bench.speed.spread import summarize
from bench.system.clock import item_times, seconds

SIZE, BATCHES, TURNS = 224, (1, 64, 256), 60


def network(name: str, depth: int) -> Any:
    """Return the torchvision network with a projection to the joint space as its last layer."""
    module = torchvision.models.get_model(name, weights=None)
    if name == "vgg16":
        module.classifier[-1] = torch.nn.Linear(4096, depth)
    else:
        module.fc = torch.nn.Linear(module.fc.in_features, depth)
    return module.eval()


def torch_call(module: Any, pixels: torch.Tensor) -> Callable[[Any], Any]:
    """Return a call that runs the module and waits for its result on the host."""

    def call(_: Any) -> Any:
        with torch.inference_mode():
            return module(pixels).float().cpu().numpy()

    return call


def onnx_call(session: Any, pixels: torch.Tensor) -> Callable[[Any], Any]:
    """Return a call on pixels that already lie on the GPU, its small result bound to host memory."""
    binding = session.io_binding()
    binding.bind_input("pixels", "cuda", 0, np.float32, tuple(pixels.shape), pixels.data_ptr())
    binding.bind_output(session.get_outputs()[0].name)

    def call(_: Any) -> Any:
        session.run_with_iobinding(binding)
        return binding.copy_outputs_to_cpu()[0]

    return call


def methods(name: str, depth: int, pixels: torch.Tensor, folder: Path) -> dict[str, Callable[[Any], Any]]:
    """Return every way to run the network on ``pixels``; one that fails is printed as not run."""
    module = network(name, depth)
    calls: dict[str, Callable[[Any], Any]] = {}
    for precision in ("fp32", "fp16"):
        path = folder / f"{name}-{precision}.onnx"
        if not path.exists():
            write_onnx(module, (torch.zeros(2, 3, SIZE, SIZE),), ["pixels"], ["terms"], path)
            if precision == "fp16":
                to_fp16(path)
        try:
            calls[f"ONNX Runtime {precision}"] = onnx_call(open_session(path, choose_device("cuda")), pixels)
        except BenchError as error:
            print(f"not run: ONNX Runtime {precision}: {error}")
    on_gpu = module.to("cuda")
    calls["torch eager"] = torch_call(on_gpu, pixels)
    calls["torch.compile"] = torch_call(torch.compile(on_gpu), pixels)
    return calls


def overlapped(call: Callable[[Any], Any], bench: DecodeBench, images: int) -> tuple[float, float]:
    """Return images/s of the network alone, and with each batch decoded while the next is on the GPU."""
    terms = np.ascontiguousarray(np.resize(bench.terms, (images, bench.terms.shape[1])))

    def all_turns(decodes: bool) -> None:
        with ThreadPoolExecutor(1) as pool:
            pending = None
            for _ in range(TURNS):
                call(None)
                if pending is not None:
                    pending.result()
                pending = pool.submit(bench.decoder.sequences, terms) if decodes else None
            if pending is not None:
                pending.result()

    all_turns(decodes=True)
    alone, together = seconds(lambda: all_turns(decodes=False)), seconds(lambda: all_turns(decodes=True))
    return TURNS * images / alone, TURNS * images / together


def main() -> None:
    """Print the table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("gpu.json"))
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("not run: torch sees no CUDA device")
        return
    bench = DecodeBench(
        workloads.from_digit_scenes(plugins.installed().model("cnn-rnn").spec), workloads.SearchOptions()
    )
    rows = []
    print(torch.cuda.get_device_name(), "torch", torch.__version__)
    print(f"{'network':<10}{'batch':>6}  {'method':<20}{'images/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'with decoding':>15}")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("vgg16", "resnet50"):
            for images in BATCHES:
                pixels = torch.randn(images, 3, SIZE, SIZE, device="cuda")
                for method, call in methods(name, bench.terms.shape[1], pixels, Path(folder)).items():
                    spent = summarize(item_times(call, [None] * TURNS), per_item=True).times(1e3)
                    alone, together = overlapped(call, bench, images)
                    rows.append(
                        {
                            "network": name,
                            "images": images,
                            "method": method,
                            "milliseconds": asdict(spent),
                            "share": together / alone,
                        }
                    )
                    print(
                        f"{name:<10}{images:>6}  {method:<20}{images / spent.median * 1e3:>10,.0f}{spent.median:>9.2f}"
                        f"{spent.p99:>9.2f}{100 * together / alone:>13.1f} %"
                    )
    arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
