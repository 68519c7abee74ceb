"""Downloads from a local server: whole, resumed, wrong; and archives that reach outside their folder."""

import errno
import hashlib
import http.server
import io
import tarfile
import threading
import zipfile

import pytest
from damage import DAMAGE

from bench import cli
from bench.contracts import Archive
from bench.data.download import fetch
from bench.data.unpack import extract
from bench.errors import DataError
from bench.system.sealed_files import write_sealed

CONTENT = bytes(range(256)) * 20_000


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``server.content`` with ranges; stops after ``server.stop_after`` bytes, once, if that is set."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.ranges.append(self.headers.get("Range"))
        self.close_connection = True
        if self.path.startswith("/error/"):
            self.send_error(int(self.path.split("/")[2]))
            return
        if self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", self.path if "loop" in self.path else "/data.zip")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        same = self.headers.get("If-Range", server.tag) == server.tag
        start = int(self.headers["Range"][6:-1]) if self.headers.get("Range") and server.with_ranges and same else 0
        length = len(server.content)
        if start >= length:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{length}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path == "/unasked.zip":
            start = 7
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{length - 1}/{length}")
        if server.tag:
            self.send_header("ETag", server.tag)
        if self.path == "/chunked.zip":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"400\r\n" + server.content[:1024] + b"\r\n400\r\n" + server.content[1024:1500])
            return
        self.send_header("Content-Length", "all" if self.path == "/wordy.zip" else str(length - start))
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
        found.content, found.ranges, found.with_ranges, found.stop_after, found.tag = CONTENT, [], True, 0, ""
        found.handle_error = lambda *_: None  # of clients that hang up
        thread = threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True)
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


@pytest.mark.parametrize("tag", ['"one"', ""])
def test_a_file_that_changed_between_the_tries_is_begun_again(server, tmp_path, tag):
    server.stop_after, server.tag = 3_000_000, tag
    with pytest.raises(DataError, match="stopped"):
        fetch(archive(server), tmp_path)
    # Without a tag, only another length shows that it is another file.
    server.content, server.tag = bytes(len(CONTENT) + (not tag)), tag and '"two"'
    assert fetch(archive(server), tmp_path).read_bytes() == server.content
    assert [path.name for path in tmp_path.iterdir()] == ["data.zip"]


