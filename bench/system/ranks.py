"""Several processes of one command, as ``torchrun`` starts them: rank 0 works as alone, the others do what it asks for.

Whoever is rank 0 plans, trains, writes and speaks. It sends each other rank what to compute, and hears when that is
done or why it failed. A process that dies is noticed at once, as its connection ends with it: all end, with one line.
"""

from __future__ import annotations

import os
import queue
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench import errors
from bench.errors import BenchError, UsageError
from bench.system import interrupts
from bench.system.launched import Place
from bench.system.lines import Line, listen, reached

MEET = 120.0
"""Seconds within which all ranks must have started."""

SILENT = 600.0
"""Seconds without a word from a rank that is at work, after which it is taken for stuck; also of a collective call."""

SETTLE = 1.0
"""Seconds within which a signal that has stopped another process, and is meant for all, comes to this one, too."""

FOLLOW = 5.0
"""Seconds that rank 0 may take to end after it has said so."""

ANSWER = 5.0
"""Seconds between two words of a rank that it is still at work."""


class Team:
    """The ranks of one command, as one of them sees them; ``store`` is torch's, by which they have found one another.

    Rank 0 has a line to each other, the others one to rank 0.
    """

    def __init__(self, place: Place, store: Any, lines: Mapping[int, Line], voice: int = 2) -> None:
        self.place, self.store, self._lines, self._voice = place, store, dict(lines), voice
        self._heard: queue.Queue[tuple[int, dict[str, Any]]] = queue.Queue()
        self._orders = 0
        self._closed = threading.Event()
        for rank, line in self._lines.items():
            # Daemons: they end with the process, whatever it is at.
            threading.Thread(target=self._listen, args=(rank, line), name=f"rank {rank}", daemon=True).start()

    def ask(self, what: str, **fields: Any) -> Asked:
        """Have every other rank do ``what``; rank 0 alone asks."""
        self._orders += 1
        variables = {name: value for name, value in os.environ.items() if name.startswith("BENCH_")}
        order = {"number": self._orders, "do": what, "variables": variables} | fields
        for line in self._lines.values():
            line.send(order)
        return Asked(self, self._orders)

    def orders(self) -> Iterator[dict[str, Any]]:
        """Yield what rank 0 asks for, as long as it lives; it ends this process when it has done."""
        while True:
            _, order = self._heard.get()
            yield order

    def answer(self, order: Mapping[str, Any], what: str, **fields: Any) -> None:
        """Tell rank 0 of what it asked for: ``done``, ``ready``, ``working``, or ``failed``."""
        self._lines[0].send({"number": order["number"], "is": what} | fields)

    def hear(self, seconds: float) -> tuple[int, dict[str, Any]] | None:
        """Return the rank and the words of the next answer, ``None`` where there is none within ``seconds``."""
        try:
            return self._heard.get(timeout=seconds) if seconds else self._heard.get_nowait()
        except queue.Empty:
            return None

    def lost(self) -> None:
        """Wait for the end of this process, where another may have been lost: who listens to it ends this one."""
        time.sleep(SETTLE + ANSWER)

    def close(self, code: int) -> None:
        """End the other ranks with status ``code``, as this one has done, or failed; of another rank, tell rank 0."""
        self._closed.set()
        for line in self._lines.values():
            line.send({"end": code})

    def _listen(self, rank: int, line: Line) -> None:
        stopped = False
        for message in line:
            if "end" not in message:
                self._heard.put((rank, message))
            elif rank == 0:
                self._follow(int(message["end"]), line)
            else:
                stopped = True
        self._lost(rank, stopped=stopped)

    def _follow(self, code: int, line: Line) -> None:
        """End this process with ``code`` once rank 0 has ended: torchrun then names that one's end as the first."""
        late = threading.Timer(FOLLOW, os._exit, [code])
        late.daemon = True
        late.start()
        for _ in line:
            pass
        os._exit(code)

    def _lost(self, rank: int, *, stopped: bool) -> None:
        """End this process, as rank ``rank`` has ended; rank 0 says so, of its own end rank 1."""
        if stopped:
            time.sleep(SETTLE)
            if interrupts.came():
                return
        if self._closed.is_set():
            return
        if self.place.rank == (1 if rank == 0 else 0):
            how = "was stopped by a signal" if stopped else "was killed, or found no memory"
            told = f"error: process {rank} of {self.place.count} {how}; {interrupts.kept()}\n"
            os.write(self._voice, told.encode("utf-8", "backslashreplace"))
        self.close(BenchError.exit_code)
        os._exit(BenchError.exit_code)


