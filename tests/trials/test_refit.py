"""The last training: train and validation part together, wherever the validation part comes from, and unjudged."""

import dataclasses

import numpy as np
import pytest
from example_models import as_features, batch, make
from example_splits import make_backbone, make_split, random_truth

from bench import Dataset
from bench.contracts import TRAINING_OPTIONS
from bench.data.splits import with_validation
from bench.model import features, train
from bench.options import resolve
from bench.records import Parts


def parts_with_own_validation():
    """Three splits of a data set that has a validation split, of which one has an ignore mask."""
    splits = [make_split(random_truth(images, seed=seed), name, seed) for seed, (name, images) in enumerate(SIZES)]
    held_out = dataclasses.replace(splits[1], ignore=~splits[1].truth)
    dataset = Dataset("toy", "", splits[0], splits[2], "top2@1", held_out)
    return Parts(dataset, splits[0], held_out, {name: name for name, _ in SIZES})


SIZES = (("train", 12), ("validation", 7), ("test", 5))


def test_a_validation_split_of_its_own_stands_behind_train_with_its_features_and_masks(tmp_path):
    parts = parts_with_own_validation()
    whole = with_validation(parts)
    assert whole.fit.ids == (*parts.train.ids, *parts.validation.ids)
    np.testing.assert_array_equal(whole.fit.truth, np.concatenate([parts.train.truth, parts.validation.truth]))
    assert not whole.fit.ignore[:12].any()
    np.testing.assert_array_equal(whole.fit.ignore[12:], parts.validation.ignore)
    for index, (split, row) in {3: (parts.train, 3), 14: (parts.validation, 2)}.items():
        np.testing.assert_array_equal(whole.fit.images.read(index), split.images.read(row))
    found, before = (features.of_parts(one, make_backbone(), tmp_path) for one in (whole, parts))
    assert found.fit.ids == whole.fit.ids
    np.testing.assert_array_equal(found.fit.values, np.concatenate([before.fit.values, before.validation.values]))
    assert found.fit.key not in {before.fit.key, before.validation.key}
    assert before.fit.ids == parts.train.ids


def test_a_schedule_is_followed_to_its_end_and_nothing_is_judged():
    values, truth = batch(40)
    options = resolve(TRAINING_OPTIONS, {"epochs": 2, "patience": 1, "halve_after": 1}, "test")
    rates = (1e-2, 1e-2, 5e-3, 5e-3, 2.5e-3)
    record = train.fit(
        make("bce"), options, as_features(values), truth, train.unjudged, name="bce", seed=0, schedule=rates
    )
    assert [entry.rate for entry in record.history] == list(rates)
    assert (record.best_epoch, record.learning_rate) == (5, 1e-2)
    assert {entry["score"] for entry in record.to_json()["history"]} == {None}


def test_a_schedule_gives_the_weights_of_the_training_that_it_was_taken_from():
    """Up to its best epoch a judged training does what its rates say, so following them ends in the same weights."""
    values, truth = batch(40)
    scores = iter([0.1, 0.3, 0.2, 0.2, 0.5, 0.4, 0.4])
    options = resolve(
        TRAINING_OPTIONS, {"epochs": 7, "halve_after": 2, "learning_rates": "1e-2", "batch_size": 1}, "test"
    )
    judged, followed = make("bce"), make("bce")
    record = train.fit(judged, options, as_features(values), truth, lambda _: next(scores), name="bce", seed=3)
    rates = [entry.rate for entry in record.history[: record.best_epoch]]
    assert rates == [1e-2] * 4 + [5e-3]
    train.fit(followed, options, as_features(values), truth, train.unjudged, name="bce", seed=3, schedule=rates)
    assert train.save_weights(judged) == train.save_weights(followed)


def test_judging_a_training_that_has_no_validation_part_is_an_error():
    values, truth = batch(20)
    with pytest.raises(AssertionError, match="was judged"):
        train.fit(
            make("bce"),
            resolve(TRAINING_OPTIONS, {"epochs": 1}, "test"),
            as_features(values),
            truth,
            train.unjudged,
            name="bce",
            seed=0,
        )
