import json
import math

import numpy as np
import pytest

from bench.cli import run_command_line
from bench.evaluation import protocols
from bench.evaluation.lens import views
from bench.evaluation.measure import measure
from bench.evaluation.outcome import Outcome
from bench.records import Scores


def stored(truth, scores, predicted=None, ignore=None, kind="probability"):
    truth, scores = np.array(truth, dtype=bool), np.array(scores, dtype=np.float32)
    chosen = scores >= 0.5 if predicted is None else np.array(predicted, dtype=bool)
    ids = tuple(map(str, range(len(truth))))
    ignored = None if ignore is None else np.array(ignore, dtype=bool)
    labels = tuple(f"label {number}" for number in range(truth.shape[1]))
    return Outcome("a run", "", "top2@1", labels, truth, ignored, chosen, Scores(ids, scores, kind))


def value(found, metric, words):
    (view,) = [view for view in found if view.metric == metric and words in view.definition]
    return view.value


def test_the_two_f1_of_the_torchmetrics_discussion():
    """Discussion 1665 of torchmetrics: the same truth and prediction give 0.5714 and 0.5556."""
    case = stored([[0, 1, 0], [1, 0, 1]], [[0, 0, 1], [1, 0, 1]])
    found = views(case, protocols.get("top2@1"))
    assert value(found, "C-F1", "harmonic mean") == pytest.approx(0.5714, abs=5e-5)
    assert value(found, "C-F1", "mean of the classes") == pytest.approx(0.5556, abs=5e-5)


def test_the_threshold_predicts_less_and_more_precisely():
    truth = [[1, 0, 0], [1, 1, 0]]
    found = views(stored(truth, [[0.9, 0.2, 0.1], [0.8, 0.7, 0.3]], truth), protocols.get("top2@1"))
    assert value(found, "O-P", "exactly the 2 best") == pytest.approx(3 / 4)
    assert value(found, "O-P", "above the threshold") == pytest.approx(1.0)
    margins = views(stored(truth, [[0.9, 0.2, 0.1], [0.8, 0.7, 0.3]], truth, kind="margin"), protocols.get("top2@1"))
    assert math.isnan(value(margins, "O-P", "above the threshold"))


def test_ml_gcns_denominator_and_empty_classes():
    found = views(stored([[1, 0, 1], [0, 1, 0]], np.zeros((2, 3)), [[1, 0, 0], [1, 0, 0]]), protocols.get("top1@1"))
    assert value(found, "O-P", "as the run predicted") == pytest.approx(1 / 2)
    assert value(found, "O-P", "counts as one prediction") == pytest.approx(1 / 4)
    assert value(found, "C-P", "0/0 is zero for the 2 classes") == pytest.approx(0.5 / 3)
    assert value(found, "C-P", "0/0 is one for the 2 classes") == pytest.approx(2.5 / 3)


def test_difficult_pairs_left_out_or_negative():
    scores = [[0.9], [0.8], [0.7]]
    found = views(stored([[0], [1], [0]], scores, ignore=[[1], [0], [0]]), protocols.get("top1@1"))
    assert value(found, "mAP", "the 1 difficult pairs are left out") == pytest.approx(1.0)
    assert value(found, "mAP", "the 1 difficult pairs are negatives") == pytest.approx(0.5)


def test_the_runs_own_definitions_are_its_stored_measures(stored_run):
    folder = stored_run()
    truth = folder.read_truth()
    protocol = protocols.get(folder.config["protocol"])
    case = folder.read_outcome()
    measures = measure(
        protocol, truth.labels, truth.truth, truth.ignore, folder.read_predicted(), folder.read_scores()
    ).values
    own = [view for view in views(case, protocol) if view.own]
    assert {view.metric for view in own} == {"C-F1", "O-P", "O-F1", "C-P", "mAP", "MAP@10"}
    for view in own:
        assert view.value == pytest.approx(measures[view.metric]), view


def test_the_command_prints_a_table_and_json(stored_run, capsys):
    folder = stored_run()
    assert run_command_line(["lens", str(folder.path)]) == 0
    printed = capsys.readouterr().out
    assert "mean of the classes' F1" in printed
    assert "ML-GCN" in printed
    assert run_command_line(["lens", str(folder.path), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["views"]) >= 15
    assert run_command_line(["lens", "ffff"]) == 2
    assert "no run 'ffff'" in capsys.readouterr().err
