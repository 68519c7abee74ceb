"""Weights that say how their pictures are scaled: folders of the hub, safetensors metadata, torchvision's files."""

import json
import os

import pytest
import torch
from example_backbones import built
from safetensors.torch import save_file

from bench.assembly import build_backbone
from bench.errors import ModelError, UsageError
from bench.plan import make_plan
from bench.plugins import installed
from bench.records import Preprocessing, RunRequest

NAME = "mobilenetv2_035"
HUB = {
    "architecture": NAME,
    "num_classes": 1000,
    "model_args": {"pad_type": "same", "num_classes": 1000},
    "pretrained_cfg": {
        "tag": "mine",
        "input_size": [3, 96, 96],
        "interpolation": "bilinear",
        "crop_pct": 0.75,
        "crop_mode": "center",
        "mean": [0.5, 0.5, 0.4],
        "std": [0.3, 0.3, 0.2],
        "num_classes": 1000,
    },
}
SAID = Preprocessing(96, 128, "center", "bilinear", (0.5, 0.5, 0.4), (0.3, 0.3, 0.2))


@pytest.fixture(scope="module")
def tensors():
    import timm

    torch.manual_seed(1)
    return timm.create_model(NAME, pretrained=False).state_dict()


def hub(folder, tensors, config=HUB, name="model.safetensors"):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    torch.save(tensors, folder / name) if name.endswith(".bin") else save_file(tensors, folder / name)
    return folder


def changed(**fields):
    return HUB | {"pretrained_cfg": HUB["pretrained_cfg"] | fields}


def metadata(path, tensors, **texts):
    save_file(tensors, path, metadata={name: str(text) for name, text in texts.items()})
    return path


FULL = {
    "architecture": NAME,
    "input_size": "3,96,96",
    "interpolation": "bilinear",
    "crop_pct": "0.75",
    "crop_mode": "center",
    "mean": "[0.5, 0.5, 0.4]",
    "std": "(0.3, 0.3, 0.2)",
    "model_args": '{"pad_type": "same"}',
}


@pytest.mark.parametrize("form", ["hub", "bin", "flat", "file in the folder", "metadata"])
def test_every_form_gives_the_preprocessing_and_the_network_that_it_says(tmp_path, tensors, form):
    flat = {"architecture": NAME, "model_args": HUB["model_args"]} | HUB["pretrained_cfg"]
    weights = {
        "hub": lambda: hub(tmp_path / "net", tensors),
        "bin": lambda: hub(tmp_path / "net", tensors, name="pytorch_model.bin"),
        "flat": lambda: hub(tmp_path / "net", tensors, flat),
        "file in the folder": lambda: hub(tmp_path / "net", tensors) / "model.safetensors",
        "metadata": lambda: metadata(tmp_path / "net.safetensors", tensors, **FULL),
    }[form]()
    backbone = built(f"timm/{NAME}", weights)
    assert backbone.preprocessing == SAID
    assert backbone.architecture == f"timm {NAME} pad_type=same"
    assert backbone.notes == ()
    source = "the metadata of net.safetensors" if form == "metadata" else "config.json in net"
    assert backbone.preprocessing_origins["mean"] == source
    assert source in backbone.preprocessing_origins["resize"]
    assert set(backbone.preprocessing_origins) == set(Preprocessing.__slots__)
    torch.testing.assert_close(backbone.module.conv_stem.weight, tensors["conv_stem.weight"])


def test_a_pickle_with_code_in_a_hubs_folder_is_refused_and_not_run(tmp_path, capsys):
    class Payload:
        def __reduce__(self):
            return (print, ("code from a weights file ran",))

    weights = hub(tmp_path / "net", {"state_dict": Payload()}, name="pytorch_model.bin")
    with pytest.raises(ModelError, match="holds more than tensors"):
        built(f"timm/{NAME}", weights)
    assert "ran" not in capsys.readouterr().out


def test_a_config_beside_a_file_of_another_name_is_not_taken_for_its_own(tmp_path, tensors):
    weights = hub(tmp_path / "net", tensors, name="other.safetensors") / "other.safetensors"
    assert built(f"timm/{NAME}", weights).preprocessing != SAID


