import pytest

from bench.speed.spread import Spread, summarize


def test_percentiles_are_those_of_the_items():
    assert summarize([i / 100 for i in range(101)], per_item=True) == Spread(101, 0.25, 0.5, 0.75, 0.95, 0.99)


def test_turns_of_the_same_work_have_no_percentiles_of_items():
    spread = summarize([3.0, 1.0, 2.0])
    assert (spread.count, spread.median, spread.p95, spread.p99) == (3, 2.0, None, None)


def test_another_unit_scales_every_value_and_not_the_count():
    assert summarize([0.5] * 4, per_item=True).times(1e3) == Spread(4, 500.0, 500.0, 500.0, 500.0, 500.0)
    assert summarize([0.5] * 4).times(1e3).p95 is None


def test_the_slow_turns_are_the_low_rates():
    assert summarize([1.0, 2.0, 4.0]).per_second(6) == Spread(3, 2.0, 3.0, 4.0)


def test_no_measurements_have_no_spread():
    with pytest.raises(ValueError, match="no measurements"):
        summarize([])
