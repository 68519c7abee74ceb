"""Weights that were downloaded before are checked by the hash in their names when they are read back."""

import hashlib

import pytest
import torch
from bench_backbones.downloads import discard_damaged, is_damaged, of_timm
from example_backbones import built

from bench.errors import ModelError


def hub_file(root, content, name=None, link="model.safetensors"):
    """A file in the form of the hub's cache: a link to content named by its hash."""
    blobs, snapshot = root / "blobs", root / "snapshots" / "main"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    blob = blobs / (name or hashlib.sha256(content).hexdigest())
    blob.write_bytes(content)
    (snapshot / link).symlink_to(blob)
    return snapshot / link


def test_a_whole_file_is_whole_and_one_changed_byte_is_damage(tmp_path):
    content = bytes(range(256)) * 100
    path = hub_file(tmp_path / "large", content)
    small = hub_file(tmp_path / "small", content, hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest())
    torchs = tmp_path / f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    torchs.write_bytes(content)
    for one in (path, small, torchs):
        assert not is_damaged(one)
        assert discard_damaged([one]) == ()
        one.write_bytes(content[:-1] + b"\0")
        assert is_damaged(one)
        (line,) = discard_damaged([one])
        assert line == f"downloaded weights {one.name} were damaged in their cache, and are downloaded again"
        assert not one.exists()
        assert not one.is_symlink()


def test_torchvisions_damaged_file_is_downloaded_again_with_a_word(tmp_path, monkeypatch):
    from torchvision import models

    network = models.squeezenet1_1(weights=None)
    path = tmp_path / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    path.parent.mkdir()
    path.write_bytes(b"damaged")
    asked = []

    def download(url, **options):
        asked.append((url, path.exists(), options["check_hash"]))
        return network.state_dict()

    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("torchvision._internally_replaced_utils.load_state_dict_from_url", download)
    backbone = built("torchvision/squeezenet1_1", None)
    assert asked == [(models.SqueezeNet1_1_Weights.DEFAULT.url, False, True)]
    assert backbone.notes == (
        "downloaded weights squeezenet1_1-b8a52dc0.pth were damaged in their cache, and are downloaded again",
    )


def test_timms_damaged_file_is_removed_and_never_read(tmp_path, monkeypatch):
    import timm

    path = hub_file(tmp_path, b"whole")
    path.write_bytes(b"other")
    monkeypatch.setattr("bench_backbones.timm_models.of_timm", lambda config: [path])
    create, seen = timm.create_model, []

    def made(name, *, pretrained, **options):
        seen.append((pretrained, path.exists()))
        return create(name, pretrained=False, **options)

    monkeypatch.setattr(timm, "create_model", made)
    backbone = built("timm/mobilenetv2_035", None)
    assert seen == [(True, False)]
    assert "model.safetensors were damaged in their cache" in backbone.notes[0]


def test_a_timm_download_that_is_not_what_its_name_promises_is_refused(tmp_path, monkeypatch):
    import timm

    path = tmp_path / "net-00000000.pth"
    create = timm.create_model

    def made(name, *, pretrained, **options):
        path.write_bytes(b"cut short")
        return create(name, pretrained=False, **options)

    monkeypatch.setattr("bench_backbones.timm_models.of_timm", lambda config: [path])
    monkeypatch.setattr(timm, "create_model", made)
    with pytest.raises(ModelError, match=r"downloaded weights .*net-00000000.pth are not what their name promises"):
        built("timm/mobilenetv2_035", None)


def test_timms_cached_files_are_found_where_the_hub_keeps_them(tmp_path, monkeypatch):
    folder = tmp_path / "models--timm--net"
    path = hub_file(folder, b"weights")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("main")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    torchs = tmp_path / "checkpoints" / "net-12345678.pth"
    torchs.parent.mkdir()
    torch.save({}, torchs)
    assert of_timm({"hf_hub_id": "timm/net", "url": "https://host/net-12345678.pth"}) == [torchs, path]
    assert of_timm({}) == []
