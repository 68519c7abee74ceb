"""What ``bench gc`` lists and removes, and what it never does."""

import fcntl
import json
import mmap
import os

import pytest
from example_runs import run_config

from bench import StoreError
from bench.cli import run_command_line
from bench.store import leftovers
from bench.store.leftovers import KINDS, found
from bench.store.run_folder import RunFolder
from bench.store.runs import open_run

KEY, OTHER, THIRD = "0123456789abcdef", "fedcba9876543210", "00000000deadbeef"
OLD = 40 * leftovers.DAY


def put(path, age=OLD, size=5000):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return aged(path, age)


def aged(path, age=OLD):
    then = path.stat().st_mtime - age
    os.utime(path, (then, then))
    return path


def old_run(store, model, state):
    folder = open_run(store, run_config(model))
    if state == "failed":
        with folder.lock():
            folder.fail("train", "no rate worked")
    for path in folder.path.iterdir():
        aged(path)
    return folder


@pytest.fixture
def places(tmp_path, stored_run):
    """A store and a cache with one old thing of each kind, and with what must stay."""
    store, cache = tmp_path / "runs", tmp_path / "cache"
    done = stored_run("bce")
    for path in done.path.iterdir():
        aged(path)
    gone = {
        put(cache / "features" / f"{KEY}.npy"): "features",
        put(cache / "features/engines" / f"{KEY}.onnx"): "engines",
        put(cache / "resamples" / f"{KEY}.npz"): "resamples",
        put(cache / "shards" / f"{KEY}.json"): "shards",
        put(cache / "thumbnails" / f"{KEY}.npz"): "thumbnails",
        put(cache / "remote" / f"{KEY}.block"): "remote",
        put(cache / "backbones" / f"digits-cnn-{KEY}.safetensors"): "backbones",
        put(store / "toy/bce/trials" / f"{KEY}.json"): "trials",
        put(cache / "features" / f"{THIRD}.part", age=120): "parts",
        put(done.path / ".scores.npy.abc.bench-part", age=120): "parts",
        put(done.path / "checkpoint.pt", age=120): "checkpoints",
        aged(put(store / ".merging-abc" / "0" / "raw" / KEY / "scores.npy", age=120).parents[3], age=120): "parts",
        old_run(store, "warp", "failed").path: "runs",
        old_run(store, "svm", "unfinished").path: "runs",
    }
    put(cache / "features" / f"{KEY}.speed", size=10)  # goes with its features
    kept = [
        put(cache / "features" / f"{OTHER}.npy", age=0),
        put(cache / "features" / f"{OTHER}.part", age=0),
        put(cache / "features" / "thesis.npy"),
        put(cache / "thesis.npy"),
        open_run(store, run_config("knn")).path,
        done.path / "weights.safetensors",
    ]
    (cache / "features" / "1111111111111111.npy").symlink_to(kept[2])
    return store, cache, gone, kept


def arguments(places, *more):
    return ["gc", "--runs", str(places[0]), "--cache", str(places[1]), *more]


def test_old_things_are_listed_first_and_removed_when_that_is_said(places, capsys):
    store, cache, gone, kept = places
    expected = {str(path): kind for path, kind in gone.items()}
    assert run_command_line(arguments(places, "--json")) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {one["path"]: one["kind"] for one in listed} == expected
    assert all(one["bytes"] >= 4096 and not one["removed"] for one in listed)
    assert {one["kind"] for one in listed} == set(KINDS)
    assert run_command_line(arguments(places)) == 0
    assert "nothing was removed. 14 things, 0." in " ".join(capsys.readouterr().out.split())
    assert all(path.exists() for path in gone)
    assert run_command_line(arguments(places, "--kinds", "trials,runs", "--yes", "--json")) == 0
    assert sum(one["removed"] for one in json.loads(capsys.readouterr().out)) == 3
    assert run_command_line(arguments(places, "--yes")) == 0
    assert "removed 11 things" in capsys.readouterr().out
    assert not any(path.exists() for path in gone)
    assert not (store / "toy" / "warp").exists()
    assert not (cache / "features" / f"{KEY}.speed").exists()
    assert all(path.exists() for path in kept)
    assert (cache / "features" / "1111111111111111.npy").is_symlink()
    assert run_command_line(arguments(places, "--yes")) == 0
    assert "nothing to remove" in capsys.readouterr().out


def test_a_finished_run_goes_only_where_it_is_named(stored_run, tmp_path, capsys):
    run, other = stored_run("bce"), stored_run("warp")
    store, key = ["--runs", str(tmp_path / "runs")], run.key
    assert run_command_line(["gc", *store, "--cache", str(tmp_path), "--older-than", "0", "--yes"]) == 0
    assert run.done
    assert run_command_line(["gc", key, *store]) == 0
    assert run.done
    assert run_command_line(["gc", key, *store, "--yes"]) == 0
    assert not run.path.exists()
    assert other.done
    assert run_command_line(["gc", key, *store, "--yes"]) == 2
    assert run_command_line(["gc", "--kinds", "feature", *store]) == 2
    assert "did you mean 'features'?" in capsys.readouterr().err


