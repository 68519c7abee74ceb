"""An export is compared with what its run stored, from image files on; what differs is refused, with its value."""

import json
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from example_commands import FAST, bench
from example_exports import images_of, run_of, run_options
from example_models import registry_with
from torch import nn

import bench as face
from bench import plugins
from bench.exported import export, predict, preprocess_onnx, publish, stored
from bench.exported.manifest import open_whole
from bench.exported.predict import Answers, Predictor


@pytest.fixture
def written(exported, monkeypatch):
    """Files that were exported before stand for a new export of the same model: what follows is what is tested."""

    def copied(backbone, model, description, folder, **_):
        for path in (exported / description.model).iterdir():
            if path.name != "manifest.json":
                shutil.copy(path, folder)
        return []

    monkeypatch.setattr(export, "export", copied)
    return exported


def refused(exported, out, capsys, pattern, model="bce"):
    """Whether the export of ``model`` ends with status 2 and one line like ``pattern``, and leaves nothing."""
    assert bench("export", run_of(exported, model).path, "--out", out) == 2
    told = capsys.readouterr().err.strip()
    assert re.search(pattern, told), told
    assert len(told.splitlines()) == 1
    assert list(out.parent.iterdir()) == []


def test_another_preprocessing_than_the_runs_is_refused_though_the_network_is_right(
    exported, tmp_path, monkeypatch, capsys
):
    describe = publish.describe

    def other(*arguments):
        right = describe(*arguments)
        return replace(right, preprocessing=replace(right.preprocessing, mean=(0.4, 0.5, 0.6)))

    monkeypatch.setattr(publish, "describe", other)
    pattern = (
        r"'image files = stored scores' at batch size \d+ does not hold: found \d\.\de[-+]\d\d of the largest value"
    )
    refused(exported, tmp_path / "model", capsys, pattern + ", allowed: 1.0e-04; nothing was written")


@pytest.mark.parametrize("batch", [1, 2, 7, 16])
def test_a_difference_at_one_batch_size_is_refused_and_named(written, tmp_path, monkeypatch, capsys, batch):
    model = "cnn-rnn" if batch == 7 else "bce"
    answers = Predictor.answers

    def wrong(self, images):
        for found in answers(self, images):
            yield replace(found, scores=found.scores + 0.5) if self.encoder.rows == batch else found

    monkeypatch.setattr(Predictor, "answers", wrong)
    refused(written, tmp_path / "model", capsys, rf"'image files = stored scores' at batch size {batch} does", model)


@pytest.mark.parametrize("model", ["bce", "cnn-rnn"])
def test_other_label_sets_of_the_same_scores_are_refused(written, tmp_path, monkeypatch, capsys, model):
    answer = Predictor.answer

    def fewer(self, encoded):
        found = answer(self, encoded)
        return replace(found, chosen=tuple(labels[:-1] for labels in found.chosen))

    monkeypatch.setattr(Predictor, "answer", fewer)
    pattern = r"'(image files|pixels.onnx) = stored label sets' at batch size \d+ does not hold: found [1-9][0-9.]+%"
    refused(written, tmp_path / "model", capsys, pattern, model)


def test_pixels_that_are_preprocessed_in_another_way_are_refused(exported, tmp_path, monkeypatch, capsys):
    right = preprocess_onnx.with_preprocessing

    def other(encoder, path, preprocessing):
        right(encoder, path, replace(preprocessing, mean=(0.4, 0.5, 0.6)))

    monkeypatch.setattr(preprocess_onnx, "with_preprocessing", other)
    refused(exported, tmp_path / "model", capsys, "'pixels.onnx = stored scores' at batch size 1 does not hold")


def test_scores_that_are_not_numbers_are_refused(exported, monkeypatch):
    predictor = Predictor(exported / "bce")
    encode = predictor.encoder.encode
    monkeypatch.setattr(predictor.encoder, "encode", lambda pixels: [encode(pixels)[0] * np.float32("nan")])
    with pytest.raises(face.BenchError, match="scores are not numbers"):
        list(predictor.predict(images_of(exported)))


