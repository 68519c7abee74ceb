"""``bench config``: a run's values with their origins, and what differs between two runs."""

import json
import re
from collections.abc import Callable

import pytest
from example_commands import bench

from bench.store.run_folder import RunFolder
from bench.store.stored import About

Capture = pytest.CaptureFixture[str]
StoredRun = Callable[..., RunFolder]

SEARCH = {"beam_width": 2, "min_length": -1, "max_length": 4}


def test_each_value_stands_beside_its_origin_within_80_columns(stored_run: StoredRun, capsys: Capture) -> None:
    folder = stored_run("cnn-rnn", protocol="nuswide81-top3@1", search=SEARCH)
    words = {"search.min_length": "protocol nuswide81-top3@1", "search.max_length": "--set max_length=4"}
    folder.write_about(About(origins=words | {"dataset.fingerprints.train": "computed from the images and labels"}))
    assert bench("config", folder.path) == 0
    path, *lines = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert path == str(folder.path)  # whole, so that it can be copied
    assert max(map(len, lines)) <= 80
    rows = [[cell.strip() for cell in re.split(r"\s{2,}", line.strip())] for line in lines]
    assert ["min_length", "3", "protocol nuswide81-top3@1"] in rows
    assert ["max_length", "4", "--set max_length=4"] in rows
    assert ["beam_width", "2", "not recorded"] in rows
    assert ["fingerprints.train", "aaaa", "computed from the images and labels"] in rows
    assert [row[0] for row in rows if row[1:] == ["value", "from"]][:1] == ["run"]


def test_what_a_user_typed_is_never_markup_and_never_moves_the_cursor(stored_run: StoredRun, capsys: Capture) -> None:
    folder = stored_run("bce", device="[bold]cpu[/bold]\x1b[2J")
    folder.write_about(About(origins={"device": "[red]x[/red]\x1b[2J"}))
    assert bench("config", folder.path) == 0
    shown = capsys.readouterr().out
    assert "[bold]cpu[/bold]\\u001b[2J" in shown
    assert "[red]x[/red]\\u001b[2J" in shown
    assert "\x1b[2J" not in shown


def test_two_runs_show_only_what_differs_each_with_its_origin(stored_run: StoredRun, capsys: Capture) -> None:
    one = stored_run("cnn-rnn", seed=0, search={"beam_width": 2}, training={"epochs": 3})
    other = stored_run("cnn-rnn", seed=0, search={"beam_width": 5, "stop": "all"}, training={"epochs": 3})
    other.write_about(About(origins={"search.beam_width": "--set beam_width=5", "search.stop": "--set stop=all"}))
    assert bench("config", one.key[:9], other.key[:9], "--runs", one.path.parents[2]) == 0
    printed = capsys.readouterr().out
    assert str(one.path) in printed
    assert str(other.path) in printed
    table = [line.split() for line in printed[printed.index("search") :].splitlines()]
    assert [line for line in table if len(set("".join(line))) > 1] == [
        ["search", "run", "value", "from"],
        ["beam_width", "1", "2", "not", "recorded"],
        ["2", "5", "--set", "beam_width=5"],
        ["stop", "1", "-", "no", "such", "value"],
        ["2", "all", "--set", "stop=all"],
    ]


def test_a_length_left_to_two_protocols_differs_in_force(stored_run: StoredRun, capsys: Capture) -> None:
    one, other = (stored_run("cnn-rnn", protocol=name, search=SEARCH) for name in ("coco-top3@1", "nuswide81-top3@1"))
    assert bench("config", one.path, other.path, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert [run["key"] for run in record["runs"]] == [one.key, other.key]
    # What a protocol asks of a sequence model's label sets follows from it.
    of_policy = {"policy.name", "policy.amount"}
    assert set(record["differences"]) == {"protocol", "search.min_length"} | of_policy
    assert [entry["in_force"] for entry in record["differences"]["search.min_length"]] == [0, 3]


def test_a_run_does_not_differ_from_itself(stored_run: StoredRun, capsys: Capture) -> None:
    folder = stored_run("bce")
    assert bench("config", folder.path, folder.path) == 0
    assert "no difference" in capsys.readouterr().out


def test_a_run_that_is_not_there_is_one_line_and_exit_code_two(stored_run: StoredRun, capsys: Capture) -> None:
    folder = stored_run("bce")
    assert bench("config", folder.key[:9], "zzz", "--runs", folder.path.parents[2]) == 2
    assert "no run 'zzz'" in capsys.readouterr().err


def test_a_failed_run_has_its_config_too(stored_run: StoredRun, capsys: Capture) -> None:
    folder = stored_run("bce")
    folder.fail("train", "the loss became NaN")
    assert bench("config", folder.path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["config"]["model.name"]["value"] == "bce"
