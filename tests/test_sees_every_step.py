"""A sequence model whose every step looks at the feature map: each image's search is as if it were alone."""

import numpy as np
import pytest
import torch
from documented import documented
from example_commands import bench, write_corel
from example_exports import images_of, pixels_of, run_of, run_options
from example_models import registry_with

from bench import ModelError, PluginError, plugins
from bench.decode import annotated
from bench.decode.decoder import decode, joined
from bench.decode.search import renormalised, search
from bench.exported.predict import Predictor
from bench.model import checks, features, networks
from bench.onnx.files import write_onnx
from bench.rebuilt import rebuild
from bench.recompute.run import recompute
from bench.records import Features, SearchOptions
from bench.store.validate import validate

OPTIONS = [
    SearchOptions(),
    SearchOptions(beam_width=5),
    SearchOptions(search="exact"),
    SearchOptions(mask_repeats=True),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    registry = registry_with(documented().ATTEND_AND_TELL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "installed", lambda: registry)
        root = tmp_path_factory.mktemp("sees")
        write_corel(root / "corel")
        training = ("--set", "epochs=30", "--set", "learning_rates=3e-3", "--set", "optimizer=adam")
        options = (*run_options(root), "--set", "backbone.size=16", "--set", "backbone.init=random", *training)
        assert bench("run", "--model", "attend-and-tell", *options) == 0
        assert bench("export", run_of(root, "attend-and-tell").path, "--out", root / "attend-and-tell") == 0
        yield root


@pytest.fixture(scope="module")
def run(root):
    return run_of(root, "attend-and-tell")


@pytest.fixture(scope="module")
def trained(run):
    """The trained model, and the maps of the test images."""
    rebuilt = rebuild(run)
    cache = rebuilt.assembly.plan.request.cache / "features"
    return rebuilt.model, features.of_parts(rebuilt.assembly.parts, rebuilt.backbone, cache).test


class Alone:
    """The conditionals of one image, each computed anew from START by torch: too plain to be wrong."""

    def __init__(self, model, row, options):
        self.model, self.row, self.options = model, row, options
        self.end = len(model.output.weight) - 1

    def __call__(self, prefix):
        with torch.inference_mode():
            image = torch.from_numpy(self.row[None].astype(np.float32))
            states = self.model.start_states(image)
            for label in (self.end + 1, *prefix):
                terms, states = self.model.step(torch.tensor([label]), states, self.model.annotations(image))
            logits = torch.tanh(terms).double() @ self.model.output.weight.double().T + self.model.output.bias.double()
        return renormalised(logits[0].numpy().copy(), prefix, self.options)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("engine", ["kernel", "reference"])
def test_searching_all_images_together_is_searching_each_alone(trained, options, engine):
    model, test = trained
    network, terms, starts = networks.searchable(model, test)
    found = decode(network, terms, starts, test.ids, options, engine=engine)
    for row, values in enumerate(test.values):
        answer = search(Alone(model, values, options))
        sequence = found.label_sets.sequences[row]
        assert tuple(sequence[sequence >= 0]) == answer.labels
        assert found.label_sets.log_probabilities[row] == pytest.approx(answer.log_probability, abs=1e-4)
        np.testing.assert_allclose(found.class_scores.values[row], answer.scores, atol=1e-4)


def test_the_image_is_seen_at_every_step_and_not_only_at_the_start(trained):
    """So that the claim above could fail: other annotations behind the same start give other answers."""
    model, test = trained
    network, terms, starts = networks.searchable(model, test)
    own = decode(network, terms, starts, test.ids, SearchOptions()).label_sets.log_probabilities
    turned = annotated.SeeingImages(network.network, np.ascontiguousarray(network.annotations[::-1]))
    others = decode(turned, terms, starts, test.ids, SearchOptions()).label_sets.log_probabilities
    assert np.abs(own - others).max() > 1e-3


def test_its_run_is_sound_predicted_and_trained_again(run):
    assert validate([run])[0].faults == ()
    again = recompute(run, retrain=True)
    assert (again.faults, again.level) == ((), "retrained")
    assert not [remark for remark in run.read_about().remarks if remark.startswith("no picture")]


def test_attention_is_of_what_each_step_sees(run):
    maps = run.exhibits.attention()
    assert maps
    assert all(values.max() > 0.5 for values in maps.values())


@pytest.mark.parametrize("size", [1, 7, 16])
def test_the_exported_model_gives_the_stored_sequences_at_every_batch_size(root, run, size):
    predictor = Predictor(root / "attend-and-tell", batch=size)
    assert predictor.description.annotations == (4, 32)
    found = list(predictor.predict(images_of(root)))
    labels, stored = run.read_truth().labels, run.read_label_sets()
    for one, sequence in zip(found, stored.sequences, strict=True):
        assert one.labels == tuple(dict.fromkeys(labels[index] for index in sequence if index >= 0))
    np.testing.assert_allclose([one.log_probability for one in found], stored.log_probabilities, rtol=1e-3, atol=1e-4)
    answer = predictor.answer(predictor.encoder.encode(pixels_of(predictor, images_of(root))))
    np.testing.assert_allclose(answer.scores, run.read_scores().values, atol=1e-3)


def test_it_is_measured_exported_in_half_precision_and_predicted_with_from_the_command_line(root, run, tmp_path):
    assert bench("export", run.path, "--out", tmp_path / "half", "--precision", "fp16", "--measure") == 0
    assert bench("predict", tmp_path / "half", images_of(root)[0]) == 0


def test_images_decoded_in_parts_are_as_decoded_at_once(trained):
    model, test = trained
    whole = decode(*networks.searchable(model, test), test.ids, SearchOptions())
    parts = [
        decode(*networks.searchable(model, some), some.ids, SearchOptions())
        for some in (
            Features(test.ids[rows], test.values[rows], test.key) for rows in (slice(0, 7), slice(7, 8), slice(8, None))
        )
    ]
    found = joined(parts, sum(len(part.label_sets.ids) for part in parts))
    assert found.label_sets.ids == test.ids
    np.testing.assert_array_equal(found.label_sets.sequences, whole.label_sets.sequences)
    np.testing.assert_allclose(found.class_scores.values, whole.class_scores.values, atol=1e-6)
    assert found.statistics["images"] == len(test.ids)


def test_rows_of_images_survive_in_float32():
    states = annotated.numbered(np.zeros((4096, 2), np.float32))
    np.testing.assert_array_equal(states[:, 0].astype(np.int64), np.arange(4096))
    assert np.float32(annotated.MOST_IMAGES - 1) != np.float32(annotated.MOST_IMAGES - 2)


def test_annotations_of_a_model_that_says_it_sees_no_image_are_refused(trained):
    model, _ = trained
    model.sees_image = False
    try:
        with pytest.raises(PluginError, match=r"with annotations whose sees_image is false\. Try: sees_image = True"):
            checks.check_model(model, "sequence")
    finally:
        del model.sees_image


def test_a_step_that_mixes_images_is_refused(trained):
    model, test = trained
    step = type(model).step
    model.step = lambda labels, states, seen: step(model, labels, states, seen + seen.mean(dim=0, keepdim=True))
    try:
        with pytest.raises(PluginError, match="the term of a prefix depends on the other prefixes"):
            checks.check_own(model, test.values, SearchOptions())
    finally:
        del model.step


def test_a_batch_size_that_python_fixed_is_told_with_its_remedy(tmp_path):
    class Fixed(torch.nn.Module):
        def forward(self, values):
            return values + values.new_zeros(len(values), 3)

    with pytest.raises(ModelError, match=r"a fixed number of values\. Try: x\.shape\[0\] in place of len\(x\)"):
        write_onnx(Fixed(), (torch.zeros(2, 3),), ["values"], ["out"], tmp_path / "fixed.onnx")