@pytest.mark.parametrize(
    ("said", "chosen", "typed"),
    [
        ({"architecture": "resnet18"}, f"timm/{NAME}", "--backbone timm/resnet18$"),
        ({}, "torchvision/resnet18", f"--backbone timm/{NAME}$"),
        ({}, "vgg16", f"--backbone timm/{NAME}$"),
        ({}, "digits-cnn", f"--backbone timm/{NAME}$"),
        ({}, "timm/mobilenetv2_100.ra_in1k", f"--backbone timm/{NAME}$"),
    ],
)
def test_an_architecture_that_contradicts_the_backbone_is_refused_with_what_to_type(
    tmp_path, tensors, said, chosen, typed
):
    weights = hub(tmp_path / "net", tensors, HUB | said)
    with pytest.raises(ModelError, match=rf"config.json in net says, not of {chosen}. Try: {typed}"):
        built(chosen, weights)


@pytest.mark.parametrize(("tag", "typed"), [("mine", "resnet18"), ("a2_in1k", "resnet18.a2_in1k")])
def test_another_training_of_the_same_architecture_is_refused_by_its_tag(tmp_path, tensors, tag, typed):
    config = changed(tag=tag) | {"architecture": "resnet18"}
    with pytest.raises(ModelError, match=rf"of resnet18 \({tag}\).*not of timm/resnet18.a1_in1k.*timm/{typed}$"):
        built("timm/resnet18.a1_in1k", hub(tmp_path / "net", tensors, config))


def test_an_architecture_in_metadata_may_be_of_either_family_unless_it_says_which(tmp_path, tensors):
    weights = metadata(tmp_path / "a.safetensors", tensors, architecture="resnet50")
    with pytest.raises(ModelError, match=r"Try: --backbone timm/resnet50 or torchvision/resnet50$"):
        built("vgg16", weights)
    weights = metadata(tmp_path / "a.safetensors", tensors, architecture="torchvision/resnet50")
    with pytest.raises(ModelError, match=r"Try: --backbone torchvision/resnet50$"):
        built("timm/resnet50", weights)
    weights = metadata(tmp_path / "a.safetensors", tensors, architecture=NAME)
    with pytest.raises(ModelError, match=rf"Try: --backbone timm/{NAME}$"):
        built("vgg16", weights)


def test_what_is_typed_wins_over_the_file_and_is_said(tmp_path, tensors):
    weights = hub(tmp_path / "net", tensors)
    backbone = built(f"timm/{NAME}", weights, mean="0.5", size="64", interpolation="bilinear", pad_type="same")
    assert backbone.preprocessing.mean == (0.5, 0.5, 0.5)
    assert (backbone.preprocessing.size, backbone.preprocessing.resize) == (64, 85)
    assert backbone.preprocessing_origins["mean"] == "--set backbone.mean=0.5"
    assert backbone.preprocessing_origins["resize"] == "size / crop_pct 0.75; crop_pct: config.json in net"
    assert backbone.notes == (
        "--set backbone.size=64 is taken, though config.json in net says input_size 3,96,96",
        "--set backbone.mean=0.5 is taken, though config.json in net says mean 0.5,0.5,0.4",
    )


def test_padding_that_is_typed_wins_over_the_file_and_is_said(tmp_path, tensors):
    (note,) = built(f"timm/{NAME}", hub(tmp_path / "net", tensors), pad_type="symmetric").notes
    assert note == "--set backbone.pad_type=symmetric is taken, though the weights' file says same"


