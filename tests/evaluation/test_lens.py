import json
import math
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest

from bench.cli import run_command_line
from bench.evaluation import protocols
from bench.evaluation.lens import sources, views
from bench.evaluation.measure import measure
from bench.evaluation.outcome import Outcome
from bench.records import Scores


def stored(truth, scores, predicted=None, *, ignore=None, kind="probability", protocol="top2@1"):
    truth, scores = np.array(truth, dtype=bool), np.array(scores, dtype=np.float32)
    chosen = scores >= 0.5 if predicted is None else np.array(predicted, dtype=bool)
    ids = tuple(map(str, range(len(truth))))
    ignored = None if ignore is None else np.array(ignore, dtype=bool)
    labels = tuple(f"label {number}" for number in range(truth.shape[1]))
    measured_by = protocols.get(protocol)
    return Outcome("a run", "", measured_by, labels, truth, ignored, chosen, Scores(ids, scores, kind), ignored)


def value(found, metric, words):
    (view,) = [view for view in found if view.metric == metric and words in view.definition]
    return view.value


def test_the_two_f1_of_the_torchmetrics_discussion():
    """Discussion 1665 of torchmetrics: the same truth and prediction give 0.5714 and 0.5556."""
    case = stored([[0, 1, 0], [1, 0, 1]], [[0, 0, 1], [1, 0, 1]])
    found = views(case)
    assert value(found, "C-F1", "harmonic mean") == pytest.approx(0.5714, abs=5e-5)
    assert value(found, "C-F1", "mean of the classes") == pytest.approx(0.5556, abs=5e-5)


def test_the_threshold_predicts_less_and_more_precisely():
    truth = [[1, 0, 0], [1, 1, 0]]
    found = views(stored(truth, [[0.9, 0.2, 0.1], [0.8, 0.7, 0.3]], truth))
    assert value(found, "O-P", "exactly the 2 best") == pytest.approx(3 / 4)
    assert value(found, "O-P", "above the threshold") == pytest.approx(1.0)
    margins = views(stored(truth, [[0.9, 0.2, 0.1], [0.8, 0.7, 0.3]], truth, kind="margin"))
    assert math.isnan(value(margins, "O-P", "above the threshold"))


def test_ml_gcns_denominator_and_empty_classes():
    found = views(stored([[1, 0, 1], [0, 1, 0]], np.zeros((2, 3)), [[1, 0, 0], [1, 0, 0]], protocol="top1@1"))
    assert value(found, "O-P", "as the run predicted") == pytest.approx(1 / 2)
    assert value(found, "O-P", "counts as one prediction") == pytest.approx(1 / 4)
    assert value(found, "C-P", "0/0 is zero for the 2 classes") == pytest.approx(0.5 / 3)
    assert value(found, "C-P", "0/0 is one for the 2 classes") == pytest.approx(2.5 / 3)


def test_difficult_pairs_left_out_or_negative():
    scores = [[0.9], [0.8], [0.7]]
    found = views(stored([[0], [1], [0]], scores, ignore=[[1], [0], [0]], protocol="top1@1"))
    assert value(found, "mAP", "the 1 difficult pairs are left out") == pytest.approx(1.0)
    assert value(found, "mAP", "the 1 difficult pairs are negatives") == pytest.approx(0.5)


def test_known_tags_are_no_difficult_pairs_and_count_under_no_definition():
    plain = stored([[1, 1, 0], [0, 0, 1]], [[0.9, 0.3, 0.2], [0.1, 0.2, 0.8]], protocol="top1@1")
    known = np.array([[True, False, False], [False, False, False]])
    case = replace(plain, truth=plain.truth & ~known, ignore=known, known=known, predicted=plain.predicted & ~known)
    found = views(case)
    assert value(found, "mAP", "the 0 difficult pairs are left out") == pytest.approx(1.0)
    assert value(found, "mAP", "the 0 difficult pairs are negatives") == pytest.approx(1.0)
    assert value(found, "O-P", "exactly the 1 best") == pytest.approx(1.0), "of what was not known"


def test_a_protocol_of_difficult_negatives_has_that_definition_as_its_own():
    negative = replace(protocols.get("top1@1"), name="negative@1", difficult="negative")
    case = stored([[0], [1], [0]], [[0.9], [0.8], [0.7]], ignore=[[1], [0], [0]])
    own = [
        view for view in views(replace(case, protocol=negative, ignore=None)) if view.own and "diff" in view.definition
    ]
    assert {view.metric: view.value for view in own} == dict.fromkeys(("C-F1", "O-F1", "mAP"), pytest.approx(0.5))
    assert all("the 1 difficult pairs are negatives" in view.definition for view in own)


def test_the_runs_own_definitions_are_its_stored_measures(stored_run):
    folder = stored_run()
    truth = folder.read_truth()
    protocol = protocols.get(folder.config["protocol"])
    case = folder.read_outcome()
    measures = measure(
        protocol, truth.labels, truth.truth, truth.ignore, folder.read_predicted(), folder.read_scores()
    ).values
    own = [view for view in views(case) if view.own]
    assert {view.metric for view in own} == {"C-F1", "O-P", "O-F1", "C-P", "mAP", "MAP@10"}
    for view in own:
        assert view.value == pytest.approx(measures[view.metric]), view


