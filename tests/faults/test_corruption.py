"""Every file that the project keeps, damaged in every way: it is noticed and made anew, or it changes nothing."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from damage import DAMAGE
from example_runs import make_run

from bench.errors import StoreError
from bench.store.required import RECORDS
from bench.store.run_folder import RunFolder
from bench.store.runs import find, open_run
from bench.store.sealed import MANIFEST, SealedFolder
from bench.system.files import write_atomic
from bench.system.npz import load_npz
from bench.system.sealed_files import kept, read_sealed, write_sealed
from bench.trials.files import TrialFile


def absent(path, other):
    path.unlink()


def zeroed(path, other):
    """As a file system may leave a file that was renamed before its content was written, when the power fails."""
    path.write_bytes(bytes(path.stat().st_size))


WAYS = {**DAMAGE, "zeroed": zeroed, "absent": absent}
SOME = ("a bit at a third", "half", "empty", "another key's", "zeroed", "absent")
OF_OTHERS = {"known.npz", "trials.json", "policy.npz", "provenance.json"}
"""What a plain run does not have: tests of such runs damage these."""

FILES = sorted({name for names in RECORDS.values() for name in names} - OF_OTHERS | {MANIFEST})


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two finished runs that differ by their seed."""
    root = tmp_path_factory.mktemp("pair")
    return make_run(root / "runs"), make_run(root / "runs", seed=1, values={"O-F1": 0.75, "mAP": 0.5})


@pytest.fixture
def one(pair, tmp_path):
    """A copy of the first, in a store of its own."""
    target = tmp_path / "runs" / pair[0].path.relative_to(pair[0].path.parents[2])
    shutil.copytree(pair[0].path, target)
    return RunFolder(target)


def test_these_are_all_the_files_of_a_run(pair):
    assert sorted(path.name for path in pair[0].path.iterdir() if path.name != ".lock") == FILES


def damaged(one, other, name, ways):
    """Yield each way in which file ``name`` is no longer what was written, and mend the folder after it."""
    contents = {file: (one.path / file).read_bytes() for file in (name, MANIFEST, "status.json", "config.json")}
    for way in ways:
        WAYS[way](one.path / name, other.path / name)
        if not (one.path / name).exists() or (one.path / name).read_bytes().strip() != contents[name].strip():
            yield way
        for mended in (name, MANIFEST, "status.json", "config.json"):
            (one.path / mended).write_bytes(contents[mended])


@pytest.mark.parametrize("name", FILES)
def test_damage_to_any_file_of_a_run_is_told_and_the_same_run_mends_it(pair, one, name):
    ways = list(WAYS) if name in {"scores.npy", "truth.npz", "measures.json", MANIFEST} else SOME
    for way in damaged(one, pair[1], name, ways):
        assert not one.done, way
        (found,) = find(one.path.parents[2])
        summary = found.summary()
        assert (summary.state, summary.measures) == ("damaged", None), way
        assert name == MANIFEST or name in summary.reason
        assert "\n" not in summary.reason
        try:
            again = open_run(one.path.parents[2], pair[0].config)
        except StoreError:  # another key, or another layout, which is nothing to write over
            assert name == MANIFEST
            continue
        with again.lock():
            assert again.status.state == ("done" if name == "config.json" else "unfinished"), way
            assert again.config == pair[0].config


def test_a_run_whose_manifest_lost_a_file_is_not_done(pair, one):
    for name in ("measures.json", "scores.json", "label_sets.npz", "weights.safetensors", "about.json"):
        SealedFolder(one.path).forget(name)
        assert one.status.state == "done"
        assert not one.done
        assert one.summary().state == "damaged"
        assert name in one.summary().reason


def test_a_lost_manifest_is_said_before_the_run_is_made_anew(pair, one, capsys):
    for way in ("absent", "zeroed", "half"):
        WAYS[way](one.path / "manifest.json", None)
        open_run(one.path.parents[2], pair[0].config)
        assert f"{one.path}" in capsys.readouterr().err
        shutil.rmtree(one.path)
        shutil.copytree(pair[0].path, one.path)


@pytest.mark.parametrize("way", WAYS)
def test_a_damaged_sealed_file_is_made_anew(tmp_path, way):
    path, other = tmp_path / "kept", tmp_path / "other"
    write_sealed(path, "key", np.arange(50_000).tobytes())
    write_sealed(other, "other", np.arange(50_000).tobytes())
    WAYS[way](path, other)
    assert read_sealed(path, "key") is None
    assert kept(path, "key", lambda: b"anew", "something") == b"anew"
    assert read_sealed(path, "key") == b"anew"


@pytest.mark.parametrize("way", WAYS)
def test_a_damaged_trial_is_made_anew(tmp_path, pair, way):
    one, other = (TrialFile(tmp_path, run.config, "O-F1") for run in pair)
    for file in (one, other):
        write_sealed(file.path, file.key, b'{"options": {}}' * 3000)
    WAYS[way](one.path, other.path)
    assert one.read() is None


def test_a_rename_reaches_the_disk_with_its_folder(tmp_path, monkeypatch):
    synced = []
    sync = os.fsync

    def spy(handle):
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", spy)
    write_atomic(tmp_path / "new" / "folder" / "file", "content")
    assert synced[:2] == [str(tmp_path / "new"), str(tmp_path)]
    assert synced[-1] == str(tmp_path / "new" / "folder")
    assert len(synced) == 4


def npz(**arrays):
    import io

    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def test_npz_files_are_read_as_numpy_reads_them():
    arrays = {
        "matrix": np.arange(12.0).reshape(3, 4),
        "columns": np.asfortranarray(np.arange(12).reshape(3, 4)),
        "empty": np.zeros((0, 3), np.float32),
        "text": np.array(["a", "bc"]),
        "one": np.array(7),
    }
    for name, found in load_npz(npz(**arrays)).items():
        np.testing.assert_array_equal(found, arrays[name])
        assert found.dtype == arrays[name].dtype
        assert found.flags.writeable


def test_an_array_that_its_bytes_cannot_fill_is_refused_before_memory_is_taken():
    import io
    import zipfile

    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": (60 * 2**30, 1)})
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("scores.npy", buffer.getvalue())
    with pytest.raises(ValueError, match="not what follows its header"):
        load_npz(packed.getvalue())


def test_whatever_stands_in_a_sealed_record_is_one_clear_line(pair, one):
    files = SealedFolder(one.path)
    for content in (b"PK\x03\x04" + bytes(40), b"", b"\x93NUMPY", b"PK\x05\x06" + bytes(18)):
        files.write("truth.npz", content)
        with pytest.raises(StoreError, match=r"truth\.npz") as refused:
            one.read_truth()
        assert "\n" not in str(refused.value)
