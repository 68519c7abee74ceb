"""Runs, exports and reports disturbed in every way, each then finished: the result is that of an undisturbed one.

``python -P tests/faults/campaign.py --kills 200 --others 10 --seed 1`` prints a line for each kind of fault: how many
were tried, and how many ended as they must. Exit code 1: one did not. Each trial is forked from this process, which has
imported everything, so that it takes what the work takes and no second more.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1])]

from damage import DAMAGE  # noqa: E402 - beside this folder
from faults.places import UnavailableError, read_only, small_disk  # noqa: E402 - in it

OWN = frozenset(
    {"timings.json", "environment.json", "status.json", "request.json", "training.json", "manifest.json", "log.jsonl"}
)
"""Files of a run that hold when, where or how fast it was made; of training.json the rest is compared."""

WARM = ("torch", "onnx", "onnxruntime", "matplotlib.pyplot", "scipy.stats", "bench.pipeline", "bench.exported.publish")
"""What is imported before anything is forked."""

LONGEST = 600
"""Seconds after which an undisturbed command counts as hung."""


class Place:
    """A store, a cache, an exported folder and a report, for one trial."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder, self.data = folder, data
        self.runs, self.cache, self.export, self.report = (
            folder / name for name in ("runs", "cache", "export", "r.html")
        )

    @property
    def run(self) -> Path:
        return next(iter(self.runs.glob("csv/*/*")))

    def command(self, stage: str) -> list[str]:
        """Return the arguments of ``bench`` for a stage."""
        small = ("epochs=2", "learning_rates=1e-2", "dataset.k=2")
        asked = ("--model", "bce", "--dataset", "csv", "--backbone", "digits-cnn", "--data-root", str(self.data))
        sets = [part for one in small for part in ("--set", one)]
        commands = {
            "run": ["run", *asked, *sets, "--out", str(self.runs), "--cache", str(self.cache)],
            "export": ["export", str(self.run) if stage == "export" else "", "--out", str(self.export)],
            "report": ["report", "--runs", str(self.runs), "--out", str(self.report)],
        }
        return commands[stage]


