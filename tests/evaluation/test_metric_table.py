"""One record for each metric: what the record refuses, and that adding one is enough to see it everywhere."""

import dataclasses
import doctest
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_runs import make_honest

import bench
import bench.contracts.metrics
from bench import Evaluation, LabelSets, Metric, Scores, UsageError
from bench.cli import run_command_line
from bench.evaluation import bootstrap, metric_table, metrics, protocols, resample, significance
from bench.evaluation.measure import measure
from bench.show import tables, tracking
from bench.show.rendering import grid
from bench.store.run_folder import RunFolder
from bench.store.runs import find
from bench.store.validate import validate

Make = Callable[..., RunFolder]
Capture = pytest.CaptureFixture[str]
LABELS = ("a", "b", "c")
TRUTH = np.array([[1, 0, 1], [0, 1, 0]], dtype=np.bool_)
PREDICTED = np.array([[1, 1, 0], [0, 1, 0]], dtype=np.bool_)


def hamming_loss(evaluation: Evaluation) -> float:
    """The share of image-label pairs that are wrong."""
    counts = evaluation.class_counts
    wrong = counts.predicted + counts.positives - 2 * counts.true_positives
    return float(wrong.sum()) / math.prod(evaluation.truth.shape)


EXTRA = Metric(
    "hamming_loss",
    hamming_loss,
    "Share of image-label pairs that are wrong",
    direction="lower",
    digits=3,
    scale=1.0,
    column="Hamming",
    resampled=lambda some: 1.0 - some.overall.precision,  # no Hamming loss, but high where predictions are wrong
)


def scores() -> Scores:
    return Scores(("1", "2"), np.array([[0.9, 0.8, 0.1], [0.2, 0.7, 0.3]], dtype=np.float32), "probability")


def measured(**changes: Any) -> bench.Measures:
    return measure(protocols.get("top2@1"), LABELS, TRUTH, None, PREDICTED, scores(), **changes)


def add(monkeypatch: pytest.MonkeyPatch, *extra: Metric) -> None:
    """All that a new metric takes."""
    monkeypatch.setattr(metric_table, "METRICS", (*metric_table.METRICS, *extra))


def verdict(folder: RunFolder) -> Any:
    (found,) = validate(find(folder.path.parents[2]))
    return found


