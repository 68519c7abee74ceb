"""Data roots elsewhere: what is read is what lies there, through kept blocks whose size is bounded."""

import threading

import fsspec
import numpy as np
import pytest
from example_roots import ROOTS
from fsspec.implementations.memory import MemoryFileSystem

from bench import plugins
from bench.cli import run_command_line
from bench.contracts import DatasetRequest
from bench.data.copies import image_hashes
from bench.data.fingerprint import fingerprint
from bench.data.images import FolderImages
from bench.data.open import open_dataset
from bench.errors import DataError, StorageError, UsageError
from bench.options import resolve
from bench.remote import blocks, paths
from bench.remote.address import as_path, opened, without_secrets


def put(folder, address):
    system, place = opened(address)
    system.put(f"{folder}/", f"{place}/", recursive=True)


def open_root(name, root, cache=None):
    found = plugins.installed().dataset(name)
    options = resolve(found.spec.options, {}, name)
    return open_dataset(found.spec, DatasetRequest(options, root, cache=cache), found.origin)


@pytest.fixture
def file(memory):
    """A file of 1,000 bytes elsewhere, which differ from block to block."""
    content = bytes(np.arange(1000, dtype=np.uint16).astype(np.uint8) ^ (np.arange(1000) >> 8).astype(np.uint8))
    opened(memory)[0].pipe_file(f"{opened(memory)[1]}/numbers", content)
    return as_path(memory) / "numbers", content


@pytest.fixture
def fetched(monkeypatch):
    """The places in files that are fetched."""
    system, places = opened("memory://x")[0], []
    fetch = system.cat_file

    def counted(path, start=None, end=None):
        places.append(start)
        return fetch(path, start, end)

    monkeypatch.setattr(system, "cat_file", counted)
    return places


@pytest.mark.parametrize("name", ROOTS)
def test_a_data_set_elsewhere_has_the_fingerprints_of_the_same_files_here(name, tmp_path, memory):
    (tmp_path / "root").mkdir()
    ROOTS[name](tmp_path / "root")
    put(tmp_path / "root", memory)
    here, there = (open_root(name, root, tmp_path / "kept") for root in (tmp_path / "root", as_path(memory)))
    for one, other in ((here.train, there.train), (here.test, there.test)):
        assert fingerprint(other) == fingerprint(one)
        assert (other.ids, other.labels) == (one.ids, one.labels)
        np.testing.assert_array_equal(other.images.read(1), one.images.read(1))
    assert there.notes == here.notes
    assert there.train.images.describe(0).startswith(memory)


def test_parquet_shards_elsewhere_are_read_by_their_columns(tmp_path, memory):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    from example_roots import labels_of, picture

    (tmp_path / "root").mkdir()
    for part in ("train", "test"):
        rows = {"image": [picture(part, n) for n in range(6)], "labels": [labels_of(n) for n in range(6)]}
        parquet.write_table(arrow.table(rows), tmp_path / "root" / f"{part}-000.parquet", row_group_size=2)
    # Another process looks at the shards first: this one's memory is not its own.
    address = f"file://{tmp_path}/root"
    assert open_root("shards", as_path(address)).train.images.describe(0).startswith(str(tmp_path))
    put(tmp_path / "root", memory)
    here = open_root("shards", tmp_path / "root")
    from bench_datasets import parquet_shards

    part, _ = parquet_shards.read_checked("train", [as_path(memory) / "train-000.parquet"], "", "")
    assert part.images.content_hash() == here.train.images.content_hash()


@pytest.mark.parametrize("kept_as", ["shards", "csv"])
def test_a_second_opening_reads_no_picture(kept_as, tmp_path, memory, fetched):
    (tmp_path / "root").mkdir()
    ROOTS[kept_as](tmp_path / "root")
    put(tmp_path / "root", memory)

    def seen():
        train = open_root(kept_as, as_path(memory), tmp_path / "kept").train
        if kept_as == "csv":
            fetched.clear()  # its tables are read each time
        return fingerprint(train), image_hashes(train.images)

    first = seen()
    assert fetched
    assert len(set(first[1])) > 1
    for path in blocks.folder().glob("*.block"):
        path.unlink()
    blocks._HELD.__init__()
    fetched.clear()
    assert seen() == first
    assert not fetched


