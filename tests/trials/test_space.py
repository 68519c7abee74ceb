"""Points of a search space: the defaults first, spread evenly, the same for any budget, and all allowed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import Dimension, Option, UsageError, plugins
from bench.plan import check_space, options_of
from bench.trials.space import points

COST = Option("C", 1.0, "a cost", minimum=1e-6)
SIZE = Option("size", 64, "a size", minimum=1)
RATES = Option("learning_rates", "1e-3", "text that holds a number")
OPTIONS = {option.name: option for option in (COST, SIZE, RATES)}
DEFAULTS = {name: option.default for name, option in OPTIONS.items()}
C = Dimension("C", low=0.01, high=100.0, log=True)


def draw(space, count, seed=0):
    return points(space, OPTIONS, DEFAULTS, count, seed)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 5))
def test_the_defaults_come_first_and_fewer_points_are_the_first_of_more(few, more, seed):
    space = (C, Dimension("size", (32, 64, 128)), Dimension("learning_rates", low=1e-4, high=1e-2, log=True))
    drawn = draw(space, few + more, seed)
    assert drawn[0] == DEFAULTS
    assert draw(space, few, seed) == drawn[:few]
    assert len({tuple(point.values()) for point in drawn}) == few + more


def test_points_of_one_number_are_spread_as_evenly_as_a_grid():
    """Eight points but the default: no gap between neighbours is as wide as three steps of a grid of them."""
    places = sorted(math.log10(point["C"]) for point in draw((C,), 9)[1:])
    assert all(-2 <= place <= 2 for place in places)
    gaps = [later - earlier for earlier, later in zip([-2.0, *places], [*places, 2.0], strict=True)]
    assert max(gaps) < 3 * 4 / 8


def test_a_space_of_few_points_gives_each_once_and_then_ends():
    drawn = draw((Dimension("size", low=1, high=4),), 16)
    assert drawn[0] == {"size": 64}
    assert sorted(point["size"] for point in drawn[1:]) == [1, 2, 3, 4]


def test_without_a_space_there_is_one_point():
    assert draw((), 16) == [{}]


def test_values_have_their_options_type_and_can_be_typed():
    _, point = draw((Dimension("learning_rates", low=1e-4, high=1e-2, log=True), C), 2)
    assert isinstance(point["learning_rates"], str)
    assert float(point["learning_rates"]) == float(f"{float(point['learning_rates']):.3g}")
    assert Dimension("x", low=0.1, high=0.123456).at(0.9999999) <= 0.123456


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "either choices, or low and high"),
        ({"choices": (1, 2), "low": 1, "high": 2}, "either choices, or low and high"),
        ({"choices": (1, 1)}, "a choice stands twice"),
        ({"low": 2.0, "high": 1.0}, "found 2.0..1.0, allowed: low < high"),
        ({"low": 0.0, "high": 1.0, "log": True}, "allowed: 0 < low < high"),
        ({"low": 0.0}, "found 0.0..None"),
    ],
)
def test_a_dimension_of_nothing_is_refused(values, words):
    with pytest.raises(UsageError, match=words):
        Dimension("C", **values)


BEST_KNOWN = {
    "cnn-rnn": {"embedding": 256, "hidden": 128, "optimizer": "adam", "weight_decay": 1e-5},
    "svm": {"C": 1.0},
    "knn": {"neighbours": 15},
}
"""Options that were measured to be better than the defaults on Corel-5k."""


@pytest.mark.parametrize("name", BEST_KNOWN)
def test_the_first_party_spaces_hold_what_is_known_to_be_best(name):
    space = {one.name: one for one in plugins.installed().model(name).spec.space}
    for option, value in BEST_KNOWN[name].items():
        one = space[option]
        assert value in one.choices or (one.low is not None and one.low <= value <= one.high)


def test_every_first_party_model_has_a_space_or_says_why_it_is_exempt():
    for found in plugins.installed().all(plugins.MODELS).values():
        assert bool(found.spec.space) != bool(found.spec.exempt), found.spec.name
        assert found.spec.exemption == found.spec.exempt


def test_every_first_party_space_is_of_options_that_take_what_is_drawn():
    for found in plugins.installed().all(plugins.MODELS).values():
        check_space(found.spec)
        options = options_of(found.spec)
        drawn = points(found.spec.space, options, {name: one.default for name, one in options.items()}, 16, 0)
        assert len(drawn) == (16 if found.spec.space else 1)
