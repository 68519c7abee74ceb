import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from bench.cli import run_command_line
from bench.errors import DataError, NotRun
from bench.records import Scores
from bench.speed import memory
from bench.speed import metric_peers as peers
from bench.speed.metrics import ALL, TOLERANCE, compare, floors


@pytest.fixture(autouse=True)
def few_turns(monkeypatch):
    monkeypatch.setattr("bench.system.clock.SECONDS", 0.01)


@pytest.fixture(scope="module")
def case():
    return peers.generated(700, 12)


def methods(timings, part):
    return [timing.method for timing in timings if timing.part == part]


def test_scikit_learn_and_torchmetrics_find_the_same_values_of_every_class(case):
    timings, not_run = compare(case, 1, (1,))
    assert not_run == []
    assert methods(timings, peers.RANKING) == ["bench", "scikit-learn", "torchmetrics, 1 thread"]
    assert len(methods(timings, peers.COUNTS)) == 5
    assert all(timing.difference <= TOLERANCE for timing in timings)


def test_classes_without_a_positive_and_tied_scores_are_no_difference(case):
    truth, scores = case.truth.copy(), np.round(case.scores, 1)
    truth[:, 3] = False
    rare = replace(case, truth=truth, scores=scores, kept=truth.any(axis=0))
    timings, _ = compare(rare, 1, (1,))
    assert all(timing.difference <= TOLERANCE for timing in timings)


def test_a_wrong_value_of_one_class_is_a_difference(case, monkeypatch):
    def wrong():
        ways = peers.ours()

        def ranking(case):
            found = ways[peers.RANKING]["bench"](case)
            found["AP"][5] += 1e-5
            return found

        return {peers.COUNTS: ways[peers.COUNTS], peers.RANKING: {"bench": ranking}}

    monkeypatch.setattr("bench.speed.metrics.ours", wrong)
    timings, _ = compare(case, 1, (1,))
    worst = max(timing.difference for timing in timings if timing.method == "scikit-learn")
    assert worst == pytest.approx(1e-5, rel=0.01)


def test_a_library_is_judged_by_its_fastest_way(case):
    timings, _ = compare(case, 2, (1,))
    rows = {timing.method: timing for timing in timings if timing.part == ALL}
    assert rows["bench"].ratio == 1.0
    for name, row in rows.items():
        parts = [
            min(t.seconds.median for t in timings if t.part == part and t.method.startswith(name))
            for part in (peers.COUNTS, peers.RANKING)
        ]
        assert row.seconds.median == pytest.approx(sum(parts))
        assert row.ratio == pytest.approx(row.seconds.median / rows["bench"].seconds.median)
        assert row.seconds.q1 <= row.seconds.median <= row.seconds.q3


def test_the_least_possible_time_counts_reading_and_sorting(case):
    floor = floors(case)
    assert floor[ALL] == pytest.approx(floor[peers.COUNTS] + floor[peers.RANKING])
    assert 0 < floor["sorting"] < floor[peers.RANKING]


def test_a_stored_run_is_a_case_with_scores_from_0_to_1_in_the_same_order(stored_run):
    folder = stored_run()
    case = peers.from_run(folder)
    stored = folder.read_scores().values
    assert (case.scores.min() >= 0, case.scores.max() <= 1, case.scores.dtype) == (True, True, np.float32)
    np.testing.assert_array_equal(np.argsort(case.scores, axis=None), np.argsort(stored, axis=None))
    timings, _ = compare(case, 1, (1,))
    assert all(timing.difference <= TOLERANCE for timing in timings)


def test_one_label_or_no_true_one_are_one_clear_line(stored_run):
    with pytest.raises(DataError, match="generated: 1 labels, 5 true; allowed: at least 2 labels"):
        peers.generated(5, 1)
    folder = stored_run()
    folder.write_truth(replace(folder.read_truth(), truth=np.zeros((4, 3), dtype=np.bool_)))
    with pytest.raises(DataError, match="bce on toy: 3 labels, 0 true"):
        peers.from_run(folder)


def test_torchmetrics_that_is_not_installed_is_said_and_the_rest_is_measured(case, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics.functional", None)
    timings, not_run = compare(case, 1, (1,))
    assert not_run == ["torchmetrics is not installed. Try: pip install torchmetrics"]
    assert methods(timings, ALL) == ["bench", "scikit-learn"]


def test_a_stored_run_is_measured_in_a_process_of_its_own():
    found = memory.stored_run(3000, 20)
    assert 0 < found["allocated_mib"] < 50
    assert found["peak_rss_mib"] > found["scores_mib"] == pytest.approx(3000 * 20 * 4 / 2**20)
    assert found["measure_seconds"] > 0


def test_a_disk_without_room_is_said_before_anything_is_written(monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10**9})())
    with pytest.raises(NotRun, match=r"1,000,000 x 1,000 scores need 9 GB in .*, which has 1 GB free\. Try: .*TMPDIR"):
        memory.stored_run(1_000_000, 1000)


def test_the_command_prints_a_table_and_json(stored_run, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    command = ["speed-metrics", "--sizes", "300x5", "--rounds", "1"]
    assert run_command_line(command) == 0
    printed = capsys.readouterr().out
    assert "generated: 300 images, 5 labels" in printed
    assert "scikit-learn, one confusion matrix" in printed
    assert "times faster than the fastest other" in printed
    folder = stored_run()
    assert run_command_line(["speed-metrics", str(folder.path), "--rounds", "1", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [(case["name"], case["images"], case["labels"]) for case in record["cases"]] == [("bce on toy", 4, 3)]
    assert record["cases"][0]["floor_seconds"]["sorting"] > 0


def test_values_that_differ_are_exit_code_2(monkeypatch, capsys):
    monkeypatch.setattr("bench.speed.metrics.TOLERANCE", -1.0)
    assert run_command_line(["speed-metrics", "--sizes", "50x3", "--rounds", "1"]) == 2
    assert "generated: 50 images" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["x", "5", "0x3", "10x", "10x5;3x3"])
def test_a_size_that_is_none_is_one_clear_line(text, capsys):
    assert run_command_line(["speed-metrics", "--sizes", text]) == 2
    assert f"--sizes: found '{text}', allowed: images x labels" in capsys.readouterr().err


def test_scores_of_minus_infinity_are_a_probability_of_0(stored_run):
    folder = stored_run()
    values = folder.read_scores().values.copy()
    values[0] = -np.inf
    folder.write_scores(Scores(folder.read_truth().ids, values, "logit"))
    assert peers.from_run(folder).scores[0].tolist() == [0.0, 0.0, 0.0]
