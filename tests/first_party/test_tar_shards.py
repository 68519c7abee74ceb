"""Shards as WebDataset writes them."""

import io
import json
import os
import tarfile
from functools import partial
from pathlib import Path

import numpy as np
import open_sets
import pytest
from damage import DAMAGE
from PIL import Image

from bench.cli import run_command_line
from bench.data.fingerprint import fingerprint
from bench.errors import DataError, UsageError
from bench.system.sealed_files import read_sealed

opened = partial(open_sets.opened, "shards")


def photo(shade=0):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(file, "PNG")
    return file.getvalue()


def write(path, members):
    """Write a tar file of (name, content) pairs; content is bytes, text, or JSON's objects."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, value in members:
            content = value if isinstance(value, bytes) else (value if isinstance(value, str) else json.dumps(value))
            content = content if isinstance(content, bytes) else content.encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def sample(key, labels, shade=0):
    return [(f"{key}.png", photo(shade)), (f"{key}.json", {"labels": labels})]


@pytest.fixture
def root(tmp_path):
    """Two training shards and one of test, with four samples."""
    write(tmp_path / "train-000.tar", [*sample("a/0", ["cat", "dog"], 10), *sample("a/1", ["dog"], 20)])
    write(tmp_path / "train-001.tar", sample("a/2", "dog; cat", 30))
    write(tmp_path / "test-000.tar", sample("a/0", [], 40))
    return tmp_path


def test_samples_are_read_where_they_lie(root):
    dataset = opened(root)
    assert dataset.labels == ("cat", "dog")
    assert dataset.train.ids == ("train/a/0", "train/a/1", "train/a/2")
    assert dataset.train.truth.tolist() == [[True, True], [False, True], [True, True]]
    assert not dataset.test.truth.any()
    assert [int(dataset.train.images.read(row)[0, 0, 0]) for row in (2, 0, 1)] == [30, 10, 20]
    assert dataset.train.images.describe(2) == f"{root}/train-001.tar member a/2.png"
    assert dataset.variant == f"{root.name}: train 3 / test 1 images, 2 labels"


@pytest.mark.parametrize(
    ("suffix", "content", "options", "expected"),
    [
        ("cls", "1", {}, ["dog"]),
        ("cls", "0 1\n", {"labels_are": "numbers"}, ["cat", "dog"]),
        ("cls", "0 1\n", {"labels_are": "multi-hot"}, ["dog"]),
        ("cls", "dog\n", {}, ["dog"]),
        ("txt", "\ufeffdog\r\ncat\r\n", {}, ["cat", "dog"]),
        ("txt", "cat;dog", {}, ["cat", "dog"]),
        ("txt", "cat,dog", {"separator": ","}, ["cat", "dog"]),
        ("json", ["dog"], {}, ["dog"]),
        ("json", {"labels": [1]}, {}, ["dog"]),
        ("json", {"tags": ["cat"]}, {"labels_field": "tags"}, ["cat"]),
        ("json", [1, 1], {}, ["cat", "dog"]),
    ],
)
def test_labels_are_names_or_numbers_in_json_cls_or_txt(tmp_path, suffix, content, options, expected):
    write(tmp_path / "train.tar", [("0.png", photo()), (f"0.{suffix}", content)])
    write(tmp_path / "test.tar", [("0.png", photo()), (f"0.{suffix}", content)])
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    dataset = opened(tmp_path, absent_labels="drop", **options)
    assert list(dataset.labels) == expected
    assert dataset.train.truth.all()


def test_an_index_is_kept_and_made_again_when_the_shard_changes(root, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    first = fingerprint(opened(root, cache=cache).train)
    assert len(list((cache / "shards").iterdir())) == 3
    with monkeypatch.context() as patch:
        patch.setattr("bench_datasets.tar_shards.read_index", lambda *_: pytest.fail("a shard was read again"))
        assert fingerprint(opened(root, cache=cache).train) == first
    write(root / "train-001.tar", sample("a/2", ["dog"], 35))
    assert fingerprint(opened(root, cache=cache).train) != first
    for kept in (cache / "shards").iterdir():
        kept.write_text("[")
    assert opened(root, cache=cache).train.truth[2].tolist() == [False, True]


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_index_changes_no_label_and_is_told(root, tmp_path, kind, capsys):
    cache = tmp_path / "cache"
    first = fingerprint(opened(root, cache=cache).train)
    indices = sorted((cache / "shards").iterdir())
    for index, other in zip(indices, [*indices[1:], indices[0]], strict=True):
        content = index.read_bytes()
        DAMAGE[kind](index, other)
        assert capsys.readouterr().err == ""
        again = opened(root, cache=cache)
        assert (again.labels, again.train.truth.tolist()) == (("cat", "dog"), [[1, 1], [0, 1], [1, 1]])
        assert fingerprint(again.train) == first
        (word,) = capsys.readouterr().err.splitlines()
        assert word.endswith(f"{index} is damaged, and made anew")
        assert index.read_bytes() == content


def test_no_flipped_byte_of_an_index_changes_a_label(root, tmp_path):
    cache = tmp_path / "cache"
    opened(root, cache=cache)
    for index in (cache / "shards").iterdir():
        content = index.read_bytes()
        for place in range(len(content)):
            index.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            assert read_sealed(index, index.stem) is None
        index.write_bytes(content)
        assert read_sealed(index, index.stem) is not None


def test_an_index_is_made_again_for_a_shard_that_keeps_its_length_and_time(root, tmp_path):
    cache = tmp_path / "cache"
    shard = root / "train-001.tar"
    status = shard.stat()
    assert opened(root, cache=cache).train.truth[2].tolist() == [True, True]
    shard.write_bytes(shard.read_bytes().replace(b"dog; cat", b"dog; dog"))
    os.utime(shard, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert shard.stat().st_mtime_ns == status.st_mtime_ns
    assert opened(root, cache=cache).train.truth[2].tolist() == [False, True]


def test_a_fingerprint_follows_every_image_and_no_path(root, tmp_path):
    first = fingerprint(opened(root).train)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for shard in root.glob("*.tar"):
        shard.rename(moved / shard.name)
    assert fingerprint(opened(moved).train) == first
    write(moved / "train-001.tar", sample("a/2", "dog; cat", 31))
    assert fingerprint(opened(moved).train) != first


def test_validation_is_found_by_name_or_given_as_a_pattern(root):
    write(root / "mine.tar", sample("v", ["cat"]))
    assert opened(root).validation is None
    assert opened(root, validation="mine.tar").validation.ids == ("validation/v",)
    (root / "mine.tar").rename(root / "val-000.tar")
    assert opened(root).validation.ids == ("val/v",)
    assert opened(root, test="val").validation is None


def test_the_folder_that_one_is_in_has_a_name(root, monkeypatch):
    monkeypatch.chdir(root)
    assert opened(Path()).variant == f"{root.name}: train 3 / test 1 images, 2 labels"


def test_shards_without_any_label_are_refused(tmp_path):
    for part in ("train", "test"):
        write(tmp_path / f"{part}.tar", sample("0", []))
    with pytest.raises(DataError, match=r"no image has a label. Do the samples hold labels"):
        opened(tmp_path)


PNG, JSON = ("0.png", photo()), ("0.json", {"labels": ["cat"]})
BAD = {
    "labels twice": (
        [PNG, ("0.json", '{"labels": ["cat"], "labels": []}')],
        "train.tar member 0.json is no JSON: 'labels' stands twice in one object",
    ),
    "image alone": ([PNG, JSON, ("1.png", photo())], "train.tar member 1.png: no member 1.json with its labels"),
    "labels alone": ([PNG, JSON, ("1.json", {"labels": []})], "train.tar member 1.json: no image of key '1'"),
    "no image": ([JSON], "train.tar: no image. Expected: members <key>.jpg with <key>.json"),
    "no labels": ([PNG], "train.tar: no labels. Expected beside <key>.jpg: a member <key>.json"),
    "two kinds": ([PNG, JSON, ("0.txt", "x")], r"may be in .json or .txt. Try: --set dataset.labels_member=json"),
    "second image": ([PNG, JSON, ("0.jpg", photo())], "train.tar member 0.jpg: a second image of key '0'"),
    "twice": ([PNG, JSON, JSON], "train.tar member 0.json: stands twice"),
    "outside": ([("../0.png", photo()), ("../0.json", [])], r"train.tar member ../0.png: lies outside the archive"),
    "absolute": ([("/0.png", photo()), ("/0.json", [])], "train.tar member /0.png: lies outside the archive"),
    "name": ([("caf\udce9.png", photo())], r"train.tar member caf\\udce9.png: its name is not UTF-8"),
    "text": ([PNG, ("0.txt", b"caf\xe9")], "train.tar member 0.txt: not UTF-8 text"),
    "no json": ([PNG, ("0.json", "{")], "train.tar member 0.json is no JSON: "),
    "deep": ([PNG, ("0.json", "[" * 100_000)], "train.tar member 0.json is no JSON: "),
    "field": (
        [PNG, ("0.json", {"tags": []})],
        "0.json: no field 'labels', found: tags. Try: --set dataset.labels_field",
    ),
    "kind": ([PNG, ("0.json", {"labels": {"a": 1}})], r"train.tar member 0.png: labels are {'a': 1}, expected names"),
    "entry": ([PNG, ("0.json", {"labels": [["a"]]})], r"train.tar member 0.png: label \['a'\], expected a name"),
    "cut": ([PNG, ("0.cls", "1.0")], "train.tar member 0.png: label 1.0, expected a name or a whole number"),
    "sign": ([PNG, ("0.cls", "-1")], "train.tar member 0.png: label number -1, allowed: 0 or more"),
    "huge": ([PNG, ("0.txt", "x" * 2_000_000)], "member 0.txt: 2,000,000 bytes, allowed for labels: 1,048,576"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_sample_is_named_with_shard_and_member(tmp_path, case):
    members, message = BAD[case]
    write(tmp_path / "train.tar", members)
    write(tmp_path / "test.tar", [PNG, JSON])
    with pytest.raises(DataError, match=message):
        opened(tmp_path)


def test_a_shard_that_is_cut_off_anywhere_is_noticed(root):
    path = root / "train-000.tar"
    whole = path.read_bytes()
    end = whole.rindex(b"}") + 1
    for length in (0, 100, 512, 700, end - 3, -(-end // 512) * 512, -(-end // 512) * 512 + 511):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"train-000.tar: (no whole tar file|cut off or damaged|no labels)"):
            opened(root)
    path.write_bytes(whole[:512] + b"x" * 512 + whole[1024:1100] + b"garbage" + whole[1107:])
    with pytest.raises(DataError, match=r"train-000.tar: "):
        opened(root)


def test_joined_and_compressed_archives_are_refused(root):
    path = root / "train-000.tar"
    path.write_bytes(path.read_bytes() + (root / "train-001.tar").read_bytes())
    with pytest.raises(DataError, match=r"train-000.tar: more follows the end mark at byte \d"):
        opened(root)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(root / "train-001.tar", "0.png")
    with pytest.raises(DataError, match=r"train-000.tar: no whole tar file: .* unpacked to .tar"):
        opened(root)


def test_links_in_a_shard_are_refused(tmp_path):
    write(tmp_path / "test.tar", [PNG, JSON])
    with tarfile.open(tmp_path / "train.tar", "w") as archive:
        link = tarfile.TarInfo("0.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    with pytest.raises(DataError, match=r"train.tar member 0.png: a link or a special file, allowed: plain files"):
        opened(tmp_path)


def test_a_key_in_two_shards_is_refused(root):
    write(root / "train-001.tar", sample("a/0", ["dog"]))
    with pytest.raises(DataError, match=r"train-001.tar: key 'a/0' stands in train-000.tar too"):
        opened(root)


def test_a_damaged_image_in_a_shard_is_named(root, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(root / "cache"))
    write(root / "test-000.tar", [("0.png", photo()[:40]), ("0.json", ["cat"]), ("1.png", b""), ("1.json", ["cat"])])
    assert run_command_line(["data", "verify", "shards", "--data-root", str(root)]) == 2
    told = capsys.readouterr().out
    assert f"unreadable: cannot read image {root}/test-000.tar member 0.png: " in told
    assert f"unreadable: cannot read image {root}/test-000.tar member 1.png: empty file" in told


def test_a_shard_that_shrinks_after_it_was_opened_is_named(root):
    images = opened(root).train.images
    (root / "train-001.tar").write_bytes(b"")
    with pytest.raises(DataError, match=r"train-001.tar member a/2.png: the shard has become shorter"):
        images.read(2)
    (root / "train-001.tar").unlink()
    with pytest.raises(DataError, match=r"train-001.tar member a/2.png: No such file"):
        images.read(2)


def test_pixels_come_from_threads_as_from_one(root):
    from concurrent.futures import ThreadPoolExecutor

    images = opened(root).train.images
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(images.read, [0, 1, 2] * 20))
    np.testing.assert_array_equal([pixels[0, 0, 0] for pixels in read], [10, 20, 30] * 20)


def test_numbers_need_names_where_there_are_some(tmp_path):
    write(tmp_path / "train.tar", [PNG, ("0.cls", "7")])
    write(tmp_path / "test.tar", [PNG, ("0.cls", "7")])
    assert opened(tmp_path).labels == ("7",)
    (tmp_path / "labels.txt").write_text("cat\n")
    with pytest.raises(DataError, match=r"train.tar member 0.png: label number 7, allowed: 0 to 0"):
        opened(tmp_path)
    with pytest.raises(UsageError, match="option labels_member: found 'xml', allowed: auto, json, cls, txt"):
        opened(tmp_path, labels_member="xml")


def test_fields_that_say_of_labels_that_they_are_not_sure_or_there_have_a_word(root):
    """As a tagger writes them: all labels that it knows, each with its score."""
    fields = {"labels": ["cat", "dog"], "scores": [0.9, 0.1], "neg_labels": ["owl"], "url": "x"}
    write(root / "train-001.tar", [("a/2.png", photo(30)), ("a/2.json", fields)])
    told = [note for note in opened(root).notes if "fields" in note]
    assert told == [
        f"train: 1 passed over, fields '{name}' beside the labels, as a/2.json" for name in ("scores", "neg_labels")
    ]
