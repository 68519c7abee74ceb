"""Facts read off the store for trackers, the hook that adds a tracker, and what its failure costs: nothing."""

import json
import re
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from example_runs import run_config

import bench
from bench import Measures, ModelError, StoreError, TrackerError, plugin_files, plugins
from bench.cli import run_command_line
from bench.cli.completion import names_of
from bench.cli.tracking import split_sets
from bench.plugins import Found, Origin, Registry
from bench.records import RunRequest
from bench.show import tracking
from bench.store.run_folder import RunFolder
from bench.store.runs import open_run

Capture = pytest.CaptureFixture[str]
Make = Callable[..., RunFolder]
ORIGIN = Origin("bench-fake", "1.0", "fake")
DOCUMENT = Path(__file__).parents[2] / "docs" / "trackers.md"


def test_the_kept_learning_rate_has_the_plain_curves_and_others_say_theirs(stored_run: Make) -> None:
    curves = {one.name: (one.epochs, one.values) for one in tracking.tracked_run(stored_run().summary()).series}
    assert curves == {
        "tried lr 0.01/training/loss": ((1,), (2.0,)),
        "tried lr 0.01/training/learning_rate": ((1,), (0.01,)),
        "tried lr 0.01/validation/score": ((1,), (0.3,)),
        "training/loss": ((1, 2), (3.0, 1.5)),
        "training/learning_rate": ((1, 2), (0.001, 0.001)),
        "validation/score": ((1, 2), (0.25, 0.5)),
    }


def test_a_model_without_gradient_training_has_no_curves(stored_run: Make) -> None:
    folder = stored_run("knn")
    folder.write_training({"history": [], "best_epoch": 0, "learning_rate": None, "score": None, "parameters": 0})
    assert tracking.tracked_run(folder.summary()).series == ()


def test_a_run_is_told_by_its_key_flat_config_and_defined_measures(stored_run: Make) -> None:
    folder = stored_run("warp", 3, backbone={"name": "tiny", "preprocessing": {"mean": [0.5, 0.25], "size": 32}})
    folder.write_measures(
        Measures("top2@1", {"O-F1": 0.5, "mAP": float("nan")}, {"ap": (1.0, float("nan"), 0.5), "support": (2, 0, 2)})
    )
    run = tracking.tracked_run(folder.summary())
    assert (run.key, run.dataset, run.model, run.seed) == (folder.key, "toy", "warp", 3)
    assert run.finished == folder.status.finished > 0
    assert run.config["model.name"] == "warp"
    assert run.config["training.epochs"] == 2
    assert run.config["backbone.preprocessing.mean"] == "[0.5,0.25]"
    assert run.measures == {"O-F1": 0.5}
    assert run.per_class.header == ("label", "ap", "support")
    assert run.per_class.rows == (("cat", 1.0, 2.0), ("dog", None, 0.0), ("cow", 0.5, 2.0))


def test_a_run_that_is_not_finished_cannot_be_told(tmp_path: Path) -> None:
    folder = open_run(tmp_path, run_config())
    with pytest.raises(StoreError, match="has no measures to track: not finished"):
        tracking.tracked_run(folder.summary())


def test_a_comparison_has_means_spreads_and_reasons_as_cells(stored_run: Make, tmp_path: Path) -> None:
    runs = [stored_run("bce", seed, values={"O-F1": 0.5 + seed / 10}).summary() for seed in range(2)]
    failed = open_run(tmp_path / "runs", run_config("warp"))
    failed.fail("train", "NaN")
    table = tracking.comparison([*runs, failed.summary()])
    assert table.header == ("model", "seeds", "O-F1", "O-F1 sd", "failures")
    assert list(table.rows[0]) == ["bce", 2, pytest.approx(55.0), pytest.approx(7.0710678), ""]
    assert table.rows[1] == ("warp", 0, None, None, "seed 0 failed: train: NaN")
    assert table.notes[0] == "percent; not in percent: labels/image"


def test_more_seeds_make_the_same_comparison_anew_and_other_models_or_images_another(stored_run: Make) -> None:
    def key(*folders: RunFolder) -> str:
        return tracking.comparison([folder.summary() for folder in folders]).key

    bce, again, warp = stored_run("bce", 0), stored_run("bce", 1), stored_run("warp", 0)
    other = {"dataset": run_config()["dataset"] | {"fingerprints": {"test": "eeee"}}}
    assert key(bce, warp) == key(bce, again, warp)
    assert key(bce) != key(bce, warp)
    assert key(bce, warp) != key(stored_run("bce", **other), stored_run("warp", **other))