def test_a_metric_is_a_frozen_record_of_the_public_face() -> None:
    assert bench.Metric is type(metric_table.METRICS[0])
    with pytest.raises(dataclasses.FrozenInstanceError):
        EXTRA.name = "other"  # type: ignore[misc]
    assert doctest.testmod(bench.contracts.metrics).failed == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "name '', allowed: text without spaces"),
        ({"name": "two words"}, "name 'two words', allowed"),
        ({"name": "a,b"}, "name 'a,b', allowed"),
        ({"column": "a|b"}, r"column 'a\|b', allowed"),
        ({"meaning": " "}, "meaning ' ', allowed: text"),
        ({"meaning": "Share."}, "meaning 'Share.', allowed: text, no full stop"),
        ({"direction": "up"}, "direction 'up', allowed: higher, lower, none"),
        ({"digits": -1}, "digits -1, allowed: a whole number >= 0"),
        ({"digits": 1.5}, "digits 1.5, allowed"),
        ({"digits": True}, "digits True, allowed"),
        ({"scale": 0.0}, "scale 0.0, allowed: above 0"),
        ({"scale": math.nan}, "scale nan, allowed: above 0"),
        ({"function": 0.5}, "function and resampled must be callable"),
        ({"resampled": "mean"}, "function and resampled must be callable"),
    ],
)
def test_a_metric_refuses_what_could_not_be_shown(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(EXTRA, **changes)


def test_two_metrics_of_one_name_or_one_column_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        add(patch, dataclasses.replace(EXTRA, name="mAP"))
        with pytest.raises(UsageError, match="two metrics are called 'mAP'"):
            measured()
    add(monkeypatch, dataclasses.replace(EXTRA, column="C-P"))
    with pytest.raises(UsageError, match="metrics 'C-P' and 'hamming_loss' share the column 'C-P'"):
        measured()


def test_the_documentation_has_every_metric_and_no_other() -> None:
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    section = text.partition("## Metrics\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:2] == "| "]
    documented = {name: row for row in rows[2:] for name in row[0].split(", ")}
    assert set(documented) == set(metric_table.by_name())
    for name, metric in metric_table.by_name().items():
        better, column = documented[name][-2:]
        assert better == metric.direction
        assert (metric.column in column.split(", ")) if metric.column else column == ""
    assert all(f"`{name}`" in section for name in metric_table.PER_CLASS)


def test_what_several_metrics_need_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counting(name: str) -> Callable[..., Any]:
        original = getattr(metrics, name)
        return lambda *arguments: calls.append(name) or original(*arguments)  # type: ignore[func-returns-value]

    names = ("class_counts", "image_counts", "average_precisions", "map_at_k_image", "map_at_k_class")
    for name in names:
        monkeypatch.setattr(metrics, name, counting(name))
    measured()
    assert sorted(calls) == sorted(names)


@pytest.mark.parametrize(
    "shared",
    [
        lambda of: of.truth,
        lambda of: of.predicted,
        lambda of: of.scores.values,
        lambda of: of.class_counts.predicted,
        lambda of: of.image_counts.positives,
        lambda of: of.ap["non_interpolated"],
    ],
)
def test_a_metric_that_writes_on_what_metrics_share_fails(shared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def writing(evaluation: Evaluation) -> float:
        shared(evaluation)[0] = 1
        return 0.0

    add(monkeypatch, Metric("writing", writing, "Writes", direction="none"))
    truth = TRUTH.copy()
    with pytest.raises(Exception, match="read-only"):
        measure(protocols.get("top2@1"), LABELS, truth, None, PREDICTED, scores())
    assert truth.flags.writeable


def test_a_metric_of_the_order_of_labels_is_given_the_sequences(
    stored_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_label(evaluation: Evaluation) -> float:
        sets = evaluation.sequences
        return math.nan if sets is None else float(sets.sequences[:, 0].mean())

    add(monkeypatch, Metric("first_label", first_label, "Mean index of the first label", scale=1.0, direction="none"))
    emitted = np.array([[2, 0], [1, -1]], dtype=np.int32)
    sets = LabelSets(("1", "2"), emitted, np.zeros(2), np.ones(2, dtype=np.bool_))
    assert measured(sequences=sets).values["first_label"] == 1.5
    assert math.isnan(measured().values["first_label"])
    folder = stored_run()
    make_honest(folder)
    assert verdict(folder).faults == ()


def test_a_metric_added_to_the_table_is_measured_shown_explained_and_tracked(
    stored_run: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    add(monkeypatch, EXTRA)
    assert measured().values["hamming_loss"] == 2 / 6
    folder = stored_run()
    make_honest(folder)
    value = folder.read_measures().values["hamming_loss"]
    root = str(tmp_path / "runs")
    for name in ("Hamming", "hamming_loss"):
        assert run_command_line(["table", "--runs", root, "--columns", name, "--format", "markdown"]) == 0
        assert f"| bce | {value:.3f} | 1 |" in capsys.readouterr().out
    page = tmp_path / "report.html"
    assert (
        run_command_line(
            ["report", "--runs", root, "--out", str(page), "--resamples", "40", "--cache", str(tmp_path / "cache")]
        )
        == 0
    )
    text = page.read_text()
    assert "<dt>Hamming</dt><dd>Share of image-label pairs that are wrong.</dd>" in text
    assert 'title="Share of image-label pairs that are wrong"' in text
    assert f"Hamming {value:.4f}, mean of 1 seed; 95 % over test images: " in text
    assert value > 0
    assert tracking.tracked_run(folder.summary()).measures["hamming_loss"] == value
    assert "Hamming" in tracking.comparison([folder.summary()]).header
    assert verdict(folder) == dataclasses.replace(verdict(folder), faults=(), unmeasured=())


def test_a_metric_added_to_the_table_is_resampled(monkeypatch: pytest.MonkeyPatch) -> None:
    add(monkeypatch, EXTRA)
    found = bootstrap.distribution(TRUTH, PREDICTED, scores().values, resamples=20)
    np.testing.assert_allclose(found["hamming_loss"], 1.0 - found["O-P"], atol=1e-12)


def test_without_scores_no_ranking_is_resampled() -> None:
    weights = np.ones((1, 2), dtype=np.float32)
    found = bootstrap.measured(resample.prepare(TRUTH, PREDICTED, None)(weights))
    assert {name for name, metric in metric_table.by_name().items() if metric.resampled} - set(found) == {
        "mAP",
        "MAP@10_image",
    }


@pytest.mark.parametrize(("direction", "best"), [("higher", "bce"), ("lower", "warp"), ("none", "")])
def test_the_best_of_a_column_is_as_its_direction_says(
    direction: Any, best: str, stored_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(monkeypatch, dataclasses.replace(EXTRA, direction=direction))
    runs = [stored_run(name, values={"hamming_loss": value}) for name, value in (("bce", 0.3), ("warp", 0.2))]
    columns = tables.columns_named(["Hamming"])
    table = tables.build([run.summary() for run in runs], columns)
    assert "".join(row.label for row in table.rows if table.is_best(row, columns[0])) == best
    rng = np.random.default_rng(0)
    found = {name: {"hamming_loss": rng.random(50) + shift} for name, shift in (("bce", 0.01), ("warp", 0.0))}
    found = {
        name: {"hamming_loss": np.concatenate([[level], row["hamming_loss"]])}
        for (name, row), level in zip(found.items(), (0.51, 0.5), strict=True)
    }
    other = {"bce": "warp", "warp": "bce"}.get(best)
    assert significance.ties(found) == ({(other, "hamming_loss")} if other else set())


def test_a_run_older_than_a_metric_is_shown_as_not_measured_then(
    stored_run: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    old, older = stored_run(seed=0), stored_run(seed=1)
    add(monkeypatch, EXTRA)
    new = stored_run("warp")
    for folder in (old, new):
        make_honest(folder)
    older.write_measures(bench.Measures("top2@1", {"O-F1": 0.5}))
    columns = tables.columns_named(["O-F1", "Hamming"])
    table = tables.build([folder.summary() for folder in (old, older, new)], columns)
    assert table.rows[0].cells["Hamming"].n == 1
    assert table.rows[0].unmeasured == {"Hamming": (1,)}
    assert table.rows[1].unmeasured == {}
    assert "bce seed 1: not measured then, when the run was made: Hamming" in grid(table).remarks

    old.write_measures(bench.Measures("top2@1", {"O-F1": 0.5}))
    arguments = ["table", "--runs", str(tmp_path / "runs"), "--columns", "O-F1,Hamming", "--format"]
    assert run_command_line([*arguments, "markdown"]) == 0
    printed = capsys.readouterr().out
    assert "| bce | 50.0 ±0.0 | - | 2 |" in printed
    assert "* bce: not measured then, when the run was made: Hamming\n" in printed
    assert run_command_line([*arguments, "json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert [row["unmeasured"] for row in shown["rows"]] == [{"Hamming": [0, 1]}, {}]
    page = tmp_path / "report.html"
    assert run_command_line(["report", "--runs", str(tmp_path / "runs"), "--out", str(page), "--resamples", "0"]) == 0
    assert 'title="bce: not measured then">-' in page.read_text()


def test_an_undefined_value_was_measured(stored_run: Make) -> None:
    run = stored_run(values={"O-F1": 0.5, "mAP": math.nan})
    table = tables.build([run.summary()], tables.columns_named(["mAP", "I-F1"]))
    assert table.rows[0].unmeasured == {"I-F1": (0,)}


def test_a_run_older_than_a_metric_is_no_lie(
    stored_run: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    folder = stored_run()
    make_honest(folder)
    add(monkeypatch, EXTRA)
    monkeypatch.setitem(metric_table.PER_CLASS, "f1", lambda evaluation: evaluation.class_counts.positives)
    found = verdict(folder)
    assert (found.faults, found.unmeasured) == ((), ("hamming_loss", "the classes' f1"))
    assert run_command_line(["validate", str(tmp_path / "runs")]) == 0
    assert "as it claims (not measured then: hamming_loss, the classes' f1)" in capsys.readouterr().out


def test_a_wrong_value_of_a_metric_that_was_measured_is_a_lie(
    stored_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stored_run()
    add(monkeypatch, EXTRA)
    make_honest(folder)
    measures = folder.read_measures()
    truly = measures.values["hamming_loss"]
    folder.write_measures(dataclasses.replace(measures, values=measures.values | {"hamming_loss": 0.0}))
    assert verdict(folder).faults == (f"hamming_loss is stored as 0.0000, its predictions give {truly:.4f}",)


def test_a_stored_name_that_no_metric_has_is_a_lie(stored_run: Make) -> None:
    folder = stored_run()
    make_honest(folder)
    measures = folder.read_measures()
    values, rows = measures.values | {"hamming_loss": 0.0}, measures.per_class | {"f1": (0.0, 0.0, 0.0)}
    folder.write_measures(dataclasses.replace(measures, values=values, per_class=rows))
    assert verdict(folder).faults == (
        "hamming_loss is stored, and no metric of the protocol",
        "the classes' f1 are stored, and nothing that is measured of a class",
    )
