"""Models, backbones and data sets that are not what they must be: a failing row or one line, and never a number."""

import os
from dataclasses import replace

import hostile_runs
import numpy as np
import pytest
import torch
from hostile_runs import BAD, Flat, Pictures, Plain, Worded, flat, registry, run, toy

import bench
from bench import BenchError, PluginError
from bench.pipeline import run_one


class Transposed(Plain):
    def forward(self, features):
        return super().forward(features)[:, :3]


class Whole(Plain):
    def forward(self, features):
        return (super().forward(features) > 0).long()


class Words(Plain):
    def forward(self, features):
        return ["cat"] * len(features)


class Infinite(Plain):
    def forward(self, features):
        scores = super().forward(features)
        return scores if self.training else scores.masked_fill(scores < scores.mean(1, keepdim=True), -torch.inf)


class Undefined(Plain):
    def forward(self, features):
        return super().forward(features) * (1 if self.training else torch.nan)


class FirstRows(Plain):
    """Answers for as many images as it was tried with."""

    def forward(self, features):
        place = torch.arange(features.shape[0])[:, None]
        return super().forward(features) * (self.training | (place < 40))


class Neighbourly(Plain):
    def forward(self, features):
        scores = super().forward(features)
        return scores - scores.mean(dim=0)


class Ordered(Plain):
    def forward(self, features):
        return super().forward(features) + torch.arange(len(features))[:, None]


class Chance(Plain):
    def forward(self, features):
        return torch.nn.functional.dropout(super().forward(features))


class Counting(Plain):
    calls = 0

    def forward(self, features):
        self.calls += 1
        return super().forward(features) + self.calls


class Forgetful(Plain):
    """Learns a threshold that is no part of its state dict."""

    threshold = 0.0

    def forward(self, features):
        return super().forward(features) - self.threshold

    def loss(self, features, truth, generator):
        self.threshold = float(truth.float().mean()) + 1
        return super().loss(features, truth, generator)


class Fitted(Plain):
    """Keeps what it was fitted on as a plain attribute, which a model made anew lacks."""

    def fit(self, features, truth):
        self.prior = torch.from_numpy(truth.mean(axis=0)).float()

    def forward(self, features):
        return super().forward(features) + self.prior


class Unlikely(Plain):
    """Gives logits and calls them probabilities."""

    score_kind = "probability"


class Certain(Plain):
    """Gives logits and calls them the logarithms of probabilities."""

    score_kind = "log_probability"


class Unlisted(Plain):
    """Keeps its layers in a plain list, where no optimiser finds them."""

    def __init__(self, request):
        super().__init__(request)
        self.layers = [torch.nn.Linear(request.dimensions, request.dimensions)]

    def forward(self, features):
        return super().forward(self.layers[0](features))


ONE = torch.nn.Linear(48, 48)


class Shared(Plain):
    """Has a layer that all builds train in turn."""

    def __init__(self, request):
        super().__init__(request)
        self.first = ONE

    def forward(self, features):
        return super().forward(self.first(features))


class Unfilled(Plain):
    """Starts from whatever is there: a torch.empty that was never filled, made plain."""

    def __init__(self, request):
        super().__init__(request)
        self.linear.weight.data += int.from_bytes(os.urandom(2)) + 1


class MadeLate(Plain):
    def forward(self, features):
        if not hasattr(self, "late"):
            self.late = torch.nn.Linear(features.shape[1], 4)
        return self.late(features)


class ShapeLater(Plain):
    def __init__(self, request):
        super().__init__(request)
        self.linear = torch.nn.LazyLinear(len(request.labels))


class WritesScores(Plain):
    def label_sets(self, features, scores):
        return scores.sub_(scores.mean(dim=1, keepdim=True)) > 0


class WritesFeatures(Plain):
    def forward(self, features):
        return super().forward(features.mul_(0.5))

    def label_sets(self, features, scores):
        return scores > features.mean(dim=1, keepdim=True)


class WritesTraining(Plain):
    def fit(self, features, truth):
        torch.from_numpy(features).sub_(1.0)


class WritesValidation(Plain):
    def calibrate(self, validation):
        torch.from_numpy(validation.truth).fill_(True)


BUILT_ONCE = {}

