"""Chosen thresholds as a table and in words."""

from dataclasses import replace

from bench.contracts.goals import parse_goals
from bench.evaluation.bootstrap import Interval
from bench.evaluation.thresholds import NEVER, Point
from bench.show.thresholds import grid, lines
from bench.store.goal_thresholds import LabelThreshold, Thresholds


def test_the_precision_of_nothing_has_no_interval_and_is_said_to_be_of_nothing():
    nothing, some = Point(NEVER, False, 0, 0, 5), Point(0.5, True, 2, 2, 5)
    interval = Interval(0.0, 0.0, 0.0)
    found = Thresholds(parse_goals("precision>=0.9"), "logit", 10, nothing, nothing, (), interval)
    assert grid(found)[1] == [["all labels", "", "-", "0.00", "-", "0.00"]]
    assert "no threshold gives precision>=0.9 on validation" in lines(found)[0]
    assert "nothing reaches its threshold" in lines(replace(found, validation=some))[0]
    assert "precision 0.00 [0.00, 0.00]" in lines(replace(found, validation=some, test=some))[0]


def test_a_label_of_which_test_images_tell_nothing_is_none_that_lost_its_goal_there():
    goals = parse_goals("recall>=0.7;per-label")
    some = Point(0.5, True, 10, 7, 10)
    of_test = {"cat": some, "dog": Point(0.5, True, 10, 6, 10), "owl": Point(0.5, True, 3, 0, 0)}
    labels = tuple(LabelThreshold(name, goals.common, True, 0.5, None, some, test) for name, test in of_test.items())
    told = lines(Thresholds(goals, "logit", 10, some, some, labels, None))
    reached = "labels whose goal was reached on validation: 3, of which on test too: 1"
    assert f"{reached}; undefined there: owl" in told