def test_only_runs_that_compare_share_a_table_and_one_run_needs_none(stored_run: Make, tmp_path: Path) -> None:
    other = {"dataset": run_config()["dataset"] | {"fingerprints": {"test": "eeee"}}}
    folders = [stored_run("bce"), stored_run("warp"), stored_run("bce", **other)]
    failed = open_run(tmp_path / "runs", run_config("knn"))
    failed.fail("train", "NaN")
    (table,) = tracking.comparisons([folder.summary() for folder in [*folders, failed]])
    assert [row[0] for row in table.rows] == ["bce", "warp", "knn"]
    assert tracking.comparisons([failed.summary(), failed.summary()]) == []


@dataclass
class Recorder:
    """A tracker that remembers what it was told; ``fails`` is what it raises for the runs of a model."""

    opened: list[bench.TrackerRequest] = field(default_factory=list)
    runs: list[bench.TrackedRun] = field(default_factory=list)
    tables: list[bench.TrackedTable] = field(default_factory=list)
    fails: dict[str, Exception] = field(default_factory=dict)

    def open(self, request: bench.TrackerRequest) -> "Recorder":
        print("a line that a tracker's package prints")
        if "open" in self.fails:
            raise self.fails["open"]
        self.opened.append(request)
        return self

    def run(self, run: bench.TrackedRun) -> str:
        if run.model in self.fails:
            raise self.fails[run.model]
        self.runs.append(run)
        return f"place of {run.key}"

    def table(self, table: bench.TrackedTable) -> str:
        self.tables.append(table)
        return f"table {table.key}"


@pytest.fixture
def first() -> Recorder:
    return Recorder()


@pytest.fixture
def second() -> Recorder:
    return Recorder()


