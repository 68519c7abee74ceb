"""Ignore masks on their way through a run: to the loss, to the score that selects, to the notes."""

import dataclasses

import numpy as np
import pytest
import torch
from example_commands import write_corel
from example_models import as_features, batch, make
from example_splits import make_split
from test_origins import assembled

from bench.contracts import SELECTING, TRAINING_OPTIONS
from bench.data.splits import to_train_on
from bench.errors import UsageError
from bench.evaluation import protocols
from bench.evaluation.measure import measure
from bench.model import train
from bench.model.predict import predict, validator
from bench.run_config import about, make_config


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_corel(tmp_path_factory.mktemp("ignored") / "corel")


def part(split):
    """The split with one pair in three ignored."""
    ignore = ~split.truth & (np.random.default_rng(3).random(split.truth.shape) < 1 / 3)
    return dataclasses.replace(split, ignore=ignore)


def test_the_three_ways_to_train_on_ignored_pairs():
    split = make_split([[1, 0], [0, 1]], ignore=np.array([[False, True], [False, False]]))
    positive = np.array([[True, True], [False, True]])
    for ignored, truth, mask in (
        ("leave_out", split.truth, split.ignore),
        ("negative", split.truth, None),
        ("positive", positive, None),
    ):
        found, left_out = to_train_on(split, ignored)
        np.testing.assert_array_equal(found, truth)
        assert left_out is mask
    empty = dataclasses.replace(split, ignore=np.zeros((2, 2), dtype=np.bool_))
    assert to_train_on(empty, "leave_out") == (empty.truth, None)


@pytest.mark.parametrize("select_by", SELECTING)
@pytest.mark.parametrize("difficult", ["ignore", "negative"])
def test_the_score_that_selects_is_the_reported_metric_on_the_validation_part(difficult, select_by):
    values, truth = batch(50)
    split = part(make_split(truth))
    model, features = make("bce").eval(), as_features(values)
    protocol = dataclasses.replace(protocols.get("top2@1"), difficult=difficult)
    prediction = predict(model, features, protocol, None)
    assert (prediction.predicted & split.ignore).any()
    reported = measure(protocol, split.labels, truth, split.ignore, prediction.predicted, prediction.scores)
    assert validator(split, features, protocol, None, select_by)(model) == pytest.approx(reported[select_by], abs=1e-15)
    unmasked = validator(dataclasses.replace(split, ignore=None), features, protocol, None, select_by)(model)
    assert (unmasked == pytest.approx(reported[select_by], abs=1e-15)) == (difficult == "negative")


class Unaware(torch.nn.Linear):
    """A model of before there was a mask."""

    score_kind = "logit"

    def loss(self, features, truth, generator):
        return torch.nn.functional.binary_cross_entropy_with_logits(self(features), truth.float())


def test_a_loss_without_a_mask_gets_ignored_pairs_as_negatives():
    values, truth = batch(30)
    ignore = ~truth & (np.random.default_rng(3).random(truth.shape) < 1 / 3)
    options = {option.name: option.default for option in TRAINING_OPTIONS} | {"epochs": 2}
    weights = []
    for mask in (None, ignore):
        torch.manual_seed(0)
        model = Unaware(6, 4)
        train.fit(model, options, as_features(values), truth, lambda _: 0.0, name="old", seed=0, ignore=mask)
        weights.append(train.save_weights(model))
    assert weights[0] == weights[1]
    assert train.trains_as_negatives(model, options)


@pytest.mark.parametrize("name", ["bce", "svm"])
def test_what_ignored_pairs_are_in_training_stands_in_the_config(root, name):
    run, other = assembled(root, name), assembled(root, name, sets=("ignored=positive",))
    assert make_config(run)["training"]["ignored"] == "leave_out"
    assert make_config(other)["training"]["ignored"] == "positive"
    assert about(run).origins["training.ignored"].startswith("default of")
    assert about(other).origins["training.ignored"] == "--set ignored=positive"


def test_the_notes_of_a_run_say_that_a_model_takes_ignored_pairs_as_negatives(root):
    run = assembled(root, "bce")
    run = dataclasses.replace(run, parts=dataclasses.replace(run.parts, fit=part(run.parts.fit)))
    assert about(run).notes == run.parts.dataset.notes
    spec = dataclasses.replace(run.plan.model.spec, build=lambda request: Unaware(6, 3))
    model = dataclasses.replace(run.plan.model, spec=spec)
    unaware = dataclasses.replace(run, plan=dataclasses.replace(run.plan, model=model))
    count = int(run.parts.fit.ignore.sum())
    assert about(unaware).notes[-1] == (
        f"model 'bce' takes no ignore mask: {count} ignored pairs of the training part count as negatives"
    )
    chosen = dataclasses.replace(unaware, plan=dataclasses.replace(unaware.plan, training={"ignored": "negative"}))
    assert about(chosen).notes == run.parts.dataset.notes


def test_the_metric_that_selects_stands_in_the_config_and_no_other_is_taken(root):
    assert make_config(assembled(root, "bce"))["training"]["select_by"] == "MAP@10"
    assert make_config(assembled(root, "bce", sets=("select_by=mAP",)))["training"]["select_by"] == "mAP"
    every = dataclasses.replace(assembled(root, "bce", sets=("select_by=O-F1",)), protocol=protocols.get("top99@1"))
    told = "--set select_by=O-F1; O-F1 is the same whatever is predicted, so mAP chose"
    assert (every.select_by, about(every).origins["training.select_by"]) == ("mAP", told)
    with pytest.raises(UsageError, match="select_by: found 'OF1', allowed: O-F1, C-F1, mAP, MAP@10"):
        assembled(root, "bce", sets=("select_by=OF1",))
    with pytest.raises(UsageError, match="no option of model 'svm' 'select_by'"):
        assembled(root, "svm", sets=("select_by=mAP",))


def test_an_undefined_score_selects_nothing():
    values, truth = batch(20)
    split = make_split(np.zeros_like(truth))
    for select_by in SELECTING:
        assert validator(split, as_features(values), protocols.get("top2@1"), None, select_by)(make("bce").eval()) == 0
