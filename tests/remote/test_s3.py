"""Data roots and stores on an S3 server, in a thread of this process."""

import fsspec
import pytest
from example_roots import ROOTS

from bench.cli import run_command_line
from bench.errors import StorageError
from bench.remote import address, blocks
from bench.remote.address import as_path, opened


def put(folder, place):
    opened(place)[0].put(f"{folder}/", f"{opened(place)[1]}/", recursive=True)


def test_a_data_set_on_s3_has_the_fingerprints_of_the_same_files_here(tmp_path, s3, capsys):
    for name in ("csv", "shards"):
        (tmp_path / name).mkdir()
        ROOTS[name](tmp_path / name)
        put(tmp_path / name, f"{s3}/{name}")
        prints = []
        for root in (tmp_path / name, f"{s3}/{name}"):
            assert run_command_line(["data", "verify", name, "--data-root", str(root)]) == 0
            prints.append(capsys.readouterr().out.replace(str(root), "ROOT"))
        assert prints[0] == prints[1]


def test_a_file_of_s3_that_changes_while_it_is_read_is_an_error(s3, monkeypatch):
    system, place = opened(s3)
    system.pipe_file(f"{place}/file", b"a" * 100)
    monkeypatch.setattr(blocks, "BLOCK", 50)
    with (as_path(s3) / "file").open("rb", buffering=0) as file:
        assert file.read(50) == b"a" * 50
        system.pipe_file(f"{place}/file", b"b" * 100)
        with pytest.raises(StorageError, match="was changed meanwhile"):
            file.read(50)


def test_an_s3_server_that_refuses_says_why_in_one_line(s3, monkeypatch, capsys):
    stats = ["data", "stats", "csv", "--data-root"]
    assert run_command_line([*stats, "s3://no-such-bucket/x"]) == 2
    assert "no bucket or folder" in capsys.readouterr().err
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    address.filesystem.cache_clear()
    fsspec.filesystem("s3").clear_instance_cache()
    assert run_command_line([*stats, f"{s3}/x"]) == 2
    told = capsys.readouterr().err
    assert "no credentials" in told
    assert told.count("\n") == 1
