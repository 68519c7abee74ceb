"""``bench compare``: every model and seed is run, a failure is a row, and options reach those that have them."""

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from example_runs import run_config

import bench
from bench import ModelError, UsageError, plugins
from bench.cli import run_command_line
from bench.plugins import Found, Origin, Registry
from bench.records import RunRequest
from bench.store.run_folder import RunFolder
from bench.store.runs import open_run
from bench.sweep import plan_runs

Capture = pytest.CaptureFixture[str]
ORIGIN = Origin("bench-fake", "1.0", "fake")


def found(spec: Any) -> Any:
    return Found(spec, ORIGIN)


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Two score models and a sequence model, which alone has search options and a cell."""
    cell = bench.Option("cell", "paper", "the cell", choices=("paper", "gru"))

    def model(name: str, kind: Any, *options: bench.Option) -> Any:
        return found(bench.ModelSpec(name, "a model", kind, build=lambda _: None, options=options))

    models = {"bce": model("bce", "scores"), "warp": model("warp", "scores"), "seq": model("seq", "sequence", cell)}
    dataset = found(bench.DatasetSpec("toy", "four images", build=lambda _: None, backbone="tiny"))  # type: ignore[arg-type, return-value]
    backbone = found(bench.BackboneSpec("tiny", "a network", build=lambda _: None))  # type: ignore[arg-type, return-value]
    fake = Registry({"datasets": {"toy": dataset}, "backbones": {"tiny": backbone}, "models": models})
    monkeypatch.setattr(plugins, "installed", lambda: fake)
    return fake


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, stored_run: Callable[..., RunFolder]) -> list[RunRequest]:
    """What was run, by a stage order that only stores an example; ``warp`` fails in ways its seed chooses."""
    requests: list[RunRequest] = []

    def run_one(request: RunRequest, *, opened: Callable[[RunFolder], None]) -> RunFolder:
        requests.append(request)
        if request.model == "warp":
            if request.seed == 1:
                raise ZeroDivisionError("a bug in the plugin\nsecond line")
            folder = open_run(request.out, run_config("warp", request.seed))
            opened(folder)
            folder.fail("train", "the loss became NaN")
            raise ModelError("the loss became NaN")
        return stored_run(request.model, request.seed, values={"O-F1": 0.5 + request.seed / 10})

    monkeypatch.setitem(sys.modules, "bench.pipeline", types.SimpleNamespace(run_one=run_one))
    return requests


def compare(tmp_path: Path, *arguments: str) -> int:
    return run_command_line(["compare", "--dataset", "toy", "--out", str(tmp_path / "runs"), *arguments])


def test_every_model_is_run_with_every_seed_and_makes_one_row(
    ran: list[RunRequest], tmp_path: Path, capsys: Capture
) -> None:
    assert compare(tmp_path, "--models", "seq, bce", "--seeds", "3", "--format", "json") == 0
    assert [(one.model, one.seed) for one in ran] == [(model, seed) for model in ("seq", "bce") for seed in range(3)]
    (table,) = json.loads(capsys.readouterr().out)
    assert [row["label"] for row in table["rows"]] == ["seq", "bce"]
    assert table["rows"][0]["cells"]["O-F1"]["mean"] == pytest.approx(60.0)
    assert table["rows"][0]["cells"]["O-F1"]["n"] == 3


def test_a_failing_run_is_a_row_and_the_others_go_on(ran: list[RunRequest], tmp_path: Path, capsys: Capture) -> None:
    assert compare(tmp_path, "--models", "warp,bce", "--seeds", "2", "--format", "json") == 1
    assert [one.model for one in ran] == ["warp", "warp", "bce", "bce"]
    captured = capsys.readouterr()
    (table,) = json.loads(captured.out)
    failures = [failure for row in table["rows"] for failure in row["failures"]]
    assert failures == [
        "seed 0 failed: train: the loss became NaN",
        "seed 1 failed: ZeroDivisionError: a bug in the plugin second line",
    ]
    assert table["rows"][-1]["label"] == "bce"
    assert table["rows"][-1]["cells"]["O-F1"]["n"] == 2
    assert "failed: warp seed 0: train: the loss became NaN" in captured.err


def test_data_that_no_model_could_be_run_on_is_one_line_and_no_table(tmp_path: Path, capsys: Capture) -> None:
    arguments = ("--data-root", str(tmp_path), "--models", "bce,softmax", "--seeds", "2")
    assert compare(tmp_path, "--dataset", "csv", *arguments) == 2
    captured = capsys.readouterr()
    assert not captured.out
    assert [line for line in captured.err.splitlines() if str(tmp_path) in line] == captured.err.splitlines()[1:]


def test_the_terminal_table_has_the_reason_below_it(ran: list[RunRequest], tmp_path: Path, capsys: Capture) -> None:
    assert compare(tmp_path, "--models", "bce,warp") == 1
    assert "warp: seed 0 failed: train: the loss became NaN" in capsys.readouterr().out
    assert len(ran) == 2


@pytest.mark.parametrize("form", [("--format", "json"), ("--format", "json", "--significance")])
def test_runs_that_do_not_compare_stand_in_tables_of_their_own_once_all_are_made(
    form: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    stored_run: Callable[..., RunFolder],
    tmp_path: Path,
    capsys: Capture,
) -> None:
    """To refuse the table then would be to tell after hours what was known before."""

    def run_one(request: RunRequest, *_: object, **__: object) -> RunFolder:
        return stored_run(request.model, protocol="top3@1" if request.model == "seq" else "top2@1")

    monkeypatch.setitem(sys.modules, "bench.pipeline", types.SimpleNamespace(run_one=run_one))
    assert compare(tmp_path, "--models", "bce,seq", "--cache", str(tmp_path), *form) == 0
    tables = json.loads(capsys.readouterr().out)
    assert [[row["label"] for row in table["rows"]] for table in tables] == [["bce"], ["seq"]]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--models", "bce,sqe"], "no model 'sqe'; did you mean 'seq'?"),
        (["--models", "bce,seq", "--set", "cell=lstm"], "option cell: found 'lstm', allowed: paper, gru"),
        (["--models", "bce,seq", "--set", "cel=gru"], "no option of model 'bce' 'cel'"),
        (
            ["--models", "bce", "--set", "seq.cell=gru"],
            "--set seq.cell: found model 'seq', allowed: of this table's, bce",
        ),
        (["--models", "bce", "--backbone", "tiny2"], "no backbone 'tiny2'; did you mean 'tiny'?"),
        (["--models", "bce", "--seeds", "0"], "Invalid value for '--seeds'"),
    ],
)
def test_a_mistake_is_found_before_anything_is_run(
    arguments: list[str], expected: str, ran: list[RunRequest], tmp_path: Path, capsys: Capture
) -> None:
    assert compare(tmp_path, *arguments) == 2
    assert ran == []
    captured = capsys.readouterr().err
    assert expected in captured
    assert captured.count("\n") == 1


def sets_of(*sets: str) -> dict[str, tuple[str, ...]]:
    requests = plan_runs(RunRequest(model="", dataset="toy", sets=sets), ["bce", "seq"], 1)
    return {request.model: request.sets for request in requests}


def test_an_option_reaches_the_models_that_have_it() -> None:
    assert sets_of("cell=gru", "beam_width=5") == {"bce": (), "seq": ("cell=gru", "beam_width=5")}
    assert sets_of("epochs=3") == {"bce": ("epochs=3",), "seq": ("epochs=3",)}


def test_an_option_can_be_given_to_one_model() -> None:
    assert sets_of("bce.epochs=3") == {"bce": ("epochs=3",), "seq": ()}


def test_an_option_that_no_model_has_is_an_error() -> None:
    with pytest.raises(UsageError, match="no option of model 'bce' 'width'"):
        sets_of("width=3")


def test_a_model_named_twice_is_run_once() -> None:
    assert len(plan_runs(RunRequest(model="", dataset="toy"), ["bce", "bce"], 2)) == 2
