"""``bench table``, ``bench runs`` and ``bench list`` on stored runs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from example_runs import run_config

from bench.cli import run_command_line
from bench.store.run_folder import RunFolder
from bench.store.runs import open_run
from bench.store.sealed import REPAIR

Make = Callable[..., RunFolder]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def root(stored_run: Make, tmp_path: Path) -> Path:
    """A store with two models, two seeds each."""
    for seed, value in ((0, 0.5), (1, 0.7)):
        stored_run("bce", seed, values={"O-F1": value, "mAP": 0.4})
        stored_run("warp", seed, values={"O-F1": value - 0.1, "mAP": 0.6})
    return tmp_path / "runs"


def table_of(arguments: list[str], capsys: Capture) -> list[dict[str, object]]:
    assert run_command_line(["table", "--format", "json", *arguments]) == 0
    return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]


def test_all_stored_runs_make_one_table_per_data_set(root: Path, stored_run: Make, capsys: Capture) -> None:
    stored_run("bce", dataset=run_config()["dataset"] | {"name": "other"})
    tables = table_of(["--runs", str(root)], capsys)
    assert [len(table["rows"]) for table in tables] == [1, 2]  # type: ignore[arg-type]


def test_the_terminal_table_shows_mean_spread_and_title(root: Path, capsys: Capture) -> None:
    assert run_command_line(["table", "--runs", str(root)]) == 0
    shown = capsys.readouterr().out
    assert "toy; four images; 4 test images (top2@1)" in shown
    assert "60.0 ±14.1" in shown
    assert "a note" in shown


def test_models_are_shown_in_the_order_asked_for(root: Path, capsys: Capture) -> None:
    (table,) = table_of(["--runs", str(root), "--models", "warp,bce"], capsys)
    assert [row["label"] for row in table["rows"]] == ["warp", "bce"]  # type: ignore[attr-defined]


def test_columns_can_be_chosen(root: Path, capsys: Capture) -> None:
    (table,) = table_of(["--runs", str(root), "--columns", "mAP, O-F1"], capsys)
    assert table["columns"] == ["mAP", "O-F1"]
    assert run_command_line(["table", "--runs", str(root), "--columns", "map"]) == 2
    assert "no column 'map'; did you mean 'mAP'" in capsys.readouterr().err


def test_runs_can_be_named_by_folder_or_key(root: Path, stored_run: Make, capsys: Capture) -> None:
    first, second = stored_run("bce", 0), stored_run("warp", 1)
    (table,) = table_of([str(first.path), second.key, "--runs", str(root)], capsys)
    assert [row["seeds"] for row in table["rows"]] == [[0], [1]]  # type: ignore[attr-defined]


def test_different_images_of_one_data_set_are_refused_unless_told(
    root: Path, stored_run: Make, capsys: Capture
) -> None:
    prints = {"train": "aaaa", "validation": "bbbb", "test": "ffff"}
    stored_run("bce", dataset=run_config()["dataset"] | {"fingerprints": prints})
    assert run_command_line(["table", "--runs", str(root)]) == 2
    assert "these runs do not compare: data set fingerprints" in capsys.readouterr().err
    (table,) = table_of(["--runs", str(root), "--mix"], capsys)
    assert table["notes"][0].startswith("MIXED")  # type: ignore[index]


def test_rows_that_do_not_compare_have_no_differences(root: Path, capsys: Capture) -> None:
    assert run_command_line(["table", "--runs", str(root), "--mix", "--significance"]) == 2
    assert "--significance with --mix" in capsys.readouterr().err
    for command in ("table", "compare --dataset digit-scenes --models bce --out"):
        assert run_command_line([*command.split(), str(root), "--significance", "--format", "csv"]) == 2
        assert "has no place for what --significance tells apart" in capsys.readouterr().err
    for option in (["--significance"], ["--models", "bce"], ["--dataset", "toy"]):
        assert run_command_line(["table", "3", "--runs", str(root), *option]) == 2
        told = capsys.readouterr().err
        assert f"{option[0]}: not for the paper's tables" in told
        assert "rows of bench runs are meant, their keys" in told


def test_runs_lists_every_state_with_its_reason(stored_run: Make, tmp_path: Path, capsys: Capture) -> None:
    root = tmp_path / "runs"
    damaged = stored_run("warp")
    (damaged.path / "scores.npy").write_bytes(b"")
    stored_run("bce")
    open_run(root, run_config("knn"))
    open_run(root, run_config("softmax")).fail("train", "NaN loss")
    assert run_command_line(["runs", "--runs", str(root), "--json"]) == 0
    listed = {entry["model"]: (entry["state"], entry["reason"]) for entry in json.loads(capsys.readouterr().out)}
    assert listed == {
        "bce": ("done", ""),
        "knn": ("unfinished", "not finished"),
        "softmax": ("failed", "train: NaN loss"),
        "warp": ("damaged", f"scores.npy damaged. {REPAIR}"),
    }
    assert run_command_line(["runs", "--runs", str(root), "--state", "failed"]) == 0
    shown = capsys.readouterr().out
    assert "NaN loss" in shown
    assert "bce" not in shown


def test_a_run_with_a_destroyed_manifest_is_listed_as_damaged(
    stored_run: Make, tmp_path: Path, capsys: Capture
) -> None:
    folder = stored_run("warp")
    (folder.path / "manifest.json").write_text("{")
    assert run_command_line(["runs", "--runs", str(tmp_path / "runs"), "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["model"], entry["state"]) == ("warp", "damaged")


def test_list_shows_options_with_default_allowed_values_and_meaning(capsys: Capture) -> None:
    assert run_command_line(["list", "models", "--json"]) == 0
    models = {model["name"]: model for model in json.loads(capsys.readouterr().out)["models"]}
    options = {option["name"]: option for option in models["cnn-rnn"]["options"]}
    assert options["beam_width"] | {"help": ""} == {
        "name": "beam_width",
        "default": 2,
        "allowed": "a whole number >= 1",
        "help": "",
        "of": "search",
    }
    assert "beam_width" not in {option["name"] for option in models["softmax"]["options"]}
    assert {"distribution", "version", "summary", "kind"} <= set(models["softmax"])
