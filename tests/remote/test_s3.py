"""Stores on an S3 server, in a thread of this process, and what it refuses."""

import json
from pathlib import Path

import fsspec
import pytest
from example_runs import make_run

from bench.cli import run_command_line
from bench.errors import StorageError
from bench.remote.copies import copy_of
from bench.store.mirror import publish
from bench.store.runs import find, open_run
from bench.store.sealed import MANIFEST


def test_an_s3_server_that_refuses_says_why_in_one_line(s3, monkeypatch, capsys, forget):
    stats = ["data", "stats", "csv", "--data-root"]
    assert run_command_line([*stats, "s3://no-such-bucket/x"]) == 2
    assert "no bucket or folder" in capsys.readouterr().err
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    forget("s3")
    assert run_command_line([*stats, f"{s3}/x"]) == 2
    told = capsys.readouterr().err
    assert "no credentials" in told
    assert told.count("\n") == 1


def test_a_store_on_s3_is_published_read_and_refused_in_one_line(tmp_path, s3, monkeypatch, capsys, forget):
    store = f"{s3}/team/runs"
    folder = make_run(copy_of(Path(store)), "bce")
    publish(folder.path)
    (path,) = (path for path in fsspec.filesystem("s3").find(s3) if path.endswith(MANIFEST))
    assert path == f"{store.removeprefix('s3://')}/toy/bce/{folder.key}/{MANIFEST}"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "another"))
    assert run_command_line(["runs", "--json", "--runs", store]) == 0
    assert json.loads(capsys.readouterr().out)[0]["key"] == folder.key
    assert run_command_line(["runs", "--runs", "s3://no-such-bucket/runs"]) == 2
    assert "no such bucket" in capsys.readouterr().err
    with pytest.raises(StorageError, match=r"no bucket s3://no-such-bucket\. Try"):
        open_run(copy_of(Path("s3://no-such-bucket/runs")), folder.config)
    assert not find(copy_of(Path("s3://no-such-bucket/runs")))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    forget("s3")
    monkeypatch.setattr(fsspec.get_filesystem_class("s3"), "retries", 1)
    assert run_command_line(["runs", "--runs", store]) == 2
    told = capsys.readouterr().err
    assert "no network, or it was lost" in told
    copy = told.split("--runs ")[-1].strip()
    assert run_command_line(["runs", "--json", "--runs", copy]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 1
