import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import bench
from bench.evaluation import protocols
from bench.evaluation.measure import measure as measure_stored

TRUTH = [[1, 0, 1], [0, 1, 0], [1, 1, 0]]
SCORES = [[0.9, 0.2, 0.6], [0.1, 0.8, 0.3], [0.7, 0.4, 0.5]]


def same(one, other):
    np.testing.assert_equal(one.values, other.values)
    np.testing.assert_equal(one.per_class, other.per_class)
    return one.notes == other.notes


def measured(truth, scores, **keywords):
    return bench.measure(truth, scores, protocol="top2@1", **keywords)


@settings(deadline=None, max_examples=50)
@given(st.data(), st.integers(1, 6), st.integers(2, 5))
def test_measures_are_those_of_a_run(data, images, labels):
    truth = data.draw(arrays(np.bool_, (images, labels)))
    values = data.draw(arrays(np.float32, (images, labels), elements=st.floats(-2, 2, width=32)))
    ignore = data.draw(arrays(np.bool_, (images, labels))) & ~truth
    predicted = data.draw(st.none() | arrays(np.bool_, (images, labels)))
    scores = bench.Scores(tuple(map(str, range(images))), values.copy(), "logit")
    names = tuple(map(str, range(labels)))
    expected = measure_stored(protocols.get("top2@1"), names, truth, ignore, predicted, scores)
    assert same(measured(truth, values, predicted=predicted, ignore=ignore, kind="logit"), expected)
    assert same(measured(truth.astype(int), scores, predicted=predicted, ignore=ignore), expected)


@pytest.mark.parametrize(
    "convert",
    [
        np.array,
        lambda rows: np.array(rows, order="F"),
        lambda rows: np.array(rows)[::-1].copy()[::-1],
        torch.tensor,
        lambda rows: torch.tensor(rows, dtype=torch.float32, requires_grad=True),
        lambda rows: torch.tensor(rows, dtype=torch.float64),
        pd.DataFrame,
        lambda rows: tuple(map(tuple, rows)),
    ],
)
def test_arrays_from_anywhere_give_the_same(convert):
    assert same(measured(convert(TRUTH), convert(SCORES)), measured(TRUTH, SCORES))


def test_arrays_given_stay_writeable_and_as_they_were():
    truth, scores = np.array(TRUTH, np.bool_), np.array(SCORES, np.float32)
    measured(truth, scores, predicted=truth)
    truth[0, 0], scores[0, 0] = False, 0.0
    assert scores[0, 0] == 0.0


def test_scores_of_a_run_keep_their_kind():
    logits = bench.Scores(("a", "b", "c"), 9 * np.array(SCORES, np.float32), "logit")
    assert measured(TRUTH, logits)["O-F1"] == measured(TRUTH, SCORES)["O-F1"]
    with pytest.raises(bench.DataError, match="scores are of kind 'logit', and kind='probability' was given"):
        measured(TRUTH, logits, kind="probability")


def test_label_sequences_are_label_sets():
    sequences = np.array([[2, 0], [1, -1], [1, 1]], np.int32)
    sets = bench.LabelSets(("0", "1", "2"), sequences, np.zeros(3), np.ones(3, np.bool_))
    as_sets = [[1, 0, 1], [0, 1, 0], [0, 1, 0]]
    assert same(measured(TRUTH, SCORES, predicted=sets), measured(TRUTH, SCORES, predicted=as_sets))
    with pytest.raises(bench.DataError, match="found label 2 in a sequence, allowed: 0 to 1"):
        bench.measure([[1, 0]] * 3, [[0.1, 0.2]] * 3, predicted=sets, protocol="top1@1")


