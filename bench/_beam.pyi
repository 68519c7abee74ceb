"""The compiled beam search, csrc/bindings.cpp."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.records import SearchOptions

class Tree:
    def __init__(
        self, output: NDArray[np.float32], bias: NDArray[np.float32], activation: str, state_size: int
    ) -> None: ...
    def __len__(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def bytes_per_prefix(self) -> int: ...
    def truncate(self, size: int) -> None: ...

class Search:
    def __init__(
        self,
        tree: Tree,
        image_terms: NDArray[np.float32],
        start_states: NDArray[np.float32],
        options: SearchOptions,
        *,
        sees_image: bool = ...,
        threads: int = ...,
    ) -> None: ...
    def advance(self) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None: ...
    def provide(self, terms: NDArray[np.float32], states: NDArray[np.float32]) -> None: ...
    def answers(self) -> dict[str, NDArray[Any]]: ...
    @property
    def prefixes_computed(self) -> int: ...