UNSOUND = {
    "logits as probabilities": (Unlikely, {}, "some of its scores can be no probability: they go from -"),
    "logits as log-probabilities": (Certain, {}, "some of its scores can be no log_probability: they go from"),
    "wrong shape": (Transposed, {}, "scores of shape (8, 3), must be (8, 4): images, labels"),
    "whole numbers": (Whole, {}, "the model gives a int64 of shape (256, 4) for each batch"),
    "no tensor": (Words, {}, "the model gives a list for each batch"),
    "infinite scores": (Infinite, {}, "scores are not finite"),
    "undefined scores": (Undefined, {}, "scores are not finite"),
    "end of the batch": (FirstRows, {}, "scores of an image depend on the other images of its batch: behind others"),
    "mean of the batch": (Neighbourly, {}, "scores of an image depend on the other images of its batch"),
    "place in the batch": (Ordered, {}, "scores of an image depend on the other images of its batch: in another order"),
    "chance": (Chance, {}, "the same images asked again give other scores"),
    "a state that calls change": (Counting, {}, "the same images asked again give other scores"),
    "lost state": (Forgetful, {}, "keeps state outside its state_dict. Try: register it as a buffer"),
    "lost fit": (Fitted, {}, "keeps state outside its state_dict. Try: register it as a buffer"),
    "layers in a list": (
        Unlisted,
        {},
        "the loss depends on 2 tensors that are no parameters of the model, of shape",
    ),
    "a layer of all builds": (Shared, {}, "first.weight, first.bias is one tensor in two builds"),
    "one object": (lambda request: BUILT_ONCE.setdefault(0, Plain(request)), {}, "returned the same object twice"),
    "a start by chance": (Unfilled, {}, "built twice with one seed it starts from another linear.weight"),
    "a layer made late": (MadeLate, {}, "late.weight, late.bias is made as the first batch comes"),
    "no shape yet": (ShapeLater, {}, "linear.weight, linear.bias has no shape before the first batch"),
    "scores written over": (WritesScores, {"kind": "sets"}, "the model changes the scores that it is given, in place"),
    "features written over": (WritesFeatures, {"kind": "sets"}, "the model changes the features that it is given"),
    "training part written over": (WritesTraining, {}, "the model changes the features that it is given, in place"),
    "validation part written over": (WritesValidation, {}, "the model changes the truth of the validation part"),
    "no module": (lambda _: 3, {}, "build returned a int, must return a torch.nn.Module"),
    "forgotten return": (lambda _: None, {}, "build returned a NoneType, must return a torch.nn.Module"),
    "kind of another model": (Plain, {"kind": "sequence"}, "a model of kind 'sequence' without activation, sees_image"),
}
"""Name -> the model, how it is registered, and what is said of it."""


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")  # torch says so once, and goes on
@pytest.mark.parametrize("name", UNSOUND)
def test_an_unsound_model_is_a_failing_row_and_no_number(name, tmp_path):
    model, settings, words = UNSOUND[name]
    with pytest.raises(PluginError) as caught:
        run(tmp_path, registry(model, **settings))
    assert words in str(caught.value)
    assert str(caught.value).startswith("bench-bad 2.1 (bad), ")
    summary = caught.value.folder.summary()
    assert (summary.state, summary.measures) == ("failed", None)


def test_a_model_that_lost_state_fails_again_when_it_is_run_again(tmp_path):
    plugins = registry(Forgetful)
    with pytest.raises(PluginError) as caught:
        run(tmp_path, plugins)
    with pytest.raises(PluginError, match="outside its state_dict"):
        run_one(caught.value.folder.request(), plugins)


class MixingSteps(Worded):
    def step(self, labels, states):
        terms = self.words(labels)
        return terms + terms.mean(dim=0), states


class MixingImages(Worded):
    def image_term(self, features):
        return self.image(features - features.mean(dim=0))


class MixingStarts(Worded):
    sees_image = True

    def start_states(self, features):
        return (features - features.mean(dim=0))[:, :2]


class BlindStarts(Worded):
    def start_states(self, features):
        return features[:, :2]


class NoEnd(Worded):
    def output_embedding(self):
        return self.output[:-1], None


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (MixingSteps, "the term of a prefix depends on the other prefixes of its batch"),
        (MixingImages, "image terms of an image depend on the other images of its batch"),
        (MixingStarts, "start states of an image depend on the other images of its batch"),
        (BlindStarts, "Try: sees_image = True"),
        (NoEnd, "output embedding of shape (4, 5), must be (5, 5)"),
    ],
)
def test_an_unsound_sequence_model_is_a_failing_row(model, words, tmp_path):
    with pytest.raises(PluginError) as caught:
        run(tmp_path, registry(model, kind="sequence"))
    assert words in str(caught.value)


