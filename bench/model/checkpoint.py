"""An interrupted training on disk: what it continues from, after an epoch that ended a few seconds before at most.

That of a fine-tuning, whose epochs are long, is written after each.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from bench.system.notes import note
from bench.system.sealed_files import read_sealed, write_sealed

if TYPE_CHECKING:
    import torch

    from bench.model.group import Group

Weights = dict[str, "torch.Tensor"]

SECONDS = 5.0
"""Between two writings of a checkpoint. One takes up to half as long as an epoch of a linear model, and what a killed
training had done since the last is soon done again."""


@dataclass(slots=True)
class TrainingState:
    """Where a training stands: in which attempt (one per learning rate), after which epoch, with which weights.

    ``rate`` is the learning rate in force. ``attempt_*`` is the best of the attempt under way and
    ``best_*`` the best of the finished ones. Random numbers need no place here: every epoch draws its
    own from the seed and its number.
    """

    attempt: int = 0
    epoch: int = 0
    rate: float = 0.0
    since_best: int = 0
    since_halved: int = 0
    attempt_score: float = -math.inf
    attempt_epoch: int = 0
    best_score: float = -math.inf
    best_epoch: int = 0
    best_attempt: int = -1
    history: list[dict[str, float]] = field(default_factory=list)
    diverged: list[int] = field(default_factory=list)
    model: Weights = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    attempt_weights: Weights = field(default_factory=dict)
    best_weights: Weights = field(default_factory=dict)


@dataclass(slots=True)
class TuningState:
    """Where a fine-tuning stands: after which epoch, with which weights of backbone and model, the best if it looks.

    ``random`` are the states of the random generators, which go on from epoch to epoch. ``made_by`` are the
    ``processes`` and the ``threads`` of each, of every epoch: the last bits of sums depend on them.
    """

    epoch: int = 0
    backbone: Weights = field(default_factory=dict)
    model: Weights = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)
    random: dict[str, Any] = field(default_factory=dict)
    best: Weights = field(default_factory=dict)
    best_epoch: int = 0
    best_score: float = -math.inf
    made_by: list[dict[str, int]] = field(default_factory=list)


State = TypeVar("State", bound=TrainingState | TuningState)


class CheckpointFile(Generic[State]):
    """The file of one training, checksummed and bound to its ``key``; without a path nothing is kept.

    ``empty`` is where a training stands before it begins. ``seconds`` is the least time between two writings.
    """

    def __init__(self, path: Path | None, key: str, empty: type[State], seconds: float | None = None) -> None:
        self.path = path
        self.key = key
        self.empty = empty
        self.seconds = SECONDS if seconds is None else seconds
        self._written = time.monotonic()
        self.last = empty()

    def load(self) -> State:
        """Return the state to continue from: a new one where there is no file, or not one that this training wrote.

        A damaged file is told in a word, and nothing of it is used. What is returned is the ``last`` state, until
        another is given to ``save``.
        """
        self.last = self._load()
        return self.last

    def shared(self, group: Group) -> State:
        """Return what rank 0 of ``group`` loads, in each of its processes."""
        content = group.told(_content(self.load()) if group.rank == 0 else b"")
        self.last = self.last if group.rank == 0 else self._parsed(content)
        return self.last

    def _load(self) -> State:
        if self.path is None or not self.path.exists():
            return self.empty()
        content = read_sealed(self.path, self.key)
        if content is not None:
            # What was written whole can still be another version's.
            with contextlib.suppress(Exception):
                return self._parsed(content)
        note(f"{self.path} is damaged, or of another training: this one starts anew")
        return self.empty()

    def _parsed(self, content: bytes) -> State:
        import torch

        return self.empty(**torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))

    def save(self, state: State) -> None:
        """Replace the file by ``state``, unless it was written, or the training began, less than ``seconds`` ago."""
        self.last = state
        if self.path is None or time.monotonic() - self._written < self.seconds:
            return
        write_sealed(self.path, self.key, _content(state))
        self._written = time.monotonic()


def _content(state: TrainingState | TuningState) -> memoryview:
    """Return a state as the content of a file."""
    import torch

    buffer = io.BytesIO()
    torch.save({entry.name: getattr(state, entry.name) for entry in dataclasses.fields(state)}, buffer)
    return buffer.getbuffer()
