"""What this process holds in memory, in bytes, as the system tells it."""

from __future__ import annotations

import re
from pathlib import Path

STATUS = Path("/proc/self/status")


def resident() -> int | None:
    """Return the resident memory of this process now; ``None`` where the system does not tell it in a file."""
    return _of_status("VmRSS")


def peak() -> int:
    """Return the largest resident memory of this process so far: it never falls, also where memory was given back."""
    import resource
    import sys

    # Where the system says so: what getrusage tells of a spawned process begins with its parent's.
    if (mark := _of_status("VmHWM")) is not None:
        return mark
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _of_status(name: str) -> int | None:
    try:
        found = re.search(rf"^{name}:\s*(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
