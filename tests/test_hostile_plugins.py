"""What hostile plugins get: the next model's numbers stay the same, and each failure is one line that names its plugin.

The list stands in docs/plugins.md.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import hostile_runs
import numpy as np
import pytest
import torch
from hostile import FAILURES, HOSTILE
from hostile_runs import BAD, Flat, Plain, Worded, flat, registry, run, toy

from bench import BenchError, Images, PluginError, plugins
from bench.cli import run_command_line
from bench.guard import calling
from bench.pipeline import run_one
from bench.records import RunRequest
from bench.store.runs import find
from bench.system import global_state


def state():
    settings = global_state._settings()
    return {name: str(value) for name, value in global_state._read(settings).items() if "path" not in name}


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """The key and the scores of a model that no hostile plugin ran before."""
    folder = run(tmp_path_factory.mktemp("before"), registry())
    return folder.key, np.array(folder.read_scores().values)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_call_that_changes_global_state_leaves_it_as_it_was(name):
    before, folder, streams = state(), Path.cwd(), (sys.stdin, sys.stdout, sys.stderr)
    with calling(BAD, "build", "model 'm'"):
        HOSTILE[name]()
    assert state() == before
    assert Path.cwd() == folder
    assert (sys.stdin, sys.stdout, sys.stderr) == streams
    assert sys.path[0] != "/nowhere"
    print("standard output is open", file=sys.stdout)
    assert torch.ones(2, requires_grad=True).sum().requires_grad


@pytest.mark.parametrize("name", HOSTILE)
def test_the_next_models_numbers_are_those_of_a_run_without_the_hostile_one(name, numbers, tmp_path):
    class Hostile(Plain):
        def loss(self, features, truth, generator):
            loss = super().loss(features, truth, generator)
            HOSTILE[name]()
            return loss

    try:
        run(tmp_path, registry(Hostile))
    except BenchError as error:
        assert str(error).startswith("bench-bad 2.1 (bad), train of model 'm'")  # noqa: PT017 - it may well succeed
    after = run(tmp_path, registry())
    assert after.key == numbers[0]
    np.testing.assert_array_equal(after.read_scores().values, numbers[1])


@pytest.mark.parametrize("stage", ["data set", "picture", "backbone", "features", "model", "forward"])
def test_state_that_is_changed_in_any_stage_is_put_back(stage, numbers, tmp_path):
    def upset(where):
        if where == stage:
            torch.set_default_dtype(torch.float64)
            np.random.seed(1)  # noqa: NPY002 - the old generator is what is global
            os.chdir("/")
            os.environ["HOSTILE"] = "1"

    class Module(Flat):
        def forward(self, pixels):
            upset("features")
            return super().forward(pixels)

    class Pictures(Images):
        def __len__(self):
            return 24

        def read(self, index):
            upset("picture")
            return np.full((4, 4, 3), index, np.uint8)

        def describe(self, index):
            return str(index)

        def content_hash(self):
            return "made up"

    class Model(Plain):
        def __init__(self, request):
            super().__init__(request)
            upset("model")

        def forward(self, features):
            upset("forward")
            return super().forward(features)

    def dataset():
        upset("data set")
        return toy(Pictures())

    def backbone():
        upset("backbone")
        return flat(Module())

    run(tmp_path, registry(Model, dataset=dataset, backbone=backbone))
    assert "HOSTILE" not in os.environ
    after = run(tmp_path, registry())
    np.testing.assert_array_equal(after.read_scores().values, numbers[1])


def test_state_of_a_library_that_the_plugin_is_the_first_to_load_is_put_back_too():
    program = """
import sys
from bench.guard import calling
from bench.pipeline import run_one
from bench.records import RunRequest
from bench.store.runs import find
assert "torch" not in sys.modules
with calling("bench-bad", "import", "bad"):
    import torch
    before = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(before[0] + 1)
    torch.set_default_dtype(torch.float64)
    torch.rand(3)
assert (torch.get_num_threads(), torch.get_default_dtype()) == (before[0], torch.float32)
assert torch.equal(torch.get_rng_state(), before[1])
"""
    subprocess.run([sys.executable, "-P", "-c", program], check=True)


def test_what_a_plugin_prints_from_python_c_or_a_child_goes_to_standard_error():
    program = """
import os, sys
from bench.guard import calling
from bench.pipeline import run_one
from bench.records import RunRequest
from bench.store.runs import find
print("first")
with calling("bench-bad", "build", "model"):
    print("from Python")
    print("from Python", file=sys.__stdout__)
    os.write(1, b"from C\\n")
    os.system("echo from a child")
