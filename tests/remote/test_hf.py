"""Data roots on a server that speaks as the Hugging Face hub, in a thread of this process."""

import hashlib
import http.server
import json
import re
import threading
import urllib.parse
from collections import Counter
from typing import ClassVar

import fsspec
import pytest
from example_roots import ROOTS

from bench.cli import run_command_line
from bench.errors import StorageError
from bench.remote import blocks
from bench.remote.address import as_path


class Hub(http.server.BaseHTTPRequestHandler):
    """One repository, ``datasets/somebody/photos``, whose files are those of a folder."""

    folder: ClassVar = None
    asked: ClassVar[Counter[str]] = Counter()

    def do_GET(self):
        path = urllib.parse.unquote(self.path.partition("?")[0])
        what, _, place = re.sub("^(/api)?/datasets/somebody/photos/?", "", path).partition("/")
        self.asked[what] += 1
        file = self.folder / place.removeprefix("main").strip("/")
        if what == "tree":
            self._send(json.dumps([self._told(one) for one in sorted(file.iterdir())]).encode())
        elif what == "resolve":
            first, last = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"]).groups()
            part = file.read_bytes()[int(first) : int(last) + 1]
            self._send(part, 206, {"Content-Range": f"bytes {first}-{last}/{file.stat().st_size}"})
        else:
            self._send(json.dumps({"id": "somebody/photos", "sha": "a" * 40, "siblings": []}).encode())

    def do_POST(self):
        self.asked["paths-info"] += 1
        asked = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self._send(json.dumps([self._told(self.folder / path) for path in asked["paths"]]).encode())

    def _told(self, file):
        kind, content = ("directory", b"") if file.is_dir() else ("file", file.read_bytes())
        name = str(file.relative_to(self.folder))
        return {"type": kind, "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}

    def _send(self, content, status=200, headers=()):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch, forget):
    """The address of the repository, and its folder."""
    pytest.importorskip("huggingface_hub", reason="the package 'huggingface_hub' is not installed")
    folder = tmp_path / "photos"
    folder.mkdir()
    monkeypatch.setattr(Hub, "folder", folder)
    monkeypatch.setattr(Hub, "asked", Counter())
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": f"http://127.0.0.1:{server.server_address[1]}"})
    forget("hf")
    yield "hf://datasets/somebody/photos", folder
    forget("hf")
    server.shutdown()
    server.server_close()


def test_a_data_set_of_the_hub_has_the_fingerprints_of_the_same_files_here_and_each_folder_is_listed_once(hub, capsys):
    place, folder = hub
    ROOTS["csv"](folder)
    for root in (folder, place):
        assert run_command_line(["data", "verify", "csv", "--data-root", str(root)]) == 0
    told = capsys.readouterr().out.split("csv/train: ")
    assert told[1].replace(str(folder), place) == told[2]
    assert Hub.asked["resolve"] > Hub.asked["tree"] == 2


def test_a_file_of_the_hub_that_changes_while_it_is_read_is_an_error(hub, monkeypatch):
    place, folder = hub
    (folder / "file").write_bytes(b"a" * 100)
    monkeypatch.setattr(blocks, "BLOCK", 50)
    with (as_path(place) / "file").open("rb", buffering=0) as file:
        assert file.read(50) == b"a" * 50
        (folder / "file").write_bytes(b"b" * 100)
        with pytest.raises(StorageError, match="was changed meanwhile"):
            file.read(50)
