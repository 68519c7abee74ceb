"""Turns on all cores: of processes side by side, one at a time computes on as many threads as there are cores.

Beside one another each would have as many threads as the machine has cores, and a result may depend on their number.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from bench.system.locks import exclusive

_LOCKS: list[Path] = []
"""The lock of those that this process takes turns with; none: it takes none."""


def take_turns(folder: Path) -> None:
    """Have this process take turns with those that name the same ``folder``."""
    # By the machine: a folder that several share is no reason to wait for another's cores.
    _LOCKS[:] = [folder / f"all-cores-{socket.gethostname()}.lock"]


@contextlib.contextmanager
def all_cores() -> Iterator[None]:
    """Compute on all cores in the body, when it is this process's turn."""
    with contextlib.ExitStack() as stack:
        for lock in _LOCKS:
            # Without turns all is slower and the same, as where features are read from a folder that is not one's own.
            with contextlib.suppress(OSError):
                stack.enter_context(exclusive(lock, "a model that takes all cores"))
        yield
