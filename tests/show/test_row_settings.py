"""What a table says of rows that differ in more than their methods."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from example_runs import run_config

from bench import Measures
from bench.show.row_settings import typed
from bench.show.tables import build
from bench.store.stored import About, RunSummary

ORIGINS = {"training.epochs": "--set epochs=2", "training.patience": "default of gradient training"}


def summary(model: str, /, seed: int = 0, origins: dict[str, str] | None = None, **backbone: Any) -> RunSummary:
    config = run_config(model, seed)
    config["backbone"] = config["backbone"] | backbone
    about, measures = About(origins=origins or {}), Measures("top2@1", {"O-F1": 0.5})
    return RunSummary(Path(model), f"{model}{seed}{backbone}", config, "done", "", measures, 4, about=about)


def told(*runs: RunSummary) -> list[str]:
    return [note for note in build(runs).notes if "features" in note or "options" in note]


def test_a_table_says_which_options_of_a_row_were_typed() -> None:
    runs = [summary("bce", 0, ORIGINS), summary("bce", 1, ORIGINS), summary("warp", 0, ORIGINS), summary("svm")]
    assert told(*runs) == ["options that were set: epochs=2 (bce, warp)"]


def test_an_option_in_a_rows_name_is_not_told_again() -> None:
    run = summary("bce", 0, ORIGINS)
    longer = replace(run, key="longer", config=run.config | {"training": run.config["training"] | {"epochs": 20}})
    assert [row.label for row in build([run, longer]).rows] == ["bce (epochs=2)", "bce (epochs=20)"]
    assert told(run, longer) == []


def test_what_trials_chose_and_what_is_default_was_not_typed() -> None:
    assert typed(summary("bce", 0, ORIGINS | {"training.epochs": "chosen: trial 2 of 4"})) == []
    assert typed(summary("bce", 0, ORIGINS | {"dataset.name": "--set dataset.seed=1"})) == ["epochs=2"]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"name": "timm", "variant": "resnet18"}, "tiny (bce); timm/resnet18 (svm)"),
        ({"finetune": 5}, "tiny (backbone.finetune=1) (bce); tiny (backbone.finetune=5) (svm)"),
        ({"weights_hash": "eeee"}, "tiny (backbone.weights_hash=dddd) (bce); tiny (backbone.weights_hash=eeee) (svm)"),
        ({"name": "timm", "weights_hash": "eeee"}, "tiny (bce); timm (svm)"),
    ],
)
def test_methods_that_see_different_features_are_told_apart(other: dict[str, Any], expected: str) -> None:
    assert told(summary("bce"), summary("svm", 0, **other)) == [f"rows see different features: {expected}"]


def test_the_same_features_are_not_spoken_of_nor_what_a_method_is() -> None:
    assert told(summary("bce"), summary("svm")) == []
    assert told(summary("bce", engine="torch"), summary("csra", engine="onnx", options={"features": "map"})) == []
