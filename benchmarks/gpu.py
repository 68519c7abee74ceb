"""Speed on a CUDA device, and whether the numbers may be believed: VALID, or INVALID with every reason.

VGG16 and ResNet-50 with random weights, which change no time, by torch eager, torch.compile and ONNX Runtime in fp32
and fp16. VALID asks: every node of every ONNX session ran on the device, as ONNX Runtime's own profile tells; each way
gives the values that ONNX Runtime gives on the CPU; image to labels runs at 0.95 or more of the backbone alone, and
features from JPEG files at 0.95 or more of the slower of the backbone alone and reading alone; the tests marked ``gpu``
ran and passed. Run by benchmarks/gpu.sh.

Exit status: 0, VALID; 1, INVALID; 3, not run: no GPU. ``--dry-run`` takes the same way on the CPU, with little work and
no claim: it is INVALID.
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import onnxruntime
import torch
import torchvision
from PIL import Image

from bench import plugins
from bench.contracts import Backbone
from bench.data.images import FolderImages
from bench.data.loading import load
from bench.errors import BenchError
from bench.model.encoding import in_batches
from bench.model.engine import HALF, TORCH, onnx_form
from bench.model.on_gpu import whole_floats
from bench.onnx.files import to_fp16, write_onnx
from bench.onnx.sessions import PROVIDERS, open_session, provider
from bench.records import Preprocessing, SearchOptions, Split
from bench.speed import workloads
from bench.speed.decode import DecodeBench
from bench.speed.spread import Spread, summarize
from bench.system.clock import item_times, turns
from bench.system.environment import environment

NO_GPU = 3
SHARE = 0.95
"""Of the images a second of what limits them, what features and image to labels must reach."""

APART = {"fp32": 1e-4, "fp16": 1e-2}
"""Largest difference from the CPU, relative to the largest value."""

BEGIN, END = "<!-- gpu: begin -->", "<!-- gpu: end -->"


@dataclass(frozen=True, slots=True)
class Job:
    """What is measured: on which device, by which networks and batches, how often."""

    device: str
    networks: tuple[str, ...]
    size: int
    batches: tuple[int, ...]
    turns: int
    compiled: bool
    photographs: int
    together: int  # photographs of a batch


FULL = Job("cuda", ("vgg16", "resnet50"), 224, (1, 64), 60, compiled=True, photographs=4096, together=64)
DRY = Job("cpu", ("resnet18",), 32, (1, 2), 3, compiled=False, photographs=16, together=4)


@dataclass(frozen=True, slots=True)
class Row:
    """One way to run one network on batches of ``images``.

    ``milliseconds`` of a batch; ``share``: images a second with each batch decoded, over those without; ``apart``: the
    largest difference from the CPU, relative to the largest value.
    """

    network: str
    images: int
    method: str
    milliseconds: Spread
    share: float
    apart: float


@dataclass(frozen=True, slots=True)
class Rates:
    """Images a second of features from JPEG files by one engine, and of the two things that they consist of.

    ``backbone``: on pixels that lie on the device; ``reading``: files to pixels.
    """

    network: str
    engine: str
    whole: float
    backbone: float
    reading: float

    @property
    def share(self) -> float:
        """Return the rate over that of the slower of what it consists of."""
        return self.whole / min(self.backbone, self.reading)

    def __str__(self) -> str:
        """Return it as a sentence's end."""
        rates = f"{self.whole:,.0f} images/s; backbone alone {self.backbone:,.0f}, reading alone {self.reading:,.0f}"
        return f"{self.share:.3f} ({rates})"


@dataclass(frozen=True, slots=True)
class Check:
    """What must hold, whether it does, and what was found."""

    what: str
    held: bool
    found: str


def nodes(profile: Path) -> dict[str, Counter[str]]:
    """Return how many nodes of which operator each provider ran, from ONNX Runtime's profile of a session."""
    found: dict[str, Counter[str]] = {}
    seen = set()
    for event in json.loads(profile.read_bytes()):
        provider = event.get("args", {}).get("provider")
        if event.get("cat") == "Node" and provider and event["name"] not in seen:
            seen.add(event["name"])
            found.setdefault(provider, Counter())[event["args"]["op_name"]] += 1
    return found


