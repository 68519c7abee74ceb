"""Which runs a command reads: ``--runs`` is the store, and runs are named by folders or keys, in every command."""

import json
import shlex
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from example_runs import run_config

from bench import StoreError
from bench.cli import COMMANDS, load_command, run_command_line
from bench.cli.choose import one_run, run_folders, run_summaries
from bench.cli.requests import comparison_of, run_request
from bench.records import RunRequest
from bench.store.run_folder import RunFolder
from bench.system import interrupts

Make = Callable[..., RunFolder]
Capture = pytest.CaptureFixture[str]

READ = {
    "config",
    "table",
    "report",
    "figures",
    "track",
    "trials",
    "validate",
    "lens",
    "export",
    "runs",
    "status",
    "gc",
    "speed-metrics",
    "policy",
    "thresholds",
    "choose",
}
WRITTEN = {"run", "compare", "export", "report", "figures", "track", "score"}


@pytest.fixture
def root(stored_run: Make, tmp_path: Path) -> Path:
    """A store with two data sets, three runs."""
    stored_run("bce")
    stored_run("warp")
    stored_run("bce", dataset=run_config()["dataset"] | {"name": "other"})
    return tmp_path / "runs"


def options_of(command: str) -> dict[str, str]:
    return {option: part.help or "" for part in load_command(command).params for option in part.opts}


def test_in_every_command_runs_is_the_store_that_is_read_and_out_is_what_is_written() -> None:
    assert {name for name in COMMANDS if "--runs" in options_of(name)} == READ
    assert {name for name in COMMANDS if "--out" in options_of(name)} == WRITTEN
    assert {options_of(name)["--runs"] for name in READ} == {
        "Folder of the stored runs, or an address as s3://bucket/runs."
    }
    assert "--to" not in options_of("export")


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_folder_that_holds_runs_names_them_all(depth: int, root: Path) -> None:
    folder = root.joinpath(*("toy", "bce")[:depth])
    expected = [3, 2, 1][depth]
    assert len(run_folders([str(folder)], Path("nowhere"))) == expected


def test_a_run_named_twice_is_taken_once(root: Path, stored_run: Make) -> None:
    run = stored_run("bce")
    assert run_folders([str(run.path), run.key, str(root / "toy" / "bce")], root) == [run]


def test_an_empty_folder_names_no_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no run '.*': none is in that folder. See: bench runs --runs nowhere"):
        run_folders([str(tmp_path)], Path("nowhere"))


def test_summaries_are_filtered_and_follow_the_order_of_the_models(root: Path) -> None:
    def models(**wanted: object) -> list[str]:
        return [run.config["model"]["name"] for run in run_summaries(None, root, **wanted)]  # type: ignore[arg-type]

    assert models(models=("warp", "bce")) == ["warp", "bce", "bce"]
    assert models(models=("warp", "bce"), dataset="toy") == ["warp", "bce"]
    assert models(protocol="top2@1") == ["bce", "bce", "warp"]
    with pytest.raises(StoreError, match=r"no runs under .* on 'voc2007'. Try: bench run, or another --runs"):
        models(dataset="voc2007")
    with pytest.raises(StoreError, match="no runs by protocol 'top3@1' under"):
        models(protocol="top3@1")


def test_one_run_is_asked_for_and_several_are_an_error_that_says_how_to_list_them(root: Path) -> None:
    assert one_run(str(root / "toy" / "warp"), Path("nowhere")).config["model"]["name"] == "warp"
    with pytest.raises(StoreError, match=r"found 2 runs, allowed: one. See: bench runs .*toy"):
        one_run(str(root / "toy"), Path("nowhere"))


def commands_that_name_runs(folder: str, tmp_path: Path) -> dict[str, list[str]]:
    return {
        "table": ["table", folder],
        "runs": ["runs", folder],
        "status": ["status", folder],
        "gc": ["gc", folder],
        "validate": ["validate", folder],
        "report": ["report", folder, "--out", str(tmp_path / "page.html"), "--resamples", "0"],
        "figures": ["figures", folder, "--out", str(tmp_path / "figures")],
        "track": ["track", folder, "--to", "tensorboard", "--out", str(tmp_path / "told")],
        "config": ["config", folder],
        "lens": ["lens", folder],
        "trials": ["trials", folder],
        "export": ["export", folder, "--out", str(tmp_path / "model")],
        "speed-metrics": ["speed-metrics", folder],
        "policy": ["policy", folder, "--policy", "threshold"],
        "choose": ["choose", folder],
        "thresholds": ["thresholds", folder, "--for", "f1"],
    }


