"""What a session of pytest started ends with it, also where it is killed: commands of tests would go on for hours."""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "BENCH_TESTS"
"""In the environment of all that a session starts, which is its number."""

GUARD = """
import os, signal, sys
sys.stdin.buffer.read()
wanted = f"{sys.argv[1]}={sys.argv[2]}".encode()
for name in os.listdir("/proc"):
    try:
        if name.isdigit() and int(name) not in (os.getpid(), int(sys.argv[2])):
            with open(f"/proc/{name}/environ", "rb") as file:
                if wanted in file.read().split(b"\\0"):
                    os.kill(int(name), signal.SIGKILL)
    except OSError:
        pass
"""
"""Waits until the session's end of the pipe is closed, and kills what carries its number."""


def end_with_this_process() -> None:
    """Have what this process starts from now on killed when it has ended; where there is no ``/proc``, do nothing."""
    if not Path("/proc/self").is_dir():
        return
    os.environ[VARIABLE] = str(os.getpid())
    reading, _ = os.pipe()  # the end for writing is not handed on, and closed when this process ends
    command = [sys.executable, "-P", "-S", "-c", GUARD, VARIABLE, str(os.getpid())]
    streams = [(os.POSIX_SPAWN_DUP2, reading, 0)]
    streams += [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
    os.posix_spawn(sys.executable, command, {}, file_actions=streams, setsid=True)
    os.close(reading)
