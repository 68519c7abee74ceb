"""Stages that stream: of one more image-label pair, each holds no more bytes than is said here.

What NumPy allocates is counted at two sizes, with blocks made small, so that what grows is not the blocks. Arrays that
lie in files are not counted: they are pages that the system takes back.
"""

import sys
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from example_models import as_features, make

from bench.data import fingerprint, statistics
from bench.data.images import ArrayImages
from bench.data.splits import subset
from bench.evaluation import bits, bootstrap, chances, known_tags, label_errors, policies, protocols, weighted_ranking
from bench.evaluation import thresholds as choosing
from bench.evaluation.bits import BitMatrix
from bench.evaluation.lens import views
from bench.evaluation.measure import measure
from bench.evaluation.outcome import Outcome
from bench.external import align, arrays
from bench.external.given import Names
from bench.model import checks, predict
from bench.model.batches import Batches
from bench.records import LabelSets, Scores, SearchOptions, Split
from bench.show.figures import results
from bench.show.report import evidence, gallery, labels, pairs_of_labels
from bench.system import npz, room

LABELS, IMAGES = 256, (512, 2048)

PROTOCOL = protocols.get("top3@1")


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(bits, "BLOCK_ENTRIES", 1 << 13)
    monkeypatch.setattr(choosing, "BLOCK", 1 << 13)
    monkeypatch.setattr(statistics, "BLOCK", 1 << 6)
    monkeypatch.setattr(sys.modules["bench.evaluation.metrics.average_precision"], "BLOCK_LABELS", 4)
    monkeypatch.setattr(room, "LARGE", 1)
    monkeypatch.setattr(room, "COPIED", 1 << 15)
    monkeypatch.setattr(npz, "CHUNK", 1 << 14)
    monkeypatch.setattr(predict, "PORTION", 256)
    monkeypatch.setattr(bootstrap, "RANKED_AT_ONCE", 0)
    monkeypatch.setattr(bootstrap, "CHUNK", 2)
    monkeypatch.setattr(weighted_ranking, "PART_BYTES", 1)
    monkeypatch.setattr(label_errors, "KEPT", 1 << 10)


def mapped(path, values):
    """Return ``values`` as a run's scores are read: memory-mapped, so that they do not count."""
    np.save(path, values)
    return np.load(path, mmap_mode="r")


def case(images, folder):
    """Return truth, packed masks, scores in a file, and features of a test part."""
    rng = np.random.default_rng(0)
    truth = rng.random((images, LABELS)) < 0.02
    truth[np.arange(images), np.arange(images) % LABELS] = True
    values = (truth + rng.normal(size=truth.shape)).astype(np.float32)
    ids = tuple(map(str, range(images)))
    scores = Scores(ids, mapped(folder / "scores.npy", values), "logit")
    packed = BitMatrix(np.packbits(truth, axis=1), LABELS)
    pictures = ArrayImages(np.zeros((images, 1, 1, 3), dtype=np.uint8), "test")
    names = tuple(f"label {number}" for number in range(LABELS))
    return SimpleNamespace(
        folder=folder,
        truth=truth,
        packed=packed,
        predicted=protocols.packed_from_scores(PROTOCOL, scores),
        scores=scores,
        features=as_features(rng.normal(size=(images, 4)).astype(np.float32)),
        split=Split("toy", "test", ids, names, truth, pictures),
    )


def predicted(one, name, search=None):
    model = make(name, dimensions=4, counts=(5,) * LABELS, **({"hidden": 4} if search else {}))
    return predict.predict(model, one.features, PROTOCOL, search, room=one.folder)


def scored(one):
    names = Names(one.split.labels, one.split.ids, one.split.labels)
    given = arrays.map_npy(one.folder / "scores.npy", names)
    return align.aligned(given, one.split, align.Reading("logit"), {}, one.folder)


def resampled(one):
    return bootstrap.drawn(one.packed, one.predicted, one.scores.values, resamples=3)


def views_of(one):
    outcome = Outcome("a run", "", PROTOCOL, one.split.labels, one.packed, None, one.predicted, one.scores)
    return views(outcome)