def test_images_that_cannot_be_read_are_said_not_to_have_been_compared(exported, tmp_path, monkeypatch, capsys):
    class Gone:
        def __init__(self, images):
            self.images = images

        def __len__(self):
            return len(self.images)

        def read(self, index):
            raise face.DataError(f"cannot read {index}.png")

        picture = read

        def __getattr__(self, name):
            return getattr(self.images, name)

    rebuild = publish.rebuild

    def without_images(*arguments):
        rebuilt = rebuild(*arguments)
        parts = rebuilt.assembly.parts
        test = replace(parts.test, images=Gone(parts.test.images))
        gone = replace(parts, dataset=replace(parts.dataset, test=test))
        return replace(rebuilt, assembly=replace(rebuilt.assembly, parts=gone))

    monkeypatch.setattr(publish, "rebuild", without_images)
    run = run_of(exported, "bce").path
    assert bench("export", run, "--out", tmp_path / "model") == 0
    told = capsys.readouterr().out
    assert re.search(r"not checked: stored scores: cannot read \d+.png. It needs the images: --data-root DIR", told)
    assert "encoder = torch, random images" in told
    assert "real images" not in told
    last = open_whole(tmp_path / "model").checks[-1]
    assert (last.name, last.difference) == ("stored scores", None)
    assert bench("export", run, "--out", tmp_path / "model", "--json") == 0
    assert json.loads(capsys.readouterr().out)["checks"][-1]["reason"] == last.reason


def test_every_comparison_is_printed_with_its_value_and_what_is_allowed(exported, tmp_path, capsys):
    command = ("export", run_of(exported, "cnn-rnn").path, "--out", tmp_path / "model", "--precision", "fp16")
    assert bench(*command) == 0
    told = capsys.readouterr().out
    for name, allowed in (("encoder = torch, real images", "2.0e-02"), ("image files = stored scores", "5.0e-02")):
        assert re.search(rf"^{name} +\d\.\de-\d\d +{allowed} +\d+  1, ", told, re.MULTILINE), told
    for name in ("image files = stored label sets", "pixels.onnx = stored label sets"):
        assert re.search(rf"^{name} +\d+\.\d% +15.0% +20  1", told, re.MULTILINE), told
    assert all(len(line) <= 80 for line in told.splitlines() if " = " in line)


def test_a_sequence_that_the_protocol_cuts_is_predicted_cut(exported, tmp_path):
    """As on NUS-WIDE: the run counts the first k labels of a longer sequence, and so does who uses the export."""
    predictor = Predictor(exported / "cnn-rnn")
    wide = replace(predictor.description.search, min_length=2, mask_repeats=True)
    predictor.decoder = predict.Decoder(predictor.decoder.network, predictor.decoder.start_states, wide)
    whole = list(predictor.predict(images_of(exported)))
    predictor.description = replace(predictor.description, cut_to_k=True, k=1)
    cut = list(predictor.predict(images_of(exported)))
    assert [one.labels for one in cut] == [one.labels[:1] for one in whole]
    assert all(len(one.labels) > 1 for one in whole)


LABELS = np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]], dtype=np.float32)
STORED = stored.Stored(images=(), scores=LABELS, predicted=LABELS >= 2, sequences=None)


def compared(scores, chosen=((0, 1), (2, 1)), against=STORED, sequences=None, limit=1e-2):
    found = [Answers(np.array(scores, np.float32), chosen, sequences)]
    checks = stored.compare("it", found, against, (limit, 0.01), 7)
    return {check.unit: check for check in checks}


def test_equal_scores_and_sets_pass_and_what_is_allowed_is_relative_to_the_largest():
    checks = compared(LABELS + np.float32(0.03))
    assert checks["relative"].difference == pytest.approx(0.01, rel=1e-5)
    assert compared(LABELS)["relative"].difference == 0
    assert compared(LABELS + np.float32(0.02))["relative"].passed
    assert not compared(LABELS + np.float32(0.04))["relative"].passed
    assert all(check.passed for check in compared(LABELS).values())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_or_infinite_fails(value):
    scores = LABELS.copy()
    scores[1, 0] = value
    assert not compared(scores)["relative"].passed


def test_infinities_that_were_stored_are_expected_and_hide_nothing():
    scores = LABELS.copy()
    scores[0, 2] = -np.inf
    against = replace(STORED, scores=scores)
    assert compared(scores, against=against)["relative"].difference == 0
    other = scores.copy()
    other[1, 1] += 1
    assert not compared(other, against=against, limit=1e-3)["relative"].passed


