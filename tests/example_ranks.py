"""Several ranks of one command, started as torchrun starts them, and how each ends, for tests."""

import os
import socket
import subprocess
import sys
from pathlib import Path


def start(*code_or_module, count=2, folder=None, **variables):
    """Start ``count`` ranks of ``python`` with these arguments."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path} | variables
    return [
        subprocess.Popen(
            [sys.executable, "-P", *map(str, code_or_module)],
            cwd=folder,
            env=environment | {name: str(value) for name, value in own.items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for own in (shared | {"RANK": rank, "LOCAL_RANK": rank} for rank in range(count))
    ]


def ended(processes):
    """Each rank's status, standard output and lines of standard error."""
    told = [process.communicate(timeout=300) for process in processes]  # hang guard
    return [
        (process.returncode, out, errors.splitlines()) for process, (out, errors) in zip(processes, told, strict=True)
    ]
