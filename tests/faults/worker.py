"""A reader in a process of its own: it is given damaged inputs, with bounded memory and time for each.

Started by ``fuzz.py``, which reads what this prints: a line of JSON for each finding, and one at the end. The input in
hand lies in the file that ``FUZZ_INPUT`` names, for the case that it ends the process.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import mmap
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

MOST_BYTES = 3 << 29
"""Memory that a reader may take beyond what its imports took."""

MOST_GROWTH = 256 << 20
"""Resident memory by which one input may raise the most that was ever used."""

MOST_SECONDS = 10
"""Of computing, whatever else the machine does; what waits for ever is seen by ``fuzz.py``."""

ATHERIS_SECONDS = 86_400
"""Of the clock, after which Atheris takes an input for a hang; by 0 it means no time at all, and what waits for a core
would end. Hangs are seen by the bound on computing above, and by ``fuzz.py``."""

LONGEST_LINE = 4000
LARGEST_INPUT = 1 << 20
HEAD = 16
"""Bytes before the input in hand: its length, and its number."""

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where folders are made that no disk needs to see."""


class HangError(Exception):
    """An input took longer than it may."""


def _instrumented(engine: str) -> contextlib.AbstractContextManager[None]:
    """Count lines reached in what is imported of the project meanwhile, for Atheris."""
    if engine != "atheris":
        return contextlib.nullcontext()
    import atheris

    return atheris.instrument_imports(include=["bench", "bench_datasets", "bench_backbones"])


def _interrupt(*_: object) -> None:
    raise HangError(f"more than {MOST_SECONDS} s of computing")


class Reader:
    """One reader in this process: its seeds, and what an input does to it."""

    def __init__(self, name: str, folder: Path, engine: str = "own") -> None:
        sys.path[:0] = [str(Path(__file__).parents[1])]
        with _instrumented(engine):
            from faults.targets import TARGETS, findings

            from bench.errors import BenchError

        self.target, self.allowed = TARGETS[name], BenchError
        with _instrumented(engine):
            sound, self.read = self.target.open(folder)
            self.seeds = [*sound, *findings(name)]
            for seed in self.seeds:
                with contextlib.suppress(Exception):  # what is imported on the way is no input's memory or time
                    self.read(seed, True)
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MOST_BYTES, hard))
        signal.signal(signal.SIGPROF, _interrupt)
        self.most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def finding(self, content: bytes, deep: bool) -> str:
        """Return what is wrong with how the reader takes ``content``; empty where nothing is."""
        signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
        found = ""
        try:
            self.read(content, deep)
        except self.allowed as error:
            text = str(error)
            if "\n" in text:
                found = f"several lines: {type(error).__name__} {_place(error)}"
            elif len(text) > LONGEST_LINE:
                found = f"a long line: {type(error).__name__} {_place(error)}"
        except BaseException as error:
            found = f"{type(error).__name__} {_place(error)}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        before, self.most = self.most, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        grown = 1024 * (self.most - before)
        return found or (f"memory: {grown >> 20} MB more" if grown > MOST_GROWTH else "")

    def deep(self, content: bytes) -> bool:
        """Return whether ``content`` is one of the inputs that are read by all that comes after parsing, too."""
        return zlib.crc32(content) % self.target.every == 0