def test_label_sets_differ_unless_their_scores_tie():
    tie = LABELS.copy()
    tie[0, 2] = 1.99
    other = ((0, 2), (2, 1))
    assert compared(tie, other, replace(STORED, scores=tie))["images"].difference == 0
    assert compared(LABELS, other)["images"].difference == 0.5
    assert compared(LABELS, ((0,), (2, 1)))["images"].difference == 0.5
    assert compared(LABELS, ((2, 1), (0, 1)))["images"].difference == 1


def test_one_image_may_have_another_sequence_and_its_scores_are_then_not_compared():
    """A beam turns where two paths come within rounding; the label scores of another path are other numbers."""
    sequences = np.array([[0, 1, -1], [2, 1, -1]], dtype=np.int32)
    against = replace(STORED, sequences=sequences)
    assert compared(LABELS, against=against, sequences=sequences[:, :2])["images"].difference == 0
    scores = LABELS.copy()
    scores[1] = 0
    checks = compared(scores, ((0, 1), (1, 2)), against, np.array([[0, 1], [1, 2]], dtype=np.int32))
    assert all(check.passed for check in checks.values())
    assert (checks["images"].difference, checks["relative"].count) == (0.5, 1)
    both = compared(LABELS, ((1, 0), (1, 2)), against, np.array([[1, 0], [1, 2]], dtype=np.int32))
    assert not both["images"].passed


def test_in_one_image_votes_of_near_neighbours_may_change_places_where_more_than_rounding_differs():
    """A level of one pixel in ``pixels.onnx`` took another of two equally near images: no knn could be exported."""
    votes = LABELS.copy()
    votes[1, 0] += 0.5
    checks = compared(votes)
    assert all(check.passed for check in checks.values())
    assert (checks["images"].difference, checks["relative"].count) == (0.5, 1)
    assert not compared(votes, limit=1e-4)["relative"].passed


class Branches(nn.Module):
    """A score model whose forward asks for a value: no graph can hold it."""

    score_kind = "logit"

    def __init__(self, request):
        super().__init__()
        self.head = nn.Linear(request.dimensions, len(request.labels))

    def forward(self, features):
        scores = self.head(features)
        return scores if float(scores.sum().item()) > 0 else scores * 2

    def loss(self, features, truth, generator):
        return nn.functional.binary_cross_entropy_with_logits(self.forward(features), truth.float())


def test_a_model_that_onnx_cannot_say_is_one_line_and_leaves_nothing(exported, tmp_path, monkeypatch, capsys):
    registry = registry_with(face.ModelSpec("branches", "asks for a value", "scores", Branches))
    monkeypatch.setattr(plugins, "installed", lambda: registry)
    assert bench("run", "--model", "branches", *run_options(exported), *FAST) == 0
    capsys.readouterr()
    pattern = r"^error: .*this model cannot be exported: encoder.onnx would need what torch.onnx cannot write: \w+: "
    refused(exported, tmp_path / "model", capsys, pattern, "branches")


def test_the_test_images_of_another_part_are_refused(written, tmp_path, monkeypatch, capsys):
    against = publish.against_stored
    monkeypatch.setattr(
        publish, "against_stored", lambda out, run, test: against(out, run, replace(test, ids=test.ids[::-1]))
    )
    refused(written, tmp_path / "model", capsys, "the test images are not those of this run. Try: --data-root DIR")


def test_the_tolerances_are_those_that_the_documents_state():
    assert export.TOLERANCE == {"fp32": 1e-4, "fp16": 2e-2}
    assert stored.TOLERANCE == {"fp32": 1e-4, "fp16": 5e-2}
    assert stored.OTHER_SETS == {"fp32": 0.01, "fp16": 0.15}
    maps = (4, 2, 2)
    for shape, device, engine, limits in (
        (None, "cpu", "torch", (1e-4, 1e-2)),
        (maps, "cpu", "onnx", (1e-3, 5e-2)),  # inria's maps left it without an export
        (None, "cpu", "onnx-fp16", (5e-2, 5e-2)),  # features in half precision left it without one in single
        (None, "cuda", "torch", (1e-2, 1e-2)),
    ):
        description = SimpleNamespace(precision="fp32", feature_map=shape)
        config = {"device": device, "backbone": {"engine": engine}}
        assert tuple(stored._limits(description, config, raw)[0] for raw in (False, True)) == limits
