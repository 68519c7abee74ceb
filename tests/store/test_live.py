"""What is told of runs from outside: by the files that a run's process keeps, however it ended."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from example_runs import run_config

from bench.cli import run_command_line
from bench.show.status import print_one
from bench.store import live
from bench.store.live import look
from bench.store.run_folder import RunFolder
from bench.store.runs import open_run
from bench.system import journal as journals
from bench.system import progress
from bench.system.clock import Stopwatch
from bench.system.journal import LOG, PROGRESS, Journal
from bench.system.notes import note


def logged(folder):
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


def test_a_run_is_told_while_it_works_and_its_log_is_kept(tmp_path, monkeypatch, stored_run):
    monkeypatch.setattr(journals, "EVERY", 0.01)
    folder = open_run(tmp_path, run_config())
    with Journal() as journal:
        clock = Stopwatch(listener=journal)
        with clock.stage("open data set"):
            note("said before\nthe folder is known")
        with folder.lock(), journal.kept_in(folder.path), clock.stage("train"):
            written = threading.Event()
            replace = journal._write_progress
            monkeypatch.setattr(journal, "_write_progress", lambda: (replace(), written.set()))
            for number in progress.progress_bar(range(60), "training bce", unit="epochs"):
                if number == 12:
                    written.clear()
                    assert written.wait(30)  # hang guard
                    found = look(folder)
                    break
        note("not of this run any more")
    assert (found.state, found.stage, found.doing) == ("running", "train", "training bce")
    assert (found.done, found.total, found.unit, found.process) == (12, 60, "epochs", os.getpid())
    assert found.speed > 0
    assert found.left >= 0
    assert not (folder.path / PROGRESS).exists()
    assert look(folder).state == "stopped"  # its status was never written
    events = logged(folder.path)
    assert [(one["event"], one.get("stage")) for one in events if one["level"] == "info"] == [
        ("run begins", None),
        ("stage begins", "open data set"),
        ("stage ends", "open data set"),
        ("stage begins", "train"),
        ("stage ends", "train"),
        ("run ends", None),
    ]
    assert [one["text"] for one in events if one["level"] == "warning"] == ["said before the folder is known"]
    ended = [one for one in events if one["event"] == "stage ends"]
    assert all(one["seconds"] >= 0 and one["peak_bytes"] >= one["resident_bytes"] > 2**20 for one in ended)
    assert clock.to_json()["peak_bytes"] == {one["stage"]: one["peak_bytes"] for one in ended}
    done = stored_run("bce")
    assert look(done).state == "done"


def fails(folder):
    with Journal() as journal, journal.kept_in(folder):
        with Stopwatch(listener=journal).stage("train"):
            pass
        raise OSError("the disk\nis full")


@pytest.mark.parametrize(("level", "kept"), [("debug", 4), ("warning", 1), ("error", 1), ("nonsense", 4)])
def test_a_log_holds_what_its_level_asks_for(level, kept, tmp_path, monkeypatch):
    monkeypatch.setenv(progress.LEVEL_VARIABLE, level)
    with pytest.raises(OSError, match="full"):
        fails(tmp_path)
    events = logged(tmp_path)
    assert len(events) == kept
    assert (events[-1]["level"], events[-1]["reason"]) == ("error", "OSError: the disk is full")


def test_a_folder_that_cannot_be_written_stops_no_work(tmp_path):
    with Journal() as journal, journal.kept_in(tmp_path / "gone"), Stopwatch(listener=journal).stage("train"):
        pass
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from bench.store.run_folder import RunFolder
from bench.system.clock import Stopwatch
from bench.system.journal import Journal
with Journal() as journal:
    folder = RunFolder(Path(sys.argv[1]))
    with folder.lock(), journal.kept_in(folder.path), Stopwatch(listener=journal).stage("predict"):
        print("ready", flush=True)
        sys.stdin.read()
"""


def test_a_killed_process_is_told_from_one_that_lives(tmp_path, capsys):
    folder = open_run(tmp_path, run_config())
    command = [sys.executable, "-P", "-c", KILLED, str(folder.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        assert (look(folder).state, look(folder).process) == ("running", process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
    found = look(folder)
    assert (found.state, found.stage, found.process, found.left) == ("stopped", "predict", process.pid, None)
    print_one(found)
    said = capsys.readouterr().out
    assert f"stopped: process {process.pid}, the last one, is gone, last heard" in said
    assert "the same command continues it" in " ".join(said.split())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[1]",
        b"\xff\x00",
        b"[" * 70000,
        b'{"done": "x", "total": 1e999, "stage": 3, "written": NaN, "process": -1}',
    ],
)
def test_files_that_are_no_state_are_as_good_as_absent(content, tmp_path):
    folder = open_run(tmp_path, run_config())
    for name in (PROGRESS, LOG):
        (folder.path / name).write_bytes(content)
    found = look(folder)
    assert (found.state, found.done, found.total, found.stage, found.process) == ("stopped", None, None, "", None)


def test_a_run_that_was_copied_in_part_or_renamed_is_not_done(stored_run):
    whole, part, renamed = stored_run("bce"), stored_run("warp"), stored_run("svm")
    (part.path / "scores.npy").unlink()
    copy = RunFolder(renamed.path.rename(renamed.path.with_name(f"{renamed.path.name} (copy)")))
    assert look(whole).state == "done"
    for folder, why in ((part, "scores.npy absent. "), (copy, "was moved or renamed. ")):
        assert look(folder).state == folder.summary().state == "damaged"
        assert why in look(folder).error
        assert why in folder.summary().reason


def test_where_no_lock_tells_a_process_lives_as_long_as_it_is_heard(tmp_path, monkeypatch):
    folder = open_run(tmp_path, run_config())
    monkeypatch.setattr(live, "held_by_a_process", lambda _: None)
    monkeypatch.setattr(live.time, "time", lambda: 1e9)
    # One whose clock, or that of its machine, was set back since is not heard for as long as that was.
    for age, state in ((1, "running"), (-1, "running"), (3600, "stopped"), (-3600, "stopped")):
        (folder.path / PROGRESS).write_text(json.dumps({"written": 1e9 - age}))
        assert look(folder).state == state


def test_the_command_shows_one_run_by_line_many_as_a_table_and_all_as_json(stored_run, tmp_path, capsys):
    folder, done = open_run(tmp_path / "runs", run_config("warp")), stored_run("bce")
    with folder.lock():
        folder.fail("train", "ValueError: no rate\x1b[31m worked")
    store = ["--runs", str(tmp_path / "runs")]
    assert run_command_line(["status", folder.key, *store]) == 0
    said = capsys.readouterr().out
    assert "state     failed; the same command continues it" in said
    assert "error     train: ValueError: no rate\\u001b[31m worked" in said
    assert run_command_line(["status", *store]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == "2 runs: 1 failed, 1 done"
    assert done.key[:8] not in said
    assert run_command_line(["status", "--json", "--state", "done", *store]) == 0
    assert [one["folder"] for one in json.loads(capsys.readouterr().out)] == [str(done.path)]
    assert run_command_line(["status", "--state", "running", *store]) == 2
    assert run_command_line(["status", "--log-level", "loud", *store]) == 2
    assert "no log level 'loud'" in capsys.readouterr().err
