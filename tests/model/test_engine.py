"""Features through ONNX Runtime: those of torch, by a rule, whatever the threads, and never from a damaged file."""

import dataclasses
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from damage import DAMAGE, HOSTILE
from example_commands import write_corel
from example_network import two_layers
from example_splits import make_backbone, split_of

from bench import plugins
from bench.assembly import build_backbone
from bench.data.fingerprint import fingerprint
from bench.errors import DataError, ModelError, UsageError
from bench.model import encoding, engine
from bench.model import features as extraction
from bench.model.features import extract, speed
from bench.plan import make_plan
from bench.records import RunRequest
from bench.system.sealed_files import write_sealed


class Convolutions(torch.nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.first = torch.nn.Conv2d(3, width, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(width)
        self.last = torch.nn.Conv2d(width, 7, 3, stride=2)

    def forward(self, pixels):
        return self.last(torch.relu(self.norm(self.first(pixels)))).mean(dim=(2, 3))


class Answering(torch.nn.Module):
    """Gives ``answer`` of the pixels' means; what ``answer`` does, ONNX may not be able to say."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, pixels):
        return self.answer(pixels.mean(dim=(2, 3)).repeat(1, 3)[:, :7])


def backbone_of(module=None, **changes):
    torch.manual_seed(0)
    return dataclasses.replace(make_backbone(), module=(module or Convolutions()).eval(), **changes)


@pytest.fixture(autouse=True)
def any_size_is_worth_it(monkeypatch):
    monkeypatch.setattr(engine, "SMALL", 0)


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """A cache that holds the ONNX form of ``backbone_of()`` alone, so that not every test writes it."""
    folder = tmp_path_factory.mktemp("forms")
    assert not engine.onnx_form(backbone_of(engine="onnx"), folder).startswith(engine.REASON)
    return folder


@pytest.fixture
def cache(forms, tmp_path):
    return shutil.copytree(forms, tmp_path / "cache")


def chosen(cache, asked="auto", device="cpu", **given):
    return engine.choose(backbone_of(**given), asked, device, cache)


def features_of(backbone, cache, images=30, **settings):
    split = split_of(images)
    return extract(split, fingerprint(split), backbone, cache, **settings)


def test_features_through_onnx_runtime_are_torchs(cache):
    onnx, plain = chosen(cache), chosen(cache, "torch")
    assert (onnx.engine, plain.engine) == ("onnx", "torch")
    ours, theirs = features_of(onnx, cache), features_of(plain, cache)
    assert engine.difference(ours.values, theirs.values) <= 1e-5
    assert ours.ids == theirs.ids
    assert ours.key != theirs.key
    record = speed(cache, ours.key)
    assert record["engine"] == "onnx"
    assert 0 <= record["difference"] <= 1e-5
    assert record["reading_seconds"] > 0 < record["network_seconds"]


@pytest.mark.parametrize("images", [7, 8, 9, 17])
def test_threads_and_batch_size_change_no_bit_of_a_feature(forms, tmp_path, monkeypatch, images):
    found = []
    for cores, size in ((1, 64), (2, 4), (5, 3)):
        monkeypatch.setattr(encoding, "thread_counts", lambda cores=cores: {"cores": cores})
        cache = shutil.copytree(forms, tmp_path / str(cores))
        found.append(features_of(chosen(cache), cache, images, batch_size=size).values)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_the_rule_knows_size_and_device_and_no_clock(tmp_path, monkeypatch):
    assert chosen(tmp_path, device="cuda").engine == "torch"
    monkeypatch.setattr(engine, "SMALL", 3_000)
    assert chosen(tmp_path).engine == "torch"
    assert chosen(tmp_path).notes == ()
    assert chosen(tmp_path, module=Convolutions(40)).engine == "onnx"


UNSAYABLE = {
    "python decides by the values": lambda means: means if float(means.sum()) > 0 else -means,
    "numpy in between": lambda means: torch.from_numpy(np.sort(means.numpy(), axis=1)),
    "the batch's number is frozen": lambda means: means * len(means.tolist()),
    "chance": lambda means: means + torch.rand(()) * 100,
}


@pytest.mark.parametrize("kind", UNSAYABLE)
def test_a_backbone_without_an_onnx_form_goes_through_torch_with_the_reason(tmp_path, kind):
    module = Answering(UNSAYABLE[kind])
    auto = chosen(tmp_path, module=module)
    assert auto.engine == "torch"
    (note,) = auto.notes
    assert note.startswith("features through torch, the slow way: ")
    with pytest.raises(ModelError, match=r"--engine onnx: .* Try: --engine torch"):
        chosen(tmp_path, "onnx", module=module)


def test_an_unknown_engine_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(UsageError, match="--engine: found 'fast', allowed: auto, onnx, onnx-fp16, torch"):
        chosen(tmp_path, "fast")


def test_half_precision_is_taken_only_by_name_and_its_difference_is_on_record(tmp_path):
    half = chosen(tmp_path, "onnx-fp16")
    values = features_of(half, tmp_path)
    difference = speed(tmp_path, values.key)["difference"]
    assert 1e-5 < difference <= engine.TOLERANCE["onnx-fp16"]


@pytest.mark.parametrize("kind", [*DAMAGE, *HOSTILE])
def test_a_damaged_onnx_form_is_made_anew_with_a_word(cache, tmp_path, monkeypatch, capsys, kind):
    (path,) = (cache / "engines").glob("*.onnx")
    sound, other, made = path.read_bytes(), tmp_path / "other.onnx", []
    content = engine.onnx_form(chosen(cache), cache)
    write_sealed(other, "another key", content)
    (DAMAGE | HOSTILE)[kind](path, other)

    def make(backbone):
        made.append(backbone.name)
        return content

    monkeypatch.setattr(engine, "_make", make)
    backbone = chosen(cache)
    (word,) = capsys.readouterr().err.splitlines()
    assert f"the ONNX form of backbone 'toy': {path} is damaged, and made anew" in word
    assert path.read_bytes() == sound
    assert (
        engine.difference(features_of(backbone, cache).values, features_of(chosen(cache, "torch"), cache).values) < 1e-5
    )
    assert made == ["toy"]


def test_an_onnx_form_made_anew_gives_the_features_of_the_first_to_the_bit(cache, tmp_path):
    first, again = features_of(chosen(cache), cache), features_of(chosen(tmp_path), tmp_path)
    np.testing.assert_array_equal(first.values, again.values)


def test_an_onnx_form_of_other_weights_is_found_by_its_features(cache, tmp_path, monkeypatch):
    backbone = chosen(cache)
    foreign = engine.onnx_form(backbone_of(Convolutions(9), engine="onnx", weights_hash="other"), tmp_path)
    monkeypatch.setattr(engine, "onnx_form", lambda *_: foreign)
    with pytest.raises(ModelError, match=r"features of engine onnx differ from torch's by .* Try: --engine torch"):
        features_of(backbone, tmp_path)


def test_a_broken_picture_stops_with_its_path_and_what_was_done_is_kept(forms, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(extraction, "BLOCK", 8)
    backbone = chosen(cache)
    split = split_of(40, broken=17)
    with pytest.raises(DataError, match=r"/data/17.jpg: truncated"):
        extract(split, fingerprint(split), backbone, cache)
    split = split_of(40)
    values = extract(split, fingerprint(split), backbone, cache).values
    assert min(split.images.read_rows) >= 8
    other = shutil.copytree(forms, tmp_path / "other")
    np.testing.assert_array_equal(values, features_of(backbone, other, 40).values)


def test_features_that_are_not_finite_are_refused(tmp_path):
    module = Convolutions()
    with torch.no_grad():
        module.last.bias += float("nan")
    with pytest.raises(ModelError, match=r"features differ from torch|not finite|off torch"):
        features_of(backbone_of(module, engine="onnx"), tmp_path)


def test_the_vector_and_the_map_of_one_network_have_forms_of_their_own(cache):
    class Maps(Convolutions):
        def forward(self, pixels):
            return self.last(torch.relu(self.norm(self.first(pixels))))

    vector, maps = chosen(cache), chosen(cache, module=Maps(), feature_map=(7, 3, 3))
    assert (vector.engine, maps.engine) == ("onnx", "onnx")
    assert features_of(vector, cache).values.shape == (30, 7)
    assert features_of(maps, cache).values.shape == (30, 7, 3, 3)


@pytest.mark.parametrize(
    ("engine_name", "vectors", "maps"), [("onnx", 1e-5, 1e-4), ("onnx-fp16", 2e-2, 2e-2), ("torch", 0, 0)]
)
def test_maps_may_differ_by_a_fifth_of_what_halves_round_and_vectors_as_before(engine_name, vectors, maps):
    of_vectors = SimpleNamespace(engine=engine_name, feature_map=None)
    of_maps = SimpleNamespace(engine=engine_name, feature_map=(8, 7, 7))
    assert (engine.tolerance(of_vectors), engine.tolerance(of_maps)) == (vectors, maps)
    assert engine.OF_MAPS * 4 < 2**-11


@pytest.mark.parametrize(
    ("finetune", "engine", "expected"), [(0, "auto", "onnx"), (1, "auto", "torch"), (1, "onnx", "onnx")]
)
def test_a_backbone_that_will_be_fine_tuned_is_left_to_torch_unless_asked_by_name(tmp_path, finetune, engine, expected):
    """Its weights are not there yet: another engine may come out further from torch than is allowed, hours later."""
    write_corel(tmp_path / "corel")
    sets = ("backbone.init=random", "backbone.size=32")
    places = {"data_root": tmp_path / "corel", "cache": tmp_path / "cache", "backbone": f"timm/{two_layers.__name__}"}
    asked = RunRequest("bce", "corel5k", **places, sets=sets, finetune=finetune, engine=engine)
    assert build_backbone(make_plan(asked, plugins.installed())).engine == expected


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError()], ids=["disk", "memory"])
def test_a_form_that_cannot_be_made_for_now_is_made_another_time(error, tmp_path, monkeypatch):
    def fail(*_):
        raise error

    with monkeypatch.context() as now:
        now.setattr(engine, "write_onnx", fail)
        assert "features through torch" in chosen(tmp_path).notes[-1]
        assert chosen(tmp_path).engine == "torch"
    assert chosen(tmp_path).engine == "onnx"
