"""The validation part is handed to a model that asks for it, whole and alone: nothing of the test part is."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from documented import documented
from example_commands import bench, write_corel
from example_exports import run_of, run_options
from example_models import registry_with
from example_splits import make_split, random_truth
from torch import nn

from bench import DataError, Dataset, DatasetSpec, ModelSpec, plugins
from bench.assembly import _cached_parts, open_parts
from bench.model import features
from bench.rebuilt import rebuild
from bench.recompute.run import recompute
from bench.records import RunRequest

GIVEN = {}


class Asks(nn.Module):
    """Keeps all that its ``fit`` is given, and stops at the best of three scales of a random plane."""

    score_kind = "margin"

    def __init__(self, request):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(request.seed)
            self.linear = nn.Linear(request.dimensions, len(request.labels))
        self.register_buffer("chosen", torch.zeros(1))

    def fit(self, features, truth, ignore=None, *, validation):
        GIVEN.update(features=features, truth=truth, validation=validation, score=validation.score(self))

    def forward(self, features):
        return self.linear(features)

    def loss(self, features, truth, generator):
        return features.new_zeros(())


ASKS = ModelSpec("asks", "looks at the validation part", "scores", Asks, training=None)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    registry = registry_with(ASKS, documented().THRESHOLDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "installed", lambda: registry)
        root = tmp_path_factory.mktemp("validation")
        write_corel(root / "corel")
        for model, training in (("asks", ()), ("thresholds", ("--set", "epochs=2"))):
            options = (*run_options(root), "--set", "backbone.init=random", *training)
            assert bench("run", "--model", model, *options) == 0
        yield root


def parts_of(root, model):
    rebuilt = rebuild(run_of(root, model))
    cache = rebuilt.assembly.plan.request.cache / "features"
    return rebuilt, features.of_parts(rebuilt.assembly.parts, rebuilt.backbone, cache)


def test_a_fit_is_handed_fit_and_validation_part_and_no_image_of_test(root):
    rebuilt, extracted = parts_of(root, "asks")
    parts, given = rebuilt.assembly.parts, GIVEN["validation"]
    np.testing.assert_array_equal(given.features, extracted.validation.values)
    np.testing.assert_array_equal(given.truth, parts.validation.truth)
    assert given.ignore is None
    assert 0.0 <= GIVEN["score"] <= 1.0
    np.testing.assert_array_equal(GIVEN["features"], extracted.fit.values)
    assert not set(parts.test.ids) & {*parts.fit.ids, *parts.validation.ids}


def test_thresholds_are_those_of_the_best_f1_on_validation(root):
    rebuilt, extracted = parts_of(root, "thresholds")
    with torch.inference_mode():
        scores = rebuilt.model(torch.from_numpy(extracted.validation.values.copy())).numpy()
    truth, thresholds = rebuilt.assembly.parts.validation.truth, rebuilt.model.thresholds.numpy()
    assert (thresholds != 0).any()
    for label in range(truth.shape[1]):
        chosen = _f1(truth[:, label], scores[:, label] >= thresholds[label] - 1e-6)
        assert chosen == pytest.approx(max(_f1(truth[:, label], scores[:, label] >= at) for at in scores[:, label]))


def test_what_was_calibrated_is_stored_and_gives_the_stored_validation_score_again(root):
    again = recompute(run_of(root, "thresholds"), retrain=True)
    assert (again.faults, again.level) == ((), "retrained")


def test_test_labels_in_another_order_change_no_choice(root, tmp_path):
    """Nothing of a trained model depends on what is true of the test part."""
    before = run_of(root, "thresholds").read_weights()
    lines = (root / "corel" / "test.tsv").read_text().splitlines()
    names, labels = zip(*(line.split("\t") for line in lines), strict=True)
    turned = "\n".join("\t".join(pair) for pair in zip(names, labels[1:] + labels[:1], strict=True))
    (root / "corel" / "test.tsv").write_text(turned)
    _cached_parts.cache_clear()
    options = [tmp_path if option == root / "runs" else option for option in run_options(root)]
    options += ["--set", "epochs=2", "--set", "backbone.init=random"]
    try:
        assert (
            bench("run", "--model", "thresholds", *options, "--set", "epochs=2", "--set", "backbone.init=random") == 0
        )
    finally:
        (root / "corel" / "test.tsv").write_text("\n".join(lines))
        _cached_parts.cache_clear()
    turned_run = run_of(tmp_path, "thresholds", "")
    assert (turned_run.read_truth().truth != run_of(root, "thresholds").read_truth().truth).any()
    assert turned_run.read_weights() == before


def _f1(truth, predicted):
    return 2 * int((truth & predicted).sum()) / max(int(truth.sum()) + int(predicted.sum()), 1)


def test_a_data_set_whose_validation_part_is_its_test_part_is_refused(tmp_path):
    """Whatever is chosen on it would be chosen on test."""

    def build(request):
        train, test = make_split(random_truth(20)), make_split(random_truth(8), "test")
        return Dataset("toy", "", train, test, "top2@1", validation=replace(test, name="validation"))

    found = plugins.Found(DatasetSpec("toy", "toy", build), plugins.Origin("bench-of-tests", "1", "toy"))
    plan = SimpleNamespace(
        dataset=found, dataset_options={}, request=RunRequest("bce", "toy", cache=tmp_path, out=tmp_path)
    )
    with pytest.raises(DataError, match="its validation part is its test part, on which nothing may be chosen"):
        open_parts(plan)
