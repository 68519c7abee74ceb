import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import DAMAGE, HOSTILE
from example_splits import make_backbone, split_of

from bench.code import images_code
from bench.data.fingerprint import fingerprint
from bench.errors import DataError, ModelError, StoreError
from bench.model import features as extraction
from bench.model.features import extract, speed
from bench.system.locks import exclusive
from bench.system.threads import torch_threads


def features_of(split, cache, **settings):
    return extract(split, fingerprint(split), make_backbone(), cache, **settings)


def test_features_are_the_backbones_outputs_in_the_order_of_the_ids(tmp_path):
    from bench.data.preprocess import preprocess

    split, backbone = split_of(30), make_backbone()
    features = features_of(split, tmp_path)
    pixels = torch.from_numpy(np.stack([preprocess(split.images.read(i), backbone.preprocessing) for i in range(30)]))
    np.testing.assert_allclose(features.values, backbone.module(pixels).detach().numpy(), rtol=1e-5, atol=1e-6)
    assert features.ids == split.ids


def test_batch_size_changes_no_feature_by_more_than_rounding(tmp_path):
    one = features_of(split_of(37), tmp_path / "a", batch_size=4)
    other = features_of(split_of(37), tmp_path / "b", batch_size=64)
    np.testing.assert_allclose(one.values, other.values, rtol=1e-5, atol=1e-6)


def test_the_number_of_torchs_threads_changes_no_feature(tmp_path):
    class Asking(torch.nn.Module):
        def forward(self, pixels):
            return pixels.mean(dim=(2, 3)).repeat(1, 3)[:, :7] + torch.get_num_threads()

    split, backbone = split_of(20), dataclasses.replace(make_backbone(), module=Asking())
    before, found = torch.get_num_threads(), []
    for threads in (1, 2):
        with torch_threads(threads):
            found.append(extract(split, fingerprint(split), backbone, tmp_path / str(threads)).values)
            assert torch.get_num_threads() == threads
    np.testing.assert_array_equal(*found)
    assert torch.get_num_threads() == before


def test_a_second_call_reads_no_picture_and_the_speed_is_on_record(tmp_path):
    first = features_of(split_of(30), tmp_path)
    split = split_of(30)
    again = features_of(split, tmp_path)
    assert split.images.read_rows == []
    np.testing.assert_array_equal(first.values, again.values)
    assert speed(tmp_path, again.key)["images"] == 30


def test_other_weights_other_features(tmp_path):
    split = split_of(10)
    one = extract(split, fingerprint(split), make_backbone(1.0), tmp_path)
    two = extract(split, fingerprint(split), make_backbone(2.0), tmp_path)
    assert one.key != two.key
    assert not np.array_equal(one.values, two.values)


def test_one_broken_picture_stops_with_its_path_and_what_was_done_is_kept(tmp_path):
    with pytest.raises(DataError, match=r"/data/17.jpg: truncated"):
        features_of(split_of(30, broken=17), tmp_path, batch_size=4)
    split = split_of(30)
    features = features_of(split, tmp_path, batch_size=4)
    assert min(split.images.read_rows) == 16
    assert sorted(set(split.images.read_rows)) == list(range(16, 30))
    np.testing.assert_allclose(features.values, features_of(split_of(30), tmp_path / "whole").values, atol=1e-6)
    assert [path.suffix for path in sorted(tmp_path.glob("*.*"))] == [".npy", ".speed"]


def test_a_killed_process_leaves_what_it_finished_and_no_more_is_computed_again(tmp_path):
    code = """
        import os, signal, sys
        from pathlib import Path
        from bench.data.fingerprint import fingerprint
        from bench.model import features
        from example_splits import make_backbone, split_of

        features.BLOCK = 8
        split = split_of(40)
        read = split.images.images.read
        killed = lambda index: os.kill(os.getpid(), signal.SIGKILL) if index == 30 else read(index)
        object.__setattr__(split.images, "read", killed)
        features.extract(split, fingerprint(split), make_backbone(), Path(sys.argv[1]), batch_size=4)
    """
    assert run_code(code, tmp_path / "cache").returncode == -signal.SIGKILL
    split = split_of(40)
    features = features_of(split, tmp_path / "cache", batch_size=4)
    assert sorted(set(split.images.read_rows)) == list(range(min(split.images.read_rows), 40))
    assert min(split.images.read_rows) in {16, 24}
    np.testing.assert_array_equal(features.values, features_of(split_of(40), tmp_path / "other", batch_size=4).values)
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".npy", ".speed"}