def of_report(one):
    part = evidence.Part(one.split.ids, one.split.labels, one.packed, None)
    judge = evidence.Judge("m", np.asarray(one.scores.values), chances.natural("logit"))
    found = evidence.Evidence(
        part,
        {"m": SimpleNamespace(read_scores=lambda: one.scores)},
        {"m": one.predicted},
        (judge,),
        np.zeros(len(part.ids), dtype=np.float32),
    )
    assert label_errors.most_likely(found.chances(), 9)[0]
    return labels.label_rows(found, {"m": ()}), gallery.cards(found, 9), pairs_of_labels.label_pairs(found)


def read_back(one):
    tracemalloc.stop()  # what writing holds does not grow, but is more than these arrays take
    np.savez_compressed(one.folder / "validation.npz", scores=one.scores.values)
    tracemalloc.start()
    with (one.folder / "validation.npz").open("rb") as file:
        return npz.load_npz(file)


def batches(one, monkeypatch):
    monkeypatch.setattr("bench.model.batches.TRUTH_IN_MEMORY", 1)
    import torch

    return Batches(one.features.values, one.truth, None, torch.device("cpu")).take(torch.arange(8))


STAGES = {
    "statistics": (0.3, lambda one, _: (statistics.cooccurrence(one.truth), fingerprint.fingerprint(one.split))),
    "a part of a split": (0.6, lambda one, _: subset(one.split, np.arange(len(one.split)), "part", one.folder)),
    "known tags": (1.2, lambda one, _: known_tags.draw(one.truth, 0.5)),
    "training batches": (0.1, batches),
    "prediction of scores": (0.4, lambda one, _: predicted(one, "bce")),
    "prediction of sequences": (0.6, lambda one, _: predicted(one, "cnn-rnn", SearchOptions(max_length=4))),
    "a look at scores": (0.1, lambda one, _: checks.check_scores(one.scores.values, *one.truth.shape)),
    "label sets": (
        0.3,
        lambda one, _: policies.read(policies.chosen("", None, PROTOCOL, "scores"), PROTOCOL, one.scores),
    ),
    "metrics": (
        1.6,
        lambda one, _: measure(PROTOCOL, one.split.labels, one.packed, None, one.predicted, one.scores),
    ),
    "error bars": (1.6, lambda one, _: resampled(one)),
    "the lens": (1.6, lambda one, _: views_of(one)),
    "scores of a file": (0.6, lambda one, _: scored(one)),
    "thresholds": (
        8.5,
        lambda one, _: choosing.choose(
            policies.parse_goals("precision>=0.5").common, one.scores.values.ravel(), one.truth.ravel()
        ),
    ),
    "stored arrays": (4.6, lambda one, _: read_back(one)),
    "report": (0.2, lambda one, _: of_report(one)),
    "figure of thresholds": (0.1, lambda one, _: results.thresholds(one.packed, one.scores.values, "logit", None)),
}
"""Stage -> bytes of one more image-label pair, and what does it. Scores are 4 bytes, a bool mask 1, packed 0.125."""


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_holds_no_more_of_a_pair_than_is_said(stage, tmp_path, monkeypatch):
    allowed, call = STAGES[stage]
    peaks = []
    for images in (IMAGES[0], *IMAGES):  # the first time, what is imported and kept is counted too
        (folder := tmp_path / f"{len(peaks)}").mkdir()
        one = case(images, folder)
        tracemalloc.start()
        call(one, monkeypatch)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    grown = (peaks[2] - peaks[1]) / (LABELS * (IMAGES[1] - IMAGES[0]))
    assert grown < allowed


def test_rankings_in_parts_and_searches_in_portions_give_what_all_at_once_do(tmp_path, monkeypatch):
    one = case(IMAGES[0], tmp_path)
    streamed = resampled(one), predicted(one, "cnn-rnn", SearchOptions(max_length=4))
    monkeypatch.undo()
    whole = resampled(one), predicted(one, "cnn-rnn", SearchOptions(max_length=4))
    for name, values in whole[0].values.items():
        np.testing.assert_array_equal(values, streamed[0].values[name])
    np.testing.assert_array_equal(whole[1].scores.values, streamed[1].scores.values)
    assert isinstance(whole[1].label_sets, LabelSets)
    np.testing.assert_array_equal(whole[1].label_sets.sequences, streamed[1].label_sets.sequences)
    assert whole[1].statistics == streamed[1].statistics