print("last")
"""
    done = subprocess.run([sys.executable, "-P", "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "first\nlast\n"
    assert sorted(done.stderr.splitlines()) == ["from C", "from Python", "from Python", "from a child"]


@pytest.mark.parametrize("name", FAILURES)
def test_whatever_a_loss_raises_is_a_row_with_one_line_that_names_all(name, tmp_path):
    call, words = FAILURES[name]

    class Failing(Plain):
        def loss(self, features, truth, generator):
            call()

    with pytest.raises(PluginError) as caught:
        run(tmp_path, registry(Failing))
    told = str(caught.value)
    assert told.startswith("bench-bad 2.1 (bad), train of model 'm', ")
    assert "Failing.loss at test_hostile_plugins.py:" in told
    assert words in told
    assert "\n" not in told
    folder = caught.value.folder
    assert folder.summary().reason == f"train: {told}"
    assert "Failing" in (folder.path / "traceback.txt").read_text()


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize(
    ("bad", "where"),
    [
        ("dataset", "open data set of data set 'toy'"),
        ("picture", "reading pictures of data set 'toy'"),
        ("backbone", "build backbone of backbone 'flat'"),
        ("features", "features of backbone 'flat'"),
        ("model", "build model of model 'm'"),
    ],
)
def test_a_failure_before_training_names_the_plugin_and_the_stage(bad, where, name, tmp_path):
    call, words = FAILURES[name]

    class Pictures(Images):
        def __len__(self):
            return 24

        def read(self, index):
            call()

        def describe(self, index):
            return str(index)

        def content_hash(self):
            return "made up"

    class Module(torch.nn.Module):
        def forward(self, pixels):
            call()

    plugins = {
        "dataset": lambda: registry(dataset=call, bad="dataset"),
        "picture": lambda: registry(dataset=lambda: toy(Pictures()), bad="dataset"),
        "backbone": lambda: registry(backbone=call, bad="backbone"),
        "features": lambda: registry(backbone=lambda: flat(Module()), bad="backbone"),
        "model": lambda: registry(lambda _: call()),
    }
    with pytest.raises(PluginError) as caught:
        run(tmp_path, plugins[bad]())
    told = str(caught.value)
    assert told.startswith(f"bench-bad 2.1 (bad), {where}, ")
    assert words in told
    assert " at hostile" in told or "test_hostile_plugins.py" in told


def test_a_users_interrupt_goes_on_even_where_the_plugin_swallows_it():
    with pytest.raises(KeyboardInterrupt), calling(BAD, "train", "model 'm'"):
        signal.raise_signal(signal.SIGINT)

    def swallow():
        with contextlib.suppress(BaseException):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), calling(BAD, "train", "model 'm'"), calling(BAD, "validate", "model 'm'"):
        swallow()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


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


UNSOUND = {
    "wrong shape": (Transposed, {}, "scores of shape (8, 3), must be (8, 4): images, labels"),
    "whole numbers": (Whole, {}, "the model gives a int64 of shape (256, 4) for each batch"),
    "no tensor": (Words, {}, "the model gives a list for each batch"),
    "infinite scores": (Infinite, {}, "scores are not finite"),
    "undefined scores": (Undefined, {}, "scores are not finite"),
    "mean of the batch": (Neighbourly, {}, "scores of an image depend on the other images of its batch"),
    "place in the batch": (Ordered, {}, "scores of an image depend on the other images of its batch: in another order"),
    "chance": (Chance, {}, "the same images asked again give other scores"),
    "a state that calls change": (Counting, {}, "the same images asked again give other scores"),
    "lost state": (Forgetful, {}, "keeps state outside its state_dict. Try: register it as a buffer"),
    "lost fit": (Fitted, {}, "keeps state outside its state_dict. Try: register it as a buffer"),
    "no module": (lambda _: 3, {}, "build returned a int, must return a torch.nn.Module"),
    "forgotten return": (lambda _: None, {}, "build returned a NoneType, must return a torch.nn.Module"),
    "kind of another model": (Plain, {"kind": "sequence"}, "a model of kind 'sequence' without activation, sees_image"),
}
"""Name -> the model, how it is registered, and what is said of it."""


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


class NoEnd(Worded):
    def output_embedding(self):
        return self.output[:-1], None


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (MixingSteps, "the term of a prefix depends on the other prefixes of its batch"),
        (MixingImages, "image terms of an image depend on the other images of its batch"),
        (MixingStarts, "start states of an image depend on the other images of its batch"),
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
    class Pictures(Images):
        def __len__(self):
            return 24

        def read(self, index):
            return picture

        def describe(self, index):
            return str(index)

        def content_hash(self):
            return "made up"

    dataset = toy(Pictures())
    from bench.data.guarded import named_images

    with pytest.raises(PluginError, match=r"bench-bad 2.1 \(bad\), reading pictures of data set 'toy': image 0 is"):
        named_images(dataset, BAD).test.images.read(0)


def test_a_model_that_does_not_see_the_image_gets_a_note(tmp_path):
    class Blind(Plain):
        def forward(self, features):
            return super().forward(torch.zeros_like(features))

    folder = run(tmp_path, registry(Blind))
    assert folder.read_about().remarks == ("every test image has the same scores: the model does not see the image",)


@pytest.mark.parametrize("error", [ZeroDivisionError("no"), SystemExit(3), KeyboardInterrupt()])
def test_what_cannot_be_shown_is_a_note_and_the_run_is_done(error, tmp_path, monkeypatch):
    from bench.model import inspection

    def fails(*_):
        raise error

    monkeypatch.setattr(inspection, "search_tree", fails)
    folder = run(tmp_path, registry(Worded, kind="sequence"))
    assert folder.done
    notes = folder.read_about().remarks
    assert any(note.startswith("no picture") and type(error).__name__ in note for note in notes)


def test_debug_before_or_behind_a_command_prints_where_a_plugin_failed(tmp_path, monkeypatch, capsys):
    class Failing(Plain):
        def loss(self, features, truth, generator):
            raise ZeroDivisionError("[/b]")

    monkeypatch.setattr(plugins, "installed", lambda: registry(Failing))
    command = ["run", "--model", "m", "--dataset", "toy", "--out", str(tmp_path / "runs"), "--cache", str(tmp_path)]
    assert run_command_line(command) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: bench-bad 2.1 (bad), train of model 'm', ")
    assert line.endswith("ZeroDivisionError: [/b]\n")
    assert len(line.splitlines()) == 1
    for given in (["--debug", *command], [*command, "--debug"]):
        assert run_command_line(given) == 2
        told = capsys.readouterr().err
        assert told.count("Traceback (most recent call last)") == 1
        assert told.endswith(line)


def test_a_run_of_a_model_named_with_its_distribution_is_the_run_of_the_bare_name(tmp_path):
    request = {"out": tmp_path / "runs", "cache": tmp_path / "cache"}
    bare = run_one(RunRequest("m", "toy", **request), registry())
    whole = run_one(RunRequest("bench-bad:m", "bench-good:toy", "bench-good:flat", **request), registry())
    assert whole.path == bare.path
    assert whole.config["model"]["distribution"] == "bench-bad"


def test_a_plugins_pictures_count_in_the_key_behind_their_name_and_in_part():
    from bench.code import images_code
    from bench.data.guarded import named_images
    from bench.data.splits import subset

    class Pictures(Images):
        images = ["no pictures of the host"]  # noqa: RUF012 - a plugin's own attribute

        def __len__(self):
            return 24

        def read(self, index):
            return np.zeros((4, 4, 3), np.uint8)

        def describe(self, index):
            return str(index)

        def content_hash(self):
            return "made up"

    plain = toy(Pictures())
    own = images_code(plain.test.images)
    named = named_images(plain, BAD)
    assert own
    assert images_code(named.test.images) == images_code(subset(named.test, [0, 1], "part").images) == own
    assert images_code(named.train.images) == ""


def test_ctrl_c_while_a_plugin_computes_ends_the_command_and_the_run_is_unfinished_not_failed(
    tmp_path, monkeypatch, capsys
):
    class Interrupted(Plain):
        def loss(self, features, truth, generator):
            with contextlib.suppress(BaseException):
                signal.raise_signal(signal.SIGINT)
            return super().loss(features, truth, generator)

    monkeypatch.setattr(plugins, "installed", lambda: registry(Interrupted))
    command = ["run", "--model", "m", "--dataset", "toy", "--out", str(tmp_path / "runs"), "--cache", str(tmp_path)]
    assert run_command_line(command) == 130
    assert capsys.readouterr().err.startswith("stopped; features, checkpoints and finished stages are kept")
    (folder,) = find(tmp_path / "runs")
    assert folder.summary().state == "unfinished"