def run_code(code, *arguments):
    """Run ``code`` in a process of its own, which finds what tests share."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    command = [sys.executable, "-P", "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, env=environment, text=True, capture_output=True, check=False)


@pytest.fixture
def whole(tmp_path):
    """The features of 40 images, in blocks of 8, cached in ``tmp_path``; and those of others beside them."""
    values = np.array(features_of(split_of(40), tmp_path, batch_size=4).values)
    split = split_of(40)
    extract(split, fingerprint(split), make_backbone(2.0), tmp_path, batch_size=4)
    return values


def cached(cache):
    """The paths of the features of ``whole``, and of the others beside them."""
    split = split_of(40)
    keys = [
        extraction.feature_key(fingerprint(split), make_backbone(scale), images_code(split.images))
        for scale in (1.0, 2.0)
    ]
    return [cache / f"{key}.npy" for key in keys]


def test_features_of_another_pillow_are_others(monkeypatch):
    key = extraction.feature_key("split", make_backbone(1.0))
    monkeypatch.setattr("PIL.__version__", "9.9.9")
    assert extraction.feature_key("split", make_backbone(1.0)) != key


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(extraction, "BLOCK", 8)


@pytest.mark.parametrize("kind", [*DAMAGE, *HOSTILE])
def test_damaged_features_are_computed_anew_with_a_word(tmp_path, whole, capsys, kind):
    path, other = cached(tmp_path)
    size = path.stat().st_size
    (DAMAGE | HOSTILE)[kind](path, other)
    np.testing.assert_array_equal(features_of(split_of(40), tmp_path, batch_size=4).values, whole)
    (word,) = capsys.readouterr().err.splitlines()
    assert word.startswith("note: features of toy/train: ")
    assert path.stat().st_size == size
    split = split_of(40)
    np.testing.assert_array_equal(features_of(split, tmp_path, batch_size=4).values, whole)
    assert (split.images.read_rows, capsys.readouterr().err) == ([], "")


@pytest.mark.parametrize("kind", [*DAMAGE, *HOSTILE])
def test_damage_to_what_an_interrupted_extraction_left_is_never_used(tmp_path, whole, kind):
    path, other = cached(tmp_path)
    path.rename(path.with_suffix(".part"))
    (DAMAGE | HOSTILE)[kind](path.with_suffix(".part"), other)
    np.testing.assert_array_equal(features_of(split_of(40), tmp_path, batch_size=4).values, whole)
    assert not path.with_suffix(".part").exists()


def test_features_that_another_user_keeps_to_himself_are_not_taken_for_damaged(tmp_path, whole, monkeypatch):
    path, _ = cached(tmp_path)
    read = Path.open

    def refused(self, *arguments, **named):
        if self == path:
            raise PermissionError(13, "Permission denied", str(path))
        return read(self, *arguments, **named)

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(StoreError, match=r"^cannot read .*npy: Permission denied. Try: --cache with another folder$"):
        features_of(split_of(40), tmp_path, batch_size=4)
    assert path.exists()


def test_only_the_damaged_block_is_computed_again(tmp_path, whole, capsys):
    path, _ = cached(tmp_path)
    content = bytearray(path.read_bytes())
    content[128 + 17 * 7 * 4] ^= 1
    path.write_bytes(content)
    split = split_of(40)
    np.testing.assert_array_equal(features_of(split, tmp_path, batch_size=4).values, whole)
    assert sorted(set(split.images.read_rows)) == list(range(16, 24))
    assert "1 of 5 blocks" in capsys.readouterr().err


def test_blocks_that_changed_places_are_found(tmp_path, whole):
    path, _ = cached(tmp_path)
    content = path.read_bytes()
    size, hashes = 8 * 7 * 4, len(content) - 5 * 32
    first, second = content[128 : 128 + size], content[128 + size : 128 + 2 * size]
    values = second + first + content[128 + 2 * size : hashes]
    one, other, rest = content[hashes:][:32], content[hashes + 32 :][:32], content[hashes + 64 :]
    path.write_bytes(content[:128] + values + other + one + rest)
    np.testing.assert_array_equal(features_of(split_of(40), tmp_path, batch_size=4).values, whole)


def test_cached_features_are_an_npy_file_that_is_read_through_a_memory_map(tmp_path, whole):
    np.testing.assert_array_equal(np.load(cached(tmp_path)[0]), whole)
    assert isinstance(features_of(split_of(40), tmp_path).values, np.memmap)


def test_a_damaged_record_of_the_speed_is_as_none(tmp_path, whole):
    path, other = (file.with_suffix(".speed") for file in cached(tmp_path))
    assert speed(tmp_path, path.stem)["images"] == 40
    for damage in DAMAGE.values():
        damage(path, other)
        assert speed(tmp_path, path.stem) == {}
        path.write_bytes(other.read_bytes())


JOBS = """
    import os, sys
    from pathlib import Path
    import torch
    from bench.data.fingerprint import fingerprint
    from bench.model import features
    from example_splits import make_backbone, split_of

    torch.set_num_threads(1)
    features.BLOCK = 8
    split, backbone = split_of(200), make_backbone()
    key, gate = fingerprint(split), os.pipe()
    children = []
    for _ in range(int(sys.argv[2])):
        child = os.fork()
        if not child:
            os.close(gate[1])
            os.read(gate[0], 1)
            values = features.extract(split, key, backbone, Path(sys.argv[1]), batch_size=4).values
            os.write(1, f"{len(split.images.read_rows)} {values.sum(dtype='float64').hex()}\\n".encode())
            os._exit(0)
        children.append(child)
    os.close(gate[1])
    sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""
