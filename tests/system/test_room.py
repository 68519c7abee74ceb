"""Room for large arrays: a file that nobody sees, or memory and a line that says why."""

import os

import numpy as np

from bench.system import room


def in_a_file(array):
    return isinstance(array.base, np.memmap)


def test_a_large_array_lies_in_a_file_without_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "LARGE", 100)
    source = np.arange(60, dtype=np.float32).reshape(20, 3)[:, 1:]
    found = room.copied(source, tmp_path / "cache", np.arange(19, -1, -1))
    assert in_a_file(found)
    assert found.flags.c_contiguous
    assert list((tmp_path / "cache").iterdir()) == []
    np.testing.assert_array_equal(found, source[::-1])
    assert not in_a_file(room.copied(source[:4], tmp_path))
    assert not in_a_file(room.copied(source, None))


def test_where_a_disk_is_full_or_a_folder_is_none_memory_is_taken_and_a_note_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(room, "LARGE", 1)
    (tmp_path / "file").write_text("")
    assert not in_a_file(room.room_for((4, 4), np.float32, tmp_path / "file"))
    assert "held in memory" in capsys.readouterr().err

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert room.room_for((4, 4), np.float32, tmp_path).shape == (4, 4)
    assert "No space left on device" in capsys.readouterr().err
