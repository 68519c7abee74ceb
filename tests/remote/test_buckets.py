"""Data roots on servers that speak as S3 and as Google Cloud Storage do."""

import pytest
from example_roots import ROOTS

from bench.cli import run_command_line
from bench.errors import StorageError
from bench.remote import blocks
from bench.remote.address import as_path, opened


def put(folder, place):
    opened(place)[0].put(f"{folder}/", f"{opened(place)[1]}/", recursive=True)


def test_a_data_set_in_a_bucket_has_the_fingerprints_of_the_same_files_here(tmp_path, bucket, capsys):
    for name in ("csv", "shards"):
        (tmp_path / name).mkdir()
        ROOTS[name](tmp_path / name)
        put(tmp_path / name, f"{bucket}/{name}")
        prints = []
        for root in (tmp_path / name, f"{bucket}/{name}"):
            assert run_command_line(["data", "verify", name, "--data-root", str(root)]) == 0
            prints.append(capsys.readouterr().out.replace(str(root), "ROOT"))
        assert prints[0] == prints[1]


def test_a_file_of_a_bucket_that_changes_while_it_is_read_is_an_error(bucket, monkeypatch):
    system, place = opened(bucket)
    system.pipe_file(f"{place}/file", b"a" * 100)
    monkeypatch.setattr(blocks, "BLOCK", 50)
    with (as_path(bucket) / "file").open("rb", buffering=0) as file:
        assert file.read(50) == b"a" * 50
        system.pipe_file(f"{place}/file", b"b" * 100)
        with pytest.raises(StorageError, match="was changed meanwhile"):
            file.read(50)
