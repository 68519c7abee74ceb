"""A file that a model reads by a name made at run time is in no key: its rows say so."""

import importlib
import os
import sys
import threading
from pathlib import Path

import pytest
from hostile_runs import registry, run

from bench.guard import calling
from bench.system.opened import heard, read_by

MODEL = """
import os

import hostile_runs


class Model(hostile_runs.Plain):
    def __init__(self, request):
        super().__init__(request)
        for name in ("pr" + "ior.txt", "known.txt"):
            with open(os.path.join(os.path.dirname(__file__), name)) as file:
                self.scale = float(file.read())
"""


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A folder with a module and two files, written long before they are read."""
    (tmp_path / "reading_model.py").write_text(MODEL)
    for name in ("prior.txt", "known.txt"):
        (tmp_path / name).write_text("0.1")
        os.utime(tmp_path / name, (0, 0))
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path.resolve()
    sys.modules.pop("reading_model", None)


def test_a_row_tells_of_a_file_whose_name_is_made_at_run_time_and_of_none_that_its_module_names(kept, tmp_path):
    model = importlib.import_module("reading_model").Model
    (told,) = run(tmp_path, registry(model)).read_about().remarks
    assert told.startswith(f"{kept / 'prior.txt'}, read by model 'm', is in no key: edited, the stored run is given.")


def test_heard_is_what_the_body_reads_in_its_own_thread_and_somebody_keeps(kept):
    another = threading.Thread(target=(kept / "known.txt").read_text)
    with heard("somebody"):
        (kept / "prior.txt").read_text()
        (kept / "new.txt").write_text("")
        (kept / "new.txt").read_text()
        another.start()
        another.join()
        Path("/proc/self/status").read_text()
        Path(threading.__file__).read_text()
    (kept / "known.txt").read_text()
    assert read_by("somebody") == [kept / "prior.txt"]
    assert not read_by("nobody")


def test_first_party_plugins_are_not_listened_to(kept):
    for whose in ("multilabel-bench", "another"):
        with calling(f"{whose} 1.0 (x)", "train", "model 'heard'"):
            (kept / "prior.txt").read_text()
    assert not read_by("multilabel-bench 1.0 (x) model 'heard'")
    assert read_by("another 1.0 (x) model 'heard'")
