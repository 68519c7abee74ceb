"""A model of feature maps is given them, from the cache, through training and prediction to the exported encoder."""

import numpy as np
import pytest
import torch
from documented import documented
from example_backbones import built, outputs
from example_commands import FAST, bench, write_corel
from example_exports import images_of, pixels_of, run_of, run_options
from example_models import registry_with

from bench import BackboneSpec, ModelRequest, PluginError, UsageError, plugins
from bench.data.fingerprint import fingerprint
from bench.errors import ModelError
from bench.exported.predict import Predictor
from bench.model import checks, encoding, engine, features
from bench.plan import make_plan
from bench.rebuilt import rebuild
from bench.recompute.run import recompute
from bench.records import RunRequest
from bench.store.validate import validate

MAPS = [
    ("digits-cnn", {}, (128, 16, 16)),
    ("timm/test_resnet", {"size": "64"}, (96, 2, 2)),
    ("timm/test_vit", {}, (64, 10, 10)),
    ("timm/swin_s3_tiny_224", {}, (768, 7, 7)),
    ("torchvision/resnet18", {"size": "64"}, (512, 2, 2)),
    ("torchvision/squeezenet1_1", {"size": "64"}, (512, 3, 3)),
    ("torchvision/densenet121", {"size": "64"}, (1024, 2, 2)),
]


