"""What each stage holds in memory, by the number of images: ``nox -s memory -- --sizes 1000,10000,100000``.

A data set of 1,000 labels is made up (``generated.py``), as many images for training as for testing. Every command
runs in a process of its own, which is watched from outside: ``private`` is the most memory that it held by itself
(RssAnon), ``resident`` counts pages of mapped files too (VmHWM), which the system takes back when it needs the room.
With ``--limit-gib`` the system refuses a process more private memory than that (RLIMIT_DATA).

What was measured is added to ``--out``, one JSON object a line; ``--plot FILE`` draws that and measures nothing.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PLUGIN = HERE / "generated.py"
MIB, GIB = 2**20, 2**30
EVERY = 0.02
"""Seconds between two looks at a process."""

BENCH = (sys.executable, "-P", "-m", "bench")
EPOCHS = ("--set", "epochs=1", "--set", "learning_rates=0.003", "--set", "batch_size=512")
"""Training is as large in the first epoch as in the last."""

OPTIONS = {"cnn-rnn": (*EPOCHS, "--set", "hidden=64"), "random": (), "prior": ()}
"""Options of models that take others than ``EPOCHS``: recurrent units are the same whatever the number of images."""

WRITE = "write"
"""What a run does between its stages: it stores what the last one gave."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One stage at one size; bytes. ``limit`` is what the system allowed of private memory, 0: all there is."""

    images: int
    stage: str
    command: str
    seconds: float
    private: int
    resident: int
    limit: int


@dataclass(frozen=True, slots=True)
class Watched:
    """A finished process: when each look at it was, and the private memory that it then held."""

    seconds: float
    resident: int
    looks: tuple[tuple[float, int], ...]

    @property
    def private(self) -> int:
        """Return the most private memory of all looks."""
        return max((size for _, size in self.looks), default=0)


class FailedError(Exception):
    """A command that did not end well; printed as one line."""


def watch(command: Sequence[str], log: Path, limit: int = 0) -> Watched:
    """Run ``command``, its output in ``log``, and look at it until it ends. Raises ``FailedError``."""
    started, looks = time.perf_counter(), []
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        if limit:
            resource.prlimit(process.pid, resource.RLIMIT_DATA, (limit, limit))
        status, found = Path(f"/proc/{process.pid}/status"), {"RssAnon": 0, "VmHWM": 0}
        while process.poll() is None:
            for name, size in re.findall(r"^(RssAnon|VmHWM):\s*(\d+) kB$", status.read_text(), re.MULTILINE):
                found[name] = int(size) * 1024
            looks.append((time.time(), found["RssAnon"]))
            time.sleep(EVERY)
    if process.returncode:
        raise FailedError(f"{' '.join(command[3:])}: exit code {process.returncode}, see {log}")
    return Watched(time.perf_counter() - started, found["VmHWM"], tuple(looks))


