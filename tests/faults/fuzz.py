"""Readers given damaged inputs by the million: ``python -P tests/faults/fuzz.py csv --count 100000 --seed 1``.

Each reader works in a process of its own with bounded memory (``worker.py``), so that what ends the process is a
finding like any other. A finding is an error that is not the project's, one of several lines, a hang, memory beyond the
bound, or a signal. Without a name every reader is tried; ``--engine atheris`` guides the mutations by coverage, where
Atheris is installed. Exit code 1: there were findings. They are written to ``--out``.

``--ledger FILE --until 1000000`` goes on from what the ledger says was done, in short sittings, until every reader had
so many inputs: the readers in turn first, then those that will be done soonest, every other sitting guided by Atheris
where it is installed. It may be stopped at any time.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1])]

from faults import beam, ledger  # noqa: E402 - in this folder
from faults.worker import HEAD, LARGEST_INPUT  # noqa: E402

SILENCE = 300
"""Seconds after which a process that cannot be interrupted counts as hung."""

SHARE = 4
"""Sittings at least that a reader's inputs come from, so that either engine has some of them."""

APART = 100_000
"""Between the seeds of two processes of one sitting."""


@dataclass
class Sitting:
    """What came of one reader: inputs, seconds of computing, findings, and inputs that ended a process of its own."""

    done: int = 0
    seconds: float = 0.0
    found: Counter[str] = field(default_factory=Counter)
    ends: int = 0


def sit(name: str, seed: int, count: int, seconds: float, *, out: Path, engine: str) -> Sitting:
    """Give a reader inputs, by processes one after another where one of them ends early."""
    from faults.targets import ISOLATED

    until, sitting = time.monotonic() + seconds, Sitting()
    while sitting.done < count and time.monotonic() < until:
        with tempfile.NamedTemporaryFile() as place:
            place.truncate(LARGEST_INPUT + HEAD)
            with _start(name, seed, count - sitting.done, until, engine=engine, place=place.name) as process:
                ended = _listen(process, place, sitting, lambda number, at=seed: out / f"{name}-{at}-{number}")
            if not ended:
                number, content = _at(place)
                sitting.done += number + 1
                code = process.returncode
                # libFuzzer, in Atheris, tells of a deadly signal by 77.
                if name in ISOLATED and (code < 0 or code == 77) and code != -signal.SIGKILL:
                    sitting.ends += 1
                else:
                    reason = f"signal {-code}" if code < 0 else f"exit {code}"
                    reason = "hang" if code == -signal.SIGKILL else reason
                    _keep(out / f"{name}-{seed}-{number}", reason, content, sitting.found)
        seed += APART
    return sitting


def _start(name: str, seed: int, count: int, until: float, *, engine: str, place: str) -> subprocess.Popen[str]:
    asked = {"seed": seed, "count": count, "seconds": max(until - time.monotonic(), 0.1), "engine": engine}
    options = [part for option, value in asked.items() for part in (f"--{option}", str(value))]
    return subprocess.Popen(
        [sys.executable, "-P", str(Path(__file__).with_name("worker.py")), name, *options],
        stdout=subprocess.PIPE,
        stderr=None if os.environ.get("FUZZ_VERBOSE") else subprocess.DEVNULL,
        env=os.environ | {"FUZZ_INPUT": place, "OMP_NUM_THREADS": "1"},
        text=True,
    )


def _listen(process: subprocess.Popen[str], place, sitting: Sitting, named) -> bool:
    """Take what a worker says until it ends, and return whether it ended as it should; one that hangs is killed."""
    ended, last = False, -1
    while True:
        ready, _, _ = select.select([process.stdout], [], [], SILENCE)
        if not ready:
            now = _at(place)[0]
            if now == last:
                process.kill()
            last = now
            continue
        line = process.stdout.readline()
        if not line:
            return ended
        if not line.startswith("{"):  # Atheris speaks, too
            continue
        values = json.loads(line)
        if "found" in values:
            _keep(named(values["number"]), values["found"], bytes.fromhex(values["input"]), sitting.found)
        else:
            ended, sitting.done = True, sitting.done + values["done"]
            sitting.seconds += values["seconds"]
            sitting.found.update({key: count - 1 for key, count in values["seen"].items()})


