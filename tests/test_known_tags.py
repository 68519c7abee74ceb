"""A model that is told tags of the images it predicts: what it is told counts nowhere, and its rows stand apart."""

import numpy as np
import pytest
import torch
from documented import documented
from example_commands import FAST, bench, write_corel
from example_exports import run_of, run_options
from example_models import registry_with

from bench import ModelRequest, ModelSpec, PluginError, StoreError, UsageError, plugins
from bench.evaluation import known_tags, protocols
from bench.evaluation.bits import BitMatrix
from bench.evaluation.measure import measure
from bench.model import checks
from bench.recompute.run import recompute
from bench.show import paper_tables, tables
from bench.show.published import tables as published_tables
from bench.store.runs import find
from bench.store.validate import validate


class Copies(torch.nn.Module):
    """Says what it is told, and nothing else: any leak of it into a metric would show."""

    score_kind = "margin"

    def __init__(self, request):
        super().__init__()
        self.labels = len(request.labels)

    def fit(self, features, truth):
        pass

    def forward(self, features, known=None):
        nothing = features.new_zeros(features.shape[0], self.labels)
        return nothing if known is None else known.float()


COPIES = ModelSpec("copies", "says what it is told", "scores", Copies, training=None, known_tags=True)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    registry = registry_with(documented().FROM_TAGS, COPIES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "installed", lambda: registry)
        root = tmp_path_factory.mktemp("tags")
        write_corel(root / "corel")
        for model in ("from-tags", "bce"):
            assert bench("run", "--model", model, *run_options(root), *FAST) == 0
        assert bench("run", "--model", "copies", *run_options(root), "--set", "backbone.init=random") == 0
        yield root


@pytest.fixture(scope="module")
def run(root):
    return run_of(root, "from-tags")


