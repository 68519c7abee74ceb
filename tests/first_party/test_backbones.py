import pytest
import torch
from bench_backbones.given_weights import load_given
from bench_backbones.pooling import AdaptiveMean
from bench_backbones.torchvision_models import _arguments
from example_backbones import built, outputs
from safetensors.torch import save_file
from torch import nn

from bench.errors import ModelError, UsageError


@pytest.mark.parametrize(
    ("name", "dimensions"),
    [("torchvision/squeezenet1_1", 512), ("torchvision/resnet18", 512), ("timm/mobilenetv2_035", 1280)],
)
def test_features_are_penultimate_activations(name, dimensions):
    backbone = built(name, init="random")
    assert backbone.dimensions == dimensions
    assert outputs(backbone).shape == (1, dimensions)
    assert not backbone.module.training
    assert built(name, init="random").weights_hash == backbone.weights_hash


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_come_from_a_file_of_either_format(tmp_path, suffix):
    from torchvision import models

    network = models.resnet18(weights=None)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": network.state_dict()}, path)
    else:
        save_file(network.state_dict(), path)
    backbone = built("torchvision/resnet18", path)
    torch.testing.assert_close(backbone.module.conv1.weight, network.conv1.weight)
    assert backbone.weights_hash != built("torchvision/resnet18", init="random").weights_hash
    network.fc = torch.nn.Identity()
    size = backbone.preprocessing.size
    pixels = torch.linspace(-1, 1, 3 * size * size).reshape(1, 3, size, size)
    torch.testing.assert_close(outputs(backbone), network.eval()(pixels))


