"""Data roots and stores on a server that speaks as Google Cloud Storage, where gcsfs and an emulator are installed."""

import json
from pathlib import Path

import fsspec
import pytest
from example_roots import ROOTS
from example_runs import make_run

from bench.cli import run_command_line
from bench.errors import StorageError
from bench.remote import address, blocks
from bench.remote.address import as_path, opened
from bench.remote.copies import copy_of
from bench.store.mirror import publish
from bench.store.sealed import MANIFEST


@pytest.fixture(scope="module")
def server():
    """The address of a server in a thread of this process, with one bucket."""
    pytest.importorskip("gcsfs", reason="the package 'gcsfs' is not installed")
    emulator = pytest.importorskip("gcp_storage_emulator.server", reason="'gcp-storage-emulator' is not installed")
    running = emulator.create_server("127.0.0.1", 0, in_memory=True, default_bucket="bucket")
    running.start()
    running._api._httpd.handle_error = lambda *_: None  # it would tell of clients that hang up
    host, port = running._api._httpd.server_address[:2]
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def gs(server, monkeypatch, tmp_path):
    """A folder of this test's own in the bucket."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server)
    _forget()
    yield f"gs://bucket/{tmp_path.name}"
    _forget()


def _forget():
    address.filesystem.cache_clear()
    fsspec.get_filesystem_class("gs").clear_instance_cache()


def test_a_data_set_on_gs_has_the_fingerprints_of_the_same_files_here(tmp_path, gs, capsys):
    for name in ("csv", "shards"):
        (tmp_path / name).mkdir()
        ROOTS[name](tmp_path / name)
        system, place = opened(f"{gs}/{name}")
        system.put(f"{tmp_path / name}/", f"{place}/", recursive=True)
        prints = []
        for root in (tmp_path / name, f"{gs}/{name}"):
            assert run_command_line(["data", "verify", name, "--data-root", str(root)]) == 0
            prints.append(capsys.readouterr().out.replace(str(root), "ROOT"))
        assert prints[0] == prints[1]


def test_a_file_of_gs_that_changes_while_it_is_read_is_an_error(gs, monkeypatch):
    system, place = opened(gs)
    system.pipe_file(f"{place}/file", b"a" * 100)
    monkeypatch.setattr(blocks, "BLOCK", 50)
    with (as_path(gs) / "file").open("rb", buffering=0) as file:
        assert file.read(50) == b"a" * 50
        system.pipe_file(f"{place}/file", b"b" * 100)
        with pytest.raises(StorageError, match="was changed meanwhile"):
            file.read(50)


def test_a_store_on_gs_is_published_read_and_refused_in_one_line(tmp_path, gs, monkeypatch, capfd):
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
    _forget()
    assert run_command_line(["runs", "--runs", f"{gs}/runs"]) == 2
    told = capfd.readouterr().err
    assert "no network, or it was lost" in told
    assert told.count("\n") == 1


async def _at_once(*_):
    """Wait for nothing: the library waits longer before each of six tries."""
