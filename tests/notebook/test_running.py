import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from example_commands import write_corel
from example_runs import make_run

import bench

SMALL = {
    "dataset": "corel5k",
    "protocol": "top2@1",
    "backbone": "timm/mobilenetv2_035",
    "options": {"epochs": 2, "backbone.init": "random", "backbone.size": 32},
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    root = tmp_path_factory.mktemp("running")
    return SMALL | {"data_root": write_corel(root / "corel"), "out": root / "runs", "cache": root / "cache"}


def test_a_run_is_the_command_lines_run_and_is_found_again(small, capsys):
    from example_commands import FAST
    from example_commands import bench as command

    run = bench.run("bce", **small)
    assert run.done
    assert run.measures["O-F1"] > 0
    paths = ("--data-root", small["data_root"], "--out", small["out"], "--cache", small["cache"])
    sets = ("--backbone", small["backbone"], "--protocol", "top2@1", "--set", "backbone.size=32", *FAST)
    before = run.path.stat().st_mtime_ns
    assert command("run", "--model", "bce", "--dataset", "corel5k", *paths, *sets, "--json") == 0
    assert f'"key": "{run.key}"' in capsys.readouterr().out
    assert bench.run("bce", **small).key == run.key
    assert run.path.stat().st_mtime_ns == before
    assert [one.key for one in bench.runs(small["out"])] == [run.key]


def test_a_data_set_that_was_edited_since_the_last_call_is_read_as_it_is_now(tmp_path, monkeypatch):
    """In one process: what stayed open would give the numbers of truth that is gone, under its old key."""
    from bench.assembly import open_parts
    from bench.plan import make_plan
    from bench.plugins import installed

    def opened(request, **_):
        found.append(open_parts(make_plan(request, installed())).test)
        raise bench.NotRun("opened")

    def truth_of_a_run():
        with pytest.raises(bench.NotRun):
            bench.run("bce", "corel5k", **of)
        return found[-1].truth

    def truth_of_a_score():
        scores, labels = np.eye(20, 3) + 0.5, ("red", "green", "blue")
        mine = {"kind": "score", "name": "mine", "protocol": "top2@1", "ids": found[-1].ids, "labels": labels}
        return bench.score(scores, "corel5k", **mine, **of).truth

    found, of = [], {"data_root": write_corel(tmp_path / "corel"), "out": tmp_path / "runs"}
    monkeypatch.setattr("bench.pipeline.run_one", opened)
    listed = tmp_path / "corel" / "test.tsv"
    for asked in (truth_of_a_run, truth_of_a_score):
        before = asked()
        names, labels = zip(*(line.split("\t") for line in listed.read_text().splitlines()), strict=True)
        listed.write_text("\n".join(map("\t".join, zip(names, labels[1:] + labels[:1], strict=True))))
        assert (asked() != before).any()


def test_options_are_what_set_takes(small):
    chosen = small["options"] | {"epochs": np.int64(1), "beam_width": 3, "mask_repeats": True, "cell": "gru"}
    run = bench.run("cnn-rnn", **small | {"options": chosen, "seed": np.int64(7)})
    assert run.seed == 7
    assert run.config["training"]["epochs"] == 1
    assert (run.config["search"]["beam_width"], run.config["search"]["mask_repeats"]) == (3, True)
    assert run.config["model"]["options"]["cell"] == "gru"
    assert run.label_sets is not None


def test_compared_runs_come_in_order_and_a_failure_is_a_run_with_its_reason(small, monkeypatch):
    from bench import pipeline

    real = pipeline.run_one

    def failing(request, *arguments, **keywords):
        if request.model == "softmax":
            raise bench.ModelError("it diverged") if request.seed else ValueError("two\nlines")
        return real(request, *arguments, **keywords)

    monkeypatch.setattr("bench.pipeline.run_one", failing)
    found = bench.compare("bce,softmax", seeds=2, prior=False, **small)
    assert [(run.model, run.seed, run.state) for run in found] == [
        ("bce", 0, "done"),
        ("bce", 1, "done"),
        ("softmax", 0, "failed"),
        ("softmax", 1, "failed"),
    ]
    assert [run.reason for run in found[2:]] == ["ValueError: two lines", "it diverged"]
    assert found[2].key == ""
    with pytest.raises(bench.StoreError, match="softmax on corel5k, seed 0, has no folder: failed: ValueError: two"):
        _ = found[2].scores
    table = found.table("O-F1")
    assert table.rows[0]["O-F1"]["n"] == 2
    assert table.rows[1]["failures"] == ["seed 0 failed: ValueError: two lines", "seed 1 failed: it diverged"]


REFUSED = {
    "model": (lambda: bench.run("sofmax", "digit-scenes"), "no model 'sofmax'; did you mean 'softmax'"),
    "dataset": (lambda: bench.run("bce", "digits"), "no dataset 'digits'; did you mean 'digit-scenes'"),
    "no text": (lambda: bench.run(None, "digit-scenes"), "model: found None, allowed: text"),
    "split": (lambda: bench.run("bce", "coco", train_split=2014), "train_split: found 2014, allowed: text or None"),
    "option": (lambda: bench.run("bce", "digit-scenes", options={"epoch": 1}), "no option of model 'bce' 'epoch'"),
    "value": (lambda: bench.run("bce", "digit-scenes", options={"epochs": 1.5}), "option epochs: found '1.5'"),
    "list": (lambda: bench.run("bce", "digit-scenes", options={"epochs": [1]}), r"option epochs: found \[1\], allowed"),
    "none": (lambda: bench.run("bce", "digit-scenes", options={"epochs": None}), "option epochs: found None"),
    "sets": (
        lambda: bench.run("bce", "digit-scenes", options=["epochs=1"]),
        "allowed: a dict, as in {'beam_width': 5}",
    ),
    "name": (lambda: bench.run("bce", "digit-scenes", options={"epochs=1": 1}), "found the name 'epochs=1'"),
    "seed": (lambda: bench.run("bce", "digit-scenes", seed=-1), "seed: found -1, allowed: whole numbers from 0"),
    "seed true": (lambda: bench.run("bce", "digit-scenes", seed=True), "seed: found True"),
    "finetune": (lambda: bench.run("bce", "digit-scenes", finetune=0.5), "finetune: found 0.5"),
    "out": (lambda: bench.run("bce", "digit-scenes", out=None), "out: found None, allowed: a path"),
    "root": (lambda: bench.run("bce", "csv", data_root=3), "data_root: found 3, allowed: a path"),
    "empty root": (lambda: bench.run("bce", "csv", data_root=""), "data_root: found '', allowed: a path"),
    "seeds": (lambda: bench.compare("bce", "digit-scenes", seeds=0), "seeds: found 0, allowed: whole numbers from 1"),
    "models": (lambda: bench.compare([], "digit-scenes"), "--models: found none"),
    "one": (lambda: bench.compare(["bce", 3], "digit-scenes"), "models: found .*allowed: names"),
    "device": (lambda: bench.run("bce", "digit-scenes", device="tpu9"), "--device: found 'tpu9'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_mistake_is_one_clear_line_and_leaves_no_folder(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, message = REFUSED[case]
    with pytest.raises(bench.BenchError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
    assert not Path("runs").exists()


@pytest.fixture
def slow_run(tmp_path, monkeypatch):
    """A run that begins, tells so, and goes on when it is let."""
    begun, let = threading.Event(), threading.Event()
    folder = make_run(tmp_path)

    def run_one(*_, **__):
        begun.set()
        assert let.wait(30)
        return folder

    monkeypatch.setattr("bench.pipeline.run_one", run_one)
    return begun, let


def test_a_second_run_in_one_process_is_refused_and_then_allowed(slow_run):
    begun, let = slow_run
    found = []
    thread = threading.Thread(target=lambda: found.append(bench.run("bce", "digit-scenes")))
    thread.start()
    try:
        assert begun.wait(30)
        for call in (lambda: bench.run("bce", "digit-scenes"), lambda: bench.compare("bce", "digit-scenes")):
            with pytest.raises(bench.UsageError, match=r"is under way in this process, .*Wait for it, or use another"):
                call()
    finally:
        let.set()
        thread.join(30)
    assert found[0].done
    assert bench.run("bce", "digit-scenes").key == found[0].key


def test_a_run_that_fails_or_is_interrupted_makes_way_for_the_next(tmp_path, monkeypatch):
    folder = make_run(tmp_path)
    outcomes = [KeyboardInterrupt(), bench.ModelError("no"), folder]

    def run_one(*_, **__):
        outcome = outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr("bench.pipeline.run_one", run_one)
    for kind in (KeyboardInterrupt, bench.ModelError):
        with pytest.raises(kind):
            bench.run("bce", "digit-scenes")
    assert bench.run("bce", "digit-scenes").key == folder.key


def test_reading_measuring_and_searching_may_go_on_in_threads(tmp_path):
    make_run(tmp_path)
    (run,) = bench.runs(tmp_path)
    expected = bench.measure(run.truth, run.scores, protocol="top2@1").values
    results, table = [], np.random.default_rng(0).normal(size=(4, 4))

    def work():
        for _ in range(10):
            (again,) = bench.runs(tmp_path)
            found = bench.beam_search(lambda prefix: table[len(prefix) % 4], max_length=3)
            measures = bench.measure(again.truth, again.scores, protocol="top2@1").values
            results.append((measures == expected, found.label_sets.sequences.tolist()))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 40
    assert all(same for same, _ in results)
    assert len({str(sequences) for _, sequences in results}) == 1


def test_an_uncaught_error_ends_a_script_with_its_line(tmp_path):
    code = "import bench; bench.run('sofmax', 'digit-scenes')"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines()[-1].startswith("bench.errors.UsageError: no model 'sofmax'; did you mean")


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "passive"}, "None")],
)
def test_torch_waits_as_under_the_command_line_unless_the_environment_says_otherwise(tmp_path, given, spins):
    kept = {name: value for name, value in os.environ.items() if name not in {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}}
    code = (
        "import bench, os\n"
        "try: bench.run('sofmax', 'digit-scenes')\n"
        "except bench.UsageError: print(os.environ.get('GOMP_SPINCOUNT'))\n"
    )
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=kept | given, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [spins]