def test_what_is_known_is_the_same_for_every_run_and_leaves_something_to_find(root, run):
    masks, other = run.read_masks(), run_of(root, "copies").read_masks()
    truth, known = masks.truth[:], masks.known[:]
    np.testing.assert_array_equal(known, other.known[:])
    assert not (known & ~truth).any()
    np.testing.assert_array_equal(known.sum(axis=1), truth.sum(axis=1) // 2)
    assert (known.sum(axis=1) < truth.sum(axis=1)).all()


def test_known_labels_are_in_no_label_set_and_in_no_metric(root):
    """What only repeats what it was told is worth what one that says nothing is worth, its known labels set aside."""
    folder = run_of(root, "copies")
    masks, scores = folder.read_masks(), folder.read_scores()
    known = masks.known[:]
    np.testing.assert_array_equal(scores.values > 0, known)
    assert not (folder.read_predicted() & known).any()
    silent = type(scores)(scores.ids, np.zeros_like(scores.values), scores.kind)
    protocol = protocols.get("top2@1")
    expected = measure(protocol, masks.labels, masks.truth, masks.ignore, None, silent, known=masks.known)
    assert folder.read_measures().values == pytest.approx(expected.values, nan_ok=True)
    assert folder.read_measures().notes == expected.notes
    assert expected.notes[-1] == (
        f"{known.sum()} true labels were known beforehand to the model, and are left out of every metric"
    )


def test_measuring_without_known_pairs_is_measuring_them_as_ignored(run):
    masks, scores = run.read_masks(), run.read_scores()
    truth, known = masks.truth[:], masks.known[:]
    by_hand = measure(protocols.get("top2@1"), masks.labels, truth & ~known, known, masks.predicted, scores)
    assert run.read_measures().values == pytest.approx(by_hand.values, nan_ok=True)


def test_readers_see_truth_as_it_was_measured(run):
    masks, read, outcome = run.read_masks(), run.read_truth(), run.read_outcome()
    known = masks.known[:]
    np.testing.assert_array_equal(read.truth, masks.truth[:] & ~known)
    np.testing.assert_array_equal(read.ignore, known)
    np.testing.assert_array_equal(outcome.ignore[:], known)
    assert outcome.fingerprint.endswith(" known 0.5")


def test_its_run_is_sound_predicted_and_trained_again(run):
    assert validate([run])[0].faults == ()
    again = recompute(run, retrain=True)
    assert (again.faults, again.level) == ((), "retrained")


def test_other_tags_than_every_model_is_told_are_found(run):
    stored = run.read_known()
    with run.held():
        run.write_known(run.read_masks().truth[:])
    try:
        assert "its known tags are not those that every model is told" in validate([run])[0].faults
    finally:
        with run.held():
            run.write_known(stored)


def test_its_rows_stand_in_a_table_of_their_own(root, capsys):
    summaries = [folder.summary() for folder in find(root / "runs")]
    groups = tables.by_comparison(summaries)
    assert sorted(sorted(run.config["model"]["name"] for run in group) for group in groups) == [
        ["bce"],
        ["copies", "from-tags"],
    ]
    told = next(group for group in groups if len(group) == 2)
    assert "0.5 of each test image's labels known beforehand" in tables.build(told).title
    with pytest.raises(StoreError, match=r"known tags 0\.5 of each test image's labels known beforehand and none"):
        tables.build(summaries)


def test_it_is_never_reproduced_in_a_table_of_the_paper(run):
    from dataclasses import replace

    summary = run.summary()
    published = next(one for one in published_tables() if one.number == 1)
    config = summary.config | {"protocol": f"{published.protocol}@1"}
    summary = replace(summary, config=config, about=replace(summary.about, row=published.rows[0].name))
    ledger = paper_tables.build(published, [summary])
    assert ledger.rows[0].status == "measured with 0.5 of each test image's labels known beforehand"


def test_there_is_no_export_and_a_reason(run, tmp_path, capsys):
    assert bench("export", run.path, "--out", tmp_path / "out") == 2
    assert "it takes known tags of an image, which a picture does not have" in capsys.readouterr().err


def test_a_model_that_takes_tags_undeclared_is_refused_and_one_that_declares_them_takes_them():
    request = ModelRequest({}, 4, ("a", "b"), (1, 1), 0)
    with pytest.raises(PluginError, match="takes known tags undeclared"):
        checks.check_model(Copies(request), "scores")
    plain = documented().NEAR_BEST.build(ModelRequest({"margin": 1.0}, 4, ("a", "b"), (1, 1), 0))
    with pytest.raises(PluginError, match="declares known_tags and takes no argument known"):
        checks.check_model(plain, "sets", known_tags=True)
    with pytest.raises(UsageError, match="known_tags of kind 'sequence', allowed: of 'scores' and 'sets'"):
        ModelSpec("told", "told", "sequence", Copies, known_tags=True)


@pytest.mark.parametrize("packed", [False, True])
def test_known_pairs_are_left_out_of_packed_masks_too(packed):
    rng = np.random.default_rng(0)
    truth = rng.random((30, 13)) < 0.4
    ignore, known = (rng.random(truth.shape) < 0.1) & ~truth, known_tags.draw(truth, 0.7)
    given = [BitMatrix(np.packbits(mask, axis=1), 13) if packed else mask for mask in (truth, ignore, known)]
    left, out = known_tags.left_out(*given)
    np.testing.assert_array_equal(left[:], truth & ~known)
    np.testing.assert_array_equal(out[:], ignore | known)


def test_the_best_of_unknown_labels_are_taken_where_too_few_are_left():
    from bench import Scores

    scores = Scores(("x",), np.array([[3.0, 2.0, 1.0]], np.float32), "margin")
    for known, expected in (([1, 0, 0], [0, 1, 1]), ([1, 1, 0], [0, 0, 1]), ([0, 0, 0], [1, 1, 0])):
        mask = np.array([known], dtype=bool)
        found = protocols.packed_from_scores(protocols.get("top2@1"), scores, mask)[:]
        assert found.astype(int).tolist() == [expected]
