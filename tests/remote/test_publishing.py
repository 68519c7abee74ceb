"""Stores elsewhere: whoever reads finds a whole run or none, whenever a writer is killed and whoever else writes."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from example_commands import write_corel
from example_runs import make_honest, make_run

import bench
from bench.cli import run_command_line
from bench.errors import StorageError, StoreError
from bench.records import RunRequest
from bench.remote import objects
from bench.remote.copies import copy_of
from bench.store import mirror
from bench.store.following import of_store
from bench.store.mirror import fetch, publish, synchronised
from bench.store.run_folder import RunFolder
from bench.store.runs import find
from bench.store.sealed import MANIFEST


@pytest.fixture
def on(tmp_path, monkeypatch):
    """Have what follows happen on the machine of a name: one with folders of its own."""
    return lambda machine: monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / machine))


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path, memory):
    """The address of a store where objects appear whole, and of one where files are written piece by piece."""
    return {"memory": f"{memory}/runs", "file": f"file://{tmp_path}/there/runs"}[request.param]


class Killed(BaseException):
    """What a killed process does not come back from."""


def killed_at(monkeypatch, number):
    """Have the process killed as it begins to write its file ``number`` there, half of which then lies there."""
    begun, write = [], objects._writing

    def writing(address):
        begun.append(address)
        if len(begun) > number:
            if not address.startswith("memory"):
                half = Path(address.removeprefix("file://"))
                half.parent.mkdir(parents=True, exist_ok=True)
                half.write_bytes(b"half")
            raise Killed
        return write(address)

    monkeypatch.setattr(objects, "_writing", writing)
    monkeypatch.setattr(objects, "WORKERS", 1)


def seen(store):
    """What a machine sees of a store: the manifests of its sound runs, by key."""
    folders = find(synchronised(Path(store)))
    assert all(folder.summary().state == "done" for folder in folders)
    return {folder.key: (folder.path / MANIFEST).read_text() for folder in folders}


def written(store, seed=0, seconds=1.5):
    """A finished run in this machine's copy, made in some ``seconds``."""
    folder = make_honest(make_run(copy_of(Path(store)), "bce", seed, code={}))
    folder.write_timings({"seconds": {"train": seconds}})
    return folder


def test_every_command_reads_a_store_elsewhere_as_one_here(store, tmp_path, on, capsys):
    for seed in (0, 1):
        publish(written(store, seed).path)
    here = copy_of(Path(store))
    commands = (["table"], ["validate"], ["status", "--json"], ["runs", "--json"], ["lens", "1"], ["config", "2"])
    expected = []
    for command in commands:
        assert run_command_line([*command, "--runs", str(here)]) == 0
        expected.append(capsys.readouterr().out)
    on("another")
    for command, text in zip(commands, expected, strict=True):
        assert run_command_line([*command, "--runs", store]) == 0
        told = capsys.readouterr().out.replace(str(copy_of(Path(store))), str(here))
        assert command == ["runs", "--json"] or told == text
    assert len(bench.runs(store)) == 2
    assert run_command_line(["runs", "--runs", store]) == 0
    assert capsys.readouterr().out.startswith(f"{store}:")
    assert of_store(find(copy_of(Path(store)))[0].path) == f" --runs {store}"
    if store.startswith("file"):
        return
    assert run_command_line(["report", "--runs", store, "--out", str(tmp_path / "page.html"), "--resamples", "0"]) == 0
    assert run_command_line(["results", "pack", "--runs", store, "--out", str(tmp_path / "runs.tar")]) == 0
    assert run_command_line(["results", "merge", str(tmp_path / "runs.tar"), "--out", f"{store}-merged"]) == 0
    on("a third")
    assert [folder.done for folder in find(synchronised(Path(f"{store}-merged")))] == [True, True]


def test_a_reader_finds_nothing_of_a_run_whose_publisher_is_killed_at_any_file_and_the_same_publish_ends_it(
    store, on, monkeypatch
):
    folder = written(store)
    files = len(json.loads((folder.path / MANIFEST).read_text())["files"])
    for _ in range(files):  # each time one file more is there
        with monkeypatch.context() as context:
            killed_at(context, 1)
            with pytest.raises(Killed):
                publish(folder.path)
        on("reader")
        assert seen(store) == {}
        on("data")
    with monkeypatch.context() as context:
        killed_at(context, 1)
        publish(folder.path)
    whole = seen(store)
    on("reader")
    assert seen(store) == whole != {}