def placed(path: Path, pixels: np.ndarray[Any, Any], device: str, name: str) -> Check:
    """Return the check that a session of ``path`` runs every node on ``device``."""
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(path.with_suffix(""))
    session = onnxruntime.InferenceSession(str(path), options, providers=[provider(device, half=name.endswith("fp16"))])
    session.run(None, {"pixels": pixels})
    found = nodes(Path(session.end_profiling()))
    wanted = PROVIDERS[device]
    elsewhere = {provider: count for provider, count in found.items() if provider != wanted}
    held = wanted in session.get_providers() and wanted in found and not elsewhere
    words = [f"{sum(count.values())} on {provider}" for provider, count in found.items()]
    words += [f"{provider} has {', '.join(sorted(count))}" for provider, count in elsewhere.items()]
    return Check(f"{name}: every node on {wanted}", held, "; ".join(words) or "no node ran")


def network(name: str, depth: int) -> Any:
    """Return the torchvision network with a projection to the joint space as its last layer."""
    torch.manual_seed(0)
    module = torchvision.models.get_model(name, weights=None)
    if hasattr(module, "fc"):
        module.fc = torch.nn.Linear(module.fc.in_features, depth)
    else:
        module.classifier[-1] = torch.nn.Linear(module.classifier[-1].in_features, depth)
    return module.eval()


def torch_call(module: Any, pixels: torch.Tensor) -> Callable[[], Any]:
    """Return a call that runs the module and waits for its result on the host."""

    def call() -> Any:
        with torch.inference_mode(), whole_floats():
            return module(pixels).float().cpu().numpy()

    return call


def onnx_call(session: Any, pixels: torch.Tensor) -> Callable[[], Any]:
    """Return a call on pixels that already lie on the device, its small result bound to host memory."""
    binding = session.io_binding()
    binding.bind_input("pixels", pixels.device.type, 0, np.float32, tuple(pixels.shape), pixels.data_ptr())
    binding.bind_output(session.get_outputs()[0].name)

    def call() -> Any:
        session.run_with_iobinding(binding)
        return binding.copy_outputs_to_cpu()[0]

    return call


def onnx_files(module: Any, job: Job, folder: Path, name: str) -> dict[str, Path]:
    """Return the network as ONNX files, by precision."""
    paths = {precision: folder / f"{name}-{precision}.onnx" for precision in APART}
    write_onnx(module, (torch.zeros(2, 3, job.size, job.size),), ["pixels"], ["terms"], paths["fp32"])
    shutil.copyfile(paths["fp32"], paths["fp16"])
    to_fp16(paths["fp16"])
    return paths


def methods(module: Any, files: dict[str, Path], pixels: torch.Tensor, job: Job) -> dict[str, Callable[[], Any]]:
    """Return every way to run the network on ``pixels``: what opens it, and gives the call."""

    def by_onnx(path: Path, precision: str) -> Callable[[], Any]:
        return lambda: onnx_call(open_session(path, job.device, half=precision == "fp16"), pixels)

    opened = {f"ONNX Runtime {precision}": by_onnx(path, precision) for precision, path in files.items()}
    opened["torch eager"] = lambda: torch_call(module, pixels)
    if job.compiled and len(pixels) > 1:
        opened["torch.compile"] = lambda: torch_call(torch.compile(module), pixels)
    return opened


def with_decoding(call: Callable[[], Any], bench: DecodeBench, images: int) -> float:
    """Return images a second of the network and decoding, over those of the network."""
    terms = np.ascontiguousarray(np.resize(bench.terms, (images, bench.terms.shape[1])))

    def to_labels() -> None:
        call()
        bench.decoder.sequences(terms)

    times = turns({"alone": call, "together": to_labels})
    return summarize(times["alone"]).median / summarize(times["together"]).median


