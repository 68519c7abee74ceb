"""What every row says from ONNX files is what its runs have stored, or it says why there are none; docs/methods.md."""

import numpy as np
import pytest
from example_commands import FAST, bench, write_corel
from example_exports import MODELS, NETWORK, images_of, pixels_of, run_of, run_options
from methods_page import PAGE, first_party, written

from bench.exported.predict import Predictor
from bench.exported.publish import why_not
from bench.store.validate import validate

TRAINED = {
    "asymmetric-loss": (),
    "i-ft": ("--finetune", "1"),
    "csra": (),
    "query2label": ("--set", "width=32"),
    "mlp": ("--set", "hidden=8"),
    "softmax": (),
    "warp": (),
    "joint-embedding": (),
    "no-rnn": (),
}
INIT = ("--set", "backbone.init=random")
FITTED = {
    "svm": (),
    "logistic": (),
    "classifier-chain": ("--set", "orders=2"),
    "metric-learning": ("--set", "neighbours=5"),
    "multi-edge-graph": ("--set", "edges=5"),
    "prior": (),
    "random": (),
}
"""What has no gradient training."""

BY_TESTS_OF_THEIR_OWN = {*MODELS, "inria", "hcp", "cnn-rnn-tuned", "cnn-rnn-places"}
"""The last two in test_cnn_rnn_tuned.py."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("rows")
    write_corel(root / "corel")
    return root


def without_backbone(options):
    """The options of a run but for its backbone and that one's own."""
    place = options.index("--backbone")
    rest = [*options[:place], *options[place + 2 :]]
    own = [number for number, word in enumerate(rest) if str(word).startswith("backbone.")]
    dropped = {number - shift for number in own for shift in (0, 1)}
    return [word for number, word in enumerate(rest) if number not in dropped]


def compare(root, model):
    folder = run_of(root, model)
    assert validate([folder])[0].faults == ()
    assert bench("export", folder.path, "--out", root / model) == 0
    predictor = Predictor(root / model)
    found = predictor.encoder(pixels_of(predictor, images_of(root)))
    if predictor.decoder is not None:
        found = predictor.decoder.answers(found, predictor.decoder.start_states)[0]["class_scores"]
    stored = folder.read_scores().values
    np.testing.assert_allclose(found, stored, rtol=1e-3, atol=1e-3 * np.abs(stored).max())


@pytest.mark.parametrize("model", TRAINED)
def test_a_trained_model_says_from_files_what_is_stored(root, model):
    assert bench("run", "--model", model, *run_options(root), *FAST, *TRAINED[model]) == 0
    compare(root, model)


@pytest.mark.slow
@pytest.mark.parametrize("model", FITTED)
def test_a_fitted_model_says_from_files_what_is_stored(root, model):
    assert bench("run", "--model", model, *run_options(root), *INIT, *FITTED[model]) == 0
    compare(root, model)


def test_the_page_of_methods_is_of_what_is_installed_and_every_line_that_says_equal_is_tested():
    page = PAGE.read_text(encoding="utf-8")
    assert page == written(page), "python tests/methods_page.py writes it anew"
    exported = {name for name, spec in first_party().items() if not why_not(spec)}
    assert exported == {*TRAINED, *FITTED, *BY_TESTS_OF_THEIR_OWN}
    assert page.count("| equal to the stored scores |") == len(exported)


def test_inria_says_from_files_what_is_stored(root):
    options = without_backbone(run_options(root))
    assert bench("run", "--model", "inria", *options, "--set", "gaussians=2", "--set", "backbone.size=64") == 0
    assert run_of(root, "inria").config["backbone"]["name"] == "dense-sift"
    compare(root, "inria")


def test_hcp_says_from_files_what_is_stored(root):
    options = without_backbone(run_options(root))
    more = ("--backbone", f"crops/{NETWORK}", "--set", "backbone.size=32", "--set", "backbone.grid=2")
    fast = [word for word in FAST if word != "--set" and not word.startswith("backbone.")]
    sets = [part for word in (*fast, "backbone.init=random") for part in ("--set", word)]
    assert bench("run", "--model", "hcp", *options, *more, *sets) == 0
    assert run_of(root, "hcp").config["backbone"]["feature_map"] == [32, 5, 1]
    compare(root, "hcp")