def _at(place) -> tuple[int, bytes]:
    """Return the number of the input in hand, and its content."""
    place.seek(0)
    content = place.read()
    length, number = int.from_bytes(content[:8], "little"), int.from_bytes(content[8:16], "little")
    return number, content[HEAD : HEAD + length]


def _keep(path: Path, found: str, content: bytes, counts: Counter[str]) -> None:
    """Write an input that is the first of its finding; ``path`` says which reader, seed and input it is of."""
    counts[found] += 1
    if counts[found] == 1:
        path.parent.mkdir(parents=True, exist_ok=True)
        word = "".join(letter if letter.isalnum() else "_" for letter in found)[:60]
        path.with_name(f"{path.name}-{word}").write_bytes(content)


def next_sitting(names: list[str], totals: dict[str, ledger.Total], until: int, guided: bool) -> tuple[str, str] | None:
    """Return the reader whose turn it is and by which engine; ``None`` where every one had ``until`` inputs."""
    left = [name for name in names if name not in totals or totals[name].count < until]
    if not left:
        return None

    def cost(name: str) -> tuple[bool, float]:
        total = totals.get(name, ledger.Total())
        begun = sum(total.sittings.values()) > 0
        return begun, (until - total.count) / max(total.rate, 1e-9) if begun else total.count

    name = min(left, key=cost)
    if name == beam.NAME:
        return name, "libfuzzer"
    sittings = totals[name].sittings if name in totals else Counter()
    return name, "atheris" if guided and sittings["atheris"] < sittings["own"] else "own"


def go_on(names: list[str], asked: argparse.Namespace) -> int:
    """Add sittings to the ledger until every reader had enough inputs, or the time is over."""
    over, guided = time.monotonic() + asked.seconds, importlib.util.find_spec("atheris") is not None
    found = 0
    while time.monotonic() < over:
        lines = ledger.entries(asked.ledger)
        totals = ledger.readers(lines)
        turn = next_sitting(names, totals, asked.until, guided)
        if turn is None:
            break
        name, engine = turn
        seed = ledger.next_seed(line for line in lines if line.get("reader") == name)
        left = min(asked.until - (totals[name].count if name in totals else 0), -(-asked.until // SHARE))
        seconds = min(asked.sitting if name in totals else asked.sitting / 4, over - time.monotonic())
        found += _one(name, engine, asked, seed=seed, count=left, seconds=seconds)
    sys.stdout.write(ledger.table(ledger.entries(asked.ledger)) + "\n")
    return 1 if found else 0


def _one(name: str, engine: str, asked: argparse.Namespace, *, seed: int, count: int, seconds: float) -> int:
    """Give a reader inputs, say and note what came of it, and return how many findings there were."""
    if name == beam.NAME:
        sitting = Sitting(*beam.sit(seed, count, seconds, asked.out))
    else:
        sitting = sit(name, seed, count, seconds, out=asked.out, engine=engine)
    if asked.ledger:
        counts = {"inputs": sitting.done, "seconds": round(sitting.seconds, 2), "ends": sitting.ends}
        ledger.note(asked.ledger, reader=name, engine=engine, seed=seed, **counts, findings=dict(sitting.found))
    rate = sitting.done / max(sitting.seconds, 0.01)
    found = dict(sitting.found) or "no finding"
    print(f"{name:16} {sitting.done:>9,} inputs  {rate:>8,.0f} a second  seed {seed}  {engine}  {found}", flush=True)
    if sitting.ends:
        print(f"{name}: {sitting.ends} inputs ended the process that reads it, which is one of its own")
    return len(sitting.found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--engine", choices=("own", "atheris"), default="own")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "fuzz-findings")
    parser.add_argument("--ledger", type=Path, help="a file that adds up what was done")
    parser.add_argument(
        "--until", type=int, default=0, help="with --ledger: inputs that every reader is to have in all"
    )
    parser.add_argument("--sitting", type=float, default=60.0, help="with --until: seconds of one reader's turn")
    asked = parser.parse_args()
    from faults.targets import TARGETS

    if asked.until:
        return go_on(asked.names or [*TARGETS, *beam.available()], asked)
    found = [
        _one(
            name,
            "libfuzzer" if name == beam.NAME else asked.engine,
            asked,
            seed=asked.seed,
            count=asked.count,
            seconds=asked.seconds,
        )
        for name in asked.names or TARGETS
    ]
    return 1 if sum(found) else 0


if __name__ == "__main__":
    sys.exit(main())