def make_data(root: Path) -> Path:
    """Draw ninety pictures of three colours, and their tables."""
    from PIL import Image

    root.mkdir()
    draw = np.random.default_rng(0)
    for part, count in (("train", 60), ("test", 30)):
        rows = ["path,labels"]
        for number in range(count):
            present = draw.random(3) < 0.5
            present[number % 3] = True
            pixels = np.full((32, 32, 3), draw.integers(0, 60), np.uint8)
            for label in np.flatnonzero(present):
                pixels[:, 10 * label : 10 * label + 9, label] = 200
            Image.fromarray(pixels).save(root / f"{part}{number}.png")
            rows.append(f"{part}{number}.png," + ";".join(np.array(["cat", "dog", "cow"])[present]))
        (root / f"{part}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def start(arguments: Sequence[str], log: Path, before: Callable[[], None] = lambda: None) -> int:
    """Run ``bench`` with ``arguments`` in a process of its own and return its number; its words go to ``log``."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.setsid()
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        before()
        from bench.cli import run_command_line

        code = run_command_line(["-q", *arguments])
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def end(child: int) -> int:
    """Return the exit code of a process, minus its signal where one ended it; ``LONGEST`` seconds are a hang."""
    until = time.monotonic() + LONGEST  # hang guard
    while time.monotonic() < until:  # hang guard
        number, status = os.waitpid(child, os.WNOHANG)
        if number:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -999


def finish(place: Place, stage: str, before: Callable[[], None] = lambda: None) -> tuple[int, str]:
    """Run a stage undisturbed; return its exit code and what it said."""
    log = place.folder / "log"
    log.unlink(missing_ok=True)
    code = end(start(place.command(stage), log, before))
    return code, log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def result(place: Place, stage: str) -> dict[str, str]:
    """Return a hash of all that a stage made and that does not tell when and where it was."""
    if stage == "report":
        return {"report": _hash(_steady(place.report.read_text(encoding="utf-8")).encode())}
    folder = place.run if stage == "run" else place.export
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")):
        if path.name not in OWN:
            found[path.relative_to(folder).as_posix()] = _hash(path.read_bytes())
    if stage == "run":
        training = json.loads((folder / "training.json").read_bytes())
        for epoch in training["history"]:
            epoch.pop("seconds")
        found["training.json"] = _hash(json.dumps(training).encode())
        for path in sorted((place.cache / "features").glob("*.npy")):
            found[f"cache/{path.name}"] = _hash(path.read_bytes())
    return found


def _steady(page: str) -> str:
    import re

    return re.sub(r"\d[\d.,]* (?:s|ms|MB|images/s)\b|\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?|/\S+", "", page)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def leftovers(place: Place) -> list[str]:
    """Return temporary files and locks that are left once nothing runs; a run's own lock file stays."""
    endings = (".part", ".bench-part", ".lock", ".tmp")
    return [
        str(path.relative_to(place.folder))
        for path in place.folder.rglob("*")
        if path.name.endswith(endings) and path.name != ".lock"
    ]


class Campaign:
    """All trials: counts of what was tried and of what ended as it must, by kind."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.draw = folder, random.Random(seed)
        self.data = make_data(folder / "data")
        self.counts: dict[str, list[int]] = {}
        self.faults: list[str] = []
        for name in WARM:
            importlib.import_module(name)
        whole = Place(folder / "whole", self.data)
        whole.folder.mkdir()
        self.seconds, self.expected, self.whole = {}, {}, whole
        for stage in ("run", "export", "report"):
            started = time.monotonic()
            code, said = finish(whole, stage)
            self.seconds[stage] = time.monotonic() - started
            if code:
                raise SystemExit(f"undisturbed, {stage} ended with {code}: {said}")
            self.expected[stage] = result(whole, stage)

    def place(self, stage: str) -> Place:
        """Return a new place in which all that ``stage`` builds upon is there."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        place = Place(folder, self.data)
        if stage != "run":
            shutil.copytree(self.whole.runs, place.runs)
        if stage == "export":
            shutil.copytree(self.whole.cache, place.cache)
            if self.draw.random() < 0.5:  # over what another export left, which stays whole or is replaced
                shutil.copytree(self.whole.export, place.export)
        return place

    def note(self, kind: str, place: Place, wrong: str) -> None:
        """Count a trial; ``wrong`` says what did not end as it must."""
        count = self.counts.setdefault(kind, [0, 0])
        count[0] += 1
        count[1] += not wrong
        if wrong:
            self.faults.append(f"{kind}: {wrong[:1500]}")
            sys.stdout.write(f"  {self.faults[-1]}\n")
            shutil.copytree(place.folder, self.folder / f"kept-{len(self.faults)}", symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(place.folder, ignore_errors=True)

    def check(self, place: Place, stage: str) -> str:
        """Return what is wrong once a stage that was disturbed is asked for again; empty where nothing is."""
        code, said = finish(place, stage)
        if code or "Traceback" in said:
            return f"{stage} asked for again ended with {code}: {said}"
        found = result(place, stage)
        if found != self.expected[stage]:
            names = [
                name for name in {*found, *self.expected[stage]} if found.get(name) != self.expected[stage].get(name)
            ]
            return f"{stage} asked for again gave other {', '.join(sorted(names))}"
        left = [name for name in leftovers(place) if not name.endswith(".bench-part")]
        return f"{stage} left {', '.join(left)}" if left else ""

    def signal(self, number: int, stage: str) -> None:
        """Send a signal at a random moment of a stage."""
        place = self.place(stage)
        log = place.folder / "log"
        child = start(place.command(stage), log)
        time.sleep(self.draw.random() * self.seconds[stage])
        before = self._finished(place)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, number)
        end(child)
        wrong = "" if number == signal.SIGKILL else self._said(log)
        wrong = wrong or self.check(place, stage)
        if (
            not wrong
            and stage == "run"
            and (again := [name for name in before if before[name] != self._finished(place)[name]])
        ):
            wrong = f"computed again though it was finished: {', '.join(again)}"
        self.note(f"{signal.Signals(number).name} in {stage}", place, wrong)

    @staticmethod
    def _said(log: Path) -> str:
        said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        return f"a traceback: {said}" if "Traceback" in said else ""

    @staticmethod
    def _finished(place: Place) -> dict[str, int]:
        """Return what takes long and is finished: when it was written."""
        paths = [*place.runs.glob("csv/*/*/weights.safetensors"), *(place.cache / "features").glob("*.npy")]
        listed = {}
        for path in paths:
            manifest = path.parent / "manifest.json"
            with contextlib.suppress(OSError, ValueError):
                if path.suffix == ".npy" or path.name in json.loads(manifest.read_bytes())["files"]:
                    listed[path.name] = path.stat().st_mtime_ns
        return listed

    def full_disk(self, stage: str) -> None:
        """Let a disk be full at a random size; then there is room."""
        place = self.place(stage)
        half = self.draw.random() < 0.5
        target = (place.cache if half else place.runs) if stage == "run" else place.folder / "disk"
        # Not the folder itself: a place where something is mounted cannot be renamed over.
        if stage != "run":
            place.export, place.report = target / "export", target / "r.html"
        size = sum(path.stat().st_size for path in self.whole.folder.rglob("*") if path.is_file())
        with small_disk(target, max(8, int(size / 1024 * self.draw.random() * 0.6))):
            code, said = finish(place, stage)
            kept = place.folder / "kept"
            if code == 0 and stage != "run":
                wrong = ""
            elif code in {0, 1, 2} and "Traceback" not in said:
                wrong = "" if code == 0 or "No space left" in said else f"no word of the disk: {said}"
            else:
                wrong = f"ended with {code}: {said}"
            shutil.copytree(target, kept, dirs_exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        kept.rename(target)
        self.note(f"full disk in {stage}", place, wrong or self.check(place, stage))

    def unwritable(self, stage: str) -> None:
        """Let the place that is written to be read-only; then it is not."""
        place = self.place(stage)
        target = place.folder / "locked"
        target.mkdir()
        place.runs, place.export, place.report = (
            (target / "runs", place.export, place.report)
            if stage == "run"
            else (place.runs, target / "export", target / "r.html")
        )
        with read_only(target):
            code, said = finish(place, stage)
        lines = [line for line in said.splitlines() if line.startswith("error")]
        wrong = "" if code == 2 and "Traceback" not in said and lines else f"ended with {code}: {said}"
        self.note(f"read-only in {stage}", place, wrong or self.check(place, stage))

    def together(self, count: int) -> None:
        """Let several processes ask for one run, with one cache; one does it, and the others say so or find it done."""
        place = self.place("run")
        logs = [place.folder / f"log{number}" for number in range(count)]
        codes = [end(child) for child in [start(place.command("run"), log) for log in logs]]
        said = [log.read_text(encoding="utf-8", errors="replace") for log in logs]
        odd = [
            text
            for code, text in zip(codes, said, strict=True)
            if (code and "another process is working on" not in text) or "Traceback" in text
        ]
        wrong = f"codes {codes}: {odd}" if odd or 0 not in codes else ""
        self.note(f"{count} processes at once", place, wrong or self.check(place, "run"))

    def old_lock(self) -> None:
        """Leave locks of a process that is dead, or of another host, wherever there are some."""
        place = self.place("run")
        shutil.copytree(self.whole.runs, place.runs)
        place.run.joinpath("measures.json").unlink()
        (place.cache / "features").mkdir(parents=True)
        for path in (self.whole.cache / "features").glob("*.npy"):
            lock = place.cache / "features" / f"{path.stem}.lock"
            lock.write_text(self.draw.choice(("process 1 on another-host", f"process {2**22 - 1} on here")))
        place.run.joinpath(".lock").write_text("process 1 on another-host")
        self.note("a lock of nobody", place, self.check(place, "run"))

    def clock_back(self) -> None:
        """Set the clock back by a year between two halves of a run."""
        place = self.place("run")
        child = start(place.command("run"), place.folder / "log")
        time.sleep(self.draw.random() * self.seconds["run"])
        os.killpg(child, signal.SIGKILL)
        end(child)
        for path in place.folder.rglob("*"):
            os.utime(path, (time.time() + 3e7, time.time() + 3e7), follow_symlinks=False)

        def back() -> None:
            real = time.time
            time.time = lambda: real() - 3e7

        code, said = finish(place, "run", back)
        wrong = f"ended with {code}: {said}" if code or "Traceback" in said else ""
        self.note("the clock set back", place, wrong or self.check(place, "run"))

    def damage(self) -> None:
        """Flip, cut, zero or remove a file of store or cache, then ask again."""
        place = Place(Path(tempfile.mkdtemp(dir=self.folder)), self.data)
        for name in ("runs", "cache"):
            shutil.copytree(self.whole.folder / name, place.folder / name)
        ways = {
            **{name: way for name, way in DAMAGE.items() if name != "another key's"},
            "zeroed": lambda path, other: path.write_bytes(bytes(path.stat().st_size)),
            "absent": lambda path, other: path.unlink(),
        }
        files = [path for part in (place.runs, place.cache) for path in part.rglob("*") if path.is_file()]
        path = self.draw.choice([path for path in sorted(files) if path.name != ".lock" and path.stat().st_size])
        way = self.draw.choice(sorted(ways))
        with contextlib.suppress(ValueError, IndexError):
            ways[way](path, path)
        wrong = self.check(place, "run")
        if path.name == "manifest.json" and wrong and "Traceback" not in wrong and "error: " in wrong:
            wrong = ""  # another key or layout is refused in a line, and nothing is written over
        self.note("damaged files", place, f"{way} in {path.relative_to(place.folder)}: {wrong}" if wrong else "")

    def table(self) -> str:
        """Return the counts, a line for each kind."""
        lines = io.StringIO()
        for kind, (tried, right) in self.counts.items():
            lines.write(f"{kind:24} {right:>4} of {tried}\n")
        return lines.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="SIGKILLs: three fifths in runs")
    parser.add_argument("--others", type=int, default=10, help="trials of each other kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1e9, help="after which no trial begins")
    asked = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", MPLBACKEND="Agg")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        os.environ["XDG_CACHE_HOME"] = str(Path(name, "home"))
        return _all(Campaign(Path(name), asked.seed), asked)


def _all(campaign: Campaign, asked: argparse.Namespace) -> int:
    until = time.monotonic() + asked.seconds
    sys.stdout.write(
        f"seed {asked.seed}; undisturbed: {', '.join(f'{n} {s:.1f} s' for n, s in campaign.seconds.items())}\n"
    )
    stages = ("run", "run", "run", "export", "report")
    trials: list[Callable[[], None]] = [
        lambda stage=stages[number % 5]: campaign.signal(signal.SIGKILL, stage) for number in range(asked.kills)
    ]
    for number in range(asked.others):
        stage = stages[2 + number % 3]
        trials += [
            lambda stage=stage: campaign.full_disk(stage),
            lambda stage=stage: campaign.unwritable(stage),
            lambda count=2 + number % 3: campaign.together(count),
            campaign.old_lock,
            campaign.clock_back,
            campaign.damage,
            campaign.damage,
        ]
    campaign.draw.shuffle(trials)
    skipped: set[str] = set()
    for trial in trials:
        if time.monotonic() > until:
            break
        try:
            trial()
        except UnavailableError as error:
            skipped.add(str(error))
    sys.stdout.write(campaign.table())
    sys.stdout.writelines(f"not tried: {reason}\n" for reason in skipped)
    return 1 if campaign.faults else 0


if __name__ == "__main__":
    sys.exit(main())