@pytest.mark.parametrize("command", sorted(READ))
def test_every_command_that_reads_runs_says_when_a_folder_holds_none(
    command: str, tmp_path: Path, capsys: Capture
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run_command_line(commands_that_name_runs(str(empty), tmp_path)[command]) == 2
    assert capsys.readouterr().err.startswith(f"error: no run '{empty}': none is in that folder.")


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        (["lens", "toy"], "bench runs toy"),
        (["table", "--models", "none"], "bench runs"),
        (["status", "--state", "failed"], "bench status"),
        (["choose", "zz"], "bench runs"),
    ],
)
def test_a_command_that_is_shown_names_the_store_that_was_read_as_a_shell_reads_it(
    asked: list[str], shown: str, root: Path, tmp_path: Path, capsys: Capture
) -> None:
    store = ["--runs", str(root.rename(tmp_path / "its runs"))]
    run_command_line([*asked, *store])
    told = "".join(capsys.readouterr()).splitlines()[-1]
    assert shlex.split(told[told.rindex(shown) :]) == [*shlex.split(shown), *store]


@pytest.mark.parametrize("command", ["table", "runs", "report", "figures", "lens"])
def test_a_folder_of_runs_is_read_wherever_it_lies(command: str, root: Path, tmp_path: Path) -> None:
    assert run_command_line(commands_that_name_runs(str(root / "toy" / "warp"), tmp_path)[command]) == 0


def test_runs_of_two_stores_are_listed_in_two_tables(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    second = tmp_path / "second"
    second.mkdir()
    (root / "other").rename(second / "other")
    assert run_command_line(["runs", str(root), str(second)]) == 0
    shown = capsys.readouterr().out
    assert f"{root}: 2 runs\n" in shown
    assert f"{second}: 1 run\n" in shown
    assert run_command_line(["runs", str(root), "--json"]) == 0
    assert {Path(entry["folder"]).parents[2] for entry in json.loads(capsys.readouterr().out)} == {root}


def test_of_an_empty_store_runs_are_an_empty_json_list(tmp_path: Path, capsys: Capture) -> None:
    assert run_command_line(["runs", "--runs", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_every_field_of_a_request_is_an_option_of_run_and_compare() -> None:
    names = {field.name for field in fields(RunRequest)}
    parameters = {command: {part.name for part in load_command(command).params} for command in ("run", "compare")}
    assert names <= parameters["run"]
    assert names - {"model", "seed"} <= parameters["compare"]


def test_a_request_takes_the_options_that_were_given() -> None:
    options = {"dataset": "toy", "device": "cuda", "cache": None, "seeds": 3, "sets": ["tracker.x=1"], "seed": 0}
    request = run_request(options, ["cell=gru"], model="bce")
    assert request == RunRequest("bce", "toy", device="cuda", sets=("cell=gru",))


def test_what_follows_a_run_repeats_every_option_that_was_given_for_a_shell_to_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The parser reads the command back: it asks of the run's own model what the run was asked for."""
    own, tracked = ["dataset.k=2", "dropout=0.2", "finetune.warmup=1"], ["tracker.experiment=my digits"]
    given = {name: tmp_path / "a b" / name for name in ("data_root", "weights", "out", "cache")}
    given |= {"train_split": "fit", "test_split": "it's", "backbone": "digits-cnn", "protocol": "coco-top3@1"}
    given |= {"policy": "threshold", "finetune": 0, "seed": 2, "trials": 4, "device": "cuda", "engine": "torch"}
    request = RunRequest("svm", "csv", sets=tuple(own), **given)
    options = {"sets": own + tracked, "track": "mlflow", "track_out": tmp_path / "told"}
    monkeypatch.setattr(
        interrupts, "typed", lambda: ["--plugin", "my file.py", "run", "--without=other", "--debug", "-q"]
    )
    words = shlex.split(comparison_of(request, ("bce", "softmax"), options))
    assert words[:7] == ["bench", "--plugin", "my file.py", "--without", "other", "-q", "compare"]
    read = load_command("compare").make_context("compare", words[7:]).params
    assert {name: read[name] for name in given if name not in ("policy", "seed")} == {
        name: value for name, value in given.items() if name not in ("policy", "seed")
    }
    assert (read["models"], read["policy"], read["seeds"]) == ("svm,bce,softmax", "svm=threshold", 3)
    assert list(read["sets"]) == own + tracked
    assert (read["track"], read["track_out"]) == ("mlflow", tmp_path / "told")


def test_what_follows_a_run_without_options_has_none() -> None:
    following = comparison_of(
        RunRequest("bce", "toy"), ("cnn-rnn", "bce"), {"track": "", "track_out": Path("trackers")}
    )
    assert following == "bench compare --dataset toy --models cnn-rnn,bce"
