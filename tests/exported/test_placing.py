"""An exported folder appears whole in its place: nothing that stops an export leaves a half, or mixes two."""

import os
import subprocess
import sys
import textwrap

import pytest

from bench.errors import ModelError, StoreError
from bench.exported.manifest import open_whole
from bench.exported.placing import placed, replaceable

CHILD = textwrap.dedent(
    """
    import os, resource, shutil, signal, sys
    from pathlib import Path

    from bench.exported.manifest import open_whole, write_manifest
    from bench.exported.model_folder import Description
    from bench.exported import placing
    from bench.exported.placing import placed
    from bench.records import Preprocessing
    from bench.system.files import write_atomic

    NAMES = ("encoder.onnx", "pixels.onnx")


    def export(out, own):
        nothing = ("logit", Preprocessing(), "top1@1", 1, False, 0.0, None, None, None, "fp32", "", "", {})
        description = Description(own, "scores", ("a",), *nothing)
        with placed(out) as folder:
            for name in NAMES:
                write_atomic(folder / name, f"{own} {name}" * 20000)
            write_manifest(folder, description, ())
            write_manifest(folder, description, ())


    def model_in(out):
        if not out.exists():
            return "none"
        own = open_whole(out).description.model
        assert all((out / name).read_text() == f"{own} {name}" * 20000 for name in NAMES), "a mixture"
        return own


    def export_killed_at(number, out):
        # Python tells of each call that changes the disk before it makes it.
        changes = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate", "shutil.rmtree")
        seen = 0

        def hook(event, arguments):
            nonlocal seen
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if writes or event in changes:
                seen += 1
                if seen > number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        export(out, "new")


    def outcomes_of_kills(out, earlier):
        for number in range(200):
            shutil.rmtree(out, ignore_errors=True)
            if earlier:
                export(out, "old")
            child = os.fork()
            if not child:
                export_killed_at(number, out)
                os._exit(0)
            finished = os.waitpid(child, 0)[1] == 0
            print(model_in(out))
            if finished:
                return


    def export_to_full_disk(out):
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        try:
            export(out, "new" * 10)
        except Exception as error:
            print(type(error).__name__, error)


    if sys.argv[-1] == "without exchange":
        placing.exchanged = lambda one, other: False
    out = Path(sys.argv[2])
    if sys.argv[1] == "kill":
        outcomes_of_kills(out, sys.argv[3] == "True")
    elif sys.argv[1] == "fill":
        export_to_full_disk(out)
    else:
        export(out, sys.argv[3])
    print(model_in(out))
    """
)


def child(*arguments):
    """What a process prints: told ``export OUT NAME``, ``kill OUT EARLIER`` or ``fill OUT``; last, what OUT holds."""
    command = [sys.executable, "-P", "-c", CHILD, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(("earlier", "how"), [(False, ""), (True, ""), (True, "without exchange")])
def test_an_export_killed_at_any_write_leaves_the_old_model_or_the_new_one_whole(tmp_path, earlier, how):
    out = tmp_path / "place" / "model"
    outcomes = child("kill", out, earlier, how)
    assert len(outcomes) > 20
    kept = "old" if earlier else "none"
    first = next(number for number, outcome in enumerate(outcomes) if outcome != kept)
    assert first > 10
    # Where names cannot change places, the earlier model is moved aside first: between the two renames there is none.
    assert outcomes[first:].count("none") == (1 if how else 0)
    assert set(outcomes[first:]) <= ({"none", "new"} if how else {"new"})
    assert outcomes[-1] == "new"
    assert child("export", out, "last") == ["last"]
    assert [path.name for path in out.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("earlier", [False, True])
def test_a_full_disk_is_one_line_and_changes_nothing(tmp_path, earlier):
    out = tmp_path / "model"
    if earlier:
        child("export", out, "old")
    told, left = child("fill", out)
    assert told.startswith(f"StoreError cannot write {out / 'encoder.onnx'}: File too large. Try: another folder")
    assert left == ("old" if earlier else "none")
    assert [path.name for path in tmp_path.iterdir()] == (["model"] if earlier else [])


@pytest.mark.parametrize("failure", [ValueError("a check"), KeyboardInterrupt(), SystemExit(3)])
def test_what_fails_within_leaves_nothing_behind(tmp_path, failure):
    def fails():
        with placed(tmp_path / "model") as folder:
            (folder / "encoder.onnx").touch()
            raise failure

    with pytest.raises(type(failure)):
        fails()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_export_is_not_overwritten(tmp_path, monkeypatch):
    own = tmp_path / "thesis"
    own.mkdir()
    assert replaceable(own) == own
    (own / "chapter.tex").touch()
    with pytest.raises(StoreError, match=r"is no exported model and is not overwritten: it holds 'chapter.tex'. Try: "):
        replaceable(own)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="is a file"):
        replaceable(tmp_path / "file")
    child("export", tmp_path / "model", "old")
    assert replaceable(tmp_path / "model") == tmp_path / "model"
    (tmp_path / "model" / "notes.txt").touch()
    with pytest.raises(StoreError, match=r"it holds 'notes.txt', which no export wrote. Try: another --out"):
        replaceable(tmp_path / "model")
    monkeypatch.chdir(own)
    with pytest.raises(StoreError, match="is the folder you work in"):
        replaceable(tmp_path)


def test_a_path_that_is_no_utf_8_is_refused_with_its_cause(tmp_path):
    """ONNX Runtime, which cannot open it, told of a constructor's arguments."""
    other = tmp_path / os.fsdecode(b"caf\xe9") / "model"
    with pytest.raises(StoreError, match=r"cannot export to .*caf\\xe9/model: its path is not UTF-8"), placed(other):
        pass
    assert not other.parent.exists()
    with pytest.raises(ModelError, match=r"caf\\xe9/model: its path is not UTF-8, .* Try: a folder of another name"):
        open_whole(other)


def test_a_run_folder_is_no_export_although_it_has_a_manifest(stored_run):
    with pytest.raises(StoreError, match="is no exported model and is not overwritten"):
        replaceable(stored_run().path)


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path):
    child("export", tmp_path / "model", "old")
    (tmp_path / "latest").symlink_to("model")
    assert child("export", tmp_path / "latest", "new") == ["new"]
    assert (tmp_path / "latest").is_symlink()
    assert not (tmp_path / "model").is_symlink()


def test_an_export_under_way_is_no_leftover(tmp_path):
    with placed(tmp_path / "model") as folder:
        child("export", tmp_path / "model", "other")
        assert folder.is_dir()
        (folder / "encoder.onnx").touch()
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["encoder.onnx"]
