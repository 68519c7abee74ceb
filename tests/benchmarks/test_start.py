"""Starting the command, beside starting Python with what it stands on: ``pytest tests/benchmarks --benchmark-only``.

The aim is that ``bench list`` takes at most twice the time of importing NumPy and pluggy.
"""

import subprocess
import sys

import pytest

COMMANDS = {
    "Python": "pass",
    "Python with NumPy and pluggy": "import numpy, pluggy",
    "Python with Typer": "import typer",
    "bench list": "import sys; sys.argv = ['bench', 'list']; from bench.cli import main; main()",
    "bench --help": "import sys; sys.argv = ['bench', '--help']; from bench.cli import main; main()",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_start(benchmark, name):
    benchmark.group = "from the shell and back"
    command = [sys.executable, "-P", "-c", COMMANDS[name]]
    call = lambda: subprocess.run(command, check=False, stdout=subprocess.DEVNULL)  # noqa: E731
    assert benchmark.pedantic(call, rounds=10, warmup_rounds=1).returncode == 0