def test_a_reader_finds_the_old_run_while_a_new_one_of_its_key_is_published(store, on, monkeypatch):
    folder = written(store)
    publish(folder.path)
    old = seen(store)
    folder.write_timings({"seconds": {"train": 9.0}})
    for number in (0, 1):
        with monkeypatch.context() as context:
            killed_at(context, number)
            with pytest.raises(Killed):
                publish(folder.path)
        on("reader")
        if store.startswith("memory") or number == 0:
            assert seen(store) == old
        on("data")
    publish(folder.path)
    new = seen(store)
    on("reader")
    assert seen(store) == new != old


@pytest.mark.parametrize("number", [0, 1, 12, 17])
def test_two_machines_that_publish_one_run_end_in_one_whole_run(store, number, on, monkeypatch):
    on("one")
    one = written(store, seconds=1.0)
    on("two")
    two = written(store, seconds=2.0)
    begun, write = [], objects._writing

    def writing(address):
        begun.append(address)
        if len(begun) == number + 1:  # the other publishes all of its own in the middle
            publish(two.path)
        return write(address)

    monkeypatch.setattr(objects, "_writing", writing)
    monkeypatch.setattr(objects, "WORKERS", 1)
    publish(one.path)
    found = []
    for machine in ("one", "two", "three"):
        on(machine)
        found.append(seen(store))
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 1


def test_the_first_finished_run_of_a_key_stands(store, on, capsys):
    on("one")
    publish(written(store, seconds=1.0).path)
    first = seen(store)
    on("two")
    two = written_apart(store, seconds=2.0)
    publish(two.path)
    assert "was published by another machine meanwhile" in capsys.readouterr().err
    assert seen(store) == first
    assert two.read_timings()["seconds"]["train"] == 1.0


def written_apart(store, seconds):
    """A finished run in this machine's copy that was begun before anything stood elsewhere."""
    folder = make_run(Path(copy_of(Path(store))).with_name("apart"), "bce", code={})
    folder.write_timings({"seconds": {"train": seconds}})
    place = copy_of(Path(store)).joinpath(*folder.path.parts[-3:])
    place.parent.mkdir(parents=True)
    shutil.copytree(folder.path, place)
    return RunFolder(place)


def test_a_run_that_is_finished_elsewhere_is_not_made_again(store, on):
    publish(written(store).path)
    on("another")
    folder = find(synchronised(Path(store)))[0]
    (folder.path / "scores.npy").write_bytes(b"damaged")
    assert not folder.done
    fetch(folder.path)
    assert folder.done
    shutil.rmtree(folder.path)
    fetch(folder.path)
    assert folder.done


def test_a_failed_run_stands_elsewhere_until_it_is_done(store, on):
    folder = written(store)
    folder.fail("train", "no memory")
    publish(folder.path)
    on("another")
    copied = find(synchronised(Path(store)))[0]
    assert copied.summary().state == "failed"
    copied.finish()
    publish(copied.path)
    on("data")
    assert seen(store)


def test_what_is_only_half_there_is_told_and_left_out(store, on, capsys):
    folders = [written(store, seed) for seed in (0, 1)]
    for folder in folders:
        publish(folder.path)
    seal = json.loads((folders[0].path / MANIFEST).read_text())["files"]["scores.npy"]
    here = f"{store}/{'/'.join(folders[0].path.parts[-3:])}"
    objects.write(b"half", f"{here}/{seal[:16]}/scores.npy")
    on("another")
    assert list(seen(store)) == [folders[1].key]
    assert "another scores.npy" in capsys.readouterr().err
    on("data")
    objects.write(b"{", f"{here}/{MANIFEST}")
    publish(folders[0].path)  # the same command mends it
    on("another")
    assert len(seen(store)) == 2


@pytest.mark.parametrize("name", ["checkpoint.pt", "../../x"])
def test_names_that_no_run_has_are_not_taken_from_elsewhere(memory, name, on, capsys):
    store = f"{memory}/runs"
    folder = written(store)
    manifest = json.loads((folder.path / MANIFEST).read_text())
    manifest["files"][name] = "0" * 64
    objects.write(json.dumps(manifest).encode(), f"{store}/{'/'.join(folder.path.parts[-3:])}/{MANIFEST}")
    on("another")
    assert seen(store) == {}
    assert "left out" in capsys.readouterr().err