@pytest.fixture
def layers():
    """A small network and its weights."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3))
    return network, {
        name: torch.rand_like(value) if value.ndim else value for name, value in network.state_dict().items()
    }


@pytest.mark.parametrize("before", ["", "module.", "_orig_mod.", "model.backbone."])
def test_weights_are_read_whatever_stands_before_all_names(tmp_path, layers, before):
    network, weights = layers
    heads = {"heads.head.weight": torch.zeros(2, 4), f"{before}head_dist.bias": torch.zeros(2)}
    heads |= {f"{before}{name}.weight": torch.zeros(2, 4) for name in ("aux_head", "classif")}  # VOLO's, Inception's
    besides = heads | ({"n_averaged": torch.tensor(3)} if before else {})
    torch.save({"state_dict": {before + name: value for name, value in weights.items()} | besides}, tmp_path / "w.pth")
    load_given(network, tmp_path / "w.pth", "layers")
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, weights[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda weights: {"model": weights, "model_ema": weights},
            r"\['model_ema'\] and \['model'\] are both .*FILE\)\['model_ema'\]",
        ),
        (
            lambda weights: {"model": weights, "callbacks": {"ema": {"decay": 0.9, "module": weights}}},
            r"FILE\)\['callbacks'\]\['ema'\]\['module'\], OTHER",
        ),
        (lambda weights: weights | {"2.weight": weights["2.weight"].to(torch.int8)}, "'2.weight' holds torch.int8"),
        (
            lambda weights: {f"{one}.{name}": weights[name] for name in weights for one in "ab"},
            "'a.' and 'b.' are both",
        ),
        (
            lambda weights: {f"a.{name}": weights[name] for name in weights} | {"loss.weight": weights["2.bias"]},
            "besides",
        ),
        (lambda weights: dict(enumerate(weights.values())), "its tensors have no names"),
    ],
)
def test_weights_that_may_be_others_or_no_numbers_are_refused(tmp_path, layers, change, message):
    network, weights = layers
    torch.save(change(weights), tmp_path / "w.pth")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(ModelError, match=message):
        load_given(network, tmp_path / "w.pth", "layers")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_weights_of_another_architecture_are_refused_by_name(tmp_path):
    from torchvision import models

    path = tmp_path / "other.safetensors"
    save_file(models.squeezenet1_1(weights=None).state_dict(), path)
    with pytest.raises(ModelError, match=r"do not fit torchvision/resnet18: .* lacks 'conv1.weight' and \d+ more"):
        built("torchvision/resnet18", path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.safetensors", b"\x08\0\0\0\0\0\0\0{}", "cannot read weights .*a.safetensors"),
        ("a.safetensors", b"", "cannot read weights"),
        ("a.pth", b"nothing", "cannot read weights .*a.pth"),
        ("a.pth", b"", "cannot read weights"),
        ("gone.pth", None, "no weights file .*gone.pth"),
    ],
)
def test_a_damaged_weights_file_is_one_clear_line(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        built("torchvision/squeezenet1_1", path)


class Payload:
    def __reduce__(self):
        return (print, ("code from a weights file ran",))


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, capsys):
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": Payload()}, path)
    with pytest.raises(ModelError, match="holds more than tensors, or is damaged"):
        built("torchvision/squeezenet1_1", path)
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["torchvision/resnt18", "timm/resnt18"])
def test_a_misspelt_architecture_is_answered_with_the_nearest(name):
    with pytest.raises(UsageError, match="did you mean 'resnet18'"):
        built(name)


def test_a_failed_download_says_what_to_type(monkeypatch, tmp_path):
    import urllib.error

    def fail(*_, **__):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr("torchvision._internally_replaced_utils.load_state_dict_from_url", fail)
    with pytest.raises(ModelError, match=r"download .* torchvision's squeezenet1_1: no route\. Try: --weights FILE"):
        built("torchvision/squeezenet1_1")


def test_pad_type_and_scale_are_options_of_timm_and_part_of_what_it_is():
    plain = built("timm/mobilenetv2_035", init="random")
    same = built("timm/mobilenetv2_035", init="random", pad_type="same", mean="0.5", std="0.5,0.5,0.4")
    assert same.architecture != plain.architecture
    assert same.preprocessing.mean == (0.5, 0.5, 0.5)
    assert same.preprocessing.std == (0.5, 0.5, 0.4)
    with pytest.raises(UsageError, match="option mean: found 'x', allowed: one number or three"):
        built("timm/mobilenetv2_035", init="random", mean="x")


def test_real_weights_load_and_give_features_that_differ_between_pictures(reference_data):
    backbone = built(
        "timm/mobilenetv2_100",
        reference_data / "weights" / "mobilenetv2_100.safetensors",
        pad_type="same",
        mean="0.5",
        std="0.5",
    )
    assert backbone.dimensions == 1280
    assert "assumed: size 224, resize 256, crop center, interpolation bicubic, as in timm's" in backbone.notes[0]
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        features = backbone.module(torch.randn(2, 3, 224, 224, generator=generator))
    assert features.isfinite().all()
    assert not torch.allclose(features[0], features[1])


@pytest.mark.parametrize(("side", "shape"), [(7, (7, 7)), ((7, 3), (2, 5)), ((3, None), (8, 4))])
def test_the_mean_that_vgg_pools_by_is_torchs_and_its_gradient_too_by_products_alone(side, shape):
    adaptive = torch.nn.AdaptiveAvgPool2d(side)
    maps = torch.randn(2, 4, *shape, requires_grad=True)
    pooled, expected = AdaptiveMean(adaptive)(maps), adaptive(maps)
    torch.testing.assert_close(pooled, expected)
    assert "AdaptiveAvgPool2D" not in {type(step).__name__.removesuffix("Backward0") for step in steps_to(pooled)}
    outer = torch.randn_like(expected)
    torch.testing.assert_close(torch.autograd.grad(pooled, maps, outer), torch.autograd.grad(expected, maps, outer))
    assert torch.equal(AdaptiveMean(adaptive)(maps.detach()), expected)


def steps_to(tensor):
    """Every step of the graph that gradients of ``tensor`` go back by."""
    found, left = set(), [tensor.grad_fn]
    while left:
        step = left.pop()
        if step is not None and step not in found:
            found.add(step)
            left += [before for before, _ in step.next_functions]
    return found


def test_the_networks_that_pool_to_more_than_one_place_do_so_by_it():
    """All others take the mean over the map, whose gradient is the same each time."""
    assert isinstance(built("torchvision/alexnet", init="random").module.avgpool, AdaptiveMean)


@pytest.mark.parametrize("auxiliary", [True, False])
def test_auxiliary_classifiers_are_cut_off_whether_the_file_has_them_or_not(tmp_path, auxiliary):
    from torchvision import models

    network = models.googlenet(weights=None, aux_logits=auxiliary, init_weights=False)
    torch.save(network.state_dict(), tmp_path / "own.pth")
    backbone = built("torchvision/googlenet", tmp_path / "own.pth")
    torch.testing.assert_close(backbone.module.inception5b.branch1.conv.weight, network.inception5b.branch1.conv.weight)
    assert not any("aux" in name for name in backbone.module.state_dict())
    assert backbone.module.train()(torch.rand(2, 3, 64, 64)).shape == (2, 1024)


def test_torchvisions_transformers_are_made_for_the_size_of_their_weights():
    from torchvision import models

    for name in ("vit_b_16", "vit_h_14"):
        for entry in models.get_model_weights(name):
            with torch.device("meta"):
                network = models.get_model(name, weights=None, **_arguments(name, entry))
            assert [network.image_size] == entry.transforms().crop_size


@pytest.mark.parametrize("features", ["vector", "map"])
def test_a_size_that_a_network_does_not_take_is_told_before_pictures_are_read(features):
    message = r"^timm/vit_tiny_patch16_224 takes no pictures of 96 pixels: .*\(224\)\. Try: --set backbone.size as"
    with pytest.raises(ModelError, match=message):
        built("timm/vit_tiny_patch16_224", init="random", size=96, features=features)
