"""Readers given damaged inputs by the million: ``python -P tests/faults/fuzz.py csv --count 100000 --seed 1``.

Each reader works in a process of its own with bounded memory, so that what ends the process is a finding like any
other. A finding is an error that is not the project's, one of several lines, a hang, memory beyond the bound, or a
signal. Without a name every reader is tried; ``--engine atheris`` guides the mutations by coverage, where Atheris is
installed. Exit code 1: there were findings. They are written to ``--out``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import mmap
import os
import random
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

MOST_BYTES = 3 << 29
"""Memory that a reader may take beyond what its imports took."""

MOST_GROWTH = 256 << 20
"""Resident memory by which one input may raise the most that was ever used."""

MOST_SECONDS = 10
SILENCE = 60
"""Seconds after which a process that cannot be interrupted counts as hung."""

LONGEST_LINE = 4000
ISOLATED = frozenset({"parquet"})
"""Readers that the project runs in a process of its own, so that one which ends it is refused in a line."""

LARGEST_INPUT = 1 << 20


class HangError(Exception):
    """An input took longer than it may."""


def _instrumented(engine: str) -> contextlib.AbstractContextManager[None]:
    """Count lines reached in what is imported of the project meanwhile, for Atheris."""
    if engine != "atheris":
        return contextlib.nullcontext()
    import atheris

    return atheris.instrument_imports(include=["bench", "bench_datasets", "bench_backbones"])


def _interrupt(*_: object) -> None:
    raise HangError(f"more than {MOST_SECONDS} s")


class Reader:
    """One reader in this process: its seeds, and what an input does to it."""

    def __init__(self, name: str, folder: Path, engine: str = "own") -> None:
        sys.path[:0] = [str(Path(__file__).parents[1])]
        with _instrumented(engine):
            from faults.targets import TARGETS, findings

            from bench.errors import BenchError

        self.target, self.folder, self.allowed = TARGETS[name], folder, BenchError
        with _instrumented(engine):
            self.seeds = [*self.target.prepare(folder), *findings(name)]
            for seed in self.seeds:
                with contextlib.suppress(Exception):  # what is imported on the way is no input's memory or time
                    self.target.read(folder, seed)
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MOST_BYTES, hard))
        signal.signal(signal.SIGALRM, _interrupt)

    def finding(self, content: bytes) -> str:
        """Return what is wrong with how the reader takes ``content``; empty where nothing is."""
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        signal.alarm(MOST_SECONDS)
        found = ""
        try:
            self.target.read(self.folder, content)
        except self.allowed as error:
            if "\n" in str(error):
                found = f"several lines: {type(error).__name__} {_place(error)}"
            elif len(str(error)) > LONGEST_LINE:
                found = f"a long line: {type(error).__name__} {_place(error)}"
        except BaseException as error:
            found = f"{type(error).__name__} {_place(error)}"
        finally:
            signal.alarm(0)
        grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        return found or (f"memory: {grown >> 20} MB more" if grown > MOST_GROWTH else "")


def _place(error: BaseException) -> str:
    """Return where an error arose, by the project's own innermost line."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/bench" in frame.filename and "/tests/" not in frame.filename]
    frame = (own or frames)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"


def work(name: str, seed: int, count: int, seconds: float, engine: str) -> None:
    """Try inputs, and print a line of JSON for each finding and one at the end. The input in hand is in ``INPUT``."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        reader = Reader(name, Path(folder), engine)
        place = mmap.mmap(os.open(os.environ["FUZZ_INPUT"], os.O_RDWR), LARGEST_INPUT + 16)
        draw, until = random.Random(seed), time.monotonic() + seconds
        done = 0
        seen: Counter[str] = Counter()

        def one(content: bytes) -> None:
            nonlocal done
            content = content[:LARGEST_INPUT]
            place[16 : 16 + len(content)] = content
            place[:16] = len(content).to_bytes(8, "little") + done.to_bytes(8, "little")
            found = reader.finding(content)
            done += 1
            if found:
                seen[found] += 1
                if seen[found] == 1:
                    _say({"found": found, "input": content.hex(), "number": done})

        if engine == "atheris":
            _guided(one, reader, seed, count, until)
        else:
            pool = list(reader.seeds)
            while done < count and time.monotonic() < until:
                content = reader.target.mutate(draw.choice(pool), draw)
                one(content)
                if draw.random() < 0.001:  # damage upon damage, in a pool that stays small
                    pool[len(reader.seeds) :] = [*pool[len(reader.seeds) :][-20:], content]
        _say({"done": done, "seen": seen})


def _guided(one, reader: Reader, seed: int, count: int, until: float) -> None:
    """Let Atheris choose the inputs, mutated by the reader's own format, so that they reach more lines."""
    import atheris

    done = 0

    def take(content: bytes) -> None:
        nonlocal done
        one(content)
        done += 1
        if done >= count or time.monotonic() > until:
            _say({"done": done, "seen": {}})
            os._exit(0)

    def mutate(content: bytes, largest: int, number: int) -> bytes:
        draw = random.Random(number)
        base = draw.choice(reader.seeds) if not content or draw.random() < 0.1 else content
        return reader.target.mutate(base, draw)[:largest]

    with tempfile.TemporaryDirectory() as corpus:
        for number, content in enumerate(reader.seeds):
            Path(corpus, str(number)).write_bytes(content)
        options = (f"-seed={seed}", f"-max_len={LARGEST_INPUT}", "-rss_limit_mb=0", "-timeout=0", "-verbosity=0")
        atheris.Setup([sys.argv[0], corpus, *options], take, custom_mutator=mutate)
        atheris.Fuzz()


