"""A function called by a process of its own, with bounded memory and time: what ends that process ends no run.

A damaged file can make a library call ``abort``, or ask for any memory; both are out of reach of an ``except``. So all
that will be read of it is read here first, ``python -P -m bench.system.apart``. Its standard input is a line of JSON,
``function`` and ``arguments``, and what follows. Exit code 2: a reason on standard output.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from bench.errors import DataError

MOST_MEMORY = 8 << 30
"""Address space of the process, its libraries' own included."""

SECONDS, BYTES_A_SECOND = 120, 5_000_000
"""How long the process may take: so long, and a second more for each so many bytes; two thousand times the usual."""


def call_apart(
    function: str, arguments: Mapping[str, Any], *, refused: str, size: int = 0, content: bytes | None = None
) -> None:
    """Call ``function``, as in ``package.module:name``, by a process of its own; what it returns is lost.

    ``arguments`` are by name, and such as JSON holds; ``content``, where it is given, is one more of that name.
    ``size`` is how many bytes are read, by which the time is bounded. Raises ``DataError`` with the words of the one
    that the function raised, or, where it takes too long or its process ends, one that begins as ``refused``: the
    file's name and what may be wrong.
    """
    asked = {"function": function, "arguments": dict(arguments), "content": content is not None}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "bench.system.apart"],
            input=json.dumps(asked).encode() + b"\n" + (content or b""),
            capture_output=True,
            check=False,
            timeout=SECONDS + size / BYTES_A_SECOND,
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"{refused}: reading it does not end") from None
    if done.returncode == 2:
        raise DataError(done.stdout.decode("utf-8", "backslashreplace").strip())
    if done.returncode:
        said = done.stderr.decode("utf-8", "backslashreplace").strip().splitlines() or ["no word"]
        how = f"signal {-done.returncode}" if done.returncode < 0 else said[-1]
        raise DataError(f"{refused}: reading it ended the process that did ({how})")


def main() -> int:
    """Call what standard input names."""
    import resource

    # A cluster's own limit may be lower, which nobody can raise.
    own = [limit for limit in resource.getrlimit(resource.RLIMIT_AS) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([MOST_MEMORY, *own]), resource.getrlimit(resource.RLIMIT_AS)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asked = json.loads(sys.stdin.buffer.readline())
    module, _, name = asked["function"].partition(":")
    content = {"content": sys.stdin.buffer.read()} if asked["content"] else {}
    try:
        getattr(importlib.import_module(module), name)(**asked["arguments"], **content)
    except DataError as error:
        sys.stdout.buffer.write(f"{error}\n".encode("utf-8", "backslashreplace"))
        return 2
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Nothing is wound up: while they still begin, the threads of a library, as of pyarrow, abort a process that does.
    os._exit(status)
