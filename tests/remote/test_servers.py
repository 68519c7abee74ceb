"""Addresses that begin with a host: a web server in a thread of this process, and a file system made for its host."""

import functools
import http.server
import threading

import fsspec
import pytest
from example_roots import ROOTS
from fsspec.implementations.memory import MemoryFileSystem

from bench.cli import run_command_line
from bench.errors import StorageError
from bench.remote import address, blocks
from bench.remote.address import as_path, opened, reaching


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def web(tmp_path):
    """The address of a web server, and the folder that it lists."""
    pytest.importorskip("aiohttp", reason="the package 'aiohttp' is not installed, extra storage")
    folder = tmp_path / "web"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", folder
    server.shutdown()
    server.server_close()


def test_a_data_set_of_a_web_server_has_the_fingerprints_of_the_same_files_here(web, capsys):
    place, folder = web
    root = folder / "a set"
    ROOTS["csv"](root)
    table = (root / "train.csv").read_text()
    for name, odd in {"train0.png": "50% of ü+#?&amp;.png", "train1.png": "50%25.png"}.items():
        (root / "images" / name).rename(root / "images" / odd)
        table = table.replace(name, odd)
    (root / "train.csv").write_text(table.replace(";label", "|label"))
    (root / "test.csv").write_text((root / "test.csv").read_text().replace(";label", "|label"))
    for there in (root, f"{place}/a set"):
        assert (
            run_command_line(["data", "verify", "csv", "--set", "dataset.separator=|", "--data-root", str(there)]) == 0
        )
    told = capsys.readouterr().out.split("csv/train: ")
    assert told[1].replace(str(folder), place) == told[2]


def test_what_a_web_server_does_not_give_is_one_line(web, tmp_path, monkeypatch, capsys):
    place, folder = web
    (folder / "long").write_bytes(bytes(100))
    (folder / "long?C=N").write_bytes(b"")
    monkeypatch.setattr(blocks, "BLOCK", 50)
    with pytest.raises(StorageError, match="its server gives no parts of files"):
        (as_path(place) / "long").read_bytes()
    assert run_command_line(["run", "--model", "bce", "--dataset", "digit-scenes", "--out", f"{place}/runs"]) == 2
    assert f"--out: found {place}/runs, which is only read" in capsys.readouterr().err


class OfHost(MemoryFileSystem):
    """A file system that is one connection to the host of its address."""

    protocol = "sftp"

    def __init__(self, host, **connection):
        super().__init__()
        self.connected_to = {"host": host, **connection}

    @staticmethod
    def _get_kwargs_from_urls(urlpath):
        return {name: found for name, found in fsspec.utils.infer_storage_options(urlpath).items() if name in NAMES}


def free_for_another(lock):
    found = []
    thread = threading.Thread(target=lambda: found.append(lock.acquire(blocking=False) and not lock.release()))
    thread.start()
    thread.join()
    return found[0]


NAMES = {"host", "port", "username"}


def test_a_file_system_of_a_host_is_made_for_it_and_asked_by_one_thread_at_a_time(monkeypatch, capsys):
    monkeypatch.setattr(fsspec, "get_filesystem_class", lambda _: OfHost)
    monkeypatch.setattr(fsspec, "filesystem", lambda _, **connection: OfHost(**connection))
    address.filesystem.cache_clear()
    system, place = opened("sftp://me@host:2222/folder/file#1")
    assert (system.connected_to, place) == ({"host": "host", "port": 2222, "username": "me"}, "/folder/file#1")
    with reaching("sftp://me@host/folder", "read"):
        assert not free_for_another(address._TURNS)
    assert free_for_another(address._TURNS)
    address.filesystem.cache_clear()
    assert run_command_line(["data", "stats", "csv", "--data-root", "github://host/x"]) == 2
    assert "github://: fsspec needs more than an address for it" in capsys.readouterr().err