def _say(values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def campaign(name: str, seed: int, count: int, seconds: float, *, out: Path, engine: str) -> tuple[int, dict[str, int]]:
    """Return how many inputs a reader took and its findings, of processes one after another."""
    until, left, found, ends = time.monotonic() + seconds, count, Counter[str](), 0
    while left > 0 and time.monotonic() < until:
        with tempfile.NamedTemporaryFile() as place:
            place.truncate(LARGEST_INPUT + 16)
            arguments = ("--worker", name, "--seed", str(seed), "--count", str(left), "--engine", engine)
            process = subprocess.Popen(
                [sys.executable, "-P", __file__, *arguments, "--seconds", str(max(until - time.monotonic(), 0.1))],
                stdout=subprocess.PIPE,
                stderr=None if os.environ.get("FUZZ_VERBOSE") else subprocess.DEVNULL,
                env=os.environ | {"FUZZ_INPUT": place.name, "OMP_NUM_THREADS": "1"},
                text=True,
            )
            ended, last = False, -1
            while True:
                ready, _, _ = select.select([process.stdout], [], [], SILENCE)
                if ready:
                    line = process.stdout.readline()
                    if not line:
                        break
                    values = json.loads(line)
                    if "found" in values:
                        _keep(
                            out / f"{name}-{seed}-{values['number']}",
                            values["found"],
                            bytes.fromhex(values["input"]),
                            found,
                        )
                    else:
                        ended, left = True, left - values["done"]
                        found.update({key: count - 1 for key, count in values["seen"].items()})
                else:
                    now = _at(place)[0]
                    if now == last:
                        process.kill()
                    last = now
            process.wait()
            if not ended and name in ISOLATED and process.returncode < 0:
                number, _ = _at(place)
                left -= number + 1
                ends += 1
            elif not ended:
                number, content = _at(place)
                left -= number + 1
                reason = f"signal {-process.returncode}" if process.returncode < 0 else f"exit {process.returncode}"
                hung = process.returncode == -signal.SIGKILL
                _keep(out / f"{name}-{seed}-{number}", "hang" if hung else reason, content, found)
            seed += 1000
    if ends:
        sys.stdout.write(f"{name}: {ends} inputs ended the process that reads it, which is one of its own\n")
    return count - max(left, 0), dict(found)


def _at(place) -> tuple[int, bytes]:
    """Return the number of the input in hand, and its content."""
    place.seek(0)
    content = place.read()
    length, number = int.from_bytes(content[:8], "little"), int.from_bytes(content[8:16], "little")
    return number, content[16 : 16 + length]


def _keep(path: Path, found: str, content: bytes, counts: Counter[str]) -> None:
    """Write an input that is the first of its finding; ``path`` says which reader, seed and input it is of."""
    counts[found] += 1
    if counts[found] == 1:
        path.parent.mkdir(parents=True, exist_ok=True)
        word = "".join(letter if letter.isalnum() else "_" for letter in found)[:60]
        path.with_name(f"{path.name}-{word}").write_bytes(content)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--engine", choices=("own", "atheris"), default="own")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "fuzz-findings")
    parser.add_argument("--worker", default="")
    asked = parser.parse_args()
    if asked.worker:
        with contextlib.suppress(KeyboardInterrupt):
            work(asked.worker, asked.seed, asked.count, asked.seconds, asked.engine)
        return 0
    sys.path[:0] = [str(Path(__file__).parents[1])]
    from faults.targets import TARGETS

    total = 0
    for name in asked.names or TARGETS:
        started = time.monotonic()
        done, found = campaign(name, asked.seed, asked.count, asked.seconds, out=asked.out, engine=asked.engine)
        total += len(found)
        rate = done / max(time.monotonic() - started, 1e-9)
        print(
            f"{name:16} {done:>9,} inputs  {rate:>8,.0f} a second  seed {asked.seed}  {found or 'no finding'}",
            flush=True,
        )
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
