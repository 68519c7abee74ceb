"""Files are whole or absent, and keys depend on content alone."""

import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from bench import StoreError, UsageError
from bench.cli.requests import _is_default
from bench.system.files import (
    _remove_leftovers,
    atomic_path,
    canonical_json,
    default_cache,
    digest,
    matching,
    write_atomic,
)


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_written_file_replaces_the_old_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "file.txt"
    write_atomic(file, "old")
    write_atomic(file, b"new")
    assert file.read_bytes() == b"new"
    assert names_in(file.parent) == ["file.txt"]


def test_a_failure_half_way_keeps_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    write_atomic(file, "old")

    def fail_half_way() -> None:
        with atomic_path(file) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_half_way()
    assert file.read_text() == "old"
    assert names_in(tmp_path) == ["file.txt"]


def test_a_folder_that_is_a_file_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write .*file/x: (Not a directory|File exists)\. Try: another folder"):
        write_atomic(tmp_path / "file" / "x", "")


def test_what_is_no_plain_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    """By root, ``--out /dev/null`` would leave a file there for every other program."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to-pipe").symlink_to("pipe")
    (tmp_path / "folder").mkdir()
    with (tmp_path / "file").open("w") as file:
        # As /dev/stdout is where output is sent to a file.
        (tmp_path / "to-file").symlink_to(f"/proc/self/fd/{file.fileno()}")
        for name in ("pipe", "to-pipe", "to-file", "folder"):
            with pytest.raises(StoreError, match=rf"cannot write .*/{name}: what is there is no plain file"):
                write_atomic(tmp_path / name, "")
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "to-pipe").is_symlink()
    assert (tmp_path / "to-file").is_symlink()


def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    def fill() -> None:
        with atomic_path(tmp_path / "x") as temporary:
            temporary.unlink()
            temporary.symlink_to("/dev/full")
            temporary.write_text("content")

    with pytest.raises(StoreError, match=r"cannot write .*/x: No space left on device"):
        fill()
    assert names_in(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_one_clear_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="Permission denied"):
        write_atomic(tmp_path / "x", "")


def test_equal_values_have_equal_text_whatever_their_order() -> None:
    assert (
        canonical_json({"b": [1, 2.5], "a": "ü"})
        == canonical_json({"a": "ü", "b": [1, 2.5]})
        == '{"a":"ü","b":[1,2.5]}'
    )


def test_a_number_that_json_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json(float("nan"))


def test_where_one_part_ends_and_the_next_begins_changes_the_digest() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("ab") == digest(b"ab")
    assert len(digest()) == 16


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from bench.system.files import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as temporary:\n"
        "    os.utime(temporary, (0, 0))\n"
        "    print(temporary, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-P", "-c", code, str(tmp_path / "file")]
    writers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    killed, living = (Path(writer.stdout.readline().strip()) for writer in writers if writer.stdout)
    writers[0].kill()
    writers[0].wait()
    _remove_leftovers.cache_clear()
    write_atomic(tmp_path / "other", "")
    assert not killed.exists()
    assert living.exists()
    for writer in writers:
        writer.communicate()
    assert writers[1].returncode == 0
    assert sorted(names_in(tmp_path)) == ["file", "other"]


def test_a_folder_that_another_process_removes_meanwhile_is_passed_over(tmp_path, monkeypatch):
    for name in ("gone", "kept", ".kept"):
        (tmp_path / name / "run").mkdir(parents=True)
    scandir = os.scandir

    def removed(path):
        if "gone" in os.fsdecode(path):
            raise FileNotFoundError(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", removed)
    assert sorted(matching(tmp_path, "*/*")) == [tmp_path / ".kept/run", tmp_path / "kept/run"]


@pytest.mark.parametrize("told", [RuntimeError("could not determine the home directory"), Path("~/.cache")])
def test_a_user_without_a_home_is_told_what_to_type(monkeypatch, told):
    """It was a traceback, or a folder called ~, by version of platformdirs."""

    def place(name):
        if isinstance(told, Exception):
            raise told
        return told / name

    monkeypatch.setattr(platformdirs, "user_cache_path", place)
    with pytest.raises(UsageError, match=rf"^no home folder: .*{os.getuid()} has none\. Try: export HOME="):
        default_cache()
    assert not _is_default(Path("elsewhere"))