def measured(name: str, job: Job, bench: DecodeBench, folder: Path) -> Iterator[Row | Check]:
    """Yield a row for each batch and way of one network, and the checks of its sessions."""
    module = network(name, bench.terms.shape[1])
    files = onnx_files(module, job, folder, name)
    on_device = copy.deepcopy(module).to(job.device)
    for images in job.batches:
        generator = np.random.default_rng(images)
        pixels = generator.standard_normal((images, 3, job.size, job.size), dtype=np.float32)
        if images == job.batches[0]:
            for precision, path in files.items():
                yield placed(path, pixels, job.device, f"{name}, ONNX Runtime {precision}")
        expected = open_session(files["fp32"]).run(None, {"pixels": pixels})[0]
        for method, opened in methods(on_device, files, torch.from_numpy(pixels).to(job.device), job).items():
            try:
                call = opened()
                apart = float(np.abs(call() - expected).max() / np.abs(expected).max())
            except (BenchError, RuntimeError) as error:
                yield Check(f"{name}, {images} images, {method}: ran", False, str(error).splitlines()[0])
                continue
            spent = summarize(item_times(lambda _, call=call: call(), [None] * job.turns), per_item=True).times(1e3)
            yield Row(name, images, method, spent, with_decoding(call, bench, images), apart)