def test_what_no_file_says_is_assumed_aloud_and_only_that(tmp_path, tensors):
    weights = tmp_path / "net.safetensors"
    save_file(tensors, weights)
    (note,) = built(f"timm/{NAME}", weights).notes
    assert note.startswith("net.safetensors does not say how its pictures are scaled; assumed: size 224, resize 256,")
    assert "mean 0.485,0.456,0.406" in note
    assert "timm's config of mobilenetv2_035." in note
    assert note.endswith("--set backbone.NAME=VALUE, of size, crop_pct, crop, interpolation, mean, std")
    (note,) = built(f"timm/{NAME}", metadata(weights, tensors, mean="0.5", std="0.5"), size="64", crop_pct="1").notes
    assert "assumed: crop center, interpolation bicubic, as in timm's" in note
    everything = {"crop": "squash", "interpolation": "bicubic", "size": "64", "mean": "0.5", "std": "0.5"}
    save_file(tensors, weights)
    assert built(f"timm/{NAME}", weights, **everything).notes == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"crop_mode": "border"}, "crop_mode: found 'border', allowed: center or squash. Try: --set backbone.crop="),
        ({"crop_mode": "squash"}, "squash .* with crop_pct 0.75 .* not supported.*Try: --set backbone.crop_pct=1"),
        (
            {"crop_pct": 1.15},
            "crop_pct: found '1.15', allowed: a number above 0, up to 1. Try: --set backbone.crop_pct=",
        ),
        ({"crop_pct": "x"}, "crop_pct: found 'x'"),
        ({"crop_pct": True}, "crop_pct: found 'True'"),
        ({"interpolation": "lanczos"}, "interpolation: found 'lanczos', allowed: nearest, bilinear, bicubic"),
        ({"interpolation": "random"}, "interpolation: found 'random'"),
        ({"input_size": [3, 96, 64]}, "input_size: found '3,96,64', allowed: 3 channels and equal sides"),
        ({"input_size": [1, 96, 96]}, "input_size: found '1,96,96'"),
        ({"mean": [123.7, 116.3, 103.5]}, "mean: found '123.7,116.3,103.5', allowed: .* of pixels in \\[0, 1\\]"),
        ({"mean": [0.5, 0.5]}, "mean: found '0.5,0.5'"),
        ({"mean": float("nan")}, "mean: found 'nan'"),
        ({"std": [0.5, 0.0, 0.5]}, "std: found '0.5,0,0.5', allowed: one number or three above 0"),
    ],
)
def test_what_is_not_supported_is_refused_with_its_file_and_what_to_type(tmp_path, tensors, fields, message):
    with pytest.raises(ModelError, match=rf"{message}"):
        built(f"timm/{NAME}", hub(tmp_path / "net", tensors, changed(**fields)))


def test_an_unsupported_value_of_a_file_gives_way_to_a_typed_one(tmp_path, tensors):
    weights = hub(tmp_path / "net", tensors, changed(crop_mode="border", mean=[123.7, 116.3, 103.5]))
    backbone = built(f"timm/{NAME}", weights, crop="squash", mean="0.5")
    assert (backbone.preprocessing.crop, backbone.preprocessing.resize) == ("squash", 96)
    assert "config.json in net says crop_mode border" in backbone.notes[0]


def test_metadata_and_config_that_differ_are_refused_until_one_is_typed(tmp_path, tensors):
    weights = hub(tmp_path / "net", tensors)
    metadata(weights / "model.safetensors", tensors, mean="0.2")
    with pytest.raises(
        ModelError, match=r"says mean 0.2, config.json in net 0.5,0.5,0.4. Try: --set backbone.mean=0.2"
    ):
        built(f"timm/{NAME}", weights)
    assert built(f"timm/{NAME}", weights, mean="0.2").preprocessing.mean == (0.2, 0.2, 0.2)
    metadata(weights / "model.safetensors", tensors, architecture="resnet18")
    with pytest.raises(ModelError, match=r"names 'resnet18', config.json in net 'mobilenetv2_035'"):
        built(f"timm/{NAME}", weights)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "cannot read .*config.json"), (b"[]", "no JSON object"), (b'{"architecture": 3}', "architecture 3")],
)
def test_a_config_that_cannot_be_read_is_one_line(tmp_path, tensors, content, message):
    weights = hub(tmp_path / "net", tensors)
    (weights / "config.json").write_bytes(content)
    with pytest.raises(ModelError, match=message):
        built(f"timm/{NAME}", weights)


