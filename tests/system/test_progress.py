import re
import subprocess
import sys

import pytest

from bench.system import progress
from bench.system.progress import QUIET_VARIABLE, Many, Stage, progress_bar, rate_in_words, stage


def test_items_pass_through_where_nobody_looks():
    assert list(progress_bar([1, 2, 3], "counting")) == [1, 2, 3]


def test_a_rate_below_one_is_told_as_seconds_for_each():
    assert rate_in_words(1234.5, "images") == "1,234 images/s"
    assert rate_in_words(0.125, "epochs") == "8.0 s each"
    assert rate_in_words(None, "images") == ""


def test_a_bar_is_drawn_on_a_terminal_and_items_pass_through(monkeypatch, capsys):
    monkeypatch.setattr("bench.system.progress.progress_shown", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert list(progress_bar(range(4), "counting", unit="images", scale=16)) == [0, 1, 2, 3]
    assert "counting" in capsys.readouterr().err


@pytest.mark.parametrize(("term", "bars"), [("xterm-256color", True), ("dumb", False), ("", True)])
def test_a_terminal_that_only_prints_lines_has_lines_and_no_bars(term, bars, monkeypatch):
    """Emacs' shell, say, or what is read out: a bar there was an empty line, and no word was said."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.delenv(QUIET_VARIABLE, raising=False)
    monkeypatch.setenv("TERM", term)
    assert progress.progress_shown() is bars
    reporter = progress._Reporter()
    monkeypatch.setattr(reporter, "_tell", lambda: None)
    with reporter.telling(Stage("train")):
        assert (reporter._thread is None) is bars


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless it is set: ``clock[0]``."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])  # hang guard: none, the test tells the time
    return now


def test_a_line_has_stage_done_total_rate_and_what_is_left(clock, monkeypatch):
    monkeypatch.delenv(QUIET_VARIABLE, raising=False)
    with Many(["bce", "bce", "svm"], "runs").told(), stage("train"):
        clock[0] = 130.0
        assert progress._REPORTER.line() == "train: 30 s so far; 0 of 3 runs"
        for number in progress_bar(range(60), "training bce", unit="epochs"):
            if number == 12:
                clock[0] = 190.0
                expected = "training bce: 12 of 60 epochs, 5.0 s each, about 4 min left; 0 of 3 runs"
                assert progress._REPORTER.line() == expected
                break
    assert Stage("reading", None, "files", done=40, started=180.0).words() == "reading: 40 files, 4 files/s"


def test_a_last_batch_that_is_not_full_counts_as_the_images_in_it():
    def batches():
        yield from range(3)
        stage = progress.under_way()
        told.append((stage.done, stage.total))

    told = []
    assert list(progress_bar(batches(), "features", total=260, scale=128)) == [0, 1, 2]
    assert told == [(260, 260)]


def test_many_runs_take_what_those_of_their_kind_took_and_the_rest_what_is_usual(clock):
    many = Many(["bce", "svm", "bce", "knn", "svm"], "runs")
    assert many.words() == "0 of 5 runs"
    many.finished("bce", None)
    assert many.words() == "1 of 5 runs"
    many.finished("svm", 7200.0)
    assert many.words() == "2 of 5 runs, about 6.0 h left"
    many.finished("bce", 400.0)
    # knn: the mean of what a kind takes; svm: its own.
    assert many.left == pytest.approx(3800 + 7200)
    clock[0] += 1000.0
    assert many.left == pytest.approx(10000)
    assert many.if_long() == "3 of 5 runs, about 2.8 h left"
    many.finished("knn", 1.0)
    many.finished("svm", 1.0)
    assert many.if_long() == ""
    two = Many(["bce"] * 9, "runs", at_once=4)
    two.finished("bce", 60.0)
    assert two.words() == "1 of 9 runs, about 2 min left"


TOLD = """
import time
from bench.system import progress
progress.EVERY = 0.05
for _ in progress.progress_bar(range(3), "counting"):
    time.sleep(0.2)
print("results")
"""


def test_a_kind_that_was_not_met_takes_its_weight_of_what_is_usual(clock):
    many = Many(["cnn-rnn", "bce", "no-rnn"], "runs", weights={"cnn-rnn": 8.0, "no-rnn": 8.0})
    clock[0] += 40.0
    many.finished("cnn-rnn", 40.0)
    assert many.left == 5.0 + 40.0
    many.finished("bce", 3.0)
    assert many.left == 8.0 * (5.0 + 3.0) / 2


def test_without_a_terminal_lines_go_to_standard_error_and_quiet_silences_them():
    def run(quiet):
        code = f"import os; os.environ[{QUIET_VARIABLE!r}] = {quiet!r}\n{TOLD}"
        return subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)

    told = run("")
    assert told.stdout == "results\n"
    lines = told.stderr.splitlines()
    assert len(lines) >= 3
    assert all(re.fullmatch(r"progress: counting: \d of 3 images(, .+ left)?", line) for line in lines)
    assert run("1").stderr == ""