@pytest.fixture(autouse=True)
def registry(first: Recorder, second: Recorder, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Two trackers, and what a run needs."""
    project = bench.Option("project", "digits", "where")
    mode = bench.Option("mode", "offline", "how", choices=("offline", "online"))
    trackers = [
        bench.TrackerSpec("first", "a tracker", first.open, options=(project,), requires="bench-first[all]"),
        bench.TrackerSpec("second", "a tracker", second.open, options=(mode,)),
    ]
    models: Any = [bench.ModelSpec(name, "a model", "scores", build=lambda _: None) for name in ("bce", "warp")]
    dataset: Any = bench.DatasetSpec("toy", "images", build=lambda _: None, backbone="tiny")  # type: ignore[arg-type, return-value]
    backbone: Any = bench.BackboneSpec("tiny", "a network", build=lambda _: None)  # type: ignore[arg-type, return-value]

    def named(*specs: Any) -> Any:
        return {spec.name: Found(spec, ORIGIN) for spec in specs}

    offered = {"datasets": [dataset], "backbones": [backbone], "models": models, "trackers": trackers}
    fake = Registry({kind: named(*specs) for kind, specs in offered.items()})
    monkeypatch.setattr(plugins, "installed", lambda: fake)
    return fake


def track(tmp_path: Path, *arguments: str) -> int:
    places = ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "told")]
    return run_command_line(["track", *arguments, *places])


def test_track_tells_every_finished_run_and_their_comparison(
    first: Recorder, stored_run: Make, tmp_path: Path, capsys: Capture
) -> None:
    keys = {stored_run("bce", seed).key for seed in range(2)} | {stored_run("warp").key}
    open_run(tmp_path / "runs", run_config("knn")).fail("train", "NaN")
    assert track(tmp_path, "--to", "first", "--set", "project=x") == 0
    assert {run.key for run in first.runs} == keys
    assert [row[0] for row in first.tables[0].rows] == ["bce", "knn", "warp"]
    assert first.opened == [bench.TrackerRequest({"project": "x"}, tmp_path / "told" / "first")]
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 4
    assert all(f"first: place of {key}" in captured.out for key in keys)
    assert "left out: " in captured.err
    assert "failed: train: NaN" in captured.err


def test_runs_can_be_named_by_key(first: Recorder, stored_run: Make, tmp_path: Path) -> None:
    wanted, _ = stored_run("bce"), stored_run("warp")
    assert track(tmp_path, wanted.key[:8], "--to", "first") == 0
    assert [run.key for run in first.runs] == [wanted.key]
    assert first.tables == []


@pytest.mark.parametrize(
    "case",
    [
        (ConnectionError("no answer from localhost\nsecond line"), "ConnectionError: no answer from localhost second"),
        (TrackerError("no key. Try: log in"), "no key. Try: log in"),
        (ModuleNotFoundError("No module named 'x'"), "No module named 'x'. Try: pip install 'bench-first[all]'"),
    ],
)
def test_a_failing_tracker_is_one_line_with_the_command_and_the_others_go_on(
    case: tuple[Exception, str], first: Recorder, stored_run: Make, tmp_path: Path, capsys: Capture
) -> None:
    folder = stored_run()
    first.fails["open"], told = case
    assert track(tmp_path, "--to", "first,second", "--set", "project=my work") == 2
    captured = capsys.readouterr()
    (line,) = [line for line in captured.err.splitlines() if "not tracked" in line]
    assert line.startswith("not tracked: first (bench-fake 1.0 (fake)): ")
    assert told in line
    command = f"Then: bench track {folder.path} --to first --out {tmp_path / 'told'} --set 'project=my work'"
    assert line.endswith(command)
    assert captured.out == f"second: place of {folder.key}\n"


@pytest.mark.parametrize(
    "case",
    [
        (["--to", "frist"], "no tracker 'frist'; did you mean 'first'? allowed: first, second"),
        (["--to", "first", "--set", "projct=x"], "no option of tracker 'first' 'projct'; did you mean 'project'?"),
        (["--to", "second", "--set", "mode=live"], "option tracker.mode: found 'live', allowed: offline, online"),
        (["zzzz", "--to", "first"], "no run 'zzzz'"),
        ([], "Missing option '--to'"),
        (["--to", ","], "--to: found none"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_told(
    case: tuple[list[str], str], first: Recorder, stored_run: Make, tmp_path: Path, capsys: Capture
) -> None:
    stored_run()
    arguments, expected = case
    assert track(tmp_path, *arguments) == 2
    captured = capsys.readouterr().err
    assert expected in captured
    assert captured.count("\n") == 1
    assert first.opened == []


def test_nothing_finished_is_one_line(tmp_path: Path, capsys: Capture) -> None:
    assert track(tmp_path, "--to", "first") == 2
    assert "error: no runs under" in capsys.readouterr().err
    open_run(tmp_path / "runs", run_config())
    assert track(tmp_path, "--to", "first") == 2
    assert "error: none of 1 runs is finished" in capsys.readouterr().err


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, stored_run: Make) -> list[RunRequest]:
    """What was run, by a stage order that only stores an example; seed 1 of ``warp`` fails."""
    requests: list[RunRequest] = []

    def run_one(request: RunRequest, *_: object, **__: object) -> RunFolder:
        requests.append(request)
        if request.model == "warp" and request.seed == 1:
            raise ModelError("the loss became NaN")
        return stored_run(request.model, request.seed)

    monkeypatch.setitem(sys.modules, "bench.pipeline", types.SimpleNamespace(run_one=run_one))
    return requests


def command(tmp_path: Path, *arguments: str) -> int:
    places = ("--dataset", "toy", "--out", str(tmp_path / "runs"), "--track-out", str(tmp_path / "told"))
    return run_command_line([*arguments, *places])


def test_run_tells_its_trackers_and_its_options_are_no_part_of_the_run(
    first: Recorder, second: Recorder, ran: list[RunRequest], tmp_path: Path, capsys: Capture
) -> None:
    sets = ("--set", "epochs=2", "--set", "tracker.project=x", "--set", "tracker.mode=online")
    assert command(tmp_path, "run", "--model", "bce", "--json", "--track", "first, second", *sets) == 0
    assert [run.model for run in first.runs] == [run.model for run in second.runs] == ["bce"]
    assert ran[0].sets == ("epochs=2",)
    assert dict(first.opened[0].options) == {"project": "x"}
    assert dict(second.opened[0].options) == {"mode": "online"}
    captured = capsys.readouterr()
    assert json.loads(captured.out)["key"] == first.runs[0].key
    assert f"first: place of {first.runs[0].key}" in captured.err


def test_a_run_whose_tracker_fails_is_stored_and_succeeds(
    first: Recorder, ran: list[RunRequest], tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first.fails["bce"] = TimeoutError("server down")
    monkeypatch.setenv(plugin_files.VARIABLE, "")  # which the option sets for the whole process
    (tmp_path / "own.py").touch()
    plugin = f"--plugin={tmp_path / 'own.py'}"  # what is printed needs it as what was typed did
    assert command(tmp_path, "run", "--model", "bce", "--track", "first", plugin) == 0
    captured = capsys.readouterr()
    assert "run folder" in captured.out
    assert f"TimeoutError: server down. Then: bench --plugin {tmp_path / 'own.py'} track " in captured.err
    assert len(ran) == 1


def test_a_wrong_tracker_is_found_before_anything_is_run(
    ran: list[RunRequest], tmp_path: Path, capsys: Capture
) -> None:
    assert command(tmp_path, "run", "--model", "bce", "--track", "third") == 2
    assert "no tracker 'third'" in capsys.readouterr().err
    assert command(tmp_path, "compare", "--models", "bce", "--set", "tracker.project=x") == 2
    assert "option tracker.project: no tracker was asked for. Try: --track" in capsys.readouterr().err
    assert ran == []


def test_compare_tells_each_run_then_the_table(
    first: Recorder, ran: list[RunRequest], tmp_path: Path, capsys: Capture
) -> None:
    assert command(tmp_path, "compare", "--models", "bce,warp", "--seeds", "2", "--track", "first") == 1
    assert [(run.model, run.seed) for run in first.runs] == [("bce", 0), ("bce", 1), ("warp", 0)]
    (table,) = first.tables
    assert table.rows[0][:2] == ("bce", 2)
    assert "the loss became NaN" in str(table.rows)
    assert len(ran) == 4
    assert f"first: table {table.key}" in capsys.readouterr().err


def test_a_tracker_that_failed_once_is_not_waited_for_again_and_its_command_names_every_run(
    first: Recorder, second: Recorder, ran: list[RunRequest], tmp_path: Path, capsys: Capture
) -> None:
    first.fails["warp"] = TimeoutError("server down")
    assert command(tmp_path, "compare", "--models", "warp,bce", "--track", "first,second") == 0
    assert len(ran) == 2
    assert (first.runs, first.tables) == ([], [])
    assert len(second.runs) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "not tracked" in line]
    assert line.count(str(tmp_path / "runs" / "toy")) == 2


def test_trackers_are_listed_with_their_distribution(capsys: Capture) -> None:
    assert run_command_line(["list", "trackers", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["trackers"]
    assert [(one["name"], one["distribution"], one["requires"]) for one in listed] == [
        ("first", "bench-fake", "bench-first[all]"),
        ("second", "bench-fake", ""),
    ]


def test_completion_goes_on_after_a_comma() -> None:
    assert names_of("trackers")("") == ["first", "second"]
    assert names_of("trackers")("first,se") == ["first,second"]


def test_options_of_trackers_are_told_from_those_of_the_run() -> None:
    assert split_sets(["cell=gru", " tracker.project=x", "dataset.words=all"]) == (
        ["cell=gru", "dataset.words=all"],
        ["project=x"],
    )


def test_the_plugin_in_the_documentation_works(
    stored_run: Make, tmp_path: Path, registry: Registry, capsys: Capture
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), flags=re.DOTALL)
    assert len(code.splitlines()) <= 30
    module = types.ModuleType("bench_json")
    exec(compile(code, str(DOCUMENT), "exec"), vars(module))
    (spec,) = module.bench_trackers()
    registry.all(plugins.TRACKERS)[spec.name] = Found(spec, Origin("bench-json", "0.1", "json"))
    keys = [stored_run("bce").key, stored_run("warp").key]
    for _ in range(2):
        assert track(tmp_path, "--to", spec.name) == 0
    told = [Path(line.partition(": ")[2]) for line in capsys.readouterr().out.splitlines()]
    assert len(told) == 6
    assert {path.stem for path in told} >= set(keys)
    held = {path.stem: json.loads(path.read_text()) for path in told}
    assert held[keys[0]]["measures"] == {"O-F1": 0.5, "mAP": 0.25}
    assert len(list(told[0].parent.iterdir())) == 3
