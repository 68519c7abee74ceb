import numpy as np
import pytest
from example_commands import write_corel

from bench.cli import run_command_line
from bench.errors import DataError
from bench.evaluation import bootstrap, rare_classes, significance


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


def test_resamples_without_any_label_leave_an_interval_of_the_others():
    """One label on four of twelve images: of a thousand resamples some have none, and no mAP."""
    truth = np.arange(12)[:, None] < 4
    better = np.linspace(1, 0, 12, dtype=np.float32)[:, None]
    worse = better[::-1]
    found = {
        name: bootstrap.distribution(truth, np.ones_like(truth), scores)
        for name, scores in (("better", better), ("alike", better), ("worse", worse))
    }
    assert np.isnan(found["worse"]["mAP"]).any()
    one, two, _ = significance.differences(found, ["mAP"])
    assert (one.low, one.high, one.distinguishable) == (0, 0, False)
    assert 0 < two.low < two.high
    assert two.distinguishable
    interval = bootstrap.interval(found["worse"]["mAP"])
    assert interval.low < interval.value < interval.high
    assert ("alike", "mAP") in significance.ties(found)
    right = bootstrap.distribution(truth, truth, better)
    for metric in ("O-P", "O-F1", "C-F1", "I-F1"):
        interval = bootstrap.interval(right[metric])
        assert (interval.low, interval.value, interval.high) == (1, 1, 1), metric
    wide = rare_classes.widen(np.array([0.5, 0.4, np.nan, 0.6]), 0.03)
    assert np.nanvar(wide[1:]) == pytest.approx(0.01 + 0.03)


def test_a_metric_that_no_image_defines_has_no_best_row_and_no_difference():
    undefined, half = np.full(9, np.nan), np.full(9, 0.5)
    assert significance.differences({"a": {"mAP": undefined}, "b": {"mAP": undefined}}, ["mAP"]) == []
    found = {"a": {"mAP": undefined}, "b": {"mAP": half}, "c": {"mAP": half}}
    assert significance.ties(found) == {("c", "mAP")}
    assert not significance.Difference("mAP", "b", "c", 0.1, np.nan, np.nan, 8).distinguishable


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
