"""Runs as tasks of a Ray cluster: what ``bench compare --cluster`` makes them by; the extra ``ray``.

Ray starts processes and starts them anew where one dies. All else is as in runs side by side on one machine: each run
has its folder and its locks, goes on from what is stored, and gives the same, whichever node makes it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import NotRun, UsageError
from bench.guard import reason as in_one_line
from bench.records import RunRequest
from bench.store.stored import RunSummary
from bench.sweep import failure, prepare, run_or_record
from bench.system import interrupts
from bench.system.progress import QUIET_VARIABLE

RETRIES = 3
"""How often a run is begun anew whose process, or whose node, has died."""

LOOK = 5.0
"""Seconds after which nodes that have come or gone are noticed, where no run ends before."""

ANSWER = 5.0
"""Seconds within which a cluster must answer."""

LOST = 30.0
"""Seconds after which a head that answers no more is taken for gone. Ray's own end, after 60, says no line of ours."""

SETTINGS = b"\0\0\0\4\0\0\0\0\0"
"""What HTTP/2, which Ray speaks, has either side say first (RFC 9113, section 3.4); the fourth byte is its kind."""

GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SETTINGS

EARLY = ("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "PYTHONPATH")
"""Beginnings of variables that a process needs before its first import."""

OF_MACHINE = ("RAY_", "SSH_", "SLURM_", "TERM", "XDG_RUNTIME_DIR", "XDG_SESSION", "DBUS_", "CUDA_VISIBLE_DEVICES")
"""Beginnings of variables that are of one machine, session or scheduler, and so stay."""

OF_PROCESS = {"_", "DISPLAY", "HOME", "HOSTNAME", "LOGNAME", "OLDPWD", "PATH", "PWD", "SHELL", "SHLVL", "TEMP", "TMP"}
OF_PROCESS |= {"LD_PRELOAD", "TMPDIR", "USER"}
"""Further ones that stay, by their names."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a process on another node takes over from this one: its folder, and ``variables`` of its environment."""

    folder: str
    variables: Mapping[str, str]

    @classmethod
    def here(cls) -> Place:
        """Return this process's."""
        kept = {name: value for name, value in os.environ.items() if not _stays(name)}
        return cls(str(Path.cwd()), kept | {QUIET_VARIABLE: "1"})  # bars of several processes would mix

    def enter(self, out: Path) -> None:
        """Make this process compute as that one would. Raises ``UsageError`` where it cannot see the store ``out``."""
        os.environ.update(self.variables)
        try:
            os.chdir(self.folder)
            shared = out.is_dir()
        except OSError:
            shared = False
        if not shared:
            raise UsageError(f"no folder '{Path(self.folder, out)}' on node '{os.uname().nodename}'. {SHARED}")


SHARED = "Try: the current folder, --out, --cache and --data-root on paths that all nodes share"


class Cluster:
    """The tasks of a Ray cluster; each takes as many cores as it computes with threads.

    A process that dies is started anew, ``RETRIES`` times, and its run goes on from its folder.
    """

    def __init__(self, address: str, device: str) -> None:
        """Join the cluster at ``address``: ``auto``, the one of this machine; ``local``, a new one; or ``HOST:PORT``.

        Raises ``UsageError`` where Ray, the cluster, or what ``device`` needs is not there.
        """
        self._ray = ray = _connected(address)
        self._head = ray.get_runtime_context().gcs_address
        self._under_way: dict[Any, tuple[int, RunRequest]] = {}
        self._place = Place.here()
        threads = os.environ.get("OMP_NUM_THREADS", "")
        cores = int(threads) if threads.isdigit() else _threads_of_torch()
        # Fewer threads would give other last digits than here; cores are what is shared out.
        early = {name: value for name, value in self._place.variables.items() if name.startswith(EARLY)}
        early["OMP_NUM_THREADS"] = str(cores)
        self._needs = {"CPU": min(cores, max((node.get("CPU", 0) for node in self._nodes()), default=0))}
        if device.startswith("cuda"):
            self._needs["GPU"] = 1
        if not self._needs["CPU"] or not self._fitting():
            raise UsageError(f"--cluster: no node of '{address}' has {'a GPU' if 'GPU' in self._needs else 'a core'}")
        self._options = {
            "num_cpus": self._needs["CPU"],
            "num_gpus": self._needs.get("GPU", 0),
            "max_retries": RETRIES,
            "runtime_env": {"env_vars": early},
        }
        self._make = ray.remote(_make).options(**self._options)

    def prepare(self, request: RunRequest) -> None:
        """Extract features on the cluster."""
        request.out.mkdir(parents=True, exist_ok=True)
        task = self._ray.remote(_prepare).options(**self._options).remote(request, self._place)
        while not self._ray.wait([task], timeout=LOOK)[0]:
            _still_there(self._head)

    def room(self) -> int:
        """Return how many runs the nodes hold that there are now."""
        return max(self._fitting(), 1)

    def take(self, number: int, request: RunRequest) -> None:
        """Hand the run to the cluster."""
        self._under_way[self._make.remote(request, self._place)] = number, request

    def wait(self) -> list[tuple[int, RunSummary]]:
        """Return the runs that are done; none where none was within ``LOOK`` seconds."""
        done, _ = self._ray.wait(list(self._under_way), timeout=LOOK)
        return [self._answer(task) for task in done]

    def _answer(self, task: Any) -> tuple[int, RunSummary]:
        number, request = self._under_way.pop(task)
        try:
            summary: RunSummary = self._ray.get(task)
        except self._ray.exceptions.RayTaskError as error:
            return number, failure(request, "failed", in_one_line(error.cause or error))
        except self._ray.exceptions.RayError as error:
            reason = f"its process or node was lost, and it could not be begun anew ({type(error).__name__})"
            return number, failure(request, "failed", f"{reason}. The same command continues it")
        if summary.measures is not None and not summary.path.is_dir():
            return number, failure(request, "failed", f"'{summary.path}' is on another node alone. {SHARED}")
        return number, summary

    def end(self) -> None:
        """Cancel what is under way and leave the cluster; one that this process started ends."""
        with contextlib.suppress(Exception):
            for task in self._under_way:
                self._ray.cancel(task, force=True)
        self._ray.shutdown()

    def _nodes(self) -> list[dict[str, float]]:
        _still_there(self._head)
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]

    def _fitting(self) -> int:
        return sum(
            int(min(node.get(name, 0) // count for name, count in self._needs.items())) for node in self._nodes()
        )


def _make(request: RunRequest, place: Place) -> RunSummary:
    place.enter(request.out)
    return run_or_record(request)


def _prepare(request: RunRequest, place: Place) -> None:
    place.enter(request.out)
    prepare(request)


def _connected(address: str) -> Any:
    """Return the package ``ray``, joined to the cluster at ``address``."""
    host, _, port = address.rpartition(":")
    if address not in {"auto", "local"} and not (host and "/" not in host and port.isdigit()):
        raise UsageError(f"--cluster: found '{address}', allowed: auto, local, or HOST:PORT as in 10.0.0.1:6379")
    # Nothing is reported to Ray's makers; a run for which no node has the memory is not begun for ever.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_task_oom_retries", str(RETRIES))
    # Ray's own is 15: beside any other work, the runs of a cluster that begins here would hardly get a core.
    os.environ.setdefault("RAY_worker_niceness", "0")
    # It would tell of processes that died on standard output, amid the table; what became of a run is a line of ours.
    os.environ["RAY_DEDUP_LOGS"], os.environ["RAY_DEDUP_LOGS_SKIP_REGEX"] = "1", "(?s).*"
    try:
        import ray
    except ModuleNotFoundError:
        raise UsageError(
            "--cluster: the package 'ray' is not installed. Try: pip install 'multilabel-bench[ray]'"
        ) from None
    _answers(os.environ.get("RAY_ADDRESS", "") if address == "auto" else address)
    own = {"include_dashboard": False} if address == "local" else {}
    try:
        with _signals_as_they_are():
            ray.init(address, log_to_driver=False, logging_level="ERROR", **own)
    except Exception as error:
        interrupts.check()
        remedy = "Try: ray start --head, or --cluster local" if address == "auto" else "Try: ray status"
        reason = in_one_line(error)
        raise UsageError(f"--cluster: no Ray cluster could be joined at '{address}' ({reason}). {remedy}") from error
    return ray


def _answers(address: str) -> None:
    """Raise ``UsageError`` where no Ray answers at ``HOST:PORT``: Ray itself would wait many minutes."""
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return
    try:
        with socket.create_connection((host.strip("[]"), int(port)), ANSWER) as connection:
            connection.sendall(GREETING)
            answer = connection.recv(len(SETTINGS), socket.MSG_WAITALL)
    except (OSError, OverflowError) as error:
        raise UsageError(f"--cluster: nothing answers at '{address}' ({error}). Try: ray start --head") from error
    # Behind TLS, which Ray has where this variable says so, the greeting would be another.
    if answer[3:4] != SETTINGS[3:4] and os.environ.get("RAY_USE_TLS", "0") in {"", "0"}:
        raise UsageError(f"--cluster: what answers at '{address}' is not Ray. Try: ray status, which has its address")


def _still_there(head: str) -> None:
    """Raise ``NotRun`` where the head of a cluster that was joined has not answered for ``LOST`` seconds."""
    since = time.monotonic()
    while True:
        try:
            return _answers(head)
        except UsageError as error:
            if time.monotonic() - since > LOST:
                raise NotRun(
                    f"the Ray cluster's head at '{head}' is gone. Finished runs and checkpoints are kept; the same"
                    " command continues, with a cluster that is there"
                ) from error
            time.sleep(ANSWER / 5)


@contextlib.contextmanager
def _signals_as_they_are() -> Iterator[None]:
    """Put back what the body makes of signals: Ray's own end of the process does not say what is kept."""
    before = {number: signal.getsignal(number) for number in interrupts.NUMBERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stays(name: str) -> bool:
    return name in OF_PROCESS or name.startswith(OF_MACHINE)


def _threads_of_torch() -> int:
    import torch

    return torch.get_num_threads()
