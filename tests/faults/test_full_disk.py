"""A disk that is full, or read-only, is one clear line; nothing half stays, and no signal ends the process."""

import numpy as np
import pytest
from faults.places import UnavailableError, read_only, small_disk

from bench.errors import StoreError
from bench.model.feature_file import FeatureFile
from bench.store.runs import find, open_run
from bench.store.sealed import SealedFolder
from bench.system.files import write_atomic
from bench.system.sealed_files import kept, write_sealed


@pytest.fixture
def disk(tmp_path):
    """A file system of 1 MB."""
    try:
        with small_disk(tmp_path / "disk", 1024) as folder:
            yield folder
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def unwritable(tmp_path):
    """A folder that is read-only, for root too."""
    (tmp_path / "unwritable").mkdir()
    try:
        with read_only(tmp_path / "unwritable") as folder:
            yield folder
    except UnavailableError as error:
        pytest.skip(str(error))


def features(folder, rows):
    return FeatureFile(folder / "key.npy", "key", rows, (256,), 64)


def test_features_that_do_not_fit_are_told_before_any_is_computed(disk):
    file = features(disk, 4096)
    with pytest.raises(StoreError, match=r"No space left on device.*--cache") as refused, file.writing(disk / "part"):
        pytest.fail("nothing may be computed")
    assert "\n" not in str(refused.value)
    assert list(disk.iterdir()) == []


def test_a_disk_that_fills_up_meanwhile_takes_nothing_of_what_was_allocated(disk):
    file = features(disk, 512)
    with file.writing(disk / "key.part") as writing:
        with pytest.raises(StoreError, match="No space left"):
            write_atomic(disk / "other", bytes(1 << 20))
        for block in writing.missing:
            writing.write(block, np.full((64, 256), block, np.float32))
    assert [path.name for path in disk.iterdir()] == ["key.npy"]
    np.testing.assert_array_equal(file.open()[:, 0], np.repeat(np.arange(8), 64))


@pytest.mark.parametrize("room", [0, 4096])
def test_a_run_without_room_for_its_first_files_leaves_no_damaged_one(disk, room):
    """Room for nothing, and for the manifest alone."""
    (disk / "toy" / "bce").mkdir(parents=True)
    (disk / "fill").write_bytes(bytes((1 << 20) - room))
    with pytest.raises(StoreError, match="No space left on device"):
        open_run(disk, {"model": {"name": "bce"}, "dataset": {"name": "toy"}, "seed": 0})
    assert not list((disk / "toy" / "bce").iterdir())
    assert find(disk) == []


def test_a_file_of_a_run_stays_what_it_was_where_the_manifest_finds_no_room(disk):
    """The new file lay beside the old manifest, so that a finished run was damaged."""
    folder = SealedFolder(disk / "run")
    folder.create("key")
    folder.write("about.json", "old")
    (disk / "fill").write_bytes(bytes((1 << 20) - 12 * 1024))
    with pytest.raises(StoreError, match="No space left on device"):
        folder.write("about.json", "new")
    assert folder.read("about.json") == b"old"
    assert {path.name for path in folder.path.iterdir()} == {"manifest.json", "about.json"}


@pytest.mark.parametrize("write", [write_atomic, lambda path, content: write_sealed(path, "key", content)])
def test_a_file_that_does_not_fit_leaves_the_old_one_and_nothing_beside_it(disk, write):
    write(disk / "file", b"old")
    old = (disk / "file").read_bytes()
    with pytest.raises(StoreError, match="No space left on device") as refused:
        write(disk / "file", bytes(1 << 21))
    assert "\n" not in str(refused.value)
    assert (disk / "file").read_bytes() == old
    assert [path.name for path in disk.iterdir()] == ["file"]


def test_a_read_only_place_is_one_clear_line_and_a_cache_in_it_is_done_without(unwritable, capsys):
    with pytest.raises(StoreError, match="Read-only file system"):
        write_atomic(unwritable / "file", b"content")
    file = features(unwritable, 64)
    with pytest.raises(StoreError, match="Read-only file system"), file.writing(unwritable / "part"):
        pytest.fail("nothing may be computed")
    assert kept(unwritable / "small", "key", lambda: b"made", "something") == b"made"
    assert "nothing is kept" in capsys.readouterr().err
