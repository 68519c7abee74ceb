"""Several ranks of one command, started as torchrun starts them, and how each ends, for tests.

They are forked from a process that has imported what they need, which would take longer than what they do.
"""

import os
import runpy
import socket
import sys
from multiprocessing import forkserver, get_context
from pathlib import Path
from tempfile import NamedTemporaryFile
from unittest.mock import patch

FORKED = get_context("forkserver")


class Rank:
    """A process that does what ``python`` does with these arguments."""

    def __init__(self, arguments, folder, environment):
        self.streams = [NamedTemporaryFile("w+", encoding="utf-8") for _ in range(2)]  # noqa: SIM115 - see ended()
        names = [stream.name for stream in self.streams]
        self.process = FORKED.Process(target=_python, args=(arguments, folder, environment, *names))
        self.process.start()

    def poll(self):
        return self.process.exitcode

    def send_signal(self, number):
        os.kill(self.process.pid, number)

    def ended(self):
        self.process.join(300)  # hang guard
        out, errors = (stream.read() for stream in self.streams)
        for stream in self.streams:
            stream.close()
        return self.poll(), out, errors.splitlines()


def _python(arguments, folder, environment, *streams):
    for number, name in enumerate(streams, 1):
        os.dup2(os.open(name, os.O_WRONLY | os.O_APPEND), number)
    os.environ.update(environment)
    if folder is not None:
        os.chdir(folder)
    option, what, *rest = arguments
    sys.argv = [option, *rest]
    if option == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(what, {"__name__": "__main__"})


def start(*code_or_module, count=2, folder=None, **variables):
    """Start ``count`` ranks of ``python`` with these arguments."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    # As `python -P`; the number of threads is read when torch is loaded.
    with patch.dict(os.environ, OMP_NUM_THREADS="1", PYTHONPATH=path, PYTHONSAFEPATH="1"):
        FORKED.set_forkserver_preload(["warm"])
        forkserver.ensure_running()
    return [
        Rank(
            [str(argument) for argument in code_or_module],
            folder,
            {name: str(value) for name, value in (shared | {"RANK": rank, "LOCAL_RANK": rank} | variables).items()},
        )
        for rank in range(count)
    ]


def ended(ranks):
    """Each rank's status, standard output and lines of standard error."""
    return [rank.ended() for rank in ranks]