class Asked:
    """What rank 0 has asked for, until all have answered."""

    def __init__(self, team: Team, number: int) -> None:
        self._team, self._number = team, number
        self._answers: list[tuple[int, dict[str, Any]]] = []

    def check(self) -> None:
        """Raise what a rank has failed by, where one has."""
        while (heard := self._team.hear(0.0)) is not None:
            self._take(*heard)

    def wait(self, what: str = "done") -> list[dict[str, Any]]:
        """Return each rank's answer ``what``; raises what one failed by, or of one that is silent for long."""
        last = dict.fromkeys(range(1, self._team.place.count), time.monotonic())
        while True:
            found = {rank: answer for rank, answer in self._answers if answer["is"] == what}
            if len(found) == len(last):
                return [found[rank] for rank in sorted(found)]
            if (heard := self._team.hear(1.0)) is not None:
                self._take(*heard)
                last[heard[0]] = time.monotonic()
            silent = [rank for rank, since in last.items() if rank not in found and time.monotonic() - since > SILENT]
            if silent:
                told = f"process {silent[0]} of {self._team.place.count} has said nothing for {SILENT:.0f} s"
                raise BenchError(f"{told}; {interrupts.kept()}")

    def _take(self, rank: int, answer: dict[str, Any]) -> None:
        """Note an answer, or raise what it says; one to what was asked for before is late."""
        if answer["number"] != self._number:
            return
        if answer["is"] == "failed":
            error: BenchError = getattr(errors, str(answer["error"]), BenchError)(answer["words"])
            error.where = f"process {rank} of {self._team.place.count}"
            raise error
        if answer["is"] != "working":
            self._answers.append((rank, answer))


@dataclass(frozen=True, slots=True)
class Helpers:
    """The other ranks as one run's stages see them: what is ``given`` goes along with all that they are asked for."""

    team: Team
    given: Mapping[str, Any]

    @property
    def count(self) -> int:
        """Return the number of ranks, with this one."""
        return self.team.place.count

    @property
    def local(self) -> int:
        """Return how many of them are on this machine."""
        return self.team.place.local_count

    def ask(self, what: str, **fields: Any) -> Asked:
        """Have each do its part of ``what``."""
        return self.team.ask(what, **self.given, **fields)


_TEAM: list[Team] = []


def current() -> Team | None:
    """Return the team that this process is rank 0 of; ``None`` where it is alone."""
    return _TEAM[0] if _TEAM else None


def helpers(**given: Any) -> Helpers | None:
    """Return the other ranks, which are ``given`` what they build a run's parts from; ``None`` where there are none."""
    team = current()
    return None if team is None else Helpers(team, given)


def check_device(device: str) -> None:
    """Raise ``UsageError`` for a GPU by its number, where each rank takes one of its own."""
    if current() is not None and ":" in device:
        raise UsageError(
            f"--device: found '{device}', but under torchrun each process takes a GPU of its own. Try: --device cuda"
        )


def join(place: Place, voice: int = 2) -> Team:
    """Return the team of this process, once all ranks are there; ``voice`` is where it speaks of rank 0's end.

    Of the GPUs it sees its own alone, so that ``cuda`` is another one in each rank. Raises ``BenchError`` where ranks
    do not come.
    """
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = [str(number) for number in range(place.local_rank + 1)] if seen is None else seen.split(",")
    os.environ["CUDA_VISIBLE_DEVICES"] = devices[place.local_rank] if place.local_rank < len(devices) else "-1"
    interrupts.launched_by(place.launcher())
    store = _store(place)
    team = Team(place, store, _lines_of_first(place, store) if place.rank == 0 else _line_to_first(place, store), voice)
    interrupts.at_end(team.close)
    if place.rank == 0:
        _TEAM.append(team)
    return team


def _store(place: Place) -> Any:
    """Return the store that torchrun's agent keeps for all ranks, or rank 0 where there is no agent."""
    import datetime

    from torch.distributed import PrefixStore  # type: ignore[attr-defined]
    from torch.distributed.rendezvous import rendezvous

    try:
        store, _, _ = next(rendezvous("env://", timeout=datetime.timedelta(seconds=MEET)))
    except Exception as error:  # torch raises several classes, of which some are not public
        raise _not_there(place, "rank 0's store" if place.rank else "the others") from error
    # Ranks that torchrun has started anew find the words of those before them otherwise.
    return PrefixStore(f"bench {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


def _lines_of_first(place: Place, store: Any) -> dict[int, Line]:
    """Return rank 0's line to each other rank."""
    secret = secrets.token_hex(16)
    # On one machine nobody else can reach it; between several, a secret that is in torch's store keeps others out.
    with listen("" if place.apart else "127.0.0.1") as server:
        store.set("first", f"{server.port} {secret}")
        lines = server.accepted(secret, place.count - 1, MEET)
    if len(lines) < place.count - 1:
        absent = sorted(set(range(1, place.count)) - lines.keys())
        raise _not_there(place, f"rank {', '.join(map(str, absent))}")
    return lines


def _line_to_first(place: Place, store: Any) -> dict[int, Line]:
    """Return this rank's line to rank 0."""
    deadline = time.monotonic() + MEET
    # Looked for again and again, as a signal would wait while torch waits.
    while not store.check(["first"]):
        if time.monotonic() > deadline:
            raise _not_there(place, "rank 0")
        time.sleep(0.05)
    port, secret = store.get("first").decode().split()
    try:
        line = reached(place.host if place.apart else "127.0.0.1", int(port), MEET)
    except OSError as error:
        raise _not_there(place, "rank 0") from error
    line.send({"rank": place.rank, "secret": secret})
    return {0: line}


def _not_there(place: Place, who: str) -> BenchError:
    return BenchError(
        f"WORLD_SIZE is {place.count}, as torchrun sets it, but {who} did not come within {MEET:.0f} s."
        " Try: without RANK and WORLD_SIZE in the environment, if this process is meant to be alone"
    )
