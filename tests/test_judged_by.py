"""What training and trials are judged by says something of every data set: of one label, of as many as are given."""

from types import SimpleNamespace

import pytest

from bench.assembly import Assembly
from bench.evaluation import protocols
from bench.plan import make_plan
from bench.plugins import installed
from bench.records import RunRequest


def of_labels(count, model="joint-embedding", k=2, **asked):
    parts = SimpleNamespace(fit=SimpleNamespace(labels=tuple("abcdef"[:count])))
    plan = make_plan(RunRequest(model, "digit-scenes", **asked), installed())
    return Assembly(plan, parts, None, protocols.get(f"top{k}@1"))


@pytest.mark.parametrize(
    ("labels", "model", "k", "asked", "expected"),
    [
        (3, "bce", 2, "O-F1", "O-F1"),
        (2, "bce", 2, "O-F1", "mAP"),
        (2, "cnn-rnn", 2, "O-F1", "O-F1"),
        (2, "bce", 2, "MAP@10", "MAP@10"),
        (1, "bce", 1, "MAP@10", "mAP"),
        (1, "cnn-rnn", 1, "O-F1", "O-F1"),
    ],
)
def test_a_metric_that_is_the_same_of_every_model_chooses_nothing(labels, model, k, asked, expected):
    assert of_labels(labels, model, k, sets=(f"select_by={asked}",)).select_by == expected


def test_trials_are_judged_by_label_sets_where_a_policy_is_fitted_and_else_by_what_says_something():
    assert of_labels(2).judged_by == "mAP"
    assert of_labels(3).judged_by == "O-F1"
    fitted = of_labels(2, policy="threshold")
    assert (fitted.judged_by, fitted.judged_by_policy) == ("O-F1", True)
    asked = of_labels(3, sets=("select_by=mAP",))
    assert (asked.select_by, asked.judged_by) == ("mAP", "mAP")