def stages(folder: Path, watched: Watched) -> Iterator[tuple[str, float, int, int]]:
    """Yield the stages of a run with seconds, private and resident memory, and what it stored between them."""
    ends: list[tuple[float, str, int]] = []
    for line in (folder / "log.jsonl").read_text().splitlines():
        event = json.loads(line)
        when = datetime.datetime.fromisoformat(event["time"]).timestamp()
        if event["event"] == "stage begins":
            ends.append((when, WRITE, 0))
        elif event["event"] == "stage ends":
            ends.append((when, event["stage"], event["peak_bytes"]))
        elif event["event"] == "run ends":
            ends.append((when, WRITE, 0))
    found: dict[str, tuple[float, int, int]] = {}
    # Until the first stage begins, Python starts and imports.
    for (first, *_), (last, name, resident) in itertools.pairwise(ends):
        seconds, private, before = found.get(name, (0.0, 0, 0))
        most = max((size for when, size in watched.looks if first <= when <= last + EVERY), default=0)
        found[name] = (seconds + last - first, max(private, most), max(before, resident))
    yield from ((name, *values) for name, values in found.items())


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything of one size lies: data, cache, runs and what else commands write."""

    root: Path
    images: int
    limit: int
    out: Path
    without: tuple[str, ...] = ()

    def store(self, stage: str, command: str, seconds: float, private: int, resident: int) -> None:
        """Add one stage to the file of results, and print it."""
        one = Measured(self.images, stage, command, round(seconds, 3), private, resident, self.limit)
        with self.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(one)) + "\n")
        sizes = f"{private / MIB:9,.0f} MiB private {resident / MIB:9,.0f} resident"
        print(f"{self.images:9,} {command:8} {stage:15} {seconds:9.1f} s {sizes}", flush=True)

    def measure(self, stage: str, *command: str) -> None:
        """Measure one command as one stage, unless it is one that is left out."""
        if stage not in self.without:
            watched = watch(command, self.root / "output.txt", self.limit)
            self.store(stage, "", watched.seconds, watched.private, watched.resident)

    def bench(self, stage: str, *arguments: str) -> None:
        """Measure one command of bench as one stage."""
        self.measure(stage, *BENCH, *arguments)

    def run(self, model: str, *options: str) -> Path:
        """Measure the stages of one run, and return its folder."""
        named = ("--cache", str(self.root / "cache"), "--out", str(self.root / "runs"))
        watched = watch(
            (*BENCH, "run", "--model", model, *self.dataset, *named, *options), self.root / "output.txt", self.limit
        )
        (folder,) = (path.parent for path in (self.root / "runs" / "generated" / model).glob("*/status.json"))
        for stage, *values in stages(folder, watched):
            self.store(stage, model, *values)
        self.store("all", model, watched.seconds, watched.private, watched.resident)
        return folder

    @property
    def dataset(self) -> tuple[str, ...]:
        """Return the options that name the data set."""
        return "--dataset", "generated", "--data-root", str(self.root / "data")


def measured(place: Place, models: Sequence[str], resamples: int, *, ready: bool) -> None:
    """Measure every stage at one size: data, the runs of ``models``, and what is made of the first one."""
    root, cache = place.root, ("--cache", str(place.root / "cache"))
    for seed, part in enumerate(("train", "test")):
        code = f"import generated, pathlib; generated.write(pathlib.Path({str(root / 'data')!r}), {part!r}"
        place.measure("generate", sys.executable, "-c", f"{code}, {place.images}, {seed})")
    place.bench("statistics", "data", "stats", "generated", "--data-root", str(root / "data"))
    if ready:
        place.measure("ready features", sys.executable, str(HERE / "ready_features.py"), str(root / "data"), cache[1])
    folders = [place.run(model, *OPTIONS.get(model, EPOCHS)) for model in models]
    run, store = str(folders[0]), ("--runs", str(root / "runs"))
    place.bench("validate", "validate", run)
    place.bench("table", "table", *store)
    place.bench("lens", "lens", run)
    page = ("report", run, *cache, "--out", str(root / "report.html"))
    place.bench("report", *page, "--resamples", "0")
    place.bench("error bars", *page, "--images", "0", "--resamples", str(resamples))
    place.bench("export", "export", run, "--out", str(root / "exported"))
    place.bench("choose", "choose", *store, *cache)
    place.bench("thresholds", "thresholds", run, "--for", "precision>=0.5", *cache)
    for name in ("ids", "labels"):
        lines = json.loads((folders[0] / f"{name}.json").read_text())
        (root / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    given = ("--ids", str(root / "ids.txt"), "--labels", str(root / "labels.txt"), "--kind", "score", "--name", "mine")
    where = ("--out", str(root / "scored"), *cache)
    place.bench("score", "score", str(folders[0] / "scores.npy"), *place.dataset, *given, *where)


HIDDEN = ("all", "build backbone", "build model", "policy", "inspect", "generate", "ready features")
"""Stages that are no line of the plot: short, or of what makes the data."""


def read(results: Path) -> dict[str, dict[int, Measured]]:
    """Return by stage and number of images what was measured, where a stage was twice what held more."""
    found: dict[str, dict[int, Measured]] = {}
    for line in results.read_text().splitlines():
        one = Measured(**json.loads(line))
        sizes = found.setdefault(f"{one.stage} {one.command}".strip(), {})
        if one.images not in sizes or sizes[one.images].private < one.private:
            sizes[one.images] = one
    return found


def print_table(results: Path) -> None:
    """Print private memory in MiB and seconds of each stage by the number of images, as Markdown."""
    found = read(results)
    sizes = sorted({images for rows in found.values() for images in rows})
    print("| stage |", *(f"{images:,} |" for images in sizes))
    print("| --- |" + " --- |" * len(sizes))
    for stage, rows in found.items():
        cells = (f"{rows[n].private / MIB:,.0f} ({rows[n].seconds:,.0f} s)" if n in rows else "" for n in sizes)
        print(f"| {stage} |", *(f"{cell} |" for cell in cells))


def plot(results: Path, figure: Path) -> None:
    """Draw private memory over the number of images, a line for each stage."""
    import matplotlib.pyplot as plt

    lines = {name: sizes for name, sizes in read(results).items() if not name.startswith(HIDDEN)}
    _, axes = plt.subplots(figsize=(9, 5.5), layout="constrained")
    for number, (name, rows) in enumerate(
        sorted(lines.items(), key=lambda line: -max(one.private for one in line[1].values()))
    ):
        style, sizes = ("-", "--", ":")[number // 10 % 3], sorted(rows)
        values = [rows[images].private / MIB for images in sizes]
        axes.plot(sizes, values, style, color=f"C{number % 10}", marker="o", markersize=3, label=name)
    axes.axhline(8 * 1024, color="black", linewidth=1)
    axes.annotate("8 GiB", (1000, 8 * 1024), xytext=(0, 3), textcoords="offset points")
    axes.set(xscale="log", yscale="log", xlabel="images, 1,000 labels", ylabel="private memory, MiB")
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    plt.savefig(figure)


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000", help="numbers of images")
    parser.add_argument("--models", default="bce,cnn-rnn", help="models; what follows a run is of the first one's")
    parser.add_argument("--resamples", type=int, default=63, help="resamples of the error bars")
    parser.add_argument("--folder", type=Path, default=Path("memory"), help="14 kB an image are written here")
    parser.add_argument("--without", default="", help="stages to leave out, as thresholds, whose error bars take hours")
    parser.add_argument("--limit-gib", type=float, default=0.0, help="private memory that a process may have")
    parser.add_argument("--out", type=Path, default=Path("memory.jsonl"), help="file of results, added to")
    parser.add_argument("--ready-features", action="store_true", help="put features into the cache, read no picture")
    parser.add_argument("--keep", action="store_true", help="keep what was written to the folder")
    parser.add_argument("--plot", type=Path, help="draw what --out holds, print it, measure nothing")
    asked = parser.parse_args()
    if asked.plot:
        plot(asked.out, asked.plot)
        print_table(asked.out)
        return 0
    os.environ["BENCH_PLUGINS"] = str(PLUGIN)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        for images in map(int, asked.sizes.split(",")):
            root = asked.folder.absolute() / str(images)
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir(parents=True)
            place = Place(
                root, images, int(asked.limit_gib * GIB), asked.out.absolute(), tuple(asked.without.split(","))
            )
            measured(place, asked.models.split(","), asked.resamples, ready=asked.ready_features)
            if not asked.keep:
                shutil.rmtree(root)
    except FailedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
