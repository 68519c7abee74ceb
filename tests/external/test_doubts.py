"""Scores that are taken as they are and are more likely a mistake: their row says so, in tables and in Python."""

import json

import numpy as np
import pytest
from example_commands import bench as command

import bench
from bench.errors import DataError

ORDER, WORSE = "best labels are chosen by the labels' order", "is less than equal scores would have"


@pytest.fixture
def given(place, tmp_path):
    """A call that scores that data set's test part, and scores that are worth something."""
    with np.load(place / "data" / "test.npz") as stored:
        ids, labels, truth = stored["ids"].tolist(), stored["labels"].tolist(), stored["truth"]

    def score(scores, **more):
        more = {"name": "mine", "ids": ids, "labels": labels, "protocol": "top2@1", "out": tmp_path / "runs"} | more
        return bench.score(scores, "corel5k", data_root=place / "corel", **more)

    return score, 0.3 * truth + 0.5 * np.random.default_rng(0).random(truth.shape)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda scores: scores, ""),
        (lambda scores: np.where(scores < 0.3, 0, scores), ORDER),  # a threshold was applied
        (lambda scores: np.where(scores < 0.3, 0.001, 0.999), ORDER),
        (lambda scores: 1 - scores, WORSE),  # distances
        (lambda scores: np.full_like(scores, 0.4), ORDER),
    ],
)
def test_labels_chosen_by_their_order_and_a_ranking_worse_than_none_are_told_of(given, change, told, tmp_path):
    score, scores = given
    run = score(change(scores), kind="probability")
    of_data, *notes = run.notes
    assert "is a copy of one in train" in of_data
    assert len(notes) == bool(told)
    assert all(told in note for note in notes)
    of_table = [note for note in bench.runs(tmp_path / "runs").table().notes if ORDER in note or WORSE in note]
    assert of_table == [f"mine (external): {note}" for note in notes]


def test_a_policy_by_which_ties_choose_nothing_has_no_word(given):
    score, scores = given
    tied = np.where(scores < 0.3, 0, scores)
    assert len(score(tied, kind="probability", policy="natural-threshold").notes) == 1
    assert len(score((tied > 0).astype(int), kind="labels").notes) == 1


@pytest.mark.parametrize("kind", ["logit", "score", "labels"])
def test_label_sets_of_1_and_minus_1_are_no_ranking(given, kind):
    """Every label of an image would be as good as another, and the first of them the best."""
    score, scores = given
    with pytest.raises(DataError, match=r"every score is 1 or -1, as of label sets. Try: 0 in place of -1, and --kind"):
        score(np.where(scores < 0.3, -1, 1), kind=kind)


def test_notes_are_in_the_json_of_a_run(place, tmp_path, capsys):
    with np.load(place / "data" / "test.npz") as stored:
        ids, labels, truth = stored["ids"], stored["labels"], stored["truth"]
    np.savez(tmp_path / "mine.npz", ids=ids, labels=labels, scores=0.4 - 0.3 * truth, kind="probability")
    at = ("--data-root", place / "corel", "--protocol", "top2@1", "--out", tmp_path / "runs")
    assert command("score", tmp_path / "mine.npz", "--dataset", "corel5k", *at, "--json") == 0
    of_data, of_scores = json.loads(capsys.readouterr().out)["notes"]
    assert "copy of one in train" in of_data
    assert ORDER in of_scores