def _place(error: BaseException) -> str:
    """Return where an error arose, by the project's own innermost line."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/bench" in frame.filename and "/tests/" not in frame.filename]
    frame = (own or frames)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"


class Worker:
    """What is counted and told of the inputs that a reader is given."""

    def __init__(self, reader: Reader) -> None:
        self.reader, self.done, self.seen = reader, 0, Counter[str]()
        self.place = mmap.mmap(os.open(os.environ["FUZZ_INPUT"], os.O_RDWR), LARGEST_INPUT + HEAD)

    def begin(self, seconds: float) -> None:
        """Count from now on, for so many seconds: what was imported and opened before is of no reader's time."""
        self.done, self.began, self.until = 0, time.process_time(), time.monotonic() + seconds

    @property
    def used(self) -> float:
        """Return the seconds of computing since it began."""
        return time.process_time() - self.began

    @property
    def over(self) -> bool:
        return time.monotonic() > self.until

    def one(self, content: bytes, deep: bool | None = None) -> None:
        """Give the reader an input, and tell of a finding that is the first of its kind."""
        content = content[:LARGEST_INPUT]
        self.place[HEAD : HEAD + len(content)] = content
        self.place[:HEAD] = len(content).to_bytes(8, "little") + self.done.to_bytes(8, "little")
        found = self.reader.finding(content, self.reader.deep(content) if deep is None else deep)
        self.done += 1
        if found:
            self.seen[found] += 1
            if self.seen[found] == 1:
                _say({"found": found, "input": content.hex(), "number": self.done})


def work(names: list[str], seed: int, count: int, seconds: float, engine: str) -> None:
    """Try each reader's seeds as they are, then ``count`` inputs in all, or as many as can be within ``seconds``."""
    done, used, seen = 0, 0.0, Counter[str]()
    for name in names:
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            worker = Worker(Reader(name, Path(folder), engine))
            for content in worker.reader.seeds:
                worker.one(content, deep=True)
            worker.begin(seconds / len(names))
            if engine == "atheris":
                _guided(worker, seed, count)
            _by_format(worker, random.Random(seed), count // len(names))
            done, used, seen = done + worker.done, used + worker.used, seen + worker.seen
    _end(done, used, seen)


def _by_format(worker: Worker, draw: random.Random, count: int) -> None:
    """Give a reader ``count`` sound inputs, each damaged as its format lets one think of."""
    from faults import mutations

    mutate, pool, sound = worker.reader.target.mutate, list(worker.reader.seeds), len(worker.reader.seeds)
    while worker.done < count and not worker.over:
        content = mutations.by(mutate, draw.choice(pool), draw)
        worker.one(content)
        if draw.random() < 0.001:  # damage upon damage, in a pool that stays small
            pool[sound:] = [*pool[sound:][-20:], content]


def _guided(worker: Worker, seed: int, count: int) -> None:
    """Let Atheris choose the inputs, mutated by the reader's own format, so that they reach more lines."""
    import atheris
    from faults import mutations

    def take(content: bytes) -> None:
        worker.one(content)
        if worker.done >= count or worker.over:
            _end(worker.done, worker.used, worker.seen)
            os._exit(0)

    def mutate(content: bytes, largest: int, number: int) -> bytes:
        draw = random.Random(number)
        base = draw.choice(seeds) if not content or draw.random() < 0.1 else content
        # An empty one, which libFuzzer gives by itself, it takes for a fault of whoever mutates.
        return mutations.by(worker.reader.target.mutate, base, draw)[:largest] or b"\n"

    seeds: list[bytes] = worker.reader.seeds
    with tempfile.TemporaryDirectory() as corpus:
        for number, content in enumerate(seeds):
            Path(corpus, str(number)).write_bytes(content)
        bounds = (f"-max_len={LARGEST_INPUT}", "-rss_limit_mb=0", f"-timeout={ATHERIS_SECONDS}")
        options = (f"-seed={seed + 1}", *bounds, "-verbosity=0")
        run: Callable[[], None] = atheris.Fuzz
        atheris.Setup([sys.argv[0], corpus, *options], take, custom_mutator=mutate)
        run()


def _end(done: int, used: float, seen: Counter[str]) -> None:
    _say({"done": done, "seconds": round(used, 2), "seen": seen})


def _say(values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a reader, or several with commas between them, one after another")
    for option, kind in (("seed", int), ("count", int), ("seconds", float), ("engine", str)):
        parser.add_argument(f"--{option}", type=kind, required=True)
    asked = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        work(asked.name.split(","), asked.seed, asked.count, asked.seconds, asked.engine)


if __name__ == "__main__":
    main()
