"""Chosen thresholds as a table and in words."""

from dataclasses import replace

from bench.contracts.goals import parse_goals
from bench.evaluation.bootstrap import Interval
from bench.evaluation.thresholds import NEVER, Point
from bench.show.thresholds import grid, lines
from bench.store.goal_thresholds import Thresholds


def test_the_precision_of_nothing_has_no_interval_and_is_said_to_be_of_nothing():
    nothing, some = Point(NEVER, False, 0, 0, 5), Point(0.5, True, 2, 2, 5)
    interval = Interval(0.0, 0.0, 0.0)
    found = Thresholds(parse_goals("precision>=0.9"), "logit", 10, nothing, nothing, (), interval)
    assert grid(found)[1] == [["all labels", "", "-", "0.00", "-", "0.00"]]
    assert "no threshold gives precision>=0.9 on validation" in lines(found)[0]
    assert "nothing reaches its threshold" in lines(replace(found, validation=some))[0]
    assert "precision 0.00 [0.00, 0.00]" in lines(replace(found, validation=some, test=some))[0]
