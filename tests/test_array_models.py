"""Models that are no torch modules: fitted on arrays, kept without pickle, and exported to equal the stored scores."""

import importlib.util
import sys

import numpy as np
import onnxruntime
import pytest
import torch
from documented import documented
from example_commands import bench, write_corel
from example_exports import images_of, pixels_of, run_of, run_options
from example_models import batch, registry_with
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain
from sklearn.neighbors import KNeighborsClassifier

from bench import ModelError, ModelRequest, ModelSpec, NotRun, estimator_model, plugins
from bench.errors import PluginError
from bench.exported.export import exported_form
from bench.exported.predict import Predictor
from bench.model import features, train
from bench.model.arrays import ArrayModule
from bench.model.checks import check_weights_are_all
from bench.rebuilt import rebuild
from bench.recompute.run import recompute
from bench.store.validate import validate

FEATURES, TRUTH = batch(60)


class Pickled(documented().Chain):
    """Would keep an object, which safetensors cannot hold."""

    def state(self):
        return {"chain": np.array([self], dtype=object)}


class Unexported(documented().Chain):
    """Cannot be exported, and says why."""

    def to_export(self, opset):
        raise NotRun("its links are looked up in a table")


def spec_of(name, build, **changes):
    return ModelSpec(name, name, "sets", build, documented().CHAIN.options, **{"training": None, **changes})


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    others = [spec_of("pickled", Pickled), spec_of("trained", documented().Chain, training={})]
    registry = registry_with(documented().CHAIN, documented().ONE_AGAINST_REST, *others)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "installed", lambda: registry)
        root = tmp_path_factory.mktemp("arrays")
        write_corel(root / "corel")
        yield root


def run(root, model):
    assert bench("run", "--model", model, *run_options(root), "--set", "backbone.init=random") == 0
    return run_of(root, model)


def exported(root, model):
    assert bench("export", run(root, model).path, "--out", root / model) == 0
    return Predictor(root / model)


def test_stored_scores_are_those_of_scikit_learns_own_chain(root):
    folder = run(root, "chain")
    rebuilt = rebuild(folder)
    assembly = rebuilt.assembly
    extracted = features.of_parts(assembly.parts, rebuilt.backbone, assembly.plan.request.cache / "features")
    truth, _ = assembly.to_train_on
    zeros = np.zeros((2, extracted.fit.dimensions), np.float32)
    ends = np.array([[False] * truth.shape[1], [True] * truth.shape[1]])
    chain = ClassifierChain(LogisticRegression(C=1.0, max_iter=1000))
    chain.fit(np.concatenate([extracted.fit.values, zeros]), np.concatenate([truth, ends]))
    test = extracted.test.values
    np.testing.assert_allclose(folder.read_scores().values, chain.predict_proba(test), atol=1e-5)
    np.testing.assert_array_equal(folder.read_predicted(), chain.predict(test) > 0.5)


def test_its_run_is_sound_predicted_and_trained_again_to_the_bit(root):
    folder = run(root, "chain")
    assert validate([folder])[0].faults == ()
    again = recompute(folder, retrain=True)
    assert (again.faults, again.level) == ((), "retrained")


def test_what_is_stored_is_a_safetensors_file_of_its_arrays(root):
    from safetensors.numpy import load

    assert set(load(run(root, "chain").read_weights())) == {"planes", "bias"}


def test_an_exported_chain_gives_the_stored_scores_and_sets(root):
    predictor, folder = exported(root, "chain"), run_of(root, "chain")
    found = predictor.answer(predictor.encoder.encode(pixels_of(predictor, images_of(root))))
    np.testing.assert_allclose(found.scores, folder.read_scores().values, rtol=1e-4, atol=1e-5)
    sets = [set(row.nonzero()[0].tolist()) for row in folder.read_predicted()]
    assert [set(chosen) for chosen in found.chosen] == sets


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("pickled", "state 'chain' is a object array, must be an array of numbers or truth values"),
        ("trained", "a model of arrays has no gradient training. Try: training=None in its ModelSpec"),
    ],
)
def test_what_cannot_be_stored_or_trained_is_one_line(root, capsys, model, words):
    assert bench("run", "--model", model, *run_options(root), "--set", "backbone.init=random") == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("scores", "what"),
    [
        (np.ones((2, 4), dtype=np.complex64), "a complex64 array"),
        (np.ma.masked_less(np.ones((2, 4)), 0.5), "a MaskedArray"),
        (np.full((2, 4), "1.0"), "a <U3 array"),
        (np.ones((2, 4), dtype=np.bool_), "a bool array"),
    ],
)
def test_scores_that_are_no_plain_floats_are_refused(scores, what):
    model = documented().Chain(ModelRequest({"C": 1.0}, 6, tuple("abcd"), (1,) * 4, 0))
    model.scores = lambda features: scores
    with pytest.raises(PluginError, match=f"scores gives {what}, must be an array of floats"):
        ArrayModule(model)(torch.zeros(2, 6))


def test_fine_tuning_by_it_is_refused(root, capsys):
    options = (*run_options(root), "--set", "backbone.init=random", "--finetune", "1")
    assert bench("run", "--model", "chain", *options) == 2
    assert "has no gradient to fine-tune a backbone by. Try: --finetune 0" in capsys.readouterr().err


def test_no_export_has_a_reason():
    request = ModelRequest({"C": 1.0}, 6, tuple("abcd"), (1,) * 4, 0)
    with pytest.raises(ModelError, match="cannot be exported: its links are looked up in a table"):
        exported_form(ArrayModule(Unexported(request)))
    chain = documented().Chain(request)
    chain_without = type("Without", (), {name: getattr(chain, name) for name in NAMES})()
    with pytest.raises(ModelError, match="it has no to_export"):
        exported_form(ArrayModule(chain_without))