def test_any_reads_give_the_bytes_that_lie_there(file, monkeypatch):
    path, content = file
    monkeypatch.setattr(blocks, "BLOCK", 64)
    assert path.read_bytes() == content
    generator = np.random.default_rng(0)
    with path.open("rb", buffering=0) as raw, path.open("rb") as buffered:
        for start, length in generator.integers(0, 1100, (100, 2)).tolist():
            for reader in (raw, buffered):
                reader.seek(start)
                assert reader.read(length) == content[start : start + length]
        assert raw.seek(-3, 2) == 997


def test_kept_blocks_take_no_more_than_the_limit_and_the_oldest_go(file, monkeypatch, fetched):
    path, content, size = *file, 100
    monkeypatch.setattr(blocks, "BLOCK", size)
    monkeypatch.setattr(blocks, "_HELD", type("Nothing", (), {"get": lambda *_: None, "put": lambda *_: None})())
    monkeypatch.setenv(blocks.LIMIT, "1e-6")
    with path.open("rb", buffering=0) as reading:
        for number in range(10):
            reading.seek(number * size)
            assert reading.read(size) == content[number * size : (number + 1) * size]
            held = [one.stat().st_size for one in blocks.folder().glob("*.block")]
            assert 0 < sum(held) <= 1000
        fetched.clear()
        reading.seek(9 * size)
        reading.read(size)
        assert not fetched
        reading.seek(0)
        reading.read(size)
        assert fetched == [0]


def test_a_damaged_block_is_fetched_anew_with_a_word(file, fetched, capsys):
    path, content = file
    assert path.read_bytes() == content
    (block,) = blocks.folder().glob("*.block")
    block.write_bytes(block.read_bytes()[:-5] + b"wrong")
    blocks._HELD.__init__()
    assert path.read_bytes() == content
    assert len(fetched) == 2
    assert "is damaged, and fetched again" in capsys.readouterr().err


def test_a_file_that_changed_elsewhere_is_read_anew(file, memory):
    path, content = file
    assert path.read_bytes() == content
    system, place = opened(str(path))
    system.pipe_file(place, content[::-1])
    assert (as_path(memory) / "numbers").read_bytes() == content[::-1]


def test_a_file_that_changes_while_it_is_read_is_an_error_where_listings_are_cached(tmp_path, memory, monkeypatch):
    told, listed = MemoryFileSystem.ls, {}

    def ls(self, path, detail=True, **chosen):
        return [one | {"ETag": str(self.cat_file(one["name"]))} for one in told(self, path, detail=True, **chosen)]

    def info(self, path, **_):
        return listed.setdefault(path, *ls(self, path))

    monkeypatch.setattr(MemoryFileSystem, "async_impl", True)
    monkeypatch.setattr(MemoryFileSystem, "ls", ls)
    monkeypatch.setattr(MemoryFileSystem, "info", info)
    monkeypatch.setattr(MemoryFileSystem, "invalidate_cache", lambda *_: listed.clear())
    system, place = opened(f"{memory}/1.png")
    system.pipe_file(place, b"first")
    path = as_path(memory) / "1.png"
    assert path.content_version.endswith("ETag b'first'")
    system.info(place)
    system.pipe_file(place, b"other")
    with pytest.raises(StorageError, match="was changed meanwhile"):
        path.read_bytes()


def test_of_a_place_that_tells_no_versions_nothing_is_taken_over_from_another_command(tmp_path, memory, monkeypatch):
    told = MemoryFileSystem.ls
    names = ("name", "size", "type")

    def ls(self, path, detail=True, **chosen):
        return [{name: one[name] for name in names} for one in told(self, path, detail=True, **chosen)]

    monkeypatch.setattr(MemoryFileSystem, "ls", ls)
    system, place = opened(memory)
    found = []
    for content in (b"first", b"other"):  # of one length
        system.pipe_file(f"{place}/1.png", content)
        images = FolderImages((as_path(memory) / "1.png",))
        found.append((images.paths[0].read_bytes(), images.content_hash()))
        monkeypatch.setattr(paths, "UNTOLD", "untold of another process")
    assert [content for content, _ in found] == [b"first", b"other"]
    assert found[0][1] != found[1][1]
    monkeypatch.setattr(MemoryFileSystem, "ls", lambda *given, **_: [one | {"size": None} for one in ls(*given)])
    monkeypatch.setattr(MemoryFileSystem, "info", lambda *given, **_: ls(*given)[0] | {"size": None})
    with pytest.raises(StorageError, match=r"1\.png: its place does not tell how long it is"):
        (as_path(memory) / "1.png").read_bytes()


