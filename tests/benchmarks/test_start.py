"""Starting the command, beside starting Python with what it stands on: ``pytest tests/benchmarks --benchmark-only``.

The aim is that ``bench --help`` and ``bench list`` take at most twice the time of importing NumPy and pluggy. That
ratio is of rounds taken in turn, with its quartiles, in the ``extra_info`` of the stored JSON. Modules are compiled
before, as an installer leaves them.
"""

import statistics
import subprocess
import sys
import time

import pytest

STANDS_ON = "import numpy, pluggy"
BENCH = "import sys; sys.argv[0] = 'bench'; from bench.__main__ import main; main()"
COMMANDS = {
    "Python": ["pass"],
    "Python with NumPy and pluggy": [STANDS_ON],
    "Python with Typer": ["import typer"],
    "bench --help": [BENCH, "--help"],
    "bench list": [BENCH, "list"],
    "bench list --json": [BENCH, "list", "--json"],
    "bench run --help": [BENCH, "run", "--help"],
}


@pytest.fixture
def compiled(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.getbasetemp() / "compiled"
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(folder))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)


def started(program):
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-P", "-c", *program], check=False, stdout=subprocess.DEVNULL)
    assert done.returncode == 0
    return time.perf_counter() - begun


@pytest.mark.parametrize("name", COMMANDS)
def test_start(benchmark, compiled, name):
    benchmark.group = "from the shell and back"
    started(COMMANDS[name])
    beside: list[float] = []
    ratios: list[float] = []

    def in_turn():
        beside.append(started([STANDS_ON]))
        return (), {}

    def command():
        ratios.append(started(COMMANDS[name]) / beside[-1])

    benchmark.pedantic(command, setup=in_turn, rounds=10)
    low, middle, high = statistics.quantiles(ratios, n=4)
    benchmark.extra_info["over NumPy and pluggy"] = {"q1": low, "median": middle, "q3": high}
