"""The compiled beam search, csrc/bindings.cpp."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.records import SearchOptions

source_hash: str
"""SHA-256 of the sources in csrc/ that the module was built from, 16 hex digits."""

instruction_set: str
"""What the kernel computes with: portable, avx2 or avx512; ``BENCH_INSTRUCTIONS`` names a lesser one."""

class _PybindType(type):
    """The metaclass of pybind11's classes, which has no name to import."""

class Tree(metaclass=_PybindType):
    def __init__(
        self, output: NDArray[np.float32], bias: NDArray[np.float32], activation: str, state_size: int
    ) -> None: ...
    def __len__(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def bytes_per_prefix(self) -> int: ...
    @property
    def screens(self) -> bool: ...
    def add(
        self,
        parents: NDArray[np.int32],
        labels: NDArray[np.int32],
        terms: NDArray[np.float32],
        states: NDArray[np.float32],
    ) -> None: ...
    def truncate(self, size: int) -> None: ...

class Search(metaclass=_PybindType):
    def __init__(self, tree: Tree, options: SearchOptions, *, sees_image: bool = False, threads: int = 0) -> None: ...
    def begin(
        self,
        image_terms: NDArray[np.float32],
        start_states: NDArray[np.float32],
        class_scores: bool = True,
        log_probabilities: bool = True,
    ) -> None: ...
    def advance(self) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None: ...
    def provide(self, terms: NDArray[np.float32], states: NDArray[np.float32]) -> None: ...
    def answers(self) -> dict[str, NDArray[Any]]: ...
    def sequences(self) -> NDArray[np.int32]: ...
    def release(self) -> None: ...
    @property
    def prefixes_computed(self) -> int: ...
    @property
    def rows_scored(self) -> int: ...