def options_of(root):
    """As other exports' options, with pictures of half the side: the map has four places."""
    return [*run_options(root), "--set", "backbone.size=16"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    registry = registry_with(documented().ATTENTION_POOL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "installed", lambda: registry)
        root = tmp_path_factory.mktemp("maps")
        write_corel(root / "corel")
        assert bench("run", "--model", "attention-pool", *options_of(root), *FAST) == 0
        assert bench("export", run_of(root, "attention-pool").path, "--out", root / "attention-pool") == 0
        yield root


@pytest.fixture(scope="module")
def run(root):
    return run_of(root, "attention-pool")


def with_maps(name, options):
    random = {} if name == "digits-cnn" else {"init": "random"}
    return built(name, features="map", **random, **options)


@pytest.mark.parametrize(("name", "options", "shape"), MAPS)
def test_a_backbone_gives_maps_of_the_shape_it_says(name, options, shape):
    backbone = with_maps(name, options)
    checks.check_backbone(backbone, maps=True)
    assert backbone.feature_map == shape
    assert outputs(backbone).shape == (1, *shape)


@pytest.mark.parametrize("name", ["timm/test_resnet", "torchvision/resnet18", "torchvision/mobilenet_v2"])
def test_the_mean_of_the_map_is_the_vector_of_the_same_backbone(name):
    vector, maps = built(name, size="64", init="random"), with_maps(name, {"size": "64"})
    assert vector.weights_hash == maps.weights_hash
    torch.testing.assert_close(outputs(maps).mean(dim=(2, 3)), outputs(vector), rtol=1e-4, atol=1e-5)


def test_a_transformer_without_a_known_map_is_refused():
    with pytest.raises(ModelError, match=r"vit_b_16 has no last feature map .* Try: --backbone torchvision/resnet50"):
        with_maps("torchvision/vit_b_16", {})


def test_maps_are_kept_in_half_precision_and_hash_by_block(root, run):
    rebuilt = rebuild(run)
    assembly, cache = rebuilt.assembly, rebuilt.assembly.plan.request.cache / "features"
    extracted = features.of_parts(assembly.parts, rebuilt.backbone, cache)
    assert extracted.fit.values.dtype == extracted.test.values.dtype == np.float16
    assert extracted.fit.values.shape == (len(assembly.parts.fit), *rebuilt.backbone.feature_map)
    assert extracted.validation.ids == assembly.parts.validation.ids
    computed = np.concatenate(
        list(encoding.in_batches(assembly.parts.test, range(20), rebuilt.backbone, 4, cache=cache))
    )
    np.testing.assert_allclose(extracted.test.values, computed, rtol=1e-3, atol=1e-4)
    path = cache / f"{extracted.test.key}.npy"
    np.testing.assert_array_equal(np.load(path), extracted.test.values)
    content = path.read_bytes()
    path.write_bytes(content[:300] + bytes([content[300] ^ 1]) + content[301:])
    again = features.extract(assembly.parts.test, assembly.parts.fingerprints["test"], rebuilt.backbone, cache)
    np.testing.assert_array_equal(again.values, extracted.test.values)


def test_vector_and_map_of_one_backbone_have_keys_of_their_own():
    vector, maps = built("digits-cnn"), with_maps("digits-cnn", {})
    assert features.feature_key("split", vector) != features.feature_key("split", maps)


def test_its_run_is_sound_and_is_predicted_again(run):
    assert validate([run])[0].faults == ()
    again = recompute(run, retrain=True)
    assert (again.faults, again.level) == ((), "retrained")
    assert run.config["backbone"]["feature_map"] == [32, 2, 2]
    assert run.read_about().origins["backbone.options.features"] == "model 'attention-pool' takes feature maps"


def test_to_predict_again_only_what_is_judged_goes_through_the_network(run, monkeypatch):
    computed, extract = [], features.extract

    def noted(split, *rest, **more):
        computed.append(len(split))
        return extract(split, *rest, **more)

    monkeypatch.setattr(features, "extract", noted)
    parts = rebuild(run).assembly.parts
    assert recompute(run).faults == ()
    assert computed == [len(parts.validation), len(parts.test)]


def test_exported_scores_are_the_stored_ones_at_every_batch_size(root, run):
    for batch in (1, 7, 16):
        predictor = Predictor(root / "attention-pool", batch=batch)
        found = predictor.encoder(pixels_of(predictor, images_of(root)))
        np.testing.assert_allclose(found, run.read_scores().values, rtol=1e-4, atol=1e-5)


def test_both_kinds_of_model_run_by_the_same_words(root):
    assert bench("run", "--model", "bce", *options_of(root), *FAST) == 0
    assert run_of(root, "bce").config["backbone"]["options"]["features"] == "vector"


def test_it_is_fine_tuned_end_to_end(root, tmp_path):
    options = [tmp_path if option == root / "runs" else option for option in options_of(root)]
    assert bench("run", "--model", "attention-pool", *options, *FAST, "--finetune", "1") == 0


@pytest.mark.parametrize(
    ("model", "sets", "words"),
    [
        ("bce", ("backbone.features=map",), "features=map: model 'bce' takes a vector. Try: without it"),
        ("attention-pool", ("backbone.features=vector",), "model 'attention-pool' takes a map"),
        ("bce", ("backbone.features=maps",), "option backbone.features: found 'maps', allowed: vector, map"),
    ],
)
def test_what_a_model_does_not_take_is_refused(root, model, sets, words):
    with pytest.raises(UsageError, match=words.replace("(", r"\(")):
        make_plan(RunRequest(model, "digit-scenes", sets=sets), plugins.installed())


def test_a_backbone_without_maps_is_refused_for_a_model_of_maps(root):
    own = BackboneSpec("flat", "no map", built)
    registry = registry_with(documented().ATTENTION_POOL)
    registry.offered["backbones"]["flat"] = plugins.Found(own, plugins.Origin("bench-of-tests", "1", "flat"))
    with pytest.raises(UsageError, match="takes feature maps, backbone 'flat' gives none"):
        make_plan(RunRequest("attention-pool", "digit-scenes", backbone="flat"), registry)


def test_a_shape_that_is_none_is_refused():
    from dataclasses import replace

    backbone = with_maps("timm/test_resnet", {"size": "64"})
    with pytest.raises(PluginError, match=r"must be \(96, height, width\)"):
        checks.check_backbone(replace(backbone, feature_map=(95, 2, 2)), maps=True)
    with pytest.raises(PluginError, match="feature_map is None, and maps were asked for"):
        checks.check_backbone(replace(backbone, feature_map=None), maps=True)
    wrong = replace(backbone, feature_map=(96, 3, 3))
    with pytest.raises(ModelError, match=r"features of shape \(1, 96, 2, 2\), declared: \(96, 3, 3\) each"):
        engine.forward(wrong, np.zeros((1, 3, 64, 64), np.float32))


def test_maps_beyond_the_limit_are_refused_before_anything_is_computed(root, monkeypatch, tmp_path):
    from example_splits import split_of

    backbone, split = with_maps("digits-cnn", {}), split_of(40)
    monkeypatch.setenv("BENCH_MAP_GB", "0.001")
    with pytest.raises(UsageError) as raised:
        features.extract(split, fingerprint(split), backbone, tmp_path)
    assert str(raised.value) == (
        "feature maps of toy/train: 40 of 128 x 16 x 16 in half precision are 0.00262 GB, allowed: 0.001 GB."
        " Try: BENCH_MAP_GB=1, or --set backbone.size=32"
    )
    assert split.images.read_rows == []
    assert not list(tmp_path.glob("*.npy"))


def test_the_request_tells_a_model_of_maps_their_shape():
    request = ModelRequest({}, 3, ("a", "b"), (1, 1), 0, (3, 2, 2))
    model = documented().ATTENTION_POOL.build(request)
    assert model(torch.zeros(5, 3, 2, 2)).shape == (5, 2)


def test_it_is_exported_in_half_precision_too(run, tmp_path):
    assert bench("export", run.path, "--out", tmp_path / "half", "--precision", "fp16", "--measure") == 0