def test_the_command_prints_a_table_and_json(stored_run, capsys):
    folder = stored_run()
    assert run_command_line(["lens", str(folder.path)]) == 0
    printed = capsys.readouterr().out
    assert "mean of the classes' F1" in printed
    assert "ML-GCN" in printed
    assert "util.py:286" not in printed
    assert run_command_line(["lens", str(folder.path), "--sources"]) == 0
    assert "util.py:286-288" in capsys.readouterr().out
    assert run_command_line(["lens", str(folder.path), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["views"]) >= 15
    assert run_command_line(["lens", "ffff"]) == 2
    assert "no run 'ffff'" in capsys.readouterr().err


def test_a_class_without_a_positive_is_left_out_or_zero_as_scikit_learn_has_it():
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    truth, scores = [[1, 0], [0, 0], [1, 0]], [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]]
    found = views(stored(truth, scores, protocol="top1@1"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        macro = sklearn_metrics.average_precision_score(np.array(truth), np.array(scores), average="macro")
    assert value(found, "mAP", "the 1 classes without a positive are 0 and kept") == pytest.approx(macro)
    assert value(found, "mAP", "the 1 classes without a positive are left out") == pytest.approx(5 / 6)


def test_ties_lie_between_the_lowest_and_the_highest_that_a_sort_can_give():
    rng = np.random.default_rng(0)
    truth, scores = rng.random((40, 3)) < 0.3, rng.integers(0, 12, (40, 3)) / 16
    found = views(stored(truth, scores, protocol="top1@1"))

    def as_sorted(order):
        """The common code of ASL, ML-GCN and mmpretrain: precision at each positive of one fixed order."""
        per_class = []
        for column, ranked in zip(truth.T, scores.T, strict=True):
            hits = column[order][np.argsort(-ranked[order], kind="stable")]
            per_class.append((np.cumsum(hits) / np.arange(1, 41))[hits].mean())
        return per_class

    lowest, highest = (value(found, "mAP", f"as sorted, the {word}") for word in ("lowest", "highest"))
    shuffled = [np.mean(as_sorted(rng.permutation(40))) for _ in range(50)]
    assert lowest <= min(shuffled) < max(shuffled) <= highest
    assert (lowest, highest) == (
        pytest.approx(np.mean([as_sorted(np.argsort(column, kind="stable"))[n] for n, column in enumerate(truth.T)])),
        pytest.approx(np.mean([as_sorted(np.argsort(~column, kind="stable"))[n] for n, column in enumerate(truth.T)])),
    )


@pytest.mark.parametrize("positives", [7, 10, 20])
def test_eleven_points_in_doubles_are_those_of_the_plain_loop(positives):
    rng = np.random.default_rng(positives)
    truth = np.zeros((200, 1), dtype=bool)
    truth[rng.permutation(200)[:positives]] = True
    scores = truth * 0.251 + rng.permutation(200)[:, None] / 256
    ranked = truth[np.argsort(-scores[:, 0]), 0]
    recall, precision = np.cumsum(ranked) / positives, np.cumsum(ranked) / np.arange(1, 201)
    # py-faster-rcnn's voc_eval and its many copies.
    loop = sum(np.max(precision[recall >= t], initial=0.0) for t in np.arange(0.0, 1.1, 0.1)) / 11
    found = views(stored(truth, scores, protocol="voc2007@1"))
    assert value(found, "mAP", "k x 0.1 in doubles") == pytest.approx(loop)
    exact = next(v.value for v in found if v.definition == "11-point AP")
    assert (loop < exact) == (positives % 10 == 0)


def test_eleven_points_in_doubles_differ_by_rounding_alone_where_scores_tie():
    found = views(stored([[1], [0], [0], [1]], [[0.5], [0.5], [0.5], [0.5]], protocol="voc2007@1"))
    assert value(found, "mAP", "k x 0.1 in doubles") == value(found, "mAP", "enter together") == pytest.approx(0.5)


def test_all_labels_above_a_threshold_however_many():
    truth = [[1, 1, 0], [1, 0, 0]]
    scores = np.array([[0.9, 0.6, 0.55], [0.7, 0.2, 0.1]])
    found = views(stored(truth, scores, protocol="top1@1"))
    assert value(found, "O-F1", "above probability 0.5") == pytest.approx(2 * 3 / (4 + 3))
    assert value(found, "O-F1", "above probability 0.8") == pytest.approx(2 * 1 / (1 + 3))
    logits = views(stored(truth, np.log(scores / (1 - scores)), kind="logit", protocol="top1@1"))
    assert value(logits, "O-F1", "above probability 0.5") == pytest.approx(2 * 3 / (4 + 3))
    assert value(logits, "O-F1", "above probability 0.8") == pytest.approx(2 * 1 / (1 + 3))


def test_difficult_pairs_as_negatives_lower_the_overall_precision():
    case = stored([[1, 0], [1, 0]], [[0.9, 0.8], [0.9, 0.1]], [[1, 1], [1, 0]], ignore=[[0, 1], [0, 0]])
    found = views(case)
    assert value(found, "O-F1", "the 1 difficult pairs are left out") == pytest.approx(1.0)
    assert value(found, "O-F1", "the 1 difficult pairs are negatives") == pytest.approx(2 * 2 / (3 + 2))


def test_every_attribution_to_code_names_its_file_and_lines():
    users = [user for group in vars(sources).values() if isinstance(group, tuple) for user in group]
    assert len(users) > 25
    for user in users:
        assert re.search(r"(@[0-9a-f]{7,8}|\d\.\d+\.\d+) .*\.(py|m):\d+", user.place), user
