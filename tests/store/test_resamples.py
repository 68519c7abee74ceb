from dataclasses import replace

import numpy as np
import pytest

from bench.contracts import Protocol
from bench.evaluation import metric_table, protocols, significance
from bench.store import resamples
from bench.store.measured import measured
from bench.store.resamples import kept_in
from bench.system.sealed_files import write_sealed


@pytest.fixture
def drawn(monkeypatch):
    """The names of the runs that were drawn, in order."""
    names, draw = [], significance.draw

    def noted(outcome, count):
        names.append(outcome.name)
        return draw(outcome, count)

    monkeypatch.setattr(significance, "draw", noted)
    return names


def assert_equal(one, other):
    assert one.unseen == other.unseen
    assert one.values.keys() == other.values.keys()
    for name, values in one.values.items():
        np.testing.assert_array_equal(values, other.values[name])


def files(folder):
    return sorted((folder / "resamples").glob("*.npz"))


def test_what_was_drawn_once_is_read_to_the_bit(stored_run, tmp_path, drawn):
    outcome = stored_run("bce").read_outcome()
    first, again = (kept_in(tmp_path)(outcome, 90) for _ in range(2))
    assert drawn == [outcome.name]
    assert_equal(first, again)


def test_fewer_resamples_are_the_first_of_more_and_more_are_drawn(stored_run, tmp_path, drawn):
    outcome = stored_run("bce").read_outcome()
    kept_in(tmp_path)(outcome, 150)
    fewer, alone = kept_in(tmp_path)(outcome, 70), significance.draw(outcome, 70)
    assert len(drawn) == 2
    for name, values in alone.distribution(70).items():
        np.testing.assert_array_equal(fewer.distribution(70)[name], values)
    assert len(kept_in(tmp_path)(outcome, 200).values["O-F1"]) == 201
    assert len(drawn) == 3


def test_other_choices_under_a_protocols_name_are_drawn_anew(stored_run, tmp_path, drawn):
    outcome = stored_run("bce").read_outcome()
    edited = replace(outcome, protocol=replace(outcome.protocol, f1="mean_of_f1"))
    for one in (outcome, edited, outcome):
        kept_in(tmp_path)(one, 20)
    assert len(drawn) == 2


@pytest.mark.parametrize("difficult", ["ignore", "negative"])
def test_what_is_drawn_begins_with_what_the_runs_protocol_measures(stored_run, monkeypatch, difficult):
    protocol = Protocol(name="strict@1", summary="strict", k=2, difficult=difficult, f1="mean_of_f1")
    monkeypatch.setitem(protocols.REGISTERED, "strict@1", protocol)
    folder = stored_run("bce", protocol="strict@1")
    folder.write_predicted(np.ones((4, 3), dtype=np.bool_))  # the ignored pair, too
    masks, scores = folder.read_masks(), folder.read_scores()
    expected = measured(protocol, masks, masks.predicted, scores, None).values
    found = significance.draw(folder.read_outcome(), 1).values
    assert expected["O-P"] == 6 / (11 if difficult == "ignore" else 12)
    assert {name: values[0] for name, values in found.items()} == pytest.approx(
        {name: expected[name] for name in found}
    )


@pytest.mark.parametrize("place", [0, 30, 200, -1])
def test_a_damaged_file_is_drawn_anew(stored_run, tmp_path, drawn, place):
    outcome = stored_run("bce").read_outcome()
    first = kept_in(tmp_path)(outcome, 20)
    (file,) = files(tmp_path)
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    assert_equal(kept_in(tmp_path)(outcome, 20), first)
    assert len(drawn) == 2


def test_resamples_of_another_run_are_not_believed_under_this_ones_name(stored_run, tmp_path, drawn):
    own, other = stored_run("bce"), stored_run("softmax")
    other.write_predicted(~other.read_predicted())
    expected = kept_in(tmp_path)(own.read_outcome(), 20)
    (place,) = files(tmp_path)
    kept_in(tmp_path)(other.read_outcome(), 20)
    (foreign,) = set(files(tmp_path)) - {place}
    place.write_bytes(foreign.read_bytes())
    assert_equal(kept_in(tmp_path)(own.read_outcome(), 20), expected)
    write_sealed(place, "another key", foreign.read_bytes()[-100:])
    assert_equal(kept_in(tmp_path)(own.read_outcome(), 20), expected)
    assert len(drawn) == 4


def test_an_edited_run_is_drawn_anew(stored_run, tmp_path, drawn):
    folder = stored_run("bce")
    perfect = kept_in(tmp_path)(folder.read_outcome(), 20)
    folder.write_predicted(~folder.read_truth().truth)
    wrong = kept_in(tmp_path)(folder.read_outcome(), 20)
    assert len(drawn) == 2
    assert (perfect.values["O-F1"][0], wrong.values["O-F1"][0]) == (1.0, 0.0)


def test_other_code_or_other_metrics_are_drawn_anew(stored_run, tmp_path, drawn, monkeypatch):
    outcome = stored_run("bce").read_outcome()
    kept_in(tmp_path)(outcome, 20)
    monkeypatch.setattr(metric_table, "METRICS", metric_table.METRICS[:-2])
    kept_in(tmp_path)(outcome, 20)
    assert len(drawn) == 1, "mAP_11_point and labels_per_image are not resampled"
    monkeypatch.setattr(metric_table, "METRICS", metric_table.METRICS[1:])
    assert "C-P" not in kept_in(tmp_path)(outcome, 20).values
    monkeypatch.setattr(resamples, "resampling_code", lambda: "edited")
    kept_in(tmp_path)(outcome, 20)
    assert len(drawn) == 3


def test_nothing_is_kept_of_code_without_source(stored_run, tmp_path, monkeypatch):
    monkeypatch.setattr(resamples, "resampling_code", lambda: "unknown")
    kept_in(tmp_path)(stored_run("bce").read_outcome(), 20)
    assert files(tmp_path) == []


def test_a_cache_that_cannot_be_written_costs_a_word(stored_run, tmp_path, capsys):
    (tmp_path / "resamples").write_text("a file")
    assert len(kept_in(tmp_path)(stored_run("bce").read_outcome(), 20).values["O-F1"]) >= 21
    assert "nothing is kept in" in capsys.readouterr().err


def test_what_another_version_sealed_in_another_form_is_drawn_anew(stored_run, tmp_path, drawn, monkeypatch):
    outcome = stored_run("bce").read_outcome()
    monkeypatch.setattr(resamples, "_packed", lambda _: b"another form")
    first, again = (kept_in(tmp_path)(outcome, 20) for _ in range(2))
    assert len(drawn) == 2
    assert_equal(first, again)


def test_a_run_folder_is_left_as_it_is(stored_run, tmp_path):
    folder = stored_run("bce")
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    kept_in(tmp_path / "cache")(folder.read_outcome(), 20)
    assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before
