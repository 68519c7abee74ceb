"""Runs, exports and reports disturbed in every way, each then finished: the result is that of an undisturbed one.

``python -P tests/faults/campaign.py --kills 200 --others 10 --seed 1`` prints a line for each kind of fault: how many
were tried, and how many ended as they must. Exit code 1: one did not. Each trial is forked from this process, which has
imported everything, so that it takes what the work takes and no second more. With ``--ledger FILE`` what an earlier
sitting did counts, and a campaign that is stopped loses the trial in hand alone.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1])]

from damage import DAMAGE  # noqa: E402 - beside this folder
from faults import ledger  # noqa: E402 - in it
from faults.places import UnavailableError, read_only, small_disk  # noqa: E402
from faults.stages import (  # noqa: E402
    STAGES,
    Place,
    count_renames,
    end,
    finish,
    finished,
    is_alive,
    kill_at_rename,
    leftovers,
    make_data,
    result,
    start,
)

SHARES = ("run", "run", "run", "export", "report")
"""Of which stages kills are: half of each at a random moment, half at one of its renames."""


class Campaign:
    """All trials: counts of what was tried and of what ended as it must, by kind."""

    def __init__(self, folder: Path, seed: int, book: Path | None = None) -> None:
        self.folder, self.seed, self.book, self.draw = folder, seed, book, random.Random(seed)
        self.data = make_data(folder / "data")
        self.counts: dict[str, list[int]] = {}
        self.faults: list[str] = []
        importlib.import_module("warm")
        whole = Place(folder / "whole", self.data)
        whole.folder.mkdir()
        self.seconds, self.renames, self.expected, self.whole = {}, {}, {}, whole
        for stage in STAGES:
            started, counted = time.monotonic(), folder / f"renames-{stage}"
            code, said = finish(whole, stage, lambda counted=counted: count_renames(counted))
            self.seconds[stage], self.renames[stage] = time.monotonic() - started, counted.stat().st_size
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
        count[0] += not wrong
        count[1] += 1
        if self.book is not None:
            ledger.note(self.book, fault=kind, seed=self.seed, right=not wrong, **({"wrong": wrong} if wrong else {}))
        if wrong:
            self.faults.append(f"{kind}: {wrong[:1500]}")
            sys.stdout.write(f"  {self.faults[-1]}\n")
            kept = (self.folder if self.book is None else self.book.parent) / f"kept-{self.seed}-{len(self.faults)}"
            shutil.copytree(place.folder, kept, symlinks=True, dirs_exist_ok=True)
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
        place, child = self._under_way(stage)
        log, before = place.folder / "log", finished(place)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, number)
        end(child)
        wrong = "" if number == signal.SIGKILL else self._said(log)
        self.note(f"{signal.Signals(number).name} in {stage}", place, wrong or self.gone_on(place, stage, before))

    def _under_way(self, stage: str) -> tuple[Place, int]:
        """Return a place and the process that makes a stage there, at a random moment before it is done.

        What else the machine does changes how long that takes: ends that came first, and those that did not, tell.
        """
        while True:
            place = self.place(stage)
            child = start(place.command(stage), place.folder / "log")
            time.sleep(self.draw.random() * self.seconds[stage])
            if is_alive(child):
                self.seconds[stage] *= 1.1
                return place, child
            self.seconds[stage] *= 0.8
            shutil.rmtree(place.folder)

    def rename(self, stage: str) -> None:
        """Kill a stage just before one of its renames."""
        place, at = self.place(stage), self.draw.randrange(self.renames[stage])
        end(start(place.command(stage), place.folder / "log", lambda: kill_at_rename(at)))
        self.note(f"SIGKILL at a rename of {stage}", place, self.gone_on(place, stage, finished(place)))

    def gone_on(self, place: Place, stage: str, before: dict[str, int]) -> str:
        """Return what ``check`` does, or which of what was finished ``before`` was computed again."""
        if wrong := self.check(place, stage):
            return wrong
        after = finished(place)
        again = [name for name in before if stage == "run" and before[name] != after[name]]
        return f"computed again though it was finished: {', '.join(again)}" if again else ""

    @staticmethod
    def _said(log: Path) -> str:
        said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        return f"a traceback: {said}" if "Traceback" in said else ""

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
        place, child = self._under_way("run")
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
        if path.is_relative_to(place.cache):
            shutil.rmtree(place.runs)  # a finished run reads no features
        wrong = self.check(place, "run")
        if path.name == "manifest.json" and wrong and "Traceback" not in wrong and "error: " in wrong:
            wrong = ""  # another key or layout is refused in a line, and nothing is written over
        self.note("damaged files", place, f"{way} in {path.relative_to(place.folder)}: {wrong}" if wrong else "")


def planned(campaign: Campaign, kills: int, others: int, before: dict[str, list[int]]) -> list[Callable[[], None]]:
    """Return the trials in random order: so many kills, and ``others`` of each other kind, less those made before."""
    made = {kind: tried for kind, (_, tried) in before.items()}
    trials: list[Callable[[], None]] = []

    def add(kind: str, trial: Callable[[], None]) -> None:
        if made.get(kind, 0) > 0:
            made[kind] -= 1
        else:
            trials.append(trial)

    for number in range(kills):
        stage = SHARES[number // 2 % len(SHARES)] if kills > len(SHARES) else STAGES[number % len(STAGES)]
        if number % 2:
            add(f"SIGKILL at a rename of {stage}", lambda stage=stage: campaign.rename(stage))
        else:
            add(f"SIGKILL in {stage}", lambda stage=stage: campaign.signal(signal.SIGKILL, stage))
    for number in range(others):
        stage, count = STAGES[number % len(STAGES)], 2 + number % 3
        gentle = (signal.SIGTERM, signal.SIGINT)[number % 2]
        add(f"{gentle.name} in {stage}", lambda stage=stage, gentle=gentle: campaign.signal(gentle, stage))
        add(f"full disk in {stage}", lambda stage=stage: campaign.full_disk(stage))
        add(f"read-only in {stage}", lambda stage=stage: campaign.unwritable(stage))
        add(f"{count} processes at once", lambda count=count: campaign.together(count))
        add("a lock of nobody", campaign.old_lock)
        add("the clock set back", campaign.clock_back)
        add("damaged files", campaign.damage)
    campaign.draw.shuffle(trials)
    return trials


def run(campaign: Campaign, trials: list[Callable[[], None]], seconds: float) -> None:
    """Make the trials, as many as can be begun within so many seconds, and say what came of them."""
    until, skipped = time.monotonic() + seconds, set[str]()
    took = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in campaign.seconds.items())
    sys.stdout.write(f"seed {campaign.seed}; undisturbed: {took}\n")
    for trial in trials:
        if time.monotonic() > until:
            break
        try:
            trial()
        except UnavailableError as error:
            skipped.add(str(error))
        sys.stdout.flush()
    sys.stdout.writelines(
        f"{kind:28} {right:>4} of {tried}\n" for kind, (right, tried) in sorted(campaign.counts.items())
    )
    sys.stdout.writelines(f"not tried: {reason}\n" for reason in skipped)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="SIGKILLs: three fifths in runs")
    parser.add_argument("--others", type=int, default=10, help="trials of each other kind")
    parser.add_argument("--seed", type=int, help="0, or with --ledger one that it does not have")
    parser.add_argument("--seconds", type=float, default=1e9, help="after which no trial begins")
    parser.add_argument("--ledger", type=Path, help="a file that adds up what was done; --kills are then those in all")
    asked = parser.parse_args()
    before = ledger.entries(asked.ledger) if asked.ledger else []
    seed = (ledger.next_seed(before) if asked.ledger else 0) if asked.seed is None else asked.seed
    os.environ.update(OMP_NUM_THREADS="1", MPLBACKEND="Agg")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        os.environ["XDG_CACHE_HOME"] = str(Path(name, "home"))
        campaign = Campaign(Path(name), seed, asked.ledger)
        run(campaign, planned(campaign, asked.kills, asked.others, ledger.faults(before)), asked.seconds)
    return 1 if campaign.faults else 0


if __name__ == "__main__":
    sys.exit(main())
