"""What is kept to save time is read back only if it is what was written."""

import io
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import pytest
from damage import DAMAGE

from bench.system.sealed_files import kept, read_sealed, write_sealed


def test_what_was_written_for_a_key_is_read_for_that_key_alone(tmp_path: Path) -> None:
    write_sealed(tmp_path / "file", "one", b"content")
    assert read_sealed(tmp_path / "file", "one") == b"content"
    assert read_sealed(tmp_path / "file", "other") is None
    assert read_sealed(tmp_path / "absent", "one") is None
    assert read_sealed(tmp_path, "one") is None


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("length", [10, 200_000])
def test_damage_is_made_anew_with_a_word(
    tmp_path: Path, kind: str, length: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path, other = tmp_path / "file", tmp_path / "other"
    content = b"\1" * length
    for file in (path, other):
        assert kept(file, file.name, lambda: content, "the index") == content
    assert capsys.readouterr().err == ""
    DAMAGE[kind](path, other)
    assert read_sealed(path, "file") is None
    assert kept(path, "file", lambda: content, "the index") == content
    assert capsys.readouterr().err == f"note: the index: {path} is damaged, and made anew\n"
    assert kept(path, "file", lambda: pytest.fail("made again"), "the index") == content
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "other"]


def test_what_cannot_be_kept_is_made_each_time_with_one_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for name in ("one", "other"):
        assert kept(tmp_path / "file" / "folder" / name, name, lambda: b"made", "the index") == b"made"
    (word,) = capsys.readouterr().err.splitlines()
    assert word.startswith(f"note: nothing is kept in {tmp_path / 'file' / 'folder'}: ")


def test_threads_that_can_keep_nothing_say_so_once_in_a_line_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(io.StringIO):
        """Standard error that lets another thread come first, and that knows what it was given at once."""

        given: ClassVar[list[str]] = []

        def write(self, text: str) -> int:
            self.given += [text] if text else []
            time.sleep(0.01)
            return super().write(text)

    monkeypatch.setattr(sys, "stderr", Slow())
    (tmp_path / "file").write_text("")
    paths = [tmp_path / "file" / name for name in "abcd"]
    with ThreadPoolExecutor(len(paths)) as threads:
        list(threads.map(lambda path: kept(path, path.name, lambda: b"made", "the index"), paths))
    (word,) = Slow.given
    assert word.endswith("\n")


def test_what_make_raises_is_raised_and_nothing_is_kept(tmp_path: Path) -> None:
    def fail() -> bytes:
        raise FileNotFoundError("the archive")

    with pytest.raises(FileNotFoundError, match="the archive"):
        kept(tmp_path / "file", "key", fail, "the index")
    assert list(tmp_path.iterdir()) == []


def test_of_processes_side_by_side_one_makes_it(tmp_path: Path) -> None:
    code = """
        import os, sys
        from pathlib import Path
        from bench.system.sealed_files import kept

        def make():
            os.write(1, b"made\\n")
            return b"content"

        gate, children = os.pipe(), []
        for _ in range(12):
            child = os.fork()
            if not child:
                os.close(gate[1])
                os.read(gate[0], 1)
                os._exit(kept(Path(sys.argv[1]), "key", make, "it") != b"content")
            children.append(child)
        os.close(gate[1])
        sys.exit(any(os.waitpid(child, 0)[1] for child in children))
    """
    command = [sys.executable, "-P", "-c", textwrap.dedent(code), str(tmp_path / "file")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "made\n"), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