def features(job: Job, folder: Path, engine: str) -> Rates:
    """Return images a second of features from JPEG files of 640x480, as a run extracts them."""
    paths, generator = [], np.random.default_rng(0)
    for number in range(min(job.photographs, 256)):
        coarse = Image.fromarray(generator.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        paths.append(folder / f"{number}.jpg")
        coarse.resize((640, 480), Image.Resampling.BICUBIC).save(paths[-1], quality=90)
    truth = np.ones((len(paths), 1), dtype=np.bool_)
    split = Split(
        "photographs", "train", tuple(path.name for path in paths), ("label",), truth, FolderImages(tuple(paths))
    )
    name, scale = job.networks[0], Preprocessing(size=job.size, resize=job.size)
    backbone = Backbone(name, network(name, 64), 64, scale, "random", name, engine=engine)
    rows = [row % len(paths) for row in range(job.photographs)]
    batches = [rows[start : start + job.together] for start in range(0, len(rows), job.together)]
    generator_of_pixels = torch.Generator().manual_seed(0)
    ready = torch.randn(job.together, 3, job.size, job.size, generator=generator_of_pixels).to(job.device)
    alone = (
        torch_call(copy.deepcopy(backbone.module).to(job.device), ready)
        if engine == TORCH
        else onnx_call(open_session(onnx_form(backbone, folder / "cache"), job.device, half=True), ready)
    )
    whole = partial(in_batches, split, rows, backbone, job.together, job.device, cache=folder / "cache")
    rates: dict[str, list[float]] = {"whole": [], "reading": []}
    for _ in range(3):
        rates["whole"].append(steady(whole()))
        rates["reading"].append(steady(load(split.images, batches, scale)))
    medians = {way: summarize(each).median for way, each in rates.items()}
    return Rates(
        name, engine, backbone=job.together / summarize(item_times(lambda _: alone(), range(20))).median, **medians
    )


def steady(batches: Iterable[Sequence[Any]]) -> float:
    """Return the images a second from the first batch to the last: the start is paid once for all."""
    arrived, images = [], []
    for batch in batches:
        arrived.append(time.perf_counter())
        images.append(len(batch))
    return sum(images[1:]) / (arrived[-1] - arrived[0])


def tests_passed(report: Path | None) -> Check:
    """Return the check of pytest's junit file: tests ran, and none failed or was skipped."""
    what = "the tests marked gpu ran and passed"
    if report is None or not report.exists():
        return Check(what, False, "they were not run")
    suite = next(ElementTree.parse(report).iter("testsuite"))
    ran, bad, skipped = (
        sum(int(suite.get(name, "0")) for name in names) for names in (["tests"], ["failures", "errors"], ["skipped"])
    )
    return Check(what, ran > 0 and not bad and not skipped, f"{ran} tests, {bad} failed, {skipped} skipped")


def checks_of(rows: Sequence[Row], device: str, rates: Sequence[Rates]) -> list[Check]:
    """Return what the measured values must be."""
    found = [Check("the device is a GPU", device == "cuda", "CUDA" if device == "cuda" else "a dry run on the CPU")]
    for row in rows:
        name = f"{row.network}, {row.images} images, {row.method}"
        allowed = APART["fp16" if row.method.endswith("fp16") else "fp32"]
        found.append(Check(f"{name}: equal to the CPU within {allowed:g}", row.apart <= allowed, f"{row.apart:.1e}"))
        share = f"{row.share:.3f}"
        found.append(Check(f"{name}: image to labels over the backbone >= {SHARE}", row.share >= SHARE, share))
    for rate in rates:
        name = f"{rate.network}, {rate.engine}: features over what limits them >= {SHARE}"
        found.append(Check(name, rate.share >= SHARE, str(rate)))
    return found


def verdict(checks: Sequence[Check]) -> str:
    """Return VALID, or INVALID with every check that does not hold."""
    reasons = [f"{check.what}: {check.found}" for check in checks if not check.held]
    return "VALID" if not reasons else "INVALID\n" + "\n".join(f"* {reason}" for reason in reasons)


def markdown(title: str, rows: Sequence[Row], rates: Sequence[Rates], checks: Sequence[Check]) -> str:
    """Return the verdict and the table as they stand in docs/performance.md."""
    lines = [f"{title}: {verdict(checks)}", ""]
    lines += ["| network | batch | method | images/s | p50 ms | p99 ms | with decoding | apart from the CPU |"]
    lines += ["| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |"]
    for row in rows:
        spent = row.milliseconds
        rate = f"{row.images / spent.median * 1e3:,.0f} | {spent.median:.2f} | {spent.p99:.2f}"
        lines.append(f"| {row.network} | {row.images} | {row.method} | {rate} | {row.share:.3f} | {row.apart:.1e} |")
    lines += ["", *(f"Features of {rate.network}, {rate.engine}, over what limits them: {rate}." for rate in rates)]
    return "\n".join(lines)


def into_page(page: str, content: str) -> str:
    """Return ``page`` with ``content`` between its two marks. Raises ``ValueError`` where it has none."""
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"the page lacks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{content.strip()}\n{END}{after}"


def workload(job: Job) -> DecodeBench:
    """Return what is decoded: digit-scenes' label sets; in a dry run a few generated ones."""
    spec = plugins.installed().model("cnn-rnn").spec
    if job.device == "cuda":
        return DecodeBench(workloads.from_digit_scenes(spec), SearchOptions())
    truth = workloads.generated_label_sets(20, 600, cardinality=2.0)
    trained = workloads.train("20", truth, separation=2.5, k=2, options=SearchOptions(), spec=spec, epochs=1)
    return DecodeBench(trained, SearchOptions())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the verdict, store JSON and Markdown, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu-results"), help="folder of gpu.json and gpu.md")
    parser.add_argument("--tests", type=Path, help="pytest's --junit-xml of the tests marked gpu")
    parser.add_argument("--page", type=Path, help="a page to put VALID results into, as docs/performance.md")
    parser.add_argument("--dry-run", action="store_true", help="the same way on the CPU; always INVALID")
    given = parser.parse_args(arguments)
    if not given.dry_run and not torch.cuda.is_available():
        print("not run: no GPU")
        return NO_GPU
    job = DRY if given.dry_run else FULL
    rows: list[Row] = []
    checks = [tests_passed(given.tests)]
    rates: list[Rates] = []
    try:
        bench = workload(job)
        with tempfile.TemporaryDirectory() as folder:
            for name in job.networks:
                for one in measured(name, job, bench, Path(folder)):
                    (rows if isinstance(one, Row) else checks).append(one)  # type: ignore[arg-type]
                    print(one, file=sys.stderr, flush=True)  # minutes of work: what is known when it is stopped
            rates += (features(job, Path(folder), engine) for engine in (TORCH, HALF))
    except (BenchError, RuntimeError) as error:
        checks.append(Check("everything ran", False, str(error).splitlines()[0]))
    checks += checks_of(rows, job.device, rates)
    title = torch.cuda.get_device_name() if job.device == "cuda" else environment()["processor"]
    text = markdown(f"{title}, torch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}", rows, rates, checks)
    given.out.mkdir(parents=True, exist_ok=True)
    content = {"verdict": verdict(checks).split("\n")[0], "device": title, "environment": environment()}
    content |= {
        "checks": [asdict(one) for one in checks],
        "rows": [asdict(one) for one in rows],
        "features": [asdict(one) for one in rates],
    }
    (given.out / "gpu.json").write_text(json.dumps(content, indent=1))
    (given.out / "gpu.md").write_text(text)
    print(text)
    valid = all(one.held for one in checks)
    if valid and given.page:
        given.page.write_text(into_page(given.page.read_text(), text))
    return 0 if valid else 1


if __name__ == "__main__":
    sys.exit(main())
