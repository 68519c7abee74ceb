"""Standard output turned to standard error while foreign code runs, so that a table or JSON stays whole."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any


class _Lent:
    """A stream that can be written to and not closed."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stream)

    def close(self) -> None:
        """Leave it open: it belongs to the process."""

    def detach(self) -> Any:
        """Refuse to give away what belongs to the process."""
        raise ValueError("this stream belongs to the process")


@contextlib.contextmanager
def prints_to_stderr() -> Iterator[None]:
    """Let what the body prints, from Python or from C, go to standard error, and keep both streams open."""
    out, err = sys.stdout, sys.stderr
    lent = err if isinstance(err, _Lent) or err is None else _Lent(err)
    sys.stdout = sys.stderr = lent
    try:
        with _descriptor_to_stderr() if out is sys.__stdout__ else contextlib.nullcontext():
            yield
    finally:
        sys.stdout, sys.stderr = out, err


@contextlib.contextmanager
def _descriptor_to_stderr() -> Iterator[None]:
    """Let descriptor 1 lead where 2 leads; as it is, where either is closed."""
    try:
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
        kept = os.dup(1)
    except (OSError, ValueError):
        yield
        return
    try:
        with contextlib.suppress(OSError):
            os.dup2(2, 1)
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            if sys.__stdout__ is not None:
                sys.__stdout__.flush()
        os.dup2(kept, 1)
        os.close(kept)