def test_a_link_to_a_run_is_neither_followed_nor_removed(stored_run, tmp_path, capsys):
    run, store = stored_run("bce"), tmp_path / "runs"
    unfinished = open_run(tmp_path / "elsewhere", run_config("svm"))
    links = [run.path.with_name("mine"), run.path.with_name(unfinished.key)]
    for link, target in zip(links, (run.path, unfinished.path), strict=True):
        link.symlink_to(target)
    gc = ["gc", "--runs", str(store), "--cache", str(tmp_path / "cache"), "--yes", "--older-than", "0"]
    assert run_command_line([*gc, str(links[0])]) == 2
    assert f"is a link to {run.path}" in capsys.readouterr().err
    assert run_command_line(gc) == 0
    assert run.done
    assert unfinished.config
    assert all(link.is_symlink() for link in links)


def test_nothing_goes_that_a_link_leads_to(tmp_path, capsys):
    store, cache, other = tmp_path / "runs", tmp_path / "cache", tmp_path / "other"
    kept = [
        old_run(other, "warp", "failed").path,
        put(other / "toy/bce/trials" / f"{KEY}.json"),
        put(other / "features" / f"{KEY}.npy"),
        put(other / "features" / f"{THIRD}.part"),
    ]
    for place in (store, cache):
        place.mkdir()
    (store / "linked").symlink_to(other / "toy")
    (cache / "features").symlink_to(other / "features")
    assert run_command_line(["gc", "--runs", str(store), "--cache", str(cache), "--yes"]) == 0
    said = capsys.readouterr()
    assert "nothing to remove" in said.out
    assert said.err.count(f"{cache}/features is a link, which is not followed") == 1
    assert all(path.exists() for path in kept)


def test_a_folder_that_is_no_run_is_not_removed_as_a_damaged_one(tmp_path, capsys):
    for name, file, content in (
        ("exported", "manifest.json", '{"export": 4, "files": {}}'),
        ("hub", "config.json", "{}"),
        ("data", "labels.json", "[]"),
    ):
        made = tmp_path / "models" / name / file
        made.parent.mkdir(parents=True)
        made.write_text(content)
        for named in (made.parent, tmp_path / "models"):
            assert run_command_line(["gc", str(named), "--runs", str(tmp_path), "--yes"]) == 2
            assert "is not removed: neither its name nor its manifest.json is a run's" in capsys.readouterr().err
        assert made.exists()


def test_what_cannot_be_removed_is_told_with_its_reason_and_the_rest_goes(tmp_path, monkeypatch, capsys):
    store = tmp_path / "runs"
    owned, free = old_run(store, "warp", "failed"), old_run(store, "svm", "failed")
    held = RunFolder.held

    def unless_owned(folder):
        if folder.path == owned.path:
            raise StoreError("cannot write it: refused. Try: another") from PermissionError(13, "refused")
        return held(folder)

    monkeypatch.setattr(RunFolder, "held", unless_owned)
    assert run_command_line(["gc", "--runs", str(store), "--cache", str(tmp_path / "cache"), "--yes"]) == 1
    said = capsys.readouterr()
    assert f"{owned.path} is not removed: refused\n" in said.err
    assert "1 could not be removed" in " ".join(said.out.split())
    assert "a process is at work" not in said.out
    assert owned.path.exists()
    assert not free.path.exists()


def test_what_a_process_holds_stays(tmp_path, capsys):
    store, cache = tmp_path / "runs", tmp_path / "cache"
    run = open_run(store, run_config())
    mapped = put(cache / "features" / f"{KEY}.npy")
    working = put(cache / "features" / f"{OTHER}.part")
    lock = put(cache / "features" / f"{OTHER}.lock", size=0)
    merging = aged(put(store / ".merging-abc" / "lock", size=0).parent)
    with (
        lock.open("rb") as one,
        mapped.open("rb") as two,
        (merging / "lock").open("rb") as three,
        run.held(),
    ):
        fcntl.flock(one, fcntl.LOCK_EX)
        fcntl.flock(three, fcntl.LOCK_EX)
        with mmap.mmap(two.fileno(), 0, access=mmap.ACCESS_READ):
            assert found(store, cache, days=0, kinds=("features", "parts"), now=lock.stat().st_mtime + OLD) == []
        assert run_command_line(["gc", run.key, "--runs", str(store), "--yes"]) == 0
        assert "1 kept: a process is at work on it" in capsys.readouterr().out
    assert all(path.exists() for path in (run.path, mapped, working, lock, merging))
    kinds = {one.path.name: one.kind for one in found(store, cache, days=0, now=lock.stat().st_mtime + 2 * OLD)}
    parts = dict.fromkeys((working.name, lock.name, merging.name), "parts")
    assert kinds == parts | {mapped.name: "features", run.key: "runs"}
