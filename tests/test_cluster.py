"""Runs on a Ray cluster: the same results as here, and a process that dies loses nothing. ``nox -s ray`` has Ray."""

import contextlib
import fcntl
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import pytest
from example_commands import bench, write_corel

from bench import cluster
from bench.errors import NotRun
from bench.records import RunRequest
from bench.store.runs import find
from bench.system.progress import QUIET_VARIABLE

MODELS = ("cnn-rnn", "dies-once")

DIES_ONCE = """
import os, pathlib, signal
import bench

def build(request):
    import torch

    class Net(torch.nn.Linear):
        score_kind = "logit"

        def loss(self, features, truth, generator):
            mark = pathlib.Path(os.environ["DIED_BEFORE"])
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return torch.nn.functional.binary_cross_entropy_with_logits(self(features), truth.float())

    torch.manual_seed(request.seed)
    return Net(request.dimensions, len(request.labels))

SPEC = bench.ModelSpec("dies-once", "its process is killed while it trains, the first time", "scores", build)

@bench.hookimpl
def bench_models():
    return [SPEC]
"""


def refusal(capsys, *arguments):
    code = bench("compare", "--dataset", "digit-scenes", "--models", "bce", *arguments)
    captured = capsys.readouterr()
    assert (code, captured.out, captured.err.count("\n")) == (2, "", 1)
    return captured.err


def test_without_ray_a_line_says_what_to_install(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    line = refusal(capsys, "--cluster", "auto", "--out", tmp_path)
    assert line == "error: --cluster: the package 'ray' is not installed. Try: pip install 'multilabel-bench[ray]'\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--cluster", "here"), "--cluster: found 'here', allowed: auto, local, or HOST:PORT"),
        (("--cluster", "ray://head:10001"), "--cluster: found 'ray://head:10001', allowed: auto, local, or HOST:PORT"),
        (("--cluster", "auto", "--jobs", "2"), "--jobs: found 2, but with --cluster"),
        (("--cluster", "auto", "--device", "cuda:1"), "Try: --device cuda"),
        (("--engine", "ray"), "Try: --cluster auto"),
    ],
)
def test_what_no_cluster_can_be_asked_for_is_refused_in_a_line(arguments, expected, capsys):
    assert expected in refusal(capsys, *arguments)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is not Ray"),
        (b"", "is not Ray"),
        (None, "nothing answers at"),
        (b"\0\0\6\4\0\0\0\0\0\0\4\0\1\0\0", ""),
    ],
)
def test_what_answers_and_is_not_ray_is_refused_and_what_stays_silent(answer, expected, monkeypatch):
    """Ray would wait for it for many minutes, and not end at a SIGTERM."""
    monkeypatch.setattr(cluster, "ANSWER", 0.2 if answer is None else 5.0)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(len(cluster.GREETING))
                connection.sendall(answer)

        if answer is not None:
            threading.Thread(target=serve, daemon=True).start()
        refused = contextlib.nullcontext() if not expected else pytest.raises(cluster.UsageError, match=expected)
        with refused:
            cluster._answers(f"127.0.0.1:{server.getsockname()[1]}")


class Ray:
    """A cluster of one core: ``lost`` in every task."""

    exceptions = types.SimpleNamespace(RayError=OSError, RayTaskError=ZeroDivisionError)
    lost = OSError("LocalRayletDiedError")

    def __getattr__(self, name):
        """Whatever else Ray is asked for, as ``remote(...).options(...)``, does nothing."""
        return lambda *given, **named: self

    def init(self, *given, **named):
        self.niceness = os.environ["RAY_worker_niceness"]  # noqa: SIM112 - Ray's name

    def nodes(self):
        return [{"Alive": True, "Resources": {"CPU": 1.0}}]

    def wait(self, tasks, timeout):
        return [], tasks

    def get(self, task):
        raise self.lost