def test_threads_that_need_a_block_fetch_it_once(file, fetched):
    path, content = file
    found = []
    threads = [threading.Thread(target=lambda: found.append(path.read_bytes())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [content] * 8
    assert len(fetched) == 1


def test_a_lost_network_is_tried_again_and_then_said_in_one_line(file, monkeypatch):
    path, content = file
    system, fetch = opened(str(path))[0], opened(str(path))[0].cat_file
    failures = [ConnectionResetError("reset by peer")] * 2

    def failing(*places, **named):
        if failures:
            raise failures.pop()
        return fetch(*places, **named)

    monkeypatch.setattr(system, "cat_file", failing)
    assert path.read_bytes() == content
    blocks._HELD.__init__()
    for block in blocks.folder().glob("*.block"):
        block.unlink()
    failures += [ConnectionResetError("reset by peer")] * 3
    with pytest.raises(StorageError, match=r"no network, or it was lost .*reset by peer.*The same command continues"):
        path.read_bytes()


def test_a_path_elsewhere_is_listed_as_one_here(tmp_path, memory):
    for name in ("a.txt", "b/c.txt", "b/d/e.csv", ".hidden"):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(name)
    put(tmp_path / "root", memory)
    here, there = tmp_path / "root", as_path(memory)
    for pattern in ("*", "*.txt", "*/*.txt", "**/*.csv", "b", "**/c*"):
        expected = sorted(path.relative_to(here).as_posix() for path in here.glob(pattern))
        assert sorted(path.relative_to(there).as_posix() for path in there.glob(pattern)) == expected
    for name in ("a.txt", "b", "b/d/e.csv", "nothing", "b/nothing", "../x", "a.txt/b"):
        one, other = here / name, there / name
        assert (other.is_file(), other.is_dir(), other.exists()) == (one.is_file(), one.is_dir(), one.exists())
    assert (there / "b" / "c.txt").read_text() == "b/c.txt"
    assert (there / "b").parent == there
    assert str(there / "b") == f"{memory}/b"
    assert (there / str(here / "a.txt")).read_text() == "a.txt"


def test_what_asks_the_system_for_a_file_elsewhere_is_refused_with_a_word(file):
    with pytest.raises(DataError, match="copy the folder to a disk"):
        np.load(file[0])
    with pytest.raises(DataError, match="nothing is written"):
        file[0].write_text("x")


REFUSED = {
    "foo://bucket/x": "no kind of storage 'foo'",
    "s3://bucket/../x": "found '..'",
    "s3://KEYID:a-secret/of-two@bucket/x": "holds a name or password",
    "s3://KEYID@bucket/x": "holds a name or password",
    "ftp://me:a-secret@host/x": "holds a name or password",
    "s3://bucket/x?X-Amz-Signature=a-secret": "found '?'",
    "s3://": "found no bucket or folder. Try: s3://BUCKET/FOLDER",
    "simplecache::s3://bucket/x": "one scheme",
    "memory://nothing-there": "no bucket or folder",
    "s3://bucket/a\x1bb": "control character",
}


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_cannot_be_is_refused_in_one_line(address, capsys):
    assert run_command_line(["data", "stats", "csv", "--data-root", address]) == 2
    told = capsys.readouterr().err
    assert REFUSED[address] in told
    assert told.count("\n") == 1
    assert "a-secret" not in told
    assert "\x1b" not in told


def test_a_package_that_is_not_installed_is_named(monkeypatch, capsys):
    def lacking(*_, **__):
        raise ImportError("Install gcsfs to access Google Storage")

    monkeypatch.setattr(fsspec, "filesystem", lacking)
    assert run_command_line(["data", "stats", "csv", "--data-root", "gs://bucket/x"]) == 2
    assert "Try: pip install gcsfs" in capsys.readouterr().err
    assert run_command_line(["data", "stats", "csv", "--data-root", "https://host/x"]) == 2
    assert "Try: pip install" in capsys.readouterr().err


def test_secrets_of_the_environment_are_in_no_message(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "abcdefgh12345")
    text = "denied: abcdefgh12345 at https://me:pass@host/x?X-Amz-Signature=0123&part=1"
    assert without_secrets(text) == "denied: *** at https://***@host/x?X-Amz-Signature=***&part=1"


def test_a_limit_that_is_no_number_is_refused(memory, monkeypatch):
    monkeypatch.setenv(blocks.LIMIT, "much")
    with pytest.raises(UsageError, match=f"{blocks.LIMIT}: found 'much'"):
        as_path(memory)