NAMES = ("score_kind", "fit", "state", "load_state", "scores", "label_sets")


def fitted(model):
    model.fit(FEATURES, TRUTH)
    return model


def test_an_estimator_is_stored_by_skops_the_same_each_time_and_read_back():
    pytest.importorskip("skops")
    first, second = (fitted(of_chain()) for _ in range(2))
    assert train.save_weights(ArrayModule(first)) == train.save_weights(ArrayModule(second))
    fresh = ArrayModule(of_chain())
    train.load_weights(fresh, train.save_weights(ArrayModule(first)))
    np.testing.assert_array_equal(fresh.model.scores(FEATURES), first.scores(FEATURES))
    np.testing.assert_array_equal(fresh.model.label_sets(FEATURES, None), first.label_sets(FEATURES, None))


def test_a_type_that_is_not_trusted_is_refused_by_name_and_never_made():
    pytest.importorskip("skops")
    from bench.model.estimators import _dumps, _loads

    content = _dumps(documented_type()())
    with pytest.raises(ModelError, match=r"holds documented_plugin\.Unknown, which its model does not trust"):
        _loads(content, ())
    assert type(_loads(content, ("documented_plugin.Unknown",))).__name__ == "Unknown"


def test_labels_that_all_images_have_or_none_get_a_constant_score():
    pytest.importorskip("skops")
    truth = TRUTH.copy()
    truth[:, 1], truth[:, 2] = True, False
    model = of_chain()
    model.fit(FEATURES, truth)
    scores = model.scores(FEATURES)
    assert (scores[:, 1] == 1.0).all()
    assert (scores[:, 2] == 0.0).all()
    assert len(np.unique(scores[:, 0])) > 10
    np.testing.assert_array_equal(model.label_sets(FEATURES, scores)[:, 1:3], truth[:, 1:3])


@pytest.mark.parametrize("kind", ["probability", "margin"])
def test_where_one_label_can_be_learnt_its_scores_are_the_estimators_own(kind):
    """Estimators take one column for two classes, and give them in as many forms as there are estimators."""
    pytest.importorskip("skops")
    truth = TRUTH.copy()
    truth[:, 1:] = False
    model = estimator_model(OneVsRestClassifier(LogisticRegression()), score_kind=kind, own_sets=True)
    for labels in (truth, truth[:, :1]):
        model.fit(FEATURES, labels)
        scores, own = model.scores(FEATURES), LogisticRegression().fit(FEATURES, truth[:, 0])
        wanted = own.predict_proba(FEATURES)[:, 1] if kind == "probability" else own.decision_function(FEATURES)
        np.testing.assert_allclose(scores[:, 0], wanted, rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(model.label_sets(FEATURES, scores)[:, 0], own.predict(FEATURES))
    if kind == "probability" and importlib.util.find_spec("skl2onnx"):
        session = onnxruntime.InferenceSession(model.to_export(17).SerializeToString())
        np.testing.assert_allclose(session.run(None, {"features": FEATURES})[0], scores, atol=1e-5)


def test_what_skl2onnx_writes_in_another_shape_is_not_exported():
    pytest.importorskip("skops")
    pytest.importorskip("skl2onnx")
    model = estimator_model(KNeighborsClassifier(), score_kind="probability")
    model.fit(FEATURES, TRUTH)
    with pytest.raises(NotRun, match="skl2onnx cannot write KNeighborsClassifier: "):
        model.to_export(17)


def test_an_estimator_exported_by_skl2onnx_gives_the_stored_scores(root):
    pytest.importorskip("skops")
    pytest.importorskip("skl2onnx")
    predictor, folder = exported(root, "one-against-rest"), run_of(root, "one-against-rest")
    found = predictor.answer(predictor.encoder.encode(pixels_of(predictor, images_of(root))))
    np.testing.assert_allclose(found.scores, folder.read_scores().values, rtol=1e-4, atol=1e-5)
    assert recompute(folder, retrain=True).faults == ()


def test_what_skl2onnx_cannot_write_is_the_reason():
    pytest.importorskip("skops")
    pytest.importorskip("skl2onnx")
    with pytest.raises(ModelError, match="cannot be exported: skl2onnx cannot write ClassifierChain: "):
        exported_form(ArrayModule(fitted(of_chain())))


def test_without_skops_there_is_one_line_that_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skops", None)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(NotRun, match=r"skops, which is not installed. Try: pip install 'multilabel-bench\[sklearn\]'"):
        of_chain()


def of_chain():
    return estimator_model(ClassifierChain(LogisticRegression()), score_kind="probability", own_sets=True)


def documented_type():
    module = documented()
    module.Unknown = type("Unknown", (), {"__module__": module.__name__})
    return module.Unknown


class Learns(documented().Chain):
    """Is built to give logits, and finds as it is fitted that it gives probabilities."""

    def __init__(self, request):
        super().__init__(request)
        self.score_kind = "logit"

    def fit(self, features, truth):
        super().fit(features, truth)
        self.score_kind = "probability"


def test_a_kind_of_scores_that_fit_chooses_is_no_models():
    request = ModelRequest({"C": 1.0}, FEATURES.shape[1], tuple("abcd"), tuple(TRUTH.sum(axis=0).tolist()), 0)
    trained, anew = ArrayModule(Learns(request)), ArrayModule(Learns(request))
    trained.fit(FEATURES, TRUTH)
    train.load_weights(anew, train.save_weights(trained))
    with pytest.raises(PluginError, match="score_kind is 'probability' once it is trained, and 'logit' as it is built"):
        check_weights_are_all(trained, anew, FEATURES, None)
