"""Several processes of one command: the same results as one, and none waits for one that is gone."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from example_commands import bench, write_corel
from example_ranks import ended, start
from safetensors.torch import load

from bench import pipeline, worker
from bench.errors import BenchError, DataError
from bench.records import RunRequest
from bench.store.runs import find
from bench.system import ranks
from bench.system.launched import Place, launched
from bench.system.lines import Line, listen, reached

CLOSE = 1e-3
"""How far weights tuned by two processes may be from those of one, relative to the largest. docs/training.md."""

POINTS = 2.0
"""How far a measure of such weights may be: rounding can move one of 66 images past another."""

PLUGIN = """
import os, pathlib, signal
import bench

def build(request):
    import torch

    class Net(torch.nn.Linear):
        score_kind = "logit"

        def loss(self, features, truth, generator):
            calls.append(len(features))
            if os.environ.get("KILLS") == os.environ["RANK"] and len(calls) == 6:
                os.kill(os.getpid(), signal.SIGKILL)
            kept = torch.nn.functional.dropout(features, 0.2)
            return torch.nn.functional.binary_cross_entropy_with_logits(self(kept), truth.float())

    calls = []
    torch.manual_seed(request.seed)
    return Net(request.dimensions, len(request.labels))

@bench.hookimpl
def bench_models():
    return [bench.ModelSpec("net", "one layer, whose process may be killed", "scores", build)]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with data and a plugin file, and the options of small runs on them.

    Images are computed 64 at once, so that each of two processes has some of both parts, and of one block of the file.
    """
    root = tmp_path_factory.mktemp("ranks")
    write_corel(root / "corel", 200)
    (root / "net.py").write_text(PLUGIN)
    data = ("--dataset", "corel5k", "--data-root", "corel", "--protocol", "top2@1")
    return root, (*data, "--backbone", "digits-cnn", "--set", "epochs=2")


def ranks_of(place, command, *arguments, count=2, **variables):
    root, options = place
    called = ("-m", "bench", "--plugin", "net.py", command, *options, *arguments)
    return start(*called, count=count, folder=root, **variables)


def stored(root, model):
    (run,) = find(root, "corel5k", (model,))
    return run


def files(cache):
    return {path.name: path.read_bytes() for path in (cache / "features").glob("*.npy")}


def numbers(table):
    """The numbers of each line, by the line without them; which of a column is marked as the best is left aside."""
    lines = table.replace("*", "").splitlines()
    return {re.sub(r"\d+\.\d+", "#", line): [float(one) for one in re.findall(r"\d+\.\d+", line)] for line in lines}


@pytest.mark.slow
def test_two_processes_give_the_features_of_one_to_the_byte_and_its_fine_tuning_up_to_rounding(place):
    """i-ft is fine-tuned for an epoch, bce is not; one command makes both."""
    root, _ = place
    compare = ("--models", "bce,i-ft", "--no-prior", "--format", "markdown")
    compare += ("--set", "finetune.batch_size=31", "--set", "finetune.horizontal_flip=0.5")
    ((code, alone, errors),) = ended(ranks_of(place, "compare", *compare, "--out", "one", "--cache", "a", count=1))
    assert code == 0, errors
    (code, table, errors), other = ended(ranks_of(place, "compare", *compare, "--out", "two", "--cache", "b"))
    assert code == 0, errors
    assert other == (0, "", [])
    rows, expected = numbers(table), numbers(alone)
    assert list(rows) == list(expected)
    for words, measured in rows.items():
        np.testing.assert_allclose(measured, expected[words], rtol=0, atol=POINTS, err_msg=words)
    assert [line for line in errors if line.startswith("[")] == ["[1/2] bce seed 0", "[2/2] i-ft seed 0"]
    one, two = stored(root / "one", "bce"), stored(root / "two", "bce")
    assert one.key == two.key
    assert one.read_weights() == two.read_weights()
    assert (one.path / "measures.json").read_bytes() == (two.path / "measures.json").read_bytes()
    assert two.read_timings()["feature_extraction"]["processes"] == 2
    kept, shared = files(root / "a"), files(root / "b")
    frozen = kept.keys() & shared.keys()
    assert len(frozen) == 2
    assert all(kept[name] == shared[name] for name in frozen)
    one, two = stored(root / "one", "i-ft"), stored(root / "two", "i-ft")
    assert one.key == two.key
    tuned, together = load(one.read_backbone()), load(two.read_backbone())
    most = CLOSE * max(tensor.abs().max().item() for tensor in tuned.values() if tensor.is_floating_point())
    for name, tensor in tuned.items():
        np.testing.assert_allclose(together[name].numpy(), tensor.numpy(), rtol=0, atol=most, err_msg=name)
    for run, count in ((one, 1), (two, 2)):
        (by,) = run.read_environment()["fine_tuning"]
        assert by == {"epochs": 5, "threads": 1, "processes": count}


@pytest.mark.slow
def test_a_rank_that_is_killed_ends_the_others_and_the_same_command_goes_on_to_the_bits_of_torchrun(place):
    root, options = place
    tuned = ("--model", "net", "--finetune", "3", "--set", "finetune.batch_size=45", "--cache", "c")
    called = [sys.executable, "-P", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    command = [*called, "bench", "--plugin", "net.py", "run", *options, *tuned, "--out", "whole"]
    whole = subprocess.run(
        command, cwd=root, env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True, capture_output=True, check=False
    )
    assert whole.returncode == 0, whole.stderr
    assert whole.stdout.count("run folder") == 1
    of_whole = stored(root / "whole", "net")
    assert of_whole.read_environment()["fine_tuning"][0]["processes"] == 2
    assert of_whole.read_timings()["feature_extraction"]["processes"] == 2
    for killed in (1, 0):  # the second time it goes on from where the first has ended
        died = ended(ranks_of(place, "run", *tuned, "--out", "killed", KILLS=str(killed)))
        assert died[killed][0] == -signal.SIGKILL
        assert died[1 - killed][0] == 2
        line = died[1 - killed][2][-1]
        assert line.startswith(f"error: process {killed} of 2 was killed, or found no memory; features, checkpoints")
        assert "To continue: torchrun --nproc-per-node 2 -m bench --plugin net.py run" in line
    (again, _, told), other = ended(ranks_of(place, "run", *tuned, "--out", "killed"))
    assert (again, other) == (0, (0, "", []))
    assert "note: fine-tuning goes on after epoch 2 of 3" in told
    assert stored(root / "killed", "net").read_backbone() == stored(root / "whole", "net").read_backbone()


@pytest.mark.slow
def test_what_one_rank_fails_by_is_one_line_and_a_mistake_for_all(place):
    root, _ = place
    broken = root / "corel" / "images" / "test65.png"
    content = broken.read_bytes()
    try:
        broken.write_bytes(content[:60])
        (code, out, told), other = ended(ranks_of(place, "run", "--model", "bce", "--out", "broken", "--cache", "d"))
    finally:
        broken.write_bytes(content)
    assert (code, out, other) == (2, "", (2, "", []))
    assert [line for line in told if not line.startswith(("note: ", "progress: "))] == told[-1:]
    assert told[-1].startswith("error: process 1 of 2: cannot read image")
    assert "test65.png" in told[-1]
    (code, out, (line,)), other = ended(ranks_of(place, "run", "--model", "bec"))
    assert (code, out, other) == (2, "", (2, "", []))
    assert line.startswith("error: no model 'bec'; did you mean 'bce'?")


def test_what_processes_that_share_runs_cannot_be_asked_for_is_refused_in_a_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(ranks, "_TEAM", [object()])
    for arguments, expected in (
        (("run", "--model", "bce", "--device", "cuda:1"), "Try: --device cuda"),
        (
            ("compare", "--models", "bce", "--jobs", "2"),
            "--jobs: found 2, but the processes of torchrun share each run",
        ),
        (("compare", "--models", "bce", "--cluster", "auto"), "--cluster: found 'auto', but the processes of torchrun"),
    ):
        assert bench(*arguments, "--dataset", "digit-scenes", "--out", tmp_path) == 2
        told = capsys.readouterr()
        assert expected in told.err
        assert (told.out, told.err.count("\n")) == ("", 1)


@pytest.mark.slow
@pytest.mark.parametrize("struck", [(0, 1), (0,)])
def test_a_signal_is_one_line_and_ends_all_ranks(place, struck):
    root, _ = place
    out = root / f"stopped-{len(struck)}"
    tuned = ("--model", "net", "--finetune", "100000", "--cache", "c", "--out", out)
    processes = ranks_of(place, "run", *tuned)
    deadline = time.monotonic() + 200  # hang guard
    while not list(out.rglob("checkpoint-finetune.pt")):
        assert time.monotonic() < deadline, "no checkpoint was written"  # hang guard
        assert all(process.poll() is None for process in processes)
        time.sleep(0.1)
    for rank in struck:
        processes[rank].send_signal(signal.SIGTERM)
    (code, _, told), other = ended(processes)
    assert (code, other) == (143, (143, "", []))
    line = "stopped by SIGTERM; features, checkpoints and finished stages are kept. To continue: torchrun --nproc-per"
    assert told[-1].startswith(line)
    assert "Traceback" not in "".join(told)


def test_a_rank_whose_data_or_code_is_not_that_of_rank_0_tunes_nothing(monkeypatch, tmp_path):
    """As on a machine where the same path leads to other pictures, or a plugin that was edited meanwhile."""
    write_corel(tmp_path / "corel")
    places = {"data_root": tmp_path / "corel", "out": tmp_path, "cache": tmp_path / "cache"}
    tuned = {"protocol": "top2@1", "finetune": 1, "sets": ("epochs=1",)}
    request = RunRequest("bce", "corel5k", "digits-cnn", **tuned, **places)
    orders, answers = [], []

    def asked(what, **fields):
        orders.append({"number": 1, "do": what, "variables": {}, "request": request.to_json()} | fields)
        if what == "fine-tune":
            raise BenchError("it is sent")

    monkeypatch.setattr(ranks, "helpers", lambda **_: SimpleNamespace(ask=asked))
    with pytest.raises(BenchError, match="it is sent"):
        pipeline.run_one(request)
    config = orders[-1]["config"]
    orders[-1]["config"] = config | {"code": config["code"] | {"model": "another"}, "seed": 1}
    team = SimpleNamespace(
        place=Place(1, 2, 1, 2, "127.0.0.1"),
        orders=lambda: iter(orders[-1:]),
        answer=lambda order, what, **fields: answers.append((what, fields)),
    )
    worker.serve(team)
    ((what, told),) = answers
    assert (what, told["error"]) == ("failed", DataError.__name__)
    assert "its run is another one than process 0's, by code.model, seed. Try:" in told["words"]


def torchrun_says(**changes):
    told = {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "head"}
    return {name: value for name, value in (told | changes).items() if value is not None}


def test_a_process_knows_its_rank_where_torchrun_has_started_it_and_its_command_is_shared():
    place = launched(["--plugin", "run", "--quiet", "compare"], torchrun_says())
    assert place == Place(1, 4, 1, 2, "head")
    assert place.apart
    assert place.launcher() == [
        "torchrun",
        *["--nnodes", "2", "--master-addr", "head", "--nproc-per-node", "2", "-m", "bench"],
    ]
    for typed, changes in (
        (["table"], {}),
        (["--plugin", "run"], {}),
        ([], {}),
        (["run"], {"WORLD_SIZE": "1", "RANK": "0"}),
        (["run"], {"RANK": None}),
        (["run"], {"RANK": "one"}),
    ):
        assert launched(typed, torchrun_says(**changes)) is None


def test_a_stranger_that_connects_is_turned_away_and_the_ranks_still_meet():
    with listen("127.0.0.1") as server:
        found = {}
        waiting = threading.Thread(target=lambda: found.update(server.accepted("secret", 1, 60.0)))
        waiting.start()
        for greeting in (b"GET / HTTP/1.1\r\n", b'{"rank": 1, "secret": "guess"}\n', b"[1]\n", b""):
            with socket.create_connection(("127.0.0.1", server.port)) as stranger:
                stranger.sendall(greeting)
        line = reached("127.0.0.1", server.port, 60.0)
        line.send({"rank": 1, "secret": "secret"})
        line.send({"number": 1})
        waiting.join()
    assert list(found) == [1]
    assert isinstance(found[1], Line)
    assert next(iter(found[1])) == {"number": 1}
    line.close()
    found[1].close()


def test_who_waits_in_vain_for_the_others_says_so_in_a_line(monkeypatch):
    monkeypatch.setattr(ranks, "MEET", 0.2)
    store = SimpleNamespace(set=lambda *_: None, check=lambda _: False)
    with pytest.raises(BenchError, match="WORLD_SIZE is 2, as torchrun sets it, but rank 1 did not come"):
        ranks._lines_of_first(Place(0, 2, 0, 2, "127.0.0.1"), store)
    with pytest.raises(BenchError, match="but rank 0 did not come"):
        ranks._line_to_first(Place(1, 2, 1, 2, "127.0.0.1"), store)
