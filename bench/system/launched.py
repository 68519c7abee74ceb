"""Whether this process is one of several that ``torchrun`` has started for one command, and which; imports little."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TOGETHER = ("run", "compare")
"""Commands whose ranks work together; each rank does all of any other."""

VALUED = ("--plugin", "--without", "--log-level")
"""Options with a value that may stand before a command."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which of ``count`` ranks this process is; ``local`` are the rank and the number of those on this machine."""

    rank: int
    count: int
    local_rank: int
    local_count: int
    host: str

    @property
    def apart(self) -> bool:
        """Return whether the ranks are on several machines."""
        return self.local_count < self.count

    def launcher(self) -> list[str]:
        """Return the words that start all ranks of this machine, before those of the command."""
        nodes = ["--nnodes", str(self.count // self.local_count), "--master-addr", self.host] if self.apart else []
        return ["torchrun", *nodes, "--nproc-per-node", str(self.local_count), "-m", "bench"]


def launched(typed: Sequence[str], environ: Mapping[str, str] | None = None) -> Place | None:
    """Return which rank this process is; ``None`` where it is alone, or ``typed`` is a command that each does alone."""
    environ = os.environ if environ is None else environ
    words, waiting = [], iter(typed)
    for word in waiting:
        if word in VALUED:
            next(waiting, None)
        elif not word.startswith("-"):
            words.append(word)
    try:
        rank, count = int(environ["RANK"]), int(environ["WORLD_SIZE"])
        local_rank, local_count = int(environ.get("LOCAL_RANK", rank)), int(environ.get("LOCAL_WORLD_SIZE", count))
        host = environ["MASTER_ADDR"]
    except (KeyError, ValueError):
        return None
    if words[:1] and words[0] in TOGETHER and 0 <= rank < count > 1:
        return Place(rank, count, local_rank, local_count, host)
    return None
