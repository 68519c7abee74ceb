"""A sequence model whose memory starts from the image: exported, it says what torch and the plain search say."""

import numpy as np
import pytest
from example_commands import bench
from example_exports import export_models, images_of, pixels_of, run_of
from example_models import SEES_IMAGE, registry_with

from bench import plugins
from bench.decode.decoder import Decoder, decode
from bench.decode.search import Conditional, Prefixes, search
from bench.exported import engine
from bench.exported.predict import Predictor
from bench.model.networks import TorchStepNetwork
from bench.rebuilt import rebuild
from bench.records import SearchOptions


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    registry = registry_with(SEES_IMAGE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "installed", lambda: registry)
        yield export_models(tmp_path_factory.mktemp("sees"), ("sees-image",))


@pytest.fixture(scope="module")
def by_torch(root):
    """The trained model, with its image terms and start states of the test images."""
    import torch

    rebuilt = rebuild(run_of(root, "sees-image"))
    pixels = pixels_of(Predictor(root / "sees-image"), images_of(root))
    with torch.inference_mode():
        features = rebuilt.backbone.module(torch.from_numpy(pixels))
        return rebuilt.model, rebuilt.model.image_term(features).numpy(), rebuilt.model.start_states(features).numpy()


def test_it_predicts_what_its_run_stored(root):
    run = run_of(root, "sees-image")
    found = list(Predictor(root / "sees-image").predict(images_of(root)))
    labels = run.read_truth().labels
    for result, row in zip(found, run.read_predicted(), strict=True):
        assert set(result.labels) == {labels[index] for index in row.nonzero()[0]}
    stored = run.read_label_sets().log_probabilities
    np.testing.assert_allclose([result.log_probability for result in found], stored, rtol=1e-4, atol=1e-5)


def test_start_states_terms_and_steps_equal_torch(root, by_torch):
    model, terms, starts = by_torch
    predictor = Predictor(root / "sees-image", batch=7)
    encoded = predictor.encoder.encode(pixels_of(predictor, images_of(root)))
    np.testing.assert_allclose(encoded[0], terms, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(encoded[1], starts, rtol=1e-4, atol=1e-5)
    assert np.abs(starts - starts[0]).max() > 1e-3
    network = engine.OnnxStepNetwork(root / "sees-image", predictor.description)
    assert network.sees_image
    assert network.start_states.shape == (0, starts.shape[1])
    labels = np.arange(20) % (len(predictor.description.labels) + 2)
    for one, other in zip(network.step(labels, starts), TorchStepNetwork(model).step(labels, starts), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [SearchOptions(), SearchOptions(search="exact"), SearchOptions(beam_width=5)])
def test_the_compiled_search_over_onnx_is_the_plain_search_over_torch_and_over_onnx(root, by_torch, options):
    model, terms, starts = by_torch
    predictor = Predictor(root / "sees-image")
    network = engine.OnnxStepNetwork(root / "sees-image", predictor.description)
    compiled = Decoder(network, network.start_states, options).answers(terms, starts)[0]
    plain = [
        search(Conditional(Prefixes(TorchStepNetwork(model), starts[row]), terms[row], options)) for row in range(20)
    ]
    ids = tuple(map(str, range(20)))
    reference = decode(network, terms, starts, ids, options, engine="reference")
    for row, answer in enumerate(plain):
        assert tuple(label for label in compiled["sequences"][row] if label >= 0) == tuple(answer.labels)
        assert tuple(label for label in reference.label_sets.sequences[row] if label >= 0) == tuple(answer.labels)
    expected = [answer.log_probability for answer in plain]
    np.testing.assert_allclose(compiled["log_probabilities"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(reference.label_sets.log_probabilities, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(compiled["class_scores"], [answer.scores for answer in plain], rtol=1e-4, atol=1e-5)


def test_the_number_of_images_at_once_changes_no_result(root):
    results = [list(Predictor(root / "sees-image", batch=batch).predict(images_of(root))) for batch in (1, 7, 16)]
    for other in results[1:]:
        assert [one.labels for one in other] == [one.labels for one in results[0]]


def test_the_state_of_another_image_gives_another_answer(root, by_torch):
    """So that the claims above could fail: the image reaches the answer through the start state too."""
    _, terms, starts = by_torch
    predictor = Predictor(root / "sees-image")
    own = predictor.decoder.answers(terms, starts)[0]["log_probabilities"]
    others = predictor.decoder.answers(terms, np.ascontiguousarray(starts[::-1]))[0]["log_probabilities"]
    assert np.abs(own - others).max() > 1e-3


def test_it_is_exported_in_half_precision_and_predicted_with_from_the_command_line(root, tmp_path, capsys):
    run = run_of(root, "sees-image").path
    assert bench("export", run, "--out", tmp_path / "half", "--precision", "fp16", "--measure") == 0
    assert "start states = torch, real images" in capsys.readouterr().out
    assert bench("predict", tmp_path / "half", images_of(root)[0]) == 0
