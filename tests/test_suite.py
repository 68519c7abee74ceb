"""The suite itself: what a plain ``pytest`` leaves out and says so, and that no test depends on a clock."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = {
    "tests/a/test_one.py": "import pytest\ndef test_fast(): pass\n@pytest.mark.slow\ndef test_slow(): pass\n",
    "tests/b/test_other.py": "import pytest\n@pytest.mark.slow\nclass Test:\n"
    "    @pytest.mark.parametrize('n', [1, 2])\n    def test_slow(self, n): pass\n",
    "pytest.ini": "[pytest]\ntestpaths = tests\nmarkers = slow: slow\naddopts = --import-mode=importlib\n",
}
TOLD = "3 slow tests were left out; .ci/run runs them, and so does: pytest --slow"


@pytest.fixture
def suite(tmp_path):
    """A suite of one fast and three slow tests."""
    for name, text in SUITE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def closing_lines(suite, *arguments):
    command = [sys.executable, "-m", "pytest", "-p", "slow_tests", "-p", "no:cacheprovider", *arguments]
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {"PYTHONPATH": os.pathsep.join(paths), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, cwd=suite, env=os.environ | own, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[-2:]


@pytest.mark.parametrize("arguments", [(), ("tests",), (".",), ("-k", "test")])
def test_slow_tests_are_left_out_and_counted_in_the_last_line_but_one(suite, arguments):
    told, counts = closing_lines(suite, *arguments)
    assert told == TOLD
    assert "1 passed, 3 deselected" in counts


def test_workers_beside_each_other_count_the_tests_left_out_once(suite):
    told, counts = closing_lines(suite, "-p", "xdist", "-n", "2")
    assert told == TOLD
    assert "1 passed" in counts


def test_the_line_stands_after_the_failures(suite):
    (suite / "tests/a/test_fails.py").write_text("def test_fails(): assert False\n")
    told, counts = closing_lines(suite)
    assert told == TOLD
    assert "1 failed, 1 passed, 3 deselected" in counts


STARTING = """
import subprocess, sys, time
sys.path.insert(0, sys.argv[1])
from left_behind import end_with_this_process
end_with_this_process()
subprocess.Popen([sys.executable, "-P", "-c", "import time; time.sleep(600)"])  # hang guard: so long it would go on
print("started", flush=True)
time.sleep(600)  # hang guard
"""


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="what a process started is not told here")
def test_what_a_killed_session_started_ends_with_it():
    command = [sys.executable, "-P", "-c", STARTING, str(Path(__file__).parent)]
    starting = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert starting.stdout.readline() == "started\n"
    starting.kill()
    # Their end of the pipe is open until the last of them has ended.
    starting.communicate(timeout=300)  # hang guard


@pytest.mark.parametrize(
    ("arguments", "passed"),
    [
        (("--slow",), "4 passed"),
        (("-m", "slow"), "3 passed, 1 deselected"),
        (("-m", "not slow"), "1 passed, 3 deselected"),
        (("tests/a",), "2 passed"),
        (("tests/a/test_one.py",), "2 passed"),
        (("tests/b/test_other.py::Test::test_slow[2]",), "1 passed"),
    ],
)
def test_slow_tests_that_are_asked_for_or_named_run(suite, arguments, passed):
    before, counts = closing_lines(suite, *arguments)
    assert passed in counts
    assert "left out" not in before


def test_a_named_place_wants_its_own_slow_tests_alone(suite):
    told, counts = closing_lines(suite, "tests", "tests/a")
    assert told == "2 slow tests were left out; .ci/run runs them, and so does: pytest --slow"
    assert "2 passed, 2 deselected" in counts


PROGRAMS = ("campaign.py", "fuzz.py", "worker.py", "beam.py")
"""Of ``tests/faults``, run by nox for as long as one asks; no test's outcome follows from their clocks."""

CLOCK = re.compile(r"\b(perf_counter|process_time|thread_time|monotonic)(_ns)?\(|\btime\.time(_ns)?\(|\brusage\b")
LIMIT = re.compile(r"\b(timeout|deadline)=(?!None)")


def reads_a_clock(line):
    return bool(CLOCK.search(line) or LIMIT.search(line)) and "# hang guard" not in line


def test_no_test_reads_a_clock_but_for_a_hang_guard():
    """How long something takes says something of the machine: measure it in ``tests/benchmarks``, or count it here."""
    folder = Path(__file__).parent
    files = [
        path
        for path in sorted(folder.rglob("*.py"))
        if path.parent.name != "benchmarks" and path.name not in PROGRAMS and path != Path(__file__)
    ]
    assert len(files) > 50
    found = [
        f"{path.relative_to(folder)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if reads_a_clock(line)
    ]
    assert found == []


def test_a_measured_limit_would_be_found():
    for line in ("assert time.perf_counter() - started < 0.5", "subprocess.run(command, timeout=5)"):
        assert reads_a_clock(line)
    for line in (
        "@settings(deadline=None)",
        "limit = time.monotonic() + 600  # hang guard",
        'patch("time.perf_counter")',
    ):
        assert not reads_a_clock(line)


def test_code_given_to_another_python_never_imports_the_checkout() -> None:
    """``python -c`` puts the working directory first, where the package lies without its compiled module."""
    files = [path for path in Path(__file__).parent.rglob("*.py") if path != Path(__file__)]
    for file in files:
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if 'sys.executable, "-c"' in line]
        assert not lines, f"{file.name}: add -P: {lines}"