def test_a_part_longer_than_the_servers_file_is_begun_again_and_a_whole_one_is_taken(server, tmp_path):
    part = tmp_path / "data.zip.part"
    part.write_bytes(CONTENT)
    assert fetch(archive(server), tmp_path).read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT)}-"]
    (tmp_path / "data.zip").unlink()
    part.write_bytes(CONTENT + b"more")
    assert fetch(archive(server), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("file", ["data.zip.part", "data.zip.part.notes"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_stopped_download_is_not_continued_upon_damage(server, tmp_path, file, kind, capsys):
    """No checksum is published: that a part is damaged shows by its notes alone."""
    folders = tmp_path / "one", tmp_path / "other"
    for folder, stop in zip(folders, (3_000_000, 2_000_000), strict=True):
        server.stop_after = stop
        with pytest.raises(DataError, match="stopped"):
            fetch(archive(server), folder)
    one, other = (folder / file for folder in folders)
    if kind == "another key's" and file.endswith("notes"):
        other = tmp_path / "notes"
        write_sealed(other, "http://localhost/other.zip", one.read_bytes()[80:])
    DAMAGE[kind](one, other)
    assert fetch(archive(server), folders[0]).read_bytes() == CONTENT
    # What follows the noted bytes is cut off, and nothing else is lost.
    longer = kind == "a byte long" and file.endswith("part")
    told = "" if longer else f"note: {folders[0] / 'data.zip.part'} is damaged: the download begins again\n"
    assert capsys.readouterr().err == told
    assert (server.ranges[-1] is not None) == longer
    assert [path.name for path in folders[0].iterdir()] == ["data.zip"]


def test_a_wrong_checksum_is_told_and_the_file_deleted(server, tmp_path):
    with pytest.raises(DataError, match=r"MD5 [0-9a-f]{32}, expected 0123; the file was deleted"):
        fetch(archive(server, "0123"), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("error/404/a.zip", r"a.zip: HTTP 404 Not Found. Try: fetch it by hand to .*a.zip$"),
        ("error/503/a.zip", r"HTTP 503 Service Unavailable. Try: the same command later, or fetch it by hand"),
        ("moved/loop.zip", r"HTTP 302 .* infinite loop"),
        ("unasked.zip", r"stopped: the server sent a part of the file.*The same command continues it"),
        ("chunked.zip", r"stopped: IncompleteRead.*The same command continues it"),
    ],
)
def test_what_a_server_refuses_or_breaks_off_is_one_clear_line(server, tmp_path, name, message):
    with pytest.raises(DataError, match=message) as error:
        fetch(archive(server, name=name), tmp_path)
    assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / name.rpartition("/")[2]).exists()


def test_a_proxy_that_may_be_at_fault_is_named(server, tmp_path, monkeypatch):
    monkeypatch.setattr("urllib.request._opener", None)  # it looks for proxies once in a process
    monkeypatch.setenv("http_proxy", "http://name:secret@127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(DataError, match=r"stopped: Connection refused \(through the proxy of http_proxy\)\.") as error:
        fetch(archive(server), tmp_path)
    assert "secret" not in str(error.value)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert fetch(archive(server), tmp_path).read_bytes() == CONTENT


def test_a_length_that_is_no_number_is_none(server, tmp_path):
    assert fetch(archive(server, name="wordy.zip"), tmp_path).read_bytes() == CONTENT


def test_an_absent_server_is_one_clear_line_and_a_moved_file_is_followed(server, tmp_path):
    with pytest.raises(DataError, match=r"stopped: Connection refused. The same command continues it"):
        fetch(Archive("http://127.0.0.1:9/data.zip"), tmp_path)
    assert fetch(archive(server, name="moved/new.zip"), tmp_path).read_bytes() == CONTENT


def test_a_full_disk_keeps_what_came_and_the_same_call_goes_on(server, tmp_path):
    import resource
    import signal

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, limits[1]))
    try:
        with pytest.raises(DataError, match=r"cannot write .*data.zip.part: File too large. What came is kept"):
            fetch(archive(server), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (tmp_path / "data.zip.part").stat().st_size == 2_000_000
    assert fetch(archive(server), tmp_path).read_bytes() == CONTENT
    assert server.ranges[-1] == "bytes=2000000-"


def test_too_small_a_disk_is_told_before_anything_comes(server, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(DataError, match=r"still takes 0.01 GB, .* has 0.00 GB free. Try: --out DIR on a larger disk"):
        fetch(archive(server), tmp_path)
    assert list(tmp_path.iterdir()) == []


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


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused_before_anything_is_written(tmp_path, kind):
    with pytest.raises(DataError, match=r"member 'link' is a link or a device, .*; nothing was unpacked"):
        extract(tar_with(tmp_path / "link.tar", "link", kind), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_link_in_a_zip_file_is_refused(tmp_path):
    entry = zipfile.ZipInfo("link")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as file:
        file.writestr(entry, "/etc/passwd")
    with pytest.raises(DataError, match="member 'link' is a link"):
        extract(tmp_path / "bad.zip", tmp_path / "out")


def damaged(path):
    """Archives that are cut, damaged within, encrypted, or none."""
    text = bytes(range(256)) * 400
    with zipfile.ZipFile(path / "good.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.txt", text)
    zipped = bytearray((path / "good.zip").read_bytes())
    with tarfile.open(path / "good.tar.gz", "w:gz") as file:
        member = tarfile.TarInfo("a.txt")
        member.size = len(text)
        file.addfile(member, io.BytesIO(text))
    gzipped = (path / "good.tar.gz").read_bytes()
    within, encrypted, strange = bytearray(zipped), bytearray(zipped), bytearray(zipped)
    within[60:70] = b"\xff" * 10
    directory = zipped.index(b"PK\x01\x02")
    encrypted[6] |= 1
    encrypted[directory + 8] |= 1
    strange[8], strange[directory + 10] = 97, 97
    return {
        "none.tar": b"no archive",
        "cut.zip": bytes(zipped[:-10]),
        "within.zip": bytes(within),
        "encrypted.zip": bytes(encrypted),
        "strange.zip": bytes(strange),
        "cut.tar.gz": gzipped[: len(gzipped) // 2],
    }


@pytest.mark.parametrize("name", ["none.tar", "cut.zip", "within.zip", "encrypted.zip", "strange.zip", "cut.tar.gz"])
def test_damaged_archives_are_one_clear_line(tmp_path, name):
    (tmp_path / name).write_bytes(damaged(tmp_path)[name])
    with pytest.raises(DataError, match=r"is no archive, or damaged: .+ Delete it and run the same command") as error:
        extract(tmp_path / name, tmp_path / "out")
    assert len(str(error.value).splitlines()) == 1


def test_a_folder_unpacked_in_part_is_not_taken_for_a_whole_one(tmp_path, monkeypatch):
    from bench import plugins
    from bench.contracts import DatasetRequest
    from bench.data.open import open_dataset
    from bench.options import resolve

    spec = plugins.installed().dataset("coco").spec
    request = DatasetRequest(resolve(spec.options, {}, "coco"), tmp_path / "out")
    path = tar_with(tmp_path / "good.tar", "fine.txt")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "extract", full)
        with pytest.raises(DataError, match=r"good.tar was unpacked in part only, to .*: No space left on device"):
            extract(path, tmp_path / "out")
    with pytest.raises(DataError, match=r"good.tar was not unpacked to its end. Try: bench data download coco --out"):
        open_dataset(spec, request)
    assert len(extract(path, tmp_path / "out")) == 2
    with pytest.raises(DataError, match="no file"):
        open_dataset(spec, request)


def test_no_space_is_told_before_unpacking(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": -1}))
    with pytest.raises(DataError, match=r"unpacked it takes 0.00 GB"):
        extract(tar_with(tmp_path / "good.tar", "fine.txt"), tmp_path / "out")


def test_good_archives_are_unpacked(tmp_path):
    assert len(extract(tar_with(tmp_path / "good.tar", "folder/fine.txt"), tmp_path / "out")) == 2
    assert (tmp_path / "out" / "folder" / "fine.txt").exists()


def test_the_command_fetches_checks_and_unpacks(server, tmp_path, monkeypatch, capsys):
    from dataclasses import replace

    from bench import plugins

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("annotations/a.json", "{}")
    server.content = buffer.getvalue()
    registry = plugins.installed()
    found = registry.dataset("coco")
    fake = replace(found, spec=replace(found.spec, archives=(archive(server, name="annotations.zip"),)))
    monkeypatch.setitem(registry.all(plugins.DATASETS), "coco", fake)
    monkeypatch.setattr(plugins, "installed", lambda: registry)
    assert cli.run_command_line(["data", "download", "coco", "--out", str(tmp_path / "coco")]) == 0
    printed = capsys.readouterr().out
    assert "no published checksum; its SHA-256 is" in printed
    unpacked = tmp_path / "coco" / "annotations" / "a.json"
    assert unpacked.read_text() == "{}"
    asked = len(server.ranges)
    assert cli.run_command_line(["data", "download", "coco", "--out", str(tmp_path / "coco")]) == 0
    assert f"annotations.zip: 1 files are already in {tmp_path / 'coco'}" in capsys.readouterr().out
    assert len(server.ranges) == asked
    unpacked.unlink()
    assert cli.run_command_line(["data", "download", "coco", "--out", str(tmp_path / "coco")]) == 0
    assert unpacked.read_text() == "{}"
    capsys.readouterr()
    assert cli.run_command_line(["data", "download", "digit-scenes", "--out", str(tmp_path)]) == 2
    assert "is built in, so there is nothing to fetch" in capsys.readouterr().err
