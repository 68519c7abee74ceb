"""digits-cnn: its shipped weights, their recipe, and what happens to damaged ones."""

import re

import numpy as np
import pytest
from bench_backbones import digits_cnn, digits_cnn_recipe
from bench_backbones.digits_cnn import SHIPPED, SHIPPED_HASH, shipped
from bench_backbones.digits_cnn_recipe import probe_accuracy, single_digits
from bench_datasets.digits import digits
from example_backbones import built, outputs

from bench.errors import ModelError

SMALL = {"images": "640", "epochs": "2"}


def test_the_shipped_weights_have_the_recorded_hash_and_are_not_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(digits_cnn, "train", lambda options: pytest.fail("trained"))
    backbone = built("digits-cnn", cache=tmp_path)
    assert backbone.weights_hash == SHIPPED_HASH
    assert outputs(backbone).shape == (1, 128)
    assert not any(tmp_path.iterdir())
    assert SHIPPED.stat().st_size < 500_000


def test_shipped_weights_that_are_damaged_are_refused(tmp_path, monkeypatch):
    damaged = bytearray(SHIPPED.read_bytes())
    damaged[-1] ^= 1
    path = tmp_path / "digits-cnn.safetensors"
    path.write_bytes(damaged)
    monkeypatch.setattr(digits_cnn, "SHIPPED", path)
    with pytest.raises(ModelError, match=rf"is damaged: .*allowed: {SHIPPED_HASH}. Try: pip install"):
        built("digits-cnn")
    with pytest.raises(ModelError, match=r"are damaged: their hash is .*, the file says"):
        built("digits-cnn", path)


def test_the_shipped_weights_name_nine_in_ten_single_digits_of_tests_sources():
    assert probe_accuracy(shipped(), 1000) > 0.9


def test_the_recipe_gives_the_same_weights_again_and_others_for_another_seed(tmp_path):
    hashes = []
    for seed in (0, 0, 1):
        path = tmp_path / "tiny.safetensors"
        path.write_bytes(digits_cnn_recipe.train({"images": 128, "epochs": 1, "seed": seed}))
        _, found, promised = digits_cnn.read(path)
        assert found == promised
        hashes.append(found)
    assert hashes[0] == hashes[1] != hashes[2]


def test_no_digit_that_a_test_or_validation_scene_shows_is_among_those_trained_on(monkeypatch):
    pixels = {part: {digit.tobytes() for digit in digits(part)[0]} for part in ("train", "validation", "test")}
    assert not pixels["train"] & (pixels["test"] | pixels["validation"])
    painted = []
    monkeypatch.setattr(
        "bench_datasets.digit_painter.paint", lambda sheet, opacity, instance: painted.append(opacity.tobytes())
    )
    single_digits(300, np.random.default_rng(0))
    assert len(painted) == 300
    assert set(painted) <= pixels["train"]


def test_other_options_are_trained_once_and_then_cached(tmp_path, monkeypatch):
    """A sixth of the digits and a quarter of the epochs name 45 % of 30 classes; untrained, the network names 19 %.

    ``nox -s weights`` compares a whole training with the shipped weights.
    """
    first = built("digits-cnn", cache=tmp_path, **SMALL)
    assert probe_accuracy(first.module, 500) > 0.32
    monkeypatch.setattr(digits_cnn, "train", lambda options: pytest.fail("trained twice"))
    again = built("digits-cnn", cache=tmp_path, **SMALL)
    assert first.weights_hash == again.weights_hash != SHIPPED_HASH
    assert first.notes == again.notes == ()


@pytest.mark.parametrize("damage", ["a byte", "cut", "empty", "another network", "no hash"])
def test_cached_weights_that_are_damaged_are_trained_again_with_a_word(tmp_path, monkeypatch, damage):
    from safetensors.torch import load, save

    whole = SHIPPED.read_bytes()
    monkeypatch.setattr(digits_cnn, "train", lambda options: whole)
    built("digits-cnn", cache=tmp_path, **SMALL)
    path = next(tmp_path.rglob("*.safetensors"))
    damaged = {
        "a byte": whole[:-1] + bytes([whole[-1] ^ 1]),
        "cut": whole[:1000],
        "empty": b"",
        "another network": save({"weight": load(whole)["0.weight"]}),
        "no hash": save(load(whole)),
    }[damage]
    path.write_bytes(damaged)
    (note,) = built("digits-cnn", cache=tmp_path, **SMALL).notes
    assert re.fullmatch(r"cached weights digits-cnn-\w+.safetensors were damaged, and are trained again", note)
    assert path.read_bytes() == whole
    assert built("digits-cnn", cache=tmp_path, **SMALL).notes == ()