@pytest.mark.parametrize("named", [".", "model.safetensors"])
def test_a_description_that_is_edited_is_read_anew_by_the_process_that_read_it(tmp_path, tensors, named):
    """Also one of the same length and time, beside weights that were named themselves."""
    folder = hub(tmp_path / "net", tensors)
    request = RunRequest("bce", "digit-scenes", f"timm/{NAME}", weights=folder / named, cache=tmp_path, engine="torch")
    plan = make_plan(request, installed())
    assert build_backbone(plan).preprocessing.mean == (0.5, 0.5, 0.4)
    status = (folder / "config.json").stat()
    (folder / "config.json").write_text(json.dumps(changed(mean=[0.5, 0.5, 0.1])))
    os.utime(folder / "config.json", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert build_backbone(plan).preprocessing.mean == (0.5, 0.5, 0.1)


def test_a_folder_without_weights_says_what_it_looked_for(tmp_path):
    (tmp_path / "mine.pth").write_bytes(b"")
    with pytest.raises(ModelError, match=r"found mine.pth, allowed: model.safetensors or .*Try: --weights .*mine.pth"):
        built(f"timm/{NAME}", tmp_path)


def test_torchvisions_own_file_is_known_by_its_content_under_any_name(tmp_path, monkeypatch):
    from torchvision import models

    first, second = models.ResNet50_Weights.IMAGENET1K_V1, models.ResNet50_Weights.IMAGENET1K_V2
    weights = tmp_path / "renamed.pth"
    torch.save(models.resnet50(weights=None).state_dict(), weights)
    (note,) = built("torchvision/resnet50", weights).notes
    assert "resize 232" in note
    assert note.count("torchvision's ResNet50_Weights.IMAGENET1K_V2") == 1
    hashes = {first: "0676ba61", second: "11ad3fa6"}
    monkeypatch.setattr("bench_backbones.torchvision_models.file_hash", lambda path: hashes[first] + 56 * "0")
    backbone = built("torchvision/resnet50", weights)
    assert (backbone.preprocessing.resize, backbone.notes) == (256, ())
    assert backbone.preprocessing_origins["resize"] == "torchvision's ResNet50_Weights.IMAGENET1K_V1"
    backbone = built("torchvision/resnet50", weights, weights="IMAGENET1K_V2")
    assert backbone.preprocessing.resize == 232
    assert "IMAGENET1K_V2 is taken, though renamed.pth is ResNet50_Weights.IMAGENET1K_V1" in backbone.notes[0]
    with pytest.raises(UsageError, match=r"no torchvision weights of resnet50 'IMAGENET1K_V3'; did you mean"):
        built("torchvision/resnet50", weights, weights="IMAGENET1K_V3")


def test_a_runs_origins_name_the_file_and_its_notes_are_stored_and_printed(tmp_path, tensors, capsys):
    from example_commands import bench, write_corel

    from bench.store.runs import find

    root = write_corel(tmp_path / "corel", copies=False)
    places = ("--data-root", root, "--cache", tmp_path / "cache", "--protocol", "top2@1")
    options = (*places, "--dataset", "corel5k", "--backbone", f"timm/{NAME}", "--set", "epochs=1")
    weights = hub(tmp_path / "net", tensors, changed(std=None))
    known = (*options, "--weights", weights, "--set", "backbone.mean=0.5", "--out", tmp_path / "runs")
    assert bench("run", "--model", "bce", *known) == 0
    words = " ".join(capsys.readouterr().out.split())
    about = find(tmp_path / "runs")[0].read_about()
    overruled, assumed = about.notes
    assert overruled == "--set backbone.mean=0.5 is taken, though config.json in net says mean 0.5,0.5,0.4"
    assert assumed.startswith("model.safetensors does not say how its pictures are scaled; assumed: std 0.229")
    assert f"note {overruled} note {assumed}" in words
    assert about.origins["backbone.preprocessing.interpolation"] == "config.json in net"
    assert about.origins["backbone.preprocessing.mean"] == "--set backbone.mean=0.5"
    assert about.origins["backbone.preprocessing.std"].startswith("assumed: timm's config of")
    assert bench("compare", "--models", "bce,softmax", *known) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert said.count(f"note: {overruled}") == 1


def test_weights_written_anew_under_the_same_name_are_read_anew(tmp_path, tensors):
    from bench import plugins
    from bench.assembly import build_backbone
    from bench.plan import make_plan
    from bench.records import RunRequest

    weights = hub(tmp_path / "net", tensors)
    plan = make_plan(
        RunRequest("bce", "digit-scenes", backbone=f"timm/{NAME}", weights=weights, cache=tmp_path), plugins.installed()
    )
    first = build_backbone(plan)
    assert build_backbone(plan).module is first.module
    hub(weights, tensors | {"conv_stem.weight": tensors["conv_stem.weight"] * 2}, changed(mean=[0.25]))
    second = build_backbone(plan)
    assert second.weights_hash != first.weights_hash
    assert second.preprocessing.mean == (0.25, 0.25, 0.25)
