"""What each of several processes computes of one file of features: which rows, and in which blocks they lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bench.model.feature_file import Writing


class Asked(Protocol):
    """Helpers at work."""

    def check(self) -> None:
        """Raise what one of them has failed by, where one has."""

    def wait(self) -> list[dict[str, Any]]:
        """Return what each has done once all have; raises what one failed by."""


class Helpers(Protocol):
    """Other processes that do a part of the work each: ``count`` with this one, of which ``local`` on this machine."""

    @property
    def count(self) -> int: ...

    @property
    def local(self) -> int: ...

    def ask(self, what: str, **fields: Any) -> Asked:
        """Have each do its part of ``what``."""


@dataclass(frozen=True, slots=True)
class Share:
    """What process ``rank`` of ``count`` computes of the rows that are missing, which are cut between whole ``unit``.

    A unit is a batch as one process computes it: then each image's features are the same to the bit.
    """

    rank: int
    count: int
    unit: int

    def of(self, rows: int) -> range:
        """Return the places among ``rows`` that are this process's.

        >>> [Share(rank, 2, 8).of(37) for rank in range(2)]
        [range(0, 16), range(16, 37)]
        """
        units = -(-rows // self.unit)
        first, last = (min(units * rank // self.count * self.unit, rows) for rank in (self.rank, self.rank + 1))
        return range(first, last)


def rows_missing(writing: Writing) -> list[int]:
    """Return the rows of the blocks that are missing, in their order."""
    return [row for block in writing.missing for row in writing.file.rows_of(block)]


def pieces_of(writing: Writing, share: Share) -> Iterator[tuple[int, range]]:
    """Yield each block of which a process computes rows, and these rows."""
    own, place = share.of(sum(len(writing.file.rows_of(block)) for block in writing.missing)), 0
    for block in writing.missing:
        rows = writing.file.rows_of(block)
        first, last = max(own.start - place, 0), min(own.stop - place, len(rows))
        place += len(rows)
        if first < last:
            yield block, rows[first:last]


def divided(writing: Writing, shares: Sequence[Share]) -> set[int]:
    """Return the blocks that no process computes all rows of."""
    pieces = [piece for share in shares for piece in pieces_of(writing, share)]
    return {block for block, rows in pieces if rows != writing.file.rows_of(block)}
