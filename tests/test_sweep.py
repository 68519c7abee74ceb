"""Runs side by side: the same results as one after another, and a process that dies loses its run alone."""

import contextlib
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from example_commands import bench, write_corel
from example_runs import make_run, run_config

from bench import plugin_files, plugins
from bench.errors import DataError, UsageError
from bench.processes import _Worker
from bench.records import RunRequest
from bench.store.runs import find
from bench.sweep import SEQUENCE, _raise_if_shared, _spent, _weights, failure, plan_runs
from bench.system.progress import QUIET_VARIABLE

KILLED = """
import multiprocessing, os, signal
import bench

def build(request):
    import torch

    class Net(torch.nn.Linear):
        score_kind = "logit"

        def loss(self, features, truth, generator):
            if multiprocessing.parent_process() is not None:
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError("made where the command runs")

    return Net(request.dimensions, len(request.labels))

SPEC = bench.ModelSpec("killed", "its process is killed while it trains", "scores", build)

@bench.hookimpl
def bench_models():
    return [SPEC]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Options for small runs: data, backbone, and a cache of their own."""
    root = tmp_path_factory.mktemp("side-by-side")
    write_corel(root / "corel")
    data = ("--dataset", "corel5k", "--data-root", root / "corel", "--protocol", "top2@1")
    return (*data, "--backbone", "digits-cnn", "--cache", root / "cache", "--set", "epochs=2")


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Plugin files of a test are forgotten after it."""
    monkeypatch.setattr(plugin_files, "_folders", set(plugin_files._folders))
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    plugins.loaded.cache_clear()
    sys.modules.pop("killed_while_training", None)


def test_runs_side_by_side_are_those_made_one_after_another_and_a_killed_one_is_a_failed_row(
    place, tmp_path, capsys, monkeypatch
):
    monkeypatch.delenv(QUIET_VARIABLE, raising=False)  # which bench --quiet sets for the whole process
    file = tmp_path / "killed_while_training.py"
    file.write_text(KILLED)
    compare = ("compare", *place, "--seeds", "2", "--format", "markdown")
    assert bench(*compare, "--models", "cnn-rnn,bce", "--out", tmp_path / "alone") == 0
    alone = capsys.readouterr()
    monkeypatch.setenv(plugin_files.VARIABLE, str(file))
    plugins.loaded.cache_clear()
    asked = (*compare, "--models", "cnn-rnn,bce,killed", "--jobs", "2")
    assert bench(*asked, "--out", tmp_path / "beside") == 1
    beside = capsys.readouterr()
    assert alone.out.splitlines()[:5] == beside.out.splitlines()[:5]
    # Behind it stands how long the rest takes, where that is a minute or more.
    assert [line.partition(";")[0] for line in beside.err.splitlines() if line.startswith("[")] == [
        f"[{number}/7] {model} seed {seed}"
        for number, (model, seed) in enumerate(
            [*itertools.product(("cnn-rnn", "bce", "killed"), (0, 1)), ("prior", 0)], start=1
        )
    ]
    reason = "the process that made it ended by signal 9. The same command continues it"
    assert [line for line in beside.err.splitlines() if line.startswith("failed")] == [
        f"failed: killed seed {seed}: {reason}" for seed in (0, 1)
    ]
    one, other = (
        {run.key: run for run in find(tmp_path / name, "corel5k", ("cnn-rnn", "bce"))} for name in ("alone", "beside")
    )
    assert len(one) == 4
    for key, run in one.items():
        assert run.read_weights() == other[key].read_weights()
        assert run.read_measures() == other[key].read_measures()
    assert multiprocessing.active_children() == []
    (prior,) = find(tmp_path / "beside", "corel5k", ("prior",))
    assert prior.read_about().remarks == ()  # it is not warned of for not seeing the image, as it must not


STARTED = """
import sys, time
from bench.processes import _Worker

class Busy:
    def __reduce__(self):
        return time.sleep, (600.0,)  # hang guard: the process that reads this is at work for so long

