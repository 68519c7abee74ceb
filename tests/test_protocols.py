import dataclasses
import json
import math

import numpy as np
import pytest

from bench import LabelSets, Scores, protocols
from bench.cli import run_command_line
from bench.errors import DataError, UsageError

TRUTH = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 1, 1]], dtype=np.bool_)
VALUES = np.array([[2.0, 1.0, -1.0, -2.0], [0.5, 3.0, -0.5, -1.0], [-1.0, -2.0, 4.0, 1.0]], dtype=np.float32)
LABELS = ("a", "b", "c", "d")


def scores(kind="logit"):
    return Scores(("1", "2", "3"), VALUES.copy(), kind)


def test_every_registered_protocol_states_its_version_and_cannot_be_changed():
    for name, protocol in protocols.REGISTERED.items():
        assert name == protocol.name
        assert name.rpartition("@")[2].isdigit()
        with pytest.raises(dataclasses.FrozenInstanceError):
            protocol.k = 9


def test_the_papers_readings_stand_in_the_protocols():
    coco, nus = protocols.get("coco-top3@1"), protocols.get("nuswide81-top3@1")
    assert (coco.k, coco.min_length, coco.cut_to_k) == (3, 0, False)
    assert (nus.k, nus.min_length, nus.cut_to_k) == (3, 3, True)
    assert protocols.get("voc2007@1").ap == "11_point"
    assert protocols.get("nuswide1000-top10@1").k == 10


@pytest.mark.parametrize("name", ["coco-top3", "top0@1", "topx@1", ""])
def test_an_unknown_protocol_is_named_with_its_neighbours(name):
    with pytest.raises(UsageError, match=r"no protocol .* allowed: .*coco-top3@1"):
        protocols.get(name)


def test_k_larger_than_the_number_of_labels_is_refused():
    with pytest.raises(UsageError, match=r"k is 9, allowed: at most the 4 labels .* --protocol top4@1"):
        protocols.check(protocols.get("top9@1"), LABELS)


def test_measures_by_hand():
    measured = protocols.measure(protocols.get("top1@1"), LABELS, TRUTH, None, None, scores())
    # Predicted a, b, c, each right: 3 of 3 predictions, 3 of 5 labels; d is never predicted.
    assert measured.values["O-P"] == 1.0
    assert measured.values["O-R"] == pytest.approx(3 / 5)
    assert measured.values["C-P"] == pytest.approx(3 / 4)
    assert measured.values["C-R"] == pytest.approx((1 + 1 + 1 / 2 + 0) / 4)
    assert measured.values["I-R"] == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)
    assert measured.values["labels_per_image"] == 1.0
    assert measured.per_class["support"] == (1.0, 1.0, 2.0, 1.0)


def test_difficult_pairs_neither_help_nor_hurt():
    ignore = np.zeros_like(TRUTH)
    ignore[0, 1] = True
    predicted = TRUTH.copy()
    predicted[0, 1] = True
    protocol = protocols.get("voc2007@1")
    strict = dataclasses.replace(protocol, difficult="negative")
    assert protocols.measure(protocol, LABELS, TRUTH, ignore, predicted, scores()).values["O-P"] == 1.0
    assert protocols.measure(strict, LABELS, TRUTH, ignore, predicted, scores()).values["O-P"] == pytest.approx(5 / 6)


def test_top_k_above_a_threshold_gives_fewer_labels_and_only_where_scores_have_one():
    protocol = dataclasses.replace(protocols.get("top2@1"), selection="topk_threshold")
    assert protocols.predicted_from_scores(protocol, scores()).sum(axis=1).tolist() == [2, 2, 2]
    probabilities = Scores(("1", "2", "3"), np.full((3, 4), 0.4, dtype=np.float32), "probability")
    assert not protocols.predicted_from_scores(protocol, probabilities).any()
    with pytest.raises(UsageError, match="'margin' have no threshold"):
        protocols.predicted_from_scores(protocol, scores("margin"))


def test_sequences_are_cut_to_k_only_where_the_protocol_says_so():
    sets = LabelSets(
        ("1", "2", "3"),
        np.array([[3, 2, 1, 0], [1, 1, -1, -1], [0, -1, -1, -1]], dtype=np.int32),
        np.zeros(3),
        np.ones(3, dtype=np.bool_),
    )
    free = protocols.predicted_from_sequences(protocols.get("coco-top3@1"), sets, scores("probability"))
    assert free.sum(axis=1).tolist() == [4, 1, 1]
    cut = protocols.predicted_from_sequences(protocols.get("nuswide81-top3@1"), sets, scores("probability"))
    assert cut[0].tolist() == [False, True, True, True]


def test_classes_without_positives_are_named_in_the_notes_and_left_out():
    truth = TRUTH.copy()
    truth[:, 3] = False
    measured = protocols.measure(protocols.get("top1@1"), LABELS, truth, None, None, scores())
    assert any("1 of 4 classes have no positive image" in note and "d" in note for note in measured.notes)
    assert math.isnan(measured.per_class["ap"][3])
    assert measured.values["C-P"] == 1.0


def test_arrays_of_another_shape_are_refused():
    with pytest.raises(DataError, match=r"truth is \(3, 3\), must be \(3, 4\)"):
        protocols.measure(protocols.get("top1@1"), LABELS, TRUTH[:, :3], None, None, scores())


def test_the_documentation_states_every_choice_of_every_protocol():
    from pathlib import Path

    lines = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    header = next(row for row in rows if row[0] == "choice")
    assert [name.strip("`") for name in header[1:]] == list(protocols.REGISTERED)
    documented = {row[0]: row[1:] for row in rows if len(row) == len(header)}
    for field in dataclasses.fields(protocols.Protocol):
        if field.name not in {"name", "summary"}:
            assert documented[field.name] == [str(getattr(p, field.name)) for p in protocols.REGISTERED.values()]


def test_the_command_shows_every_choice_of_every_protocol(capsys):
    assert run_command_line(["protocols", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in listed] == list(protocols.REGISTERED)
    assert listed[0]["ap"] == "11_point"
    assert run_command_line(["protocols", "voc2007@1", "top4@1"]) == 0
    shown = capsys.readouterr().out
    assert all(field.name in shown for field in dataclasses.fields(protocols.Protocol) if field.name != "name")
    assert run_command_line(["protocols", "voc2007@2"]) == 2
    assert "did you mean 'voc2007@1'" in capsys.readouterr().err
