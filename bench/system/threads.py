"""Threads: how many there are, and work done by them with its results in order and in bounded memory."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

Item = TypeVar("Item")
Result = TypeVar("Result")

SPINS = "10000"
"""Turns that a thread of torch waits actively. OpenMP's own number, a few hundred thousand, is for machines without
other work: beside one busy process on two cores, training takes 58 s with this one and more than 200 s with that, and
17 s instead of 16 s on an idle machine."""


MOST_THREADS = 1024
"""Beyond what any machine gains from: of more, the system refuses other processes theirs, or ends this one."""


def bound_waiting() -> None:
    """Bound active waiting in this process, unless its environment says how to wait; no effect once torch is loaded."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


_SHARED = [1]
"""Between how many processes this one's cores are shared, as it was said last."""


@contextmanager
def cores_shared(processes: int) -> Iterator[None]:
    """Let this process count its part of the cores alone in the body, where as many ``processes`` do the same work."""
    _SHARED.append(processes)
    try:
        yield
    finally:
        _SHARED.pop()


def thread_counts() -> dict[str, int]:
    """Return the cores this process may use, and the threads asked for or set in the libraries already loaded."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = {"cores": max(cores // _SHARED[-1], 1)}
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        if os.environ.get(variable, "").isdigit():
            counts[variable] = int(os.environ[variable])
    # Looked up, not imported: a table or a list must not load torch to know that it was not used.
    torch = sys.modules.get("torch")
    if torch is not None:
        counts["torch"] = torch.get_num_threads()
    return counts


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Let torch compute on ``count`` threads in the body, ``None``: on as many as it has; put the number back."""
    import torch

    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_threads(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield ``function`` of each of ``items``, in order, while ``threads`` work on the next ones.

    At most ``2 * threads`` results wait, where ``ThreadPoolExecutor.map`` would take up every item at once.
    """
    from concurrent.futures import ThreadPoolExecutor

    pending: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) == 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
