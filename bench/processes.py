"""Runs as processes of this machine: what ``bench compare --jobs`` makes them by."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from bench import plugins
from bench.plan import make_plan
from bench.records import RunRequest
from bench.store.stored import RunSummary
from bench.sweep import failure, prepare, run_or_record
from bench.system.notes import note
from bench.system.progress import QUIET_VARIABLE
from bench.system.turns import take_turns

LOOKED = 30.0
"""Seconds after which processes that answer nothing are looked at: one that is stopped says nothing itself."""

PREPARING = -1
"""The number of what a process does before its first run."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """Asks for the features that the runs share, and an answer once they are there."""

    request: RunRequest


@dataclass(frozen=True, slots=True)
class _Opened:
    """Asks for what a run begins with, data set and backbone, and no answer: it stays open for the runs that follow."""

    request: RunRequest


class Processes:
    """``count`` processes of this machine. One that is killed loses the run it makes, which is then a failed one.

    They end with this process, however that ends.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._workers: list[_Worker] = []
        self._asked: dict[int, RunRequest] = {}

    def prepare(self, request: RunRequest) -> None:
        """Have one process extract features while the others open what their runs need: this one needs none of it."""
        self._workers = [_Worker.start() for _ in range(self._count)]
        first, *others = self._workers
        for worker in others:
            worker.send(_Opened(request))
        first.take(PREPARING, _Prepared(request))
        _ready([first])
        try:
            first.pipe.recv()
            first.at = None
        except (EOFError, OSError):
            self._workers.remove(first)
            first.end()

    def room(self) -> int:
        """Return how many processes there are."""
        return self._count

    def take(self, number: int, request: RunRequest) -> None:
        """Give the run to a process that is free, a new one where one was killed."""
        worker = next((worker for worker in self._workers if worker.at is None), None)
        if worker is None:
            self._workers.append(worker := _Worker.start())
        self._asked[number] = request
        worker.take(number, request)

    def wait(self) -> list[tuple[int, RunSummary]]:
        """Return what the processes answer; of one that ended, a failure."""
        return [self._answer(worker) for worker in _ready([one for one in self._workers if one.at is not None])]

    def _answer(self, worker: _Worker) -> tuple[int, RunSummary]:
        assert worker.at is not None, "a worker that answers was asked"
        number, worker.at = worker.at, None
        request = self._asked.pop(number)
        try:
            return number, worker.pipe.recv()
        except (EOFError, OSError):
            self._workers.remove(worker)
            return number, failure(request, "failed", worker.end())

    def end(self) -> None:
        """End every process, those at work at once."""
        for worker in self._workers:
            worker.end()


@dataclass(slots=True, eq=False)
class _Worker:
    """A process that makes the runs it is sent, one after another; ``at`` is the number of the one it is making."""

    process: SpawnProcess
    pipe: Connection
    at: int | None = None
    stopped: bool = False

    @classmethod
    def start(cls) -> _Worker:
        # Never a fork: the threads of torch would be missing in it.
        context = multiprocessing.get_context("spawn")
        pipe, theirs = context.Pipe()
        process = context.Process(target=_make_runs, args=(theirs,))
        # A Ctrl-C goes to every process of the terminal; it is for the one that asks, which ends the others.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process.start()
        finally:
            signal.signal(signal.SIGINT, handler)
        theirs.close()
        return cls(process, pipe)

    def take(self, number: int, asked: RunRequest | _Prepared) -> None:
        self.at = number
        self.send(asked)

    def send(self, asked: RunRequest | _Prepared | _Opened) -> None:
        with contextlib.suppress(OSError):  # a dead one's pipe ends where its answer is read
            self.pipe.send(asked)

    def look(self) -> None:
        """Tell once of a process that was stopped, by SIGSTOP or a debugger: until it goes on it answers nothing."""
        with contextlib.suppress(OSError):  # it has ended, or the system tells of none in files
            state = Path(f"/proc/{self.process.pid}/stat").read_bytes().rpartition(b") ")[2]
            before, self.stopped = self.stopped, state[:1] in {b"T", b"t"}
            if self.stopped and not before:
                pid = self.process.pid
                note(f"process {pid}, which makes a run, is stopped, and waited for. Try: kill -CONT {pid}")

    def end(self) -> str:
        """End the process, and return how it ended."""
        self.pipe.close()
        if self.at is not None:
            self.process.kill()  # also one that is stopped
        self.process.join()
        status = self.process.exitcode or 0
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        return f"the process that made it ended {how}. The same command continues it"


def _ready(workers: Sequence[_Worker]) -> list[_Worker]:
    """Return those that have answered, or ended, once there are some."""
    while not (ready := wait([worker.pipe for worker in workers], LOOKED)):
        for worker in workers:
            worker.look()
    return [worker for worker in workers if worker.pipe in ready]


def _make_runs(pipe: Connection) -> None:
    """Make the runs that ``pipe`` asks for until it is closed, or the process that asks has ended."""
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    quiet = os.environ.get(QUIET_VARIABLE, "")
    os.environ[QUIET_VARIABLE] = "1"  # bars of several processes would overwrite one another
    with contextlib.suppress(EOFError, OSError):
        while True:
            asked = pipe.recv()
            take_turns(asked.cache if isinstance(asked, RunRequest) else asked.request.cache)
            if isinstance(asked, _Opened):
                _open(asked.request)
            elif isinstance(asked, _Prepared):
                os.environ[QUIET_VARIABLE] = quiet  # the others are silent, and the one that asks waits
                prepare(asked.request)
                os.environ[QUIET_VARIABLE] = "1"
                pipe.send(None)
            else:
                pipe.send(run_or_record(asked))


def _end_with_parent() -> None:
    """End this process, whatever it is at, once the one that started it is gone: nobody waits for what it makes."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _open(request: RunRequest) -> None:
    """Open data set and backbone, which this process then keeps; a run tells of a failure."""
    from bench.assembly import build_backbone, check_device, open_parts

    with contextlib.suppress(Exception):
        plan = make_plan(request, plugins.installed())
        check_device(request.device)
        open_parts(plan)
        build_backbone(plan)
