import dataclasses
import json
import math

import numpy as np
import pytest

from bench import LabelSets, Scores
from bench.cli import run_command_line
from bench.contracts import Protocol
from bench.errors import DataError, UsageError
from bench.evaluation import protocols
from bench.evaluation.measure import measure
from bench.system.files import canonical_json, digest

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


FROZEN = {
    "voc2007@1": "feaae40e24358ad8",
    "coco-top3@1": "cfe1ec8111811c6d",
    "nuswide81-top3@1": "bc7be8972393a163",
    "nuswide1000-top10@1": "828396cfbd818e4e",
    "corel5k-top5@1": "168a151cb2800f28",
    "digit-scenes@1": "63644d2baa52c80e",
    "top3@1": "7872fffe238d9525",
    "top25@1": "aff04b0725d992a6",
}
"""Hashes of every field but the summary. A change of one is a new version beside it, and a new line here."""


def test_no_registered_protocol_is_edited_in_place():
    assert set(protocols.REGISTERED) == {name for name in FROZEN if not name.startswith("top")}
    for name, frozen in FROZEN.items():
        fields = dataclasses.asdict(protocols.get(name))
        del fields["summary"]
        assert digest(canonical_json(fields)).startswith(frozen), f"{name} was edited: add a new version instead"


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
    measured = measure(protocols.get("top1@1"), LABELS, TRUTH, None, None, scores())
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
    assert measure(protocol, LABELS, TRUTH, ignore, predicted, scores()).values["O-P"] == 1.0
    assert measure(strict, LABELS, TRUTH, ignore, predicted, scores()).values["O-P"] == pytest.approx(5 / 6)


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
    measured = measure(protocols.get("top1@1"), LABELS, truth, None, None, scores())
    assert any("1 of 4 classes have no positive image" in note and "d" in note for note in measured.notes)
    assert math.isnan(measured.per_class["ap"][3])
    assert measured.values["C-P"] == 1.0


def test_arrays_of_another_shape_are_refused():
    with pytest.raises(DataError, match=r"truth is \(3, 3\), must be \(3, 4\)"):
        measure(protocols.get("top1@1"), LABELS, TRUTH[:, :3], None, None, scores())


def test_no_images_and_no_labels_are_one_clear_line():
    empty = Scores((), np.empty((0, 4), dtype=np.float32), "logit")
    with pytest.raises(DataError, match="nothing to measure: 0 images, 4 labels; allowed: at least 1 of each"):
        measure(protocols.get("top1@1"), LABELS, TRUTH[:0], None, None, empty)
    unlabelled = Scores(("1",), np.empty((1, 0), dtype=np.float32), "logit")
    with pytest.raises(DataError, match="nothing to measure: 1 images, 0 labels"):
        measure(protocols.get("top1@1"), (), TRUTH[:1, :0], None, None, unlabelled)


def test_one_class_is_measured_like_any_other():
    single = Scores(("1", "2", "3"), VALUES[:, :1].copy(), "logit")
    measured = measure(protocols.get("top1@1"), LABELS[:1], TRUTH[:, :1], None, None, single).values
    assert (measured["C-P"], measured["C-R"], measured["O-F1"]) == pytest.approx((1 / 3, 1.0, 0.5))
    assert measured["mAP"] == 1.0
    assert measured["I-P"] == measured["MAP@10_image"] == 1.0
    with pytest.raises(UsageError, match="k: found 2, allowed: 1 to 1"):
        measure(protocols.get("top2@1"), LABELS[:1], TRUTH[:, :1], None, None, single)


def test_predictions_that_are_all_empty_have_precision_zero_or_one_as_the_protocol_says():
    protocol = protocols.get("top1@1")
    for convention, expected in (("zero", 0.0), ("one", 1.0)):
        chosen = dataclasses.replace(protocol, no_predictions=convention)
        measured = measure(chosen, LABELS, TRUTH, None, TRUTH & False, scores()).values
        assert measured["C-P"] == measured["O-P"] == measured["I-P"] == expected
        assert measured["C-R"] == measured["C-F1"] == measured["O-F1"] == measured["labels_per_image"] == 0.0
        assert measured["mAP"] > 0  # the ranking needs no predictions


def test_without_a_positive_every_metric_is_undefined_and_the_notes_say_why():
    measured = measure(protocols.get("top1@1"), LABELS, TRUTH & False, None, TRUTH, scores())
    defined = {name for name, value in measured.values.items() if not math.isnan(value)}
    assert defined == {"labels_per_image"}
    assert measured.notes == (
        "4 of 4 classes have no positive image; left out of class means: a, b, c, d",
        "3 of 3 images have no label; left out of image means",
    )


def test_the_documentation_states_every_choice_of_every_protocol():
    from pathlib import Path

    lines = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    header = next(row for row in rows if row[0] == "choice")
    assert [name.strip("`") for name in header[1:]] == list(protocols.REGISTERED)
    documented = {row[0]: row[1:] for row in rows if len(row) == len(header)}
    for field in dataclasses.fields(Protocol):
        if field.name not in {"name", "summary"}:
            assert documented[field.name] == [str(getattr(p, field.name)) for p in protocols.REGISTERED.values()]


def test_the_command_shows_every_choice_of_every_protocol(capsys):
    assert run_command_line(["protocols", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in listed] == list(protocols.REGISTERED)
    assert listed[0]["ap"] == "11_point"
    assert run_command_line(["protocols", "voc2007@1", "top4@1"]) == 0
    shown = capsys.readouterr().out
    assert all(field.name in shown for field in dataclasses.fields(Protocol) if field.name != "name")
    assert run_command_line(["protocols", "voc2007@2"]) == 2
    assert "did you mean 'voc2007@1'" in capsys.readouterr().err
