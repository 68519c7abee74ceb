"""An exported folder appears whole in its place: nothing that stops an export leaves a half, or mixes two."""

import subprocess
import sys
import textwrap

import pytest

from bench.errors import StoreError
from bench.exported.placing import placed, replaceable

CHILD = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path

    from bench.exported.manifest import write_manifest
    from bench.exported.model_folder import Description
    from bench.exported.placing import placed
    from bench.records import Preprocessing
    from bench.system.files import write_atomic

    out, own, stop = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    description = Description(
        own, "scores", ("a",), "logit", Preprocessing(), "top1@1", 1, False, 0.0, None, None, None, "fp32", "", "", {}
    )


    def export():
        with placed(out) as folder:
            for name in ("encoder.onnx", "pixels.onnx"):
                write_atomic(folder / name, f"{own} {name}" * 20000)
            write_manifest(folder, description, ())
            write_manifest(folder, description, ())


    def killed_at(number):
        # Each call that changes the disk is an event, told of before it happens.
        seen = 0

        def hook(event, arguments):
            nonlocal seen
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            names = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate", "shutil.rmtree")
            if writes or event in names:
                seen += 1
                if seen > number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        export()


    if stop == "never":
        export()
    elif stop == "full":
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        try:
            export()
        except Exception as error:
            print(type(error).__name__, error)
    else:
        killed_at(int(stop))
        print("finished")
    """
)


def export(out, own, stop="never"):
    """Run an export of two files that say ``own`` in a process of its own, killed before write number ``stop``."""
    command = [sys.executable, "-c", CHILD, str(out), own, str(stop)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.strip()


def model_in(folder):
    """The name of the whole model in ``folder``; ``None`` where there is no folder. A half or a mixture fails."""
    from bench.exported.manifest import open_whole

    if not folder.exists():
        return None
    name = open_whole(folder).description.model
    for file in ("encoder.onnx", "pixels.onnx"):
        assert (folder / file).read_text() == f"{name} {file}" * 20000
    return name


@pytest.mark.parametrize("earlier", [False, True])
def test_an_export_killed_at_any_write_leaves_the_old_model_the_new_one_or_none(tmp_path, earlier):
    out = tmp_path / "place" / "model"
    outcomes = []
    for stop in range(100):
        if earlier:
            export(out, "old")
            assert model_in(out) == "old"
        told = export(out, "new", stop)
        outcomes.append(model_in(out))
        if told == "finished":
            break
        if not earlier and out.exists():
            break
    else:
        pytest.fail("never finished")
    assert len(outcomes) > 10
    assert outcomes[-1] == "new"
    kept = "old" if earlier else None
    changes = [index for index, outcome in enumerate(outcomes) if outcome != kept]
    assert outcomes[: changes[0]] == [kept] * changes[0]
    assert set(outcomes[changes[0] :]) <= {None, "new"}
    assert outcomes[changes[0] :].count(None) <= 1
    export(out, "last")
    assert model_in(out) == "last"
    assert [path.name for path in out.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("earlier", [False, True])
def test_a_full_disk_is_one_line_and_changes_nothing(tmp_path, earlier):
    out = tmp_path / "model"
    if earlier:
        export(out, "old")
    told = export(out, "new" * 10, "full")
    assert told.startswith(f"StoreError cannot write {out / 'encoder.onnx'}: File too large. Try: another folder")
    assert len(told.splitlines()) == 1
    assert model_in(out) == ("old" if earlier else None)
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
    export(tmp_path / "model", "old")
    assert replaceable(tmp_path / "model") == tmp_path / "model"
    (tmp_path / "model" / "notes.txt").touch()
    with pytest.raises(StoreError, match=r"it holds 'notes.txt', which no export wrote. Try: another --out"):
        replaceable(tmp_path / "model")
    monkeypatch.chdir(own)
    with pytest.raises(StoreError, match="is the folder you work in"):
        replaceable(tmp_path)


def test_a_run_folder_is_no_export_although_it_has_a_manifest(stored_run):
    with pytest.raises(StoreError, match="is no exported model and is not overwritten"):
        replaceable(stored_run().path)


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path):
    export(tmp_path / "model", "old")
    (tmp_path / "latest").symlink_to("model")
    export(tmp_path / "latest", "new")
    assert (tmp_path / "latest").is_symlink()
    assert model_in(tmp_path / "model") == "new"


def test_an_export_under_way_is_no_leftover(tmp_path):
    with placed(tmp_path / "model") as folder:
        export(tmp_path / "model", "other")
        assert folder.is_dir()
        (folder / "encoder.onnx").touch()
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["encoder.onnx"]
