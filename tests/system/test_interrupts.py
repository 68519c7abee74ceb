"""Signals to real processes: one line, the status that shells expect, and no traceback, wherever they strike."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.system import interrupts

SIGNALS = (signal.SIGINT, signal.SIGTERM)

CAUGHT = """
import signal, sys, time
from bench.system import interrupts
interrupts.GRACE = 0.2
interrupts.watch()
def strike():
    signal.raise_signal(int(sys.argv[1]))
"""

SWALLOWED = """
with interrupts.working():
    while True:
        try:
            strike()
            time.sleep(9)
        except BaseException:
            pass
"""

LOST = """
class Dying:
    def __del__(self):
        strike()
with interrupts.working():
    Dying()
    time.sleep(9)
"""

TURNED = """
from bench import cli
def turned():
    try:
        strike()
    except KeyboardInterrupt:
        raise ImportError("multiarray failed to import")
cli.COMMANDS[sys.argv[1]] = ("__main__", "turned", "")
cli.main()
"""

EXECUTED = """
from bench import cli
cli.COMMANDS[sys.argv[1]] = ("__main__", "executed", "")
def executed():
    exec("strike()")
cli.main()
"""

UNRAISED = """
from bench import cli, sweep, pipeline
from bench.records import RunRequest
def turned(*arguments, **more):
    try:
        strike()
    except KeyboardInterrupt:
        raise ValueError("of a plugin")
pipeline.run_one = turned
with interrupts.working():
    try:
        sweep.run_or_record(RunRequest("m", "d"))
    except KeyboardInterrupt:
        interrupts.tell(lambda line: print(line, file=sys.stderr))
        sys.exit(128 + interrupts.came())
"""

PLACES = {
    "before the command is known": "strike()",
    "while shlex is half there": "sys.modules['shlex'] = sys; strike()",
    "in an import": "import struck",
    "swallowed by what it meets": SWALLOWED,
    "lost in a finaliser": LOST,
    "turned into another error": TURNED,
    "taken for a failed run": UNRAISED,
}


def end_of(process: "subprocess.Popen[str]") -> tuple[int, list[str]]:
    _, errors = process.communicate()
    return process.returncode, errors.splitlines()


def python(*arguments: object, **settings: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-P", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **settings)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("place", PLACES)
def test_a_signal_is_one_line_wherever_it_strikes(place: str, tmp_path: Path) -> None:
    (tmp_path / "struck.py").write_text("import __main__\nwith __main__.interrupts.working():\n    __main__.strike()\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    started = [python("-c", CAUGHT + PLACES[place], int(n), env=os.environ | {"PYTHONPATH": path}) for n in SIGNALS]
    for process, number, by in zip(started, SIGNALS, ("", " by SIGTERM"), strict=True):
        line = f"stopped{by}; what is finished is kept. To continue: bench {int(number)}"
        assert end_of(process) == (128 + number, [line])


def test_a_signal_in_text_that_is_executed_ends_as_any_other(tmp_path: Path) -> None:
    """Of a module that is run, Python would end by SIGINT itself."""
    (tmp_path / "executed.py").write_text(CAUGHT + EXECUTED)
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    for number in SIGNALS:
        process = python("-m", "executed", int(number), env=os.environ | {"PYTHONPATH": path})
        assert end_of(process) == (128 + number, [interrupts.line(number, [str(int(number))])])


def catches(process: "subprocess.Popen[str]") -> bool:
    """Return whether the process has a handler for SIGTERM: what comes before is Python's own start."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux which signals a process catches")
def test_a_command_that_is_stopped_while_it_starts_says_so_or_is_done() -> None:
    """Moments drawn over the imports of a command; what they are is told where one fails."""
    moments = [random.Random(seed).uniform(0.0, 0.6) for seed in range(6)]
    for seed, moment in enumerate(moments):
        process, number = python("-m", "bench", "list", "models"), SIGNALS[seed % 2]
        while not catches(process) and process.poll() is None:
            time.sleep(0.002)
        time.sleep(moment)
        process.send_signal(number)
        status, lines = end_of(process)
        assert (status, lines) in (
            (0, []),
            (128 + number, [interrupts.line(number, ["list", "models"])]),
        ), f"after {moment:.3f} s"


def test_a_signal_that_was_ignored_stays_so() -> None:
    code = "import signal; signal.signal(2, signal.SIG_IGN); from bench.system import interrupts; interrupts.watch();"
    process = python("-c", f"{code} signal.raise_signal(2); raise SystemExit(7)")
    assert end_of(process) == (7, [])
