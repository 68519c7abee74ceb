import numpy as np
import pytest
from example_commands import write_corel

from bench.cli import run_command_line
from bench.errors import DataError
from bench.evaluation import significance


def test_the_same_predictions_are_not_distinguishable(stored_run):
    rows = {"bce": [stored_run("bce")], "softmax": [stored_run("softmax"), stored_run("softmax", seed=1)]}
    outcomes = {row: [folder.read_outcome() for folder in folders] for row, folders in rows.items()}
    distributions = significance.distributions(outcomes, resamples=100)
    found = significance.differences(distributions)
    assert [(entry.metric, entry.first, entry.second) for entry in found] == [
        (metric, "bce", "softmax") for metric in ("O-F1", "C-F1", "mAP")
    ]
    assert all(entry.value == 0.0 and not entry.distinguishable for entry in found)
    assert significance.ties(distributions) == {("softmax", metric) for metric in distributions["bce"]}


def test_a_model_that_predicts_nothing_is_worse(stored_run):
    good, bad = stored_run("bce"), stored_run("empty")
    bad.write_predicted(np.zeros((4, 3), dtype=bool))
    outcomes = {"bce": [good.read_outcome()], "empty": [bad.read_outcome()]}
    distributions = significance.distributions(outcomes, resamples=100)
    (overall,) = significance.differences(distributions, metrics=("O-F1",))
    assert overall.value == pytest.approx(1.0)
    assert overall.distinguishable
    assert ("empty", "O-F1") not in significance.ties(distributions)


def test_runs_on_other_images_are_refused(stored_run):
    other = {"name": "toy", "fingerprints": {"train": "a", "validation": "b", "test": "other"}}
    runs = {"bce": stored_run("bce"), "softmax": stored_run("softmax", dataset=other)}
    outcomes = {row: [folder.read_outcome()] for row, folder in runs.items()}
    with pytest.raises(DataError, match="measured on other test images"):
        significance.distributions(outcomes)


def test_compare_prints_the_pairs(tmp_path, capsys):
    write_corel(tmp_path / "corel")
    command = ["compare", "--dataset", "corel5k", "--data-root", str(tmp_path / "corel"), "--protocol", "top2@1"]
    command += ["--backbone", "timm/mobilenetv2_035", "--set", "backbone.size=32", "--set", "backbone.init=random"]
    command += ["--models", "bce,knn", "--set", "epochs=2", "--cache", str(tmp_path / "cache")]
    assert run_command_line([*command, "--out", str(tmp_path / "runs"), "--significance"]) == 0
    printed = capsys.readouterr().out
    assert "bce - knn" in printed
    assert "95 %" in printed
