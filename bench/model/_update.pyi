"""The compiled updates of weights, csrc/update_bindings.cpp."""

import numpy as np
from numpy.typing import NDArray

source_hash: str
"""SHA-256 of the sources in csrc/ that the module was built from, 16 hex digits."""

def rmsprop(
    values: NDArray[np.float32],
    gradient: NDArray[np.float32],
    moments: NDArray[np.float32],
    steps: int,
    rate: float,
    momentum: float,
    weight_decay: float,
) -> None: ...
def adam(
    values: NDArray[np.float32],
    gradient: NDArray[np.float32],
    moments: NDArray[np.float32],
    steps: int,
    rate: float,
    momentum: float,
    weight_decay: float,
) -> None: ...
def sgd(
    values: NDArray[np.float32],
    gradient: NDArray[np.float32],
    moments: NDArray[np.float32],
    steps: int,
    rate: float,
    momentum: float,
    weight_decay: float,
) -> None: ...