def test_a_lost_network_keeps_the_run_and_says_what_publishes_it(store, monkeypatch):
    folder = written(store)

    def lost(*_):
        raise ConnectionResetError("reset by peer")

    with monkeypatch.context() as context:
        context.setattr(type(objects.opened(store)[0]), "put_file", lost)
        with pytest.raises(StorageError, match=r"no network, or it was lost.*The run is whole in .*the same command"):
            publish(folder.path)
    assert folder.done
    publish(folder.path)


def test_commands_that_look_at_a_store_at_once_see_all_of_it(memory, on):
    store = f"{memory}/runs"
    for seed in range(3):
        publish(written(store, seed).path)
    on("another")
    copy_of(Path(store))
    threads = [threading.Thread(target=synchronised, args=(Path(store),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen(store)) == 3
    assert not list(copy_of(Path(store)).glob(".taking*"))


def test_what_is_here_alone_is_told(store, on, capsys):
    written(store)
    synchronised(Path(store))
    assert "1 of the runs is only here, and not published yet" in capsys.readouterr().err


def test_a_process_killed_as_it_publishes_leaves_nothing_to_read(tmp_path, on, monkeypatch):
    store = f"file://{tmp_path}/there/runs"
    folder = written(store)
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from bench.remote import objects; from bench.store import mirror\n"
        "upload, count = objects.upload, []\n"
        "def killed(path, address):\n"
        "    count.append(path)\n"
        "    if len(count) == 7: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    upload(path, address)\n"
        "objects.upload, objects.WORKERS = killed, 1\n"
        "mirror.publish(Path(sys.argv[1]))\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code, str(folder.path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert objects.listed(store)
    on("reader")
    assert seen(store) == {}
    on("data")
    publish(folder.path)
    on("reader")
    assert len(seen(store)) == 1


@pytest.mark.slow
def test_data_and_store_elsewhere_give_the_run_of_data_and_store_here(tmp_path, memory, capsys):
    write_corel(tmp_path / "corel", copies=False)
    system, place = objects.opened(memory)
    system.put(f"{tmp_path / 'corel'}/", f"{place}/corel/", recursive=True)
    options = ("--dataset", "corel5k", "--protocol", "top2@1", "--backbone", "digits-cnn", "--set", "epochs=1")
    command = ["run", "--model", "bce", *options, "--cache", str(tmp_path / "features")]
    assert run_command_line([*command, "--data-root", f"{memory}/corel", "--out", f"{memory}/runs"]) == 0
    told = capsys.readouterr().out
    (folder,) = find(copy_of(Path(f"{memory}/runs")))
    assert f"published   {memory}/runs/corel5k/bce/{folder.key}" in told
    assert f"--out {memory}/runs" in told
    assert folder.request().data_root == bench.as_path(f"{memory}/corel")
    # The key is the same: a run with everything here finds it done, and trains nothing.
    shutil.copytree(folder.path.parents[2], tmp_path / "runs", ignore=shutil.ignore_patterns(".*"))
    before = (tmp_path / "runs" / "corel5k" / "bce" / folder.key / MANIFEST).read_bytes()
    assert run_command_line([*command, "--data-root", str(tmp_path / "corel"), "--out", str(tmp_path / "runs")]) == 0
    assert [one.key for one in find(tmp_path / "runs")] == [folder.key]
    assert (tmp_path / "runs" / "corel5k" / "bce" / folder.key / MANIFEST).read_bytes() == before


def test_addresses_where_only_a_path_can_stand_are_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_command_line(["run", "--model", "bce", "--dataset", "digit-scenes", "--weights", "s3://bucket/x"]) == 2
    assert "--weights: found s3://bucket/x, allowed: a path" in capsys.readouterr().err
    make_run(tmp_path / "runs", "bce")
    assert run_command_line(["results", "pack", "--out", "s3://bucket/x.tar"]) == 2
    assert run_command_line(["table", "s3://bucket/runs"]) == 2
    assert "Try: --runs" in capsys.readouterr().err
    with pytest.raises(StoreError):
        mirror.write_atomic(Path("s3://bucket/x"), b"")
    assert not (tmp_path / "s3:").exists()
    with pytest.raises(bench.UsageError, match="holds a name or password"):
        RunRequest("bce", "digit-scenes", out=Path("s3://KEY:a-secret@bucket/x"))
