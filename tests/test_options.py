"""Options: typed by their default, checked once, and errors that say what to type."""

import pytest

from bench import Option, UsageError
from bench.errors import unknown
from bench.options import parse_assignments, resolve

WIDTH = Option("beam_width", 2, "paths kept", minimum=1, maximum=100)
RATE = Option("rate", 0.1, "learning rate", minimum=0.0)
CELL = Option("cell", "paper", "recurrent cell", choices=("paper", "gru"))
MASK = Option("mask", False, "forbid repeats")


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        (WIDTH, "5", 5),
        (WIDTH, " 5 ", 5),
        (RATE, "1e-3", 0.001),
        (CELL, "gru", "gru"),
        (MASK, "true", True),
        (MASK, "No", False),
        (MASK, "1", True),
    ],
)
def test_text_becomes_a_value_of_the_defaults_type(option: Option, text: str, value: object) -> None:
    converted = option.check(text)
    assert converted == value
    assert type(converted) is type(option.default)


@pytest.mark.parametrize(
    ("option", "text", "allowed"),
    [
        (WIDTH, "0", "a whole number >= 1 and <= 100"),
        (WIDTH, "101", "a whole number >= 1 and <= 100"),
        (WIDTH, "2.5", "a whole number >= 1 and <= 100"),
        (WIDTH, "", "a whole number >= 1 and <= 100"),
        (WIDTH, "1_0", "a whole number >= 1 and <= 100"),
        (RATE, "0_1", "a number >= 0"),
        (RATE, "-0.1", "a number >= 0"),
        (RATE, "nan", "a number >= 0"),
        (RATE, "inf", "a number >= 0"),
        (RATE, "fast", "a number >= 0"),
        (CELL, "lstm", "paper, gru"),
        (MASK, "maybe", "true or false"),
    ],
)
def test_a_wrong_value_is_one_line_with_found_allowed_and_what_to_type(option: Option, text: str, allowed: str) -> None:
    with pytest.raises(UsageError) as error:
        option.check(text)
    expected = f"option {option.name}: found '{text}', allowed: {allowed}. Try: --set {option.name}={option.default}"
    assert str(error.value) == expected


def test_what_is_not_given_takes_its_default() -> None:
    resolved = resolve([WIDTH, CELL], {"cell": "gru"}, "model 'cnn-rnn'")
    assert resolved == {"beam_width": 2, "cell": "gru"}


def test_an_unknown_option_names_its_owner_and_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r"no option of model 'cnn-rnn' 'beam_widht'; did you mean 'beam_width'\?"):
        resolve([WIDTH, CELL], {"beam_widht": 3}, "model 'cnn-rnn'")


def test_a_later_assignment_wins_and_a_value_may_hold_an_equals_sign() -> None:
    assert parse_assignments(["a=1", "b=x=y", "a=2"]) == {"a": "2", "b": "x=y"}


@pytest.mark.parametrize("text", ["cell", "=gru", " =gru", ""])
def test_an_assignment_without_a_name_or_sign_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--set: found .* allowed: NAME=VALUE"):
        parse_assignments([text])


def test_an_unknown_name_far_from_all_others_has_no_guess() -> None:
    assert str(unknown("model", "zzz", ["bce"], "See: bench list")) == "no model 'zzz'; allowed: bce. See: bench list"
    assert str(unknown("model", "zzz", [])) == "no model 'zzz'; allowed: none"
