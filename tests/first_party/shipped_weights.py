"""A whole training of digits-cnn against its shipped weights, a minute or two: ``nox -s weights``."""

from bench_backbones import digits_cnn, digits_cnn_recipe
from bench_backbones.digits_cnn_recipe import probe_accuracy

AS_GOOD = 0.02
"""How much less a fresh training's probe may name, as a part of 3,000 single digits of test's sources."""


def test_a_fresh_training_is_as_good_as_the_shipped_weights(tmp_path, capsys):
    digits_cnn_recipe.main(["--out", str(tmp_path / "fresh.safetensors")])
    printed = capsys.readouterr().out
    fresh, found, promised = digits_cnn.read(tmp_path / "fresh.safetensors")
    assert found == promised
    assert f"weights_hash {found}" in printed
    assert probe_accuracy(fresh) > probe_accuracy(digits_cnn.shipped()) - AS_GOOD