worker = _Worker.start()
worker.pipe.send(Busy())
print("started", flush=True)
time.sleep(600.0)  # hang guard
"""


def test_processes_end_with_the_one_that_started_them_however_that_ends():
    starting = subprocess.Popen([sys.executable, "-P", "-c", STARTED], stdout=subprocess.PIPE, text=True)
    assert starting.stdout.readline() == "started\n"
    starting.kill()
    # Their end of the pipe is open until the last of them has ended.
    starting.communicate(timeout=300)  # hang guard


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system tells of processes in no files")
def test_a_process_that_is_stopped_is_told_of_once(capsys):
    """It was waited for without a word."""
    with subprocess.Popen(["sleep", "600"]) as process:  # hang guard
        worker = _Worker(process, None)
        worker.look()
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        worker.look()
        worker.look()
        process.kill()
    told = f"note: process {process.pid}, which makes a run, is stopped, and waited for. Try: kill -CONT {process.pid}"
    assert capsys.readouterr().err.splitlines() == [told]


@pytest.mark.slow
def test_an_interrupt_ends_every_process_and_says_what_is_kept(place, tmp_path):
    command = [sys.executable, "-P", "-m", "bench", "compare", *map(str, place), "--models", "cnn-rnn", "--seeds", "2"]
    command += ["--jobs", "2", "--set", "epochs=100000", "--set", "patience=100000", "--out", str(tmp_path)]
    running = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 600  # hang guard: it takes seconds
    while len(list(tmp_path.rglob("checkpoint.pt"))) < 2 and running.poll() is None:
        assert time.monotonic() < deadline, "no checkpoint was written"  # hang guard
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)
    # Its end of the pipe is open until the last of its processes has ended.
    _, errors = running.communicate()
    assert running.returncode == 130
    told = "stopped; finished runs, features and checkpoints are kept. To continue: bench compare --dataset corel5k"
    assert errors.splitlines()[-1].startswith(told)
    assert "Traceback" not in errors


def test_a_deterministic_model_is_planned_once_unless_its_backbone_is_tuned():
    request = RunRequest("", "digit-scenes")
    planned = [(one.model, one.seed) for one in plan_runs(request, ["knn", "bce", "prior"], 3)]
    assert planned == [("knn", 0), ("bce", 0), ("bce", 1), ("bce", 2), ("prior", 0)]
    assert len(plan_runs(replace(request, finetune=1), ["knn"], 3)) == 3


def test_goals_are_policies_of_all_models_or_of_one():
    request = RunRequest("", "digit-scenes", policy="precision>=0.9,knn=recall>=0.5;per-label")
    assert [one.policy for one in plan_runs(request, ["knn", "bce"], 1)] == ["recall>=0.5;per-label", "precision>=0.9"]


@pytest.mark.parametrize("policy", ["threshold,count", "knn=threshold,knn=count", "precision>=0.9,dog:recall>=0.8"])
def test_two_policies_of_one_model_are_refused(policy):
    """Of several the last one was taken, so that the goal before a comma was lost."""
    with pytest.raises(UsageError, match=r"found '.*' and '.*' for (knn|all models), allowed: one, whose goals"):
        plan_runs(RunRequest("", "digit-scenes", policy=policy), ["knn", "bce"], 1)


def test_the_prior_joins_every_comparison_once_by_a_policy_that_it_can_have_and_is_never_fine_tuned():
    request = RunRequest(model="", dataset="digit-scenes", policy="decoded", finetune=2, sets=("cell=gru",))
    *asked, prior = plan_runs(request, ["cnn-rnn"], 2, controls=True)
    assert [one.model for one in asked] == ["cnn-rnn", "cnn-rnn"]
    assert (prior.model, prior.seed, prior.policy, prior.finetune, prior.sets) == ("prior", 0, "", 0, ())
    request = RunRequest(model="", dataset="digit-scenes", policy="threshold")
    assert [one.model for one in plan_runs(request, ["prior", "bce"], 1, controls=True)] == ["prior", "bce"]
    assert plan_runs(request, ["bce"], 1, controls=True)[-1].policy == "threshold"
    told = plan_runs(RunRequest(model="", dataset="digit-scenes"), ["dlsr"], 1, controls=True)
    assert [one.model for one in told] == ["dlsr", "prior-known"]


def test_what_is_left_is_told_by_kinds_of_models_unless_backbones_are_tuned():
    request = RunRequest("", "digit-scenes")
    assert _weights(plan_runs(request, ["cnn-rnn", "bce"], 1)) == {"cnn-rnn": SEQUENCE, "bce": 1.0}
    assert _weights(plan_runs(replace(request, finetune=1), ["cnn-rnn", "bce"], 1)) == {}


@pytest.mark.parametrize("tuned", [0, 1])
def test_features_that_later_runs_share_do_not_count_towards_what_they_take(tmp_path, monkeypatch, tuned):
    folder = make_run(tmp_path, backbone=run_config()["backbone"] | {"finetune": tuned})
    folder.write_timings({"seconds": {"features": 1000.0, "train": 20.0}})
    folder.finish()
    monkeypatch.setattr("bench.sweep.time", SimpleNamespace(monotonic=lambda: 1500.0))
    assert _spent(folder.summary(), 0.0, 0.0) == (1500.0 if tuned else 500.0)
    assert _spent(folder.summary(), 0.0, float("inf")) is None


@pytest.mark.parametrize("others", [["digits-cnn"], ["dense-sift"]])
def test_a_backbone_that_one_of_several_models_takes_does_not_end_the_others(others, monkeypatch):
    def absent(plan):
        raise DataError("no weights file")

    requests = [RunRequest(model="mine", dataset="toy", backbone=name) for name in ("digits-cnn", *others)]
    monkeypatch.setattr(
        "bench.sweep.make_plan",
        lambda one, _: SimpleNamespace(backbone=SimpleNamespace(spec=SimpleNamespace(name=one.backbone)), variant=""),
    )
    monkeypatch.setattr("bench.assembly.open_parts", lambda plan: None)
    monkeypatch.setattr("bench.assembly.build_backbone", absent)
    first = failure(requests[0], "failed", "no weights file")
    with pytest.raises(DataError, match="no weights") if others == ["digits-cnn"] else contextlib.nullcontext():
        _raise_if_shared(first, requests)
