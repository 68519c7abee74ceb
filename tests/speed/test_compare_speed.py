"""Comparing two commits: what is called slower, and what is not."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

TOOL = Path(__file__).parents[2] / "benchmarks" / "compare_speed.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("compare_speed", TOOL)
    module = sys.modules["compare_speed"] = importlib.util.module_from_spec(
        spec
    )  # where its records look themselves up
    spec.loader.exec_module(module)
    return module


def rounds(seed, factor=1.0, names=20, count=12):
    """Seconds of some benchmarks, scattered by a tenth."""
    rng = np.random.default_rng(seed)
    return {f"test_{name}": list(factor * (1 + 0.1 * rng.random(count))) for name in range(names)}


def test_of_the_same_code_nothing_is_said(tool):
    """Of 60 comparisons of 20 benchmarks at most a twentieth may say anything; 9 or more would happen once in 300."""
    said = [tool.verdicts(rounds(seed), rounds(seed + 1000), least=0.0) for seed in range(60)]
    assert sum(any(one.said for one in found) for found in said) < 9


def test_the_one_that_is_slower_is_found_and_stands_first(tool):
    new = rounds(1)
    new["test_3"] = [1.3 * value for value in new["test_3"]]
    new["test_4"] = [value / 1.3 for value in new["test_4"]]
    found = tool.verdicts(rounds(0), new)
    assert [(one.name, one.said) for one in found if one.said] == [("test_3", "slower"), ("test_4", "faster")]
    assert found[0].name == "test_3"
    assert found[0].ratio == pytest.approx(1.3, abs=0.1)


def test_other_work_on_the_machine_that_slows_some_rounds_hides_nothing(tool):
    busy = [1.0, 1.0, 4.0, 1.5, 1.0, 3.0, 3.0, 1.0, 2.0, 1.0, 1.0, 6.0]
    old = {name: [a * b for a, b in zip(each, busy, strict=True)] for name, each in rounds(0).items()}
    new = {name: [a * b for a, b in zip(each, busy, strict=True)] for name, each in rounds(1).items()}
    assert not any(one.said for one in tool.verdicts(old, new))
    new["test_3"] = [1.3 * value for value in new["test_3"]]
    assert [one.name for one in tool.verdicts(old, new) if one.said == "slower"] == ["test_3"]


def test_a_difference_too_small_to_matter_is_not_told_however_sure_it_is(tool):
    old, new = {"test": [1 + 1e-4 * n for n in range(8)]}, {"test": [1.01 + 1e-4 * n for n in range(8)]}
    assert tool.verdicts(old, new)[0].said == ""
    assert tool.verdicts(old, new, least=0.005)[0].said == "slower"


def test_the_more_benchmarks_the_surer_one_must_be(tool):
    old, new = rounds(0, names=50, count=6), rounds(1, names=50, count=6)
    new["test_0"] = [2 * value for value in new["test_0"]]
    assert tool.verdicts(old, new)[0].said == "", "six rounds that agree: p is 2 / 2**6, times 50"
    assert not tool.enough(6, 50)
    assert tool.verdicts({"test_0": old["test_0"]}, {"test_0": new["test_0"]})[0].said == "slower"
    assert tool.enough(6, 1)
    assert not tool.enough(5, 1)


def test_benchmarks_of_one_side_are_not_compared(tool):
    assert [one.name for one in tool.verdicts({"a": [1.0] * 8, "b": [1.0] * 8}, {"b": [1.0] * 8, "c": [1.0] * 8})] == [
        "b"
    ]


def test_the_exit_status_and_the_stored_rounds_say_what_was_found(tool, tmp_path, monkeypatch, capsys):
    for factor, status, word in ((1.0, 0, "0 slower"), (1.5, 1, "20 slower"), (0.5, 0, "20 faster")):
        monkeypatch.setattr(tool, "compare", lambda *_, factor=factor: (rounds(0), rounds(1, factor)))
        assert tool.main(["OLD", "NEW", "--json", str(tmp_path / "rounds.json")]) == status
        assert word in capsys.readouterr().out
    stored = json.loads((tmp_path / "rounds.json").read_text())
    assert len(stored["seconds"]["old"]["test_0"]) == 12
    assert len(stored["verdicts"]) == 20


def test_what_stands_behind_two_dashes_goes_to_pytest(tool):
    assert tool.split(["OLD", "NEW"]) == (["OLD", "NEW"], ["tests/benchmarks"])
    assert tool.split(["OLD", "NEW", "--", "-k", "bench"]) == (["OLD", "NEW"], ["tests/benchmarks", "-k", "bench"])
    assert tool.split(["OLD", "NEW", "--", "tests/a.py"])[1] == ["tests/a.py"]


def test_what_cannot_be_compared_is_one_line_and_status_2(tool, capsys):
    assert tool.main(["no-such-commit", "HEAD"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert printed.count("\n") == 1
