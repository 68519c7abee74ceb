"""Features in any unit: no row may be worth less since a dimension is measured in other numbers than the rest."""

import numpy as np
import pytest
import torch
from bench_models.inputs import CHUNK, mean_and_scale
from example_fits import fitted, scored
from example_models import make
from safetensors.torch import load, save
from sklearn.metrics import average_precision_score

from bench import Validation
from bench.model import train

LABELS = 4
UNITS = {
    "as they come": (1.0, 0.0),
    "units of their own": (np.float32(10.0) ** np.linspace(-6, 6, 8), 0.0),
    "tiny": (1e-9, 0.0),
    "one dimension is huge": (np.array([1] * 7 + [1e6]), 0.0),
    "far from zero": (1.0, 300.0),
}
TREES = [("svm", "C"), ("knn", "neighbours"), ("metric-learning", "neighbours")]


def draw(images, unit, seed):
    """Four dimensions that each tell of a label, and four that say nothing, the last of which may be huge."""
    rng = np.random.default_rng(seed)
    scale, offset = UNITS[unit]
    values = rng.normal(size=(images, 2 * LABELS))
    truth = values[:, :LABELS] + 0.3 * rng.normal(size=(images, LABELS)) > 0.8
    return (values * scale + offset).astype(np.float32), truth


def precision(name, unit, **options):
    model = make(name, dimensions=2 * LABELS, counts=(1,) * LABELS, **options)
    fitted(model, *draw(300, unit, 0), draw(150, unit, 1))
    values, truth = draw(300, unit, 2)
    return average_precision_score(truth.ravel(), scored(model, values).ravel()), model


@pytest.mark.parametrize("name", ["svm", "knn", "metric-learning", "logistic"])
def test_a_row_is_worth_as_much_in_any_unit(name):
    plain = precision(name, "as they come")[0]
    assert {unit: round(precision(name, unit)[0], 2) for unit in UNITS if precision(name, unit)[0] < plain - 0.03} == {}


@pytest.mark.parametrize(("name", "option"), TREES)
def test_the_form_is_what_is_best_on_validation_and_told_unless_it_is_given(name, option):
    huge = "one dimension is huge"
    best, model = precision(name, huge)
    assert (model.chosen["normalize"], set(model.chosen)) == ("standard", {option, "normalize"})
    as_is, given = precision(name, huge, normalize="l2")
    assert set(given.chosen) == {option}
    assert as_is < best - 0.1
    both = {"normalize": "standard", option: str(model.chosen[option])}
    again, given = precision(name, huge, **both)
    assert (given.chosen, given.chooses) == ({}, False)
    assert again == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize(("name", "option"), TREES)
def test_the_form_alone_is_chosen_where_the_rest_is_given(name, option):
    units = ("as they come", "one dimension is huge", "units of their own")
    found = [precision(name, unit, **{option: "3"})[1] for unit in units]
    assert all(model.chooses and set(model.chosen) == {"normalize"} for model in found)
    for unit, model in zip(units, found, strict=True):
        given = precision(name, unit, **{option: "3", "normalize": model.chosen["normalize"]})[1]
        values = draw(50, unit, 3)[0]
        np.testing.assert_allclose(scored(model, values), scored(given, values), atol=1e-3)


@pytest.mark.parametrize("name", ["svm", "knn"])
def test_pairs_that_are_ignored_say_nothing_while_the_form_is_chosen(name):
    values, truth = draw(100, "as they come", 0)
    held = Validation(*draw(50, "as they come", 1), None, lambda one: 0.0)
    ignore = np.random.default_rng(0).random(truth.shape) < 0.4
    found = []
    for told in (truth, truth ^ ignore):
        model = make(name, dimensions=2 * LABELS, counts=(1,) * LABELS)
        model.fit(values, told, ignore, held)
        found.append((model.chosen, scored(model.eval(), values).tolist()))
    assert found[0] == found[1]


@pytest.mark.parametrize(("name", "option"), TREES)
def test_without_a_validation_part_features_have_unit_length_as_they_are(name, option):
    values, truth = draw(60, "far from zero", 0)
    models = [make(name, dimensions=8, counts=(1,) * LABELS, normalize=form) for form in ("auto", "l2")]
    one, other = (scored(fitted(model, values, truth), values) for model in models)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("unit", UNITS)
def test_standardised_is_the_same_in_any_unit(unit):
    values = draw(500, unit, 0)[0]
    mean, scale = mean_and_scale(values, CHUNK)
    normal = (values - mean.numpy()) * scale.numpy()
    np.testing.assert_allclose(normal.std(axis=0), 1.0, rtol=1e-3)


def test_a_dimension_that_is_nearly_constant_is_not_blown_up():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5000, 4)).astype(np.float32)
    values[:, 1] = 7.0
    values[:, 2] = 7.0 + 1e-6 * values[:, 2]
    values[:, 3] = 0.0
    values[7, 3] = 0.05
    scale = mean_and_scale(values, 640)[1].numpy()
    assert (scale[1:] <= 1 / (0.1 * values.std(axis=0).mean()) * 1.001).all()


def test_a_dimension_below_what_single_precision_divides_by_is_finite():
    values = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    values[:, 2] *= np.float32(1e-39)
    scale = mean_and_scale(values, CHUNK)[1].float()
    assert scale.isfinite().all()
    assert abs(values[:, 2] * scale[2].numpy()).max() < 1e-30


@pytest.mark.parametrize("unit", [1.0, 1e-8])
def test_a_value_that_one_image_has_says_little_of_how_large_it_will_be(unit):
    values = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    values[:, 3] = 0.0
    values[7, 3] = 1e-3
    mean, scale = (part.numpy() for part in mean_and_scale(values * np.float32(unit), CHUNK))
    assert (0.5 * unit - mean[3]) * scale[3] == pytest.approx(6.9, abs=0.1)


def test_maps_are_measured_over_their_places():
    maps = np.random.default_rng(0).normal(size=(9, 3, 2, 5)).astype(np.float32)
    flat = maps.transpose(0, 2, 3, 1).reshape(-1, 3)
    for one, other in zip(mean_and_scale(maps, 4), mean_and_scale(flat, 4), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("name", "since"), [("svm", ("input.mean", "input.scale")), ("joint-embedding", ("layers.labels.bias",))]
)
def test_weights_of_before_are_read_as_they_were(name, since):
    values, truth = draw(60, "as they come", 0)
    model, older = (make(name, dimensions=8, counts=(1,) * LABELS) for _ in range(2))
    model.fit(values, truth)
    content = load(train.save_weights(model))
    assert set(since) <= set(content)
    train.load_weights(older, save({key: part for key, part in content.items() if key not in since}))
    state = older.state_dict()
    assert all(torch.equal(state[key], torch.full_like(state[key], float("scale" in key))) for key in since)