def test_scores_that_float32_cannot_tell_apart_are_told_of():
    close = [[1 - 1e-10, 0.5], [1 - 1e-12, 0.4], [0.3, 0.2]]
    measures = bench.measure([[1, 0], [0, 1], [0, 1]], close, protocol="top1@1")
    assert (
        "1 scores equal another one of their label as float32, and did not before; they count as ties" in measures.notes
    )
    of_image = "1 scores equal another one of their image as float32, and did not before; the lower label goes first"
    assert of_image not in measures.notes
    assert of_image in bench.measure([[1, 0]], [[1 - 1e-12, 1 - 1e-10]], protocol="top1@1").notes
    assert not any("float32" in note for note in measured(TRUTH, SCORES).notes)


REFUSED = {
    "two": (lambda: measured([[1, 0, 2]], [[0.1, 0.2, 0.3]]), "truth: found 2 at image 0, label 2, allowed: bool, or"),
    "half": (lambda: measured([[1.0, 0.5, 0]], [[0.1, 0.2, 0.3]]), "truth: found 0.5 at image 0, label 1"),
    "truth nan": (lambda: measured([[1.0, np.nan, 0]], [[0.1, 0.2, 0.3]]), "truth: found nan at image 0, label 1"),
    "minus one": (lambda: measured([[1, -1, 0]], [[0.1, 0.2, 0.3]]), "truth: found -1 at image 0, label 1"),
    "text": (lambda: measured([["1", "0", "0"]], [[0.1, 0.2, 0.3]]), "truth is <U1, must be bool"),
    "nan": (lambda: measured([[1, 0], [0, 1]], [[0.1, 0.2], [np.nan, 0.1]]), "scores: found nan at image 1, label 0"),
    "range": (lambda: measured([[1, 0]], [[0.1, 1.5]]), "scores of kind 'probability': found 1.5 at image 0, label 1"),
    "log": (
        lambda: measured([[1, 0]], [[-0.1, 0.5]], kind="log_probability"),
        "'log_probability': found 0.5 at image 0",
    ),
    "overflow": (lambda: measured([[1, 0]], [[1e300, 0.5]], kind="logit"), "found 1e\\+300 .* what float32 can hold"),
    "kind": (
        lambda: measured([[1, 0]], [[0.1, 0.5]], kind="logits"),
        "no kind of scores 'logits'; did you mean 'logit'",
    ),
    "bool scores": (lambda: measured([[1, 0]], [[True, False]]), "scores are bool, must be numbers. Is it the truth"),
    "ragged": (lambda: measured([[1, 0], [1]], [[0.1, 0.2], [0.3, 0.4]]), "truth is no array: .*inhomogeneous"),
    "one axis": (lambda: measured([1, 0], [0.1, 0.2]), r"scores has shape \(2,\), must be \(images, labels\)"),
    "shapes": (lambda: measured([[1, 0]], [[0.1, 0.2, 0.3]]), r"truth is \(1, 2\), scores are \(1, 3\)"),
    "predicted": (lambda: measured([[1, 0]], [[0.1, 0.2]], predicted=[[1]]), r"predicted is \(1, 1\), scores are"),
    "empty": (lambda: measured(np.zeros((0, 2), bool), np.zeros((0, 2))), "nothing to measure: 0 images"),
    "overlap": (
        lambda: measured(TRUTH, SCORES, ignore=TRUTH),
        "ignore: found True at image 0, label 0, allowed: False",
    ),
    "labels": (lambda: measured(TRUTH, SCORES, labels=["a", "b"]), "found 2 names, scores have 3 columns"),
    "twice": (lambda: measured(TRUTH, SCORES, labels=["a", "b", "a"]), "labels: 'a' stands twice"),
    "letters": (lambda: measured(TRUTH, SCORES, labels="abc"), "must be a sequence of names"),
    "no order": (lambda: measured(TRUTH, SCORES, labels=set("abc")), "must be a sequence of names"),
    "protocol": (lambda: bench.measure(TRUTH, SCORES, protocol="top9@1"), "k is 9, allowed: at most the 3 labels"),
    "masked": (
        lambda: measured(np.ma.masked_array(TRUTH), SCORES),
        "truth is a masked array, whose mask would be lost",
    ),
    "bfloat16": (lambda: measured(TRUTH, torch.tensor(SCORES).bfloat16()), "tensor of torch.bfloat16"),
    "meta": (lambda: measured(TRUTH, torch.tensor(SCORES, device="meta")), "is a tensor on meta, allowed: on the CPU"),
    "object": (
        lambda: measured(TRUTH, np.array(SCORES, dtype=object)),
        r"scores is a ndarray of Python objects, must be numbers. Try: scores.astype\(float\)",
    ),
    "may hold NA": (lambda: measured(pd.DataFrame(TRUTH).convert_dtypes(), SCORES), r"Try: truth.astype\(float\)"),
    "generator": (lambda: measured((row for row in TRUTH), SCORES), r"truth is a generator .*Try: list\(truth\)"),
    "gradients": (
        lambda: measured(TRUTH, [torch.tensor(row, requires_grad=True) for row in SCORES]),
        "scores is no array: Can't call numpy.* on Tensor that requires grad",
    ),
    "no labels": (lambda: measured([[]], [[]]), "nothing to measure: 1 images, 0 labels"),
    "number of labels": (lambda: measured(TRUTH, SCORES, labels=3), "must be a sequence of names"),
    "protocols": (lambda: bench.measure(TRUTH, SCORES, protocol=["top2@1"]), r"protocol: found \['top2@1'\], allowed"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_have_to_be_guessed_is_refused_in_one_line(case):
    call, message = REFUSED[case]
    with pytest.raises(bench.BenchError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_sequences_of_the_same_images_in_another_order_are_refused():
    scores = bench.Scores(("x", "y", "z"), np.array(SCORES, dtype=np.float32), "probability")
    sequences = np.array([[0], [1], [2]], dtype=np.int32)

    def of(*ids):
        return bench.LabelSets(ids, sequences, np.zeros(3), np.ones(3, dtype=np.bool_))

    assert same(measured(TRUTH, scores, predicted=of("x", "y", "z")), measured(TRUTH, scores, predicted=of(*"012")))
    with pytest.raises(bench.DataError, match="label sequences of the images of scores, in another order"):
        measured(TRUTH, scores, predicted=of("y", "x", "z"))


def test_frames_in_another_order_are_refused_and_their_columns_are_the_labels():
    truth = pd.DataFrame(TRUTH, columns=["cat", "dog", "cow"], index=["x", "y", "z"])
    scores = pd.DataFrame(SCORES, columns=["cat", "dog", "cow"], index=["x", "y", "z"])
    with pytest.raises(bench.DataError, match="scores has other columns than truth, or in another order"):
        measured(truth, scores[["dog", "cat", "cow"]])
    with pytest.raises(bench.DataError, match="scores has other rows than truth, or in another order"):
        measured(truth, scores.iloc[::-1])
    with pytest.raises(bench.DataError, match="labels: not the columns of the frames given"):
        measured(truth, scores, labels=["dog", "cat", "cow"])
    assert "left out of class means: cow" in measured(truth.assign(cow=0), scores).notes[0]


def test_neither_torch_nor_pandas_is_needed(monkeypatch):
    expected = measured(TRUTH, SCORES)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert same(measured(TRUTH, SCORES), expected)


def test_measures_show_themselves_in_percent_with_their_notes():
    measures = measured([[1, 0, 0], [0, 1, 0], [1, 1, 0]], SCORES, labels=["cat", "dog", "<b>cow</b>"])
    shown = repr(measures)
    assert f"O-F1 {'':<16}{100 * measures['O-F1']:>6.1f}".split() == shown.splitlines()[2].split()[-2:]
    assert "labels_per_image       2.00" in shown
    assert "* 1 of 3 classes have no positive image; left out of class means: <b>cow</b>" in shown
    html = measures._repr_html_()
    assert "&lt;b&gt;cow&lt;/b&gt;" in html
    assert "<b>cow" not in html
    assert "O-F1" in measures
    assert {name: measures[name] for name in measures} == measures.values
    with pytest.raises(bench.UsageError, match="no measure 'o-f1'; did you mean 'O-F1'"):
        _ = measures["o-f1"]
