"""Downloads from a local server: whole, resumed, wrong; and archives that reach outside their folder."""

import hashlib
import http.server
import io
import tarfile
import threading
import zipfile

import pytest

from bench import cli
from bench.contracts import Archive
from bench.download import extract, fetch
from bench.errors import DataError

CONTENT = bytes(range(256)) * 20_000


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``server.content`` with ranges; stops after ``server.stop_after`` bytes, once, if that is set."""

    def do_GET(self):
        server = self.server
        server.ranges.append(self.headers.get("Range"))
        if self.path == "/absent.zip":
            self.send_error(404)
            return
        start = int(self.headers["Range"][6:-1]) if self.headers.get("Range") and server.with_ranges else 0
        if start >= len(server.content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(server.content) - start))
        self.end_headers()
        body = server.content[start:]
        if server.stop_after:
            body, server.stop_after = body[: server.stop_after], 0
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        found.content, found.ranges, found.with_ranges, found.stop_after = CONTENT, [], True, 0
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def archive(server, md5="", name="data.zip"):
    return Archive(f"http://127.0.0.1:{server.server_port}/{name}", md5)


def test_a_file_comes_whole_and_is_not_fetched_twice(server, tmp_path):
    md5 = hashlib.md5(CONTENT).hexdigest()
    path = fetch(archive(server, md5), tmp_path)
    assert path.read_bytes() == CONTENT
    assert fetch(archive(server, md5), tmp_path) == path
    assert len(server.ranges) == 1


@pytest.mark.parametrize("with_ranges", [True, False])
def test_a_stopped_download_is_continued_where_the_server_can(server, tmp_path, with_ranges):
    server.stop_after, server.with_ranges = 3_000_000, with_ranges
    with pytest.raises(DataError, match=r"stopped: .*The same command continues it"):
        fetch(archive(server), tmp_path)
    assert fetch(archive(server), tmp_path).read_bytes() == CONTENT
    assert server.ranges[0] is None
    assert server.ranges[1].startswith("bytes=")
    assert not list(tmp_path.glob("*.part"))


def test_a_wrong_checksum_is_told_and_the_file_deleted(server, tmp_path):
    with pytest.raises(DataError, match=r"MD5 [0-9a-f]{32}, expected 0123; the file was deleted"):
        fetch(archive(server, "0123"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_absent_file_and_an_absent_server_are_one_clear_line(server, tmp_path):
    with pytest.raises(DataError, match="stopped: Not Found"):
        fetch(archive(server, name="absent.zip"), tmp_path)
    with pytest.raises(DataError, match=r"stopped: .*refused"):
        fetch(Archive("http://127.0.0.1:9/data.zip"), tmp_path)


def tar_with(path, name, kind=tarfile.REGTYPE):
    with tarfile.open(path, "w") as file:
        good = tarfile.TarInfo("good.txt")
        file.addfile(good, io.BytesIO())
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        file.addfile(member, io.BytesIO())
    return path


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_members_outside_the_folder_are_refused_before_anything_is_written(tmp_path, name, kind):
    path = tmp_path / f"bad.{kind}"
    if kind == "tar":
        tar_with(path, name)
    else:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("good.txt", "")
            file.writestr(name, "")
    with pytest.raises(DataError, match="lies outside the archive; nothing was unpacked"):
        extract(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_and_damaged_archives_are_refused(tmp_path):
    with pytest.raises(DataError, match="member 'link' is a link or a device"):
        extract(tar_with(tmp_path / "link.tar", "link", tarfile.SYMTYPE), tmp_path / "out")
    (tmp_path / "bad.tar").write_bytes(b"no archive")
    with pytest.raises(DataError, match="is no archive, or damaged"):
        extract(tmp_path / "bad.tar", tmp_path / "out")


def test_no_space_is_told_before_unpacking(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": -1}))
    with pytest.raises(DataError, match=r"unpacked it takes 0.0 GB"):
        extract(tar_with(tmp_path / "good.tar", "fine.txt"), tmp_path / "out")


def test_good_archives_are_unpacked(tmp_path):
    assert extract(tar_with(tmp_path / "good.tar", "folder/fine.txt"), tmp_path / "out") == 2
    assert (tmp_path / "out" / "folder" / "fine.txt").exists()


def test_the_command_fetches_checks_and_unpacks(server, tmp_path, monkeypatch, capsys):
    from dataclasses import replace

    from bench import plugins

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("annotations/a.json", "{}")
    server.content = buffer.getvalue()
    registry = plugins.installed()
    found = registry.datasets["coco"]
    fake = replace(found, spec=replace(found.spec, archives=(archive(server, name="annotations.zip"),)))
    monkeypatch.setitem(registry.datasets, "coco", fake)
    monkeypatch.setattr(plugins, "installed", lambda: registry)
    assert cli.run_command_line(["data", "download", "coco", "--to", str(tmp_path / "coco")]) == 0
    printed = capsys.readouterr().out
    assert "no published checksum; its MD5 is" in printed
    assert (tmp_path / "coco" / "annotations" / "a.json").read_text() == "{}"
    assert cli.run_command_line(["data", "download", "digit-scenes", "--to", str(tmp_path)]) == 2
    assert "has no archives that may be fetched" in capsys.readouterr().err
