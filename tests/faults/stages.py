"""What a campaign disturbs: runs, exports and reports of a small data set, each by a process forked from this one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

STAGES = ("run", "export", "report")

OWN = frozenset(
    {"timings.json", "environment.json", "status.json", "request.json", "training.json", "manifest.json", "log.jsonl"}
)
"""Files of a run that hold when, where or how fast it was made; of training.json the rest is compared."""

LONGEST = 300
"""Seconds of computing, or of none, after which an undisturbed command counts as hung."""


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
    """Draw sixty pictures of three colours, and their tables."""
    from PIL import Image

    root.mkdir()
    draw = np.random.default_rng(0)
    for part, count in (("train", 40), ("test", 20)):
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
    """Return the exit code of a process, minus its signal where one ended it; -999 of one that hangs.

    That is one which computes for ``LONGEST`` seconds, or does not at all for as long: a machine that has much else to
    do makes it slow, and hangs nothing.
    """
    used, since = -1.0, time.monotonic()  # hang guard
    while True:
        number, status = os.waitpid(child, os.WNOHANG)
        if number:
            return os.waitstatus_to_exitcode(status)
        now = _computed(child)
        if now > used:
            used, since = now, time.monotonic()  # hang guard
        if used > LONGEST or time.monotonic() > since + LONGEST:  # hang guard
            break
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -999


def _computed(child: int) -> float:
    """Return the seconds that a process and those which it waited for have computed."""
    values = Path(f"/proc/{child}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return sum(map(int, values[11:15])) / os.sysconf("SC_CLK_TCK")


def is_alive(child: int) -> bool:
    """Return whether a process that was started has not ended; one that has is not to be waited for again."""
    return os.waitpid(child, os.WNOHANG) == (0, 0)


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


def finished(place: Place) -> dict[str, int]:
    """Return what takes long and is finished: when it was written."""
    paths = [*place.runs.glob("csv/*/*/weights.safetensors"), *(place.cache / "features").glob("*.npy")]
    listed = {}
    for path in paths:
        manifest = path.parent / "manifest.json"
        with contextlib.suppress(OSError, ValueError):
            if path.suffix == ".npy" or path.name in json.loads(manifest.read_bytes())["files"]:
                listed[path.name] = path.stat().st_mtime_ns
    return listed


def count_renames(counted: Path) -> None:
    """Have this process write a byte to ``counted`` for each file that it renames, from now on."""
    handle = os.open(counted, os.O_WRONLY | os.O_CREAT, 0o644)

    def hook(event: str, _: object) -> None:
        if event == "os.rename":
            os.write(handle, b".")

    sys.addaudithook(hook)


def kill_at_rename(number: int) -> None:
    """Have this process killed just before it renames a file, once it has renamed ``number``."""
    left = [number]

    def hook(event: str, _: object) -> None:
        if event == "os.rename":
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

    sys.addaudithook(hook)
