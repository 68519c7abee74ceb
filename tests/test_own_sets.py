"""A model of kind ``sets`` decides for itself: its sets are stored, measured, checked and exported; tables say so."""

import numpy as np
import pytest
from documented import documented
from example_commands import bench
from example_exports import export_models, images_of, run_of, run_options
from example_models import registry_with

from bench import plugins
from bench.errors import PluginError
from bench.evaluation import protocols
from bench.exported.predict import Predictor
from bench.model import checks
from bench.recompute.run import recompute
from bench.store.validate import OWN_SETS, validate


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    registry = registry_with(documented().NEAR_BEST)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "installed", lambda: registry)
        yield export_models(tmp_path_factory.mktemp("sets"), ("near-best",))


@pytest.fixture(scope="module")
def run(root):
    return run_of(root, "near-best")


def test_stored_sets_are_the_models_decision_and_not_the_protocols(run):
    scores, predicted = run.read_scores(), run.read_predicted()
    expected = scores.values >= scores.values.max(axis=1, keepdims=True) - 1.0
    np.testing.assert_array_equal(predicted, expected)
    assert (predicted != protocols.predicted_from_scores(protocols.get("top2@1"), scores)).any()
    assert run.read_measures().values["labels_per_image"] == pytest.approx(expected.sum() / len(expected))


def test_its_folder_is_sound_and_predicting_again_gives_its_sets(root, run):
    (alone,) = validate([run])
    assert (alone.faults, alone.notes) == ((), (OWN_SETS,))
    again = recompute(run)
    assert (again.faults, again.level) == ((), "recomputed")


def test_other_sets_than_its_weights_decide_on_are_found_by_predicting_again(root, run):
    stored = run.read_predicted()
    with run.held():
        run.write_predicted(~stored)
    try:
        faults = recompute(run).faults
        assert any("are not those that its weights decide on" in fault for fault in faults), faults
    finally:
        with run.held():
            run.write_predicted(stored)


def test_the_exported_model_gives_the_stored_sets(root, run):
    labels = run.read_truth().labels
    for batch in (1, 7):
        predictor = Predictor(root / "near-best", batch=batch)
        assert predictor.description.kind == "sets"
        for found, row in zip(predictor.predict(images_of(root)), run.read_predicted(), strict=True):
            assert set(found.labels) == {labels[index] for index in row.nonzero()[0]}
            assert list(found.scores) == sorted(found.scores, reverse=True)


def test_its_exported_measures_are_the_stored_ones(root, run, tmp_path, capsys):
    assert bench("export", run.path, "--out", tmp_path / "again", "--measure") == 0
    assert "label sets = torch, real images" in capsys.readouterr().out


def test_a_table_says_which_rows_decide_for_themselves(root, capsys):
    bench("run", "--model", "bce", *run_options(root), "--set", "epochs=1", "--set", "backbone.init=random")
    assert bench("table", "--runs", root / "runs") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "label sets are the model's own, of any length, and no protocol's: near-best" in printed


def test_a_model_of_another_kind_is_refused(root):

    model = documented().NEAR_BEST.build(_request())
    with pytest.raises(PluginError, match=r"kind .scores. with label_sets\. Try: kind=.sets."):
        checks.check_model(model, "scores")
    model.label_sets = lambda features, scores: scores
    with pytest.raises(PluginError, match=r"label_sets gives a float32 .* must be a bool tensor"):
        checks.check_answers(model, np.zeros((3, 4), np.float32), 2, None)


def _request():
    from bench import ModelRequest

    return ModelRequest({"margin": 1.0}, 4, ("a", "b"), (1, 1), 0)
