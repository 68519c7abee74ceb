"""Features are never taken for those of another network: its options, variant and weights count, whatever it says."""

import sys
from types import SimpleNamespace

import hostile_runs
import numpy as np
import pytest
import torch
from hostile_runs import flat, registry

import bench
from bench import PluginError, UsageError
from bench.assembly import _cached_backbone, _cached_parts
from bench.pipeline import run_one
from bench.records import RunRequest


class Scaled(torch.nn.Module):
    """Pixels, some of them turned round."""

    def __init__(self, scale):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor([1.0, scale]).repeat(24))

    def forward(self, pixels):
        return pixels.flatten(1) * self.scale


class Plainly(torch.nn.Module):
    """The same without weights: nothing but its option tells two apart."""

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, pixels):
        return pixels.flatten(1) * torch.tensor([1.0, self.scale]).repeat(24)


OPTION = bench.Option("scale", 1.0, "of every second pixel")
WAYS = {
    "option": (lambda request: Plainly(request.options["scale"]), "flat", ("backbone.scale=-1",)),
    "variant": (lambda request: Plainly(float(request.variant or 1)), "flat/-1", ()),
    "weights": (lambda request: Scaled(float(request.variant or 1)), "flat/-1", ()),
}


def run(place, build, name="flat", sets=(), **changes):
    _cached_parts.cache_clear()
    _cached_backbone.cache_clear()
    plugins = registry(bad="backbone")
    spec = bench.BackboneSpec("flat", "pixels", lambda request: flat(build(request)), (OPTION,), family="/" in name)
    plugins.offered["backbones"]["flat"] = hostile_runs.found(spec, bad=True)
    request = RunRequest("m", "toy", name, sets=sets, out=place / "runs", cache=place / "cache", **changes)
    return run_one(request, plugins)


@pytest.mark.parametrize("way", WAYS)
def test_cached_features_of_another_network_are_not_taken(way, tmp_path):
    build, name, sets = WAYS[way]
    first = run(tmp_path, build)
    after, alone = (run(tmp_path / place, build, name, sets) for place in ("", "alone"))
    np.testing.assert_array_equal(after.read_scores().values, alone.read_scores().values)
    assert not np.array_equal(after.read_scores().values, first.read_scores().values)


def test_other_weights_are_another_run_whatever_hash_they_are_given(tmp_path):
    one, other = (run(tmp_path, lambda request, scale=scale: Scaled(scale)) for scale in (1.0, -1.0))
    assert one.config["backbone"]["weights_hash"] != other.config["backbone"]["weights_hash"]
    assert one.key != other.key


def test_a_file_of_weights_counts_that_torch_knows_no_parameter_of(tmp_path):
    weights, made = tmp_path / "scale.txt", {}
    for scale in ("1", "-1"):
        weights.write_text(scale)
        made[scale] = run(tmp_path, lambda request: Plainly(float(request.weights.read_text())), weights=weights)
    assert not np.array_equal(made["1"].read_scores().values, made["-1"].read_scores().values)


def test_features_of_another_version_of_the_library_of_a_network_are_not_taken(tmp_path, monkeypatch):
    """As of timm: the stored run stays, and one that is made now is of the version that its environment names."""
    library = SimpleNamespace(__version__="1.0", scale=1.0)
    monkeypatch.setitem(sys.modules, "some_library", library)
    monkeypatch.setattr(Plainly, "__module__", "some_library.nets")

    def made(place, seed):
        return run(tmp_path / place, lambda request: Plainly(sys.modules["some_library"].scale), seed=seed)

    first = made("", 0)
    library.__version__, library.scale = "2.0", -1.0
    assert made("", 0).path == first.path
    np.testing.assert_array_equal(made("", 1).read_scores().values, made("alone", 1).read_scores().values)


class Stopped(Scaled):
    def forward(self, pixels):
        with torch.no_grad():
            return super().forward(pixels)


def test_fine_tuning_that_tunes_nothing_is_a_failing_row(tmp_path):
    with pytest.raises(PluginError, match="fine-tuning changed no weight of backbone 'flat'"):
        run(tmp_path, lambda request: Stopped(2.0), finetune=1)
    with pytest.raises(UsageError, match="--finetune 1: backbone 'flat' has no weights"):
        run(tmp_path, lambda request: Plainly(2.0), finetune=1)
    assert run(tmp_path / "sound", lambda request: Scaled(2.0), finetune=1).done
