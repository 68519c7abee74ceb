"""Stores on a server that speaks as Google Cloud Storage, where gcsfs and an emulator are installed."""

import json
from pathlib import Path

import fsspec
from example_runs import make_run

from bench.cli import run_command_line
from bench.remote.copies import copy_of
from bench.store.mirror import publish
from bench.store.sealed import MANIFEST


def test_a_store_on_gs_is_published_read_and_refused_in_one_line(tmp_path, gs, monkeypatch, capfd, forget):
    folder = make_run(copy_of(Path(f"{gs}/runs")), "bce")
    publish(folder.path)
    (path,) = (path for path in fsspec.filesystem("gs").find(gs) if path.endswith(MANIFEST))
    assert path == f"{gs.removeprefix('gs://')}/runs/toy/bce/{folder.key}/{MANIFEST}"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "another"))
    assert run_command_line(["runs", "--json", "--runs", f"{gs}/runs"]) == 0
    told = capfd.readouterr()
    assert json.loads(told.out)[0]["key"] == folder.key
    assert not told.err
    assert run_command_line(["runs", "--runs", "gs://no-such-bucket/runs"]) == 2
    assert capfd.readouterr().err.count("\n") == 1
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    monkeypatch.setattr("gcsfs.retry.asyncio.sleep", _at_once)
    forget("gs")
    assert run_command_line(["runs", "--runs", f"{gs}/runs"]) == 2
    told = capfd.readouterr().err
    assert "no network, or it was lost" in told
    assert told.count("\n") == 1


async def _at_once(*_):
    """Wait for nothing: the library waits longer before each of six tries."""