def test_sound_models_of_both_kinds_pass(tmp_path):
    assert run(tmp_path, registry(Plain)).done
    assert run(tmp_path, registry(Worded, kind="sequence")).done


class Crowded(Flat):
    def forward(self, pixels):
        return super().forward(pixels) - pixels.mean()


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: flat(Crowded()), "features of an image depend on the other images of its batch"),
        (lambda: flat(torch.nn.Sequential(Flat(), torch.nn.Linear(48, 5))), "gave features of shape (2, 5)"),
        (lambda: None, "build returned a NoneType, must return a bench.Backbone"),
        (lambda: flat(lambda pixels: pixels), "the backbone's module is a function"),
    ],
)
def test_an_unsound_backbone_is_refused_by_name(made, words, tmp_path):
    with pytest.raises(BenchError) as caught:
        run(tmp_path, registry(backbone=made, bad="backbone"))
    assert words in str(caught.value)
    assert str(caught.value).startswith("bench-bad 2.1 (bad), ")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: None, "build returned a NoneType, must return a bench.Dataset"),
        (lambda: hostile_runs.Split("toy", "t", ("a",), ("cat",), np.ones((2, 1), bool), None), "truth is (2, 1)"),
        (lambda: hostile_runs.Split("toy", "t", ("a",), ("cat",), np.ones((1, 1)), None), "must be bool"),
        (lambda: hostile_runs.Split("toy", "t", ("a",), ("cat",), [[True]], None), "truth is list, must be bool"),
        (lambda: replace(toy(), protocol=None), "toy: protocol None, must be a name, as top3@1"),
    ],
)
def test_an_unsound_data_set_is_refused_by_name(made, words, tmp_path):
    with pytest.raises(BenchError) as caught:
        run(tmp_path, registry(dataset=made, bad="dataset"))
    assert words in str(caught.value)
    assert str(caught.value).startswith("bench-bad 2.1 (bad), open data set of data set 'toy'")


@pytest.mark.parametrize(
    "picture", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), None, np.zeros((0, 4, 3), np.uint8)]
)
def test_a_picture_that_is_none_is_refused_by_name(picture, tmp_path):
    class Own(Pictures):
        def read(self, index):
            return picture

    dataset = toy(Own())
    from bench.data.guarded import named_images

    with pytest.raises(PluginError, match=r"bench-bad 2.1 \(bad\), reading pictures of data set 'toy': image 0 is"):
        named_images(dataset, BAD).test.images.read(0)


def test_a_model_that_nothing_would_train_is_a_failing_row(tmp_path):
    plugins = registry(Plain)
    spec = bench.ModelSpec("m", "a model", "scores", Plain, training=None)
    plugins.offered["models"]["m"] = hostile_runs.found(spec, bad=True)
    with pytest.raises(PluginError, match="the model has weights and no fit: nothing would train them"):
        run(tmp_path, plugins)


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_a_fit_that_writes_into_what_is_mapped_from_a_file_is_a_failing_row_and_no_crash(tmp_path):
    def dataset():
        parts = toy()
        return replace(parts, validation=replace(hostile_runs.split("validation", 12), labels=parts.labels))

    with pytest.raises(PluginError, match="the model changes the features that it is given, in place"):
        run(tmp_path, registry(WritesTraining, dataset=dataset))


class Halfway(Plain):
    """Has a part behind which its own code stops the gradient."""

    def __init__(self, request):
        super().__init__(request)
        self.first = torch.nn.Linear(request.dimensions, request.dimensions)

    def forward(self, features):
        return super().forward(self.first(features).detach())


class Squashed(Plain):
    """Gives probabilities and calls them logits."""

    def forward(self, features):
        return super().forward(features).sigmoid()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Halfway, "no gradient reaches first.weight, first.bias, which stays as it began"),
        (Squashed, "every score of kind 'logit' is from 0 to 1: is it a probability? Try: score_kind = 'probability'"),
    ],
)
def test_a_row_that_is_odd_says_so(model, words, tmp_path):
    folder = run(tmp_path, registry(model))
    assert folder.read_about().remarks == (words,)


def test_a_model_that_does_not_see_the_image_gets_a_note(tmp_path):
    class Blind(Plain):
        def forward(self, features):
            return super().forward(1e-8 * features)  # rounding is no sight

    folder = run(tmp_path, registry(Blind))
    assert folder.read_about().remarks == ("every test image has the same scores: the model does not see the image",)