@pytest.fixture
def joined(monkeypatch):
    """A cluster whose head never answered since it was joined."""
    for name in ("RAY_worker_niceness", "RAY_DEDUP_LOGS", "RAY_DEDUP_LOGS_SKIP_REGEX", "RAY_task_oom_retries"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setitem(sys.modules, "ray", Ray())
    monkeypatch.setattr(cluster, "LOST", -1.0)
    monkeypatch.setattr(cluster, "_still_there", lambda head: None)
    joined = cluster.Cluster("local", "cpu")
    monkeypatch.undo()
    return joined


def test_runs_of_a_cluster_that_begins_here_come_before_no_other_work_and_behind_none(joined):
    assert joined._ray.niceness == "0"


def test_a_run_that_the_cluster_lost_is_not_said_to_have_ended_so_and_so_often(joined, tmp_path):
    joined.take(3, RunRequest(model="bce", dataset="digit-scenes", out=tmp_path, cache=tmp_path))
    ((number, summary),) = [joined._answer(joined._ray)]
    assert (number, summary.state) == (3, "failed")
    assert summary.reason.startswith("its process or node was lost, and it could not be begun anew (OSError)")


def test_a_head_that_is_gone_is_one_line_before_ray_ends_the_process(monkeypatch, joined):
    monkeypatch.setattr(cluster, "LOST", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        joined._head = f"127.0.0.1:{server.getsockname()[1]}"
    for asked in (joined.room, lambda: joined.prepare(RunRequest(model="bce", dataset="d", out=Path(), cache=Path()))):
        with pytest.raises(NotRun, match=r"head at '127.0.0.1:\d+' is gone. Finished runs and checkpoints are kept"):
            asked()


def test_what_is_of_this_machine_stays_and_all_else_goes_along(tmp_path, monkeypatch):
    for name in ("BENCH_PLUGINS", "OF_A_PLUGIN", "RAY_ADDRESS", "CUDA_VISIBLE_DEVICES", QUIET_VARIABLE):
        monkeypatch.setenv(name, "sent")
    monkeypatch.chdir(tmp_path)
    place = cluster.Place.here()
    assert {"BENCH_PLUGINS", "OF_A_PLUGIN"} <= set(place.variables)
    assert not {"RAY_ADDRESS", "CUDA_VISIBLE_DEVICES", "HOME", "PATH"} & set(place.variables)
    monkeypatch.setenv("OF_A_PLUGIN", "")
    place.enter(tmp_path)
    assert os.environ["OF_A_PLUGIN"] == "sent"
    with pytest.raises(cluster.UsageError, match="on paths that all nodes share"):
        place.enter(tmp_path / "absent")


@pytest.fixture(scope="module")
def two_nodes():
    """The address of a cluster of two nodes with a core each."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed; nox -s ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = (
        "import sys; from ray.cluster_utils import Cluster;"
        f"c = Cluster(initialize_head=True, head_node_args={{'num_cpus': 1, 'gcs_server_port': {port}}});"
        "c.add_node(num_cpus=1); c.wait_for_nodes(); print(c.address, flush=True); sys.stdin.read(); c.shutdown()"
    )
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    with subprocess.Popen(
        [sys.executable, "-P", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as nodes:
        lines = iter(nodes.stdout.readline, "")
        yield next(line.strip() for line in lines if line.strip().rpartition(":")[2].isdigit())
        nodes.stdin.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with data and a plugin file, and the options of small runs on them."""
    root = tmp_path_factory.mktemp("cluster")
    write_corel(root / "corel")
    (root / "dies_once.py").write_text(DIES_ONCE)
    data = ("--dataset", "corel5k", "--data-root", "corel", "--protocol", "top2@1")
    return root, (*data, "--backbone", "digits-cnn", "--cache", "cache", "--set", "epochs=2")


def command(place, *arguments, died="died"):
    """Start ``bench compare`` in the folder, with its plugin file."""
    root, options = place
    called = [sys.executable, "-P", "-m", "bench", "--plugin", "dies_once.py", "compare", *options, *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "DIED_BEFORE": str(root / died)}
    return subprocess.Popen(
        list(map(str, called)),
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
def test_two_nodes_of_which_a_process_is_killed_give_the_table_and_the_bytes_of_this_machine(two_nodes, place):
    root, _ = place
    compare = ("--models", ",".join(MODELS), "--seeds", "1", "--format", "markdown")
    (root / "died-alone").touch()
    alone = command(place, *compare, "--out", "alone", died="died-alone")
    table, errors = alone.communicate()
    assert alone.returncode == 0, errors
    there = command(place, *compare, "--out", "there", "--cluster", two_nodes)
    table_there, errors = there.communicate()
    assert there.returncode == 0, errors
    assert table_there == table
    assert (root / "died").exists()
    asked = [f"[{number}/3] {model} seed 0" for number, model in enumerate((*MODELS, "prior"), start=1)]
    assert [line.partition(";")[0] for line in errors.splitlines() if line.startswith("[")] == asked
    stores = (find(root / name, "corel5k", (*MODELS, "prior")) for name in ("alone", "there"))
    one, other = ({run.key: run for run in store} for store in stores)
    assert len(one) == 3
    assert one.keys() == other.keys()
    for key, run in one.items():
        assert (run.path / "measures.json").read_bytes() == (other[key].path / "measures.json").read_bytes()
        assert run.read_weights() == other[key].read_weights()


@pytest.mark.slow
def test_an_interrupt_ends_the_tasks_and_says_what_is_kept(two_nodes, place):
    root, _ = place
    endless = ("--set", "epochs=1000000", "--set", "patience=1000000")
    running = command(place, "--models", "cnn-rnn", *endless, "--out", "endless", "--cluster", two_nodes)
    deadline = time.monotonic() + 300  # hang guard: it takes seconds
    while not list((root / "endless").rglob("checkpoint.pt")) and running.poll() is None:
        assert time.monotonic() < deadline, "no checkpoint was written"  # hang guard
        time.sleep(0.1)
    os.killpg(running.pid, signal.SIGINT)
    _, errors = running.communicate()
    assert running.returncode == 130
    assert errors.splitlines()[-1].startswith("stopped; finished runs, features and checkpoints are kept.")
    assert "Traceback" not in errors
    (lock,) = (path.parent / ".lock" for path in (root / "endless").rglob("checkpoint.pt"))
    with lock.open("w") as handle:
        while not has_lock(handle):
            assert time.monotonic() < deadline, "the task goes on"  # hang guard
            time.sleep(0.1)


def has_lock(handle):
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
