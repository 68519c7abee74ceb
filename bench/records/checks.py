"""Array types, and the checks that records make of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    BoolArray = NDArray[np.bool_]
    FloatArray = NDArray[np.float32]
    IntArray = NDArray[np.int32]

ARRAYS = {"BoolArray": "bool_", "FloatArray": "float32", "IntArray": "int32"}
"""The array types by NumPy's names of their elements."""


def __getattr__(name: str) -> Any:
    """Return an array type, made when it is first asked for: most only stand in annotations."""
    if name not in ARRAYS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import numpy as np
    from numpy.typing import NDArray

    element: Any = getattr(np, ARRAYS[name])
    return globals().setdefault(name, NDArray[element])


def require(condition: bool, message: str) -> None:
    """Raise ``DataError`` with ``message`` unless ``condition`` holds."""
    if not condition:
        raise DataError(message)


def freeze(array: NDArray[np.generic]) -> None:
    """Make ``array`` read-only: a record never changes after it is built."""
    array.flags.writeable = False


def check_ids(ids: Sequence[str], owner: str) -> None:
    """Raise ``DataError`` where an image id of ``owner`` stands twice."""
    if len(set(ids)) != len(ids):
        seen: set[str] = set()
        twice = next(i for i in ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
        raise DataError(f"{owner}: image id '{twice}' stands twice; ids must be unique")
