"""Fixtures shared by all tests."""

import gc
import logging
import os
import signal
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from example_plugin_files import write  # noqa: F401 - a fixture
from example_runs import make_run
from hypothesis import HealthCheck, settings
from left_behind import end_with_this_process
from slow_tests import (  # noqa: F401 - hooks
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_terminal_summary,
    pytest_testnodedown,
)

from bench.store.run_folder import RunFolder

# How long an example takes says something of the machine alone.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


TERMINAL = ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "CLICOLOR_FORCE", "GITHUB_ACTIONS")


def pytest_sessionstart() -> None:
    """Set, before Typer and torch are imported and look at it, what else would differ between machines.

    Commands print as on a plain terminal of 80 columns. Threads spin no longer than the command lets them: beside other
    work on the same cores, the suite would take three times as long.
    """
    for name in TERMINAL:
        os.environ.pop(name, None)
    os.environ |= {"TERM": "xterm", "PYTHONUTF8": "1"}
    if (workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:
        # Each computes on its part of the cores: where threads are more than cores, they take a third more of them.
        os.environ.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // workers, 1)))
    # A shell has commands in the background ignore it, and so would every command that a test interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    end_with_this_process()
    from bench.system import progress
    from bench.system.threads import bound_waiting

    bound_waiting()
    # pytest listens here too, and so torch would write down all that it traces, in a third of an export's time.
    logging.getLogger("torch.__trace").addHandler = lambda _: None  # type: ignore[method-assign]
    # Whether a file outlasts a power cut is asked by no test, and on a slow disk is half of what a small run takes.
    os.fsync = lambda handle: None
    progress.EVERY = 1e6  # on a slow machine a line of progress would stand among what a test expects


def pytest_collection_finish() -> None:
    """Collect garbage among what tests make alone: what is imported by now stays, a million objects to look through."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each worker of ``pytest -n 2`` whole files, so that what a file's tests share is made once.

    So is what the tests of exported folders share: their room is given as a whole. In the order of ``slow_tests``, not
    those of most tests first: a slow one that begins last is waited for.
    """
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = Path(super()._split_scope(nodeid))
            return str(file.parent if file.parent.name == "exported" else file)

    config.option.loadscopereorder = False
    return Scheduling(config, log)


def _sendable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_sendable(key): _sendable(one) for key, one in value.items()}
    return type(value)(map(_sendable, value)) if type(value) in {list, tuple} else value


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Escape what no UTF-8 has, as half a surrogate pair: a report that cannot be sent would end its worker."""
    return _sendable((yield))


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The folder of real label lists, images and weights; it is not part of the project, so tests skip without it."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("BENCH_REFERENCE_DATA", default))
    if not folder.is_dir():
        pytest.skip("reference data not found; set BENCH_REFERENCE_DATA to its folder")
    return folder


@pytest.fixture
def stored_run(tmp_path: Path) -> Callable[..., RunFolder]:
    """A factory of small finished runs under ``tmp_path / "runs"``; see ``example_runs.make_run``."""
    return partial(make_run, tmp_path / "runs")