"""Processes that are at the same point, everything imported, when the gate opens."""


def test_twelve_jobs_on_one_cold_cache_all_succeed_and_one_of_them_does_the_work(tmp_path):
    done = run_code(JOBS, tmp_path / "cache", 12)
    assert done.returncode == 0, done.stderr
    results = [line.split() for line in done.stdout.splitlines()]
    assert sorted(int(read) for read, _ in results) == [0] * 11 + [200 + 2]  # two are looked at again
    assert len({total for _, total in results}) == 1
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".npy", ".speed"}


def test_a_job_waits_with_a_word_for_the_one_at_work_and_takes_over_from_a_dead_one(tmp_path, capfd):
    path = tmp_path / "key.lock"
    code = f"""
        import time
        from pathlib import Path
        from bench.system.locks import exclusive
        with exclusive(Path({str(path)!r}), "the same"):
            print("held", flush=True)
            time.sleep(600)
    """
    holder = subprocess.Popen([sys.executable, "-P", "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    taken = threading.Event()

    def wait():
        with exclusive(path, "the features"):
            taken.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not (word := capfd.readouterr().err):
        time.sleep(0.01)
    assert word.startswith(f"note: waiting for process {holder.pid} on ")
    assert word.endswith("which is at work on the features\n")
    assert not taken.is_set()
    holder.kill()
    holder.wait()
    holder.stdout.close()
    waiting.join(60)
    assert taken.is_set()
    assert not path.exists()


def test_a_cache_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write to the cache .*file/cache: .*--cache with another folder"):
        features_of(split_of(10), tmp_path / "file" / "cache")


def test_a_full_disk_is_told_before_anything_is_computed(tmp_path, monkeypatch):
    import errno

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bench.model.feature_file.os.posix_fallocate", full)
    split = split_of(10)
    with pytest.raises(
        StoreError, match=r"cannot write .* MB of features to .*: No space left on device\. Try: --cache"
    ):
        features_of(split, tmp_path)
    assert split.images.read_rows == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_cannot_allocate_is_written_all_the_same(tmp_path, monkeypatch):
    import errno

    def unknown(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    whole = np.array(features_of(split_of(30), tmp_path / "one").values)
    monkeypatch.setattr("bench.model.feature_file.os.posix_fallocate", unknown)
    np.testing.assert_array_equal(features_of(split_of(30), tmp_path / "other").values, whole)


def test_a_file_system_without_locks_is_used_without(tmp_path, monkeypatch):
    import errno

    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    whole = np.array(features_of(split_of(30), tmp_path / "one").values)
    monkeypatch.setattr("bench.system.locks.fcntl.flock", none)
    np.testing.assert_array_equal(features_of(split_of(30), tmp_path / "other").values, whole)


def test_what_killed_jobs_left_is_removed_once_it_is_old_and_nobody_holds_it(tmp_path):
    old, held, new = (tmp_path / f"{name}.part" for name in ("old", "held", "new"))
    for path in (old, held, new, tmp_path / "gone.lock"):
        path.write_text("")
    for path in (old, held, tmp_path / "gone.lock"):
        os.utime(path, (0, 0))
    with exclusive(tmp_path / "held.lock", "its features"):
        os.utime(tmp_path / "held.lock", (0, 0))
        features_of(split_of(10), tmp_path)
        assert {path.name for path in tmp_path.iterdir() if path.suffix in {".part", ".lock"}} == {
            "held.part",
            "held.lock",
            "new.part",
        }


def test_a_backbone_that_lies_about_its_dimensions_or_gives_nan_is_named(tmp_path):
    import dataclasses

    split = split_of(10)
    with pytest.raises(ModelError, match=r"gave features of shape .* declared: 9"):
        extract(split, "f", dataclasses.replace(make_backbone(), dimensions=9), tmp_path)
    with pytest.raises(ModelError, match="not finite"):
        extract(split, "f", make_backbone(float("nan")), tmp_path)
