import numpy as np
import pytest
import torch
from example_splits import make_backbone, split_of

from bench.data.fingerprint import fingerprint
from bench.errors import DataError, ModelError
from bench.model.features import extract, speed


def features_of(split, cache, **settings):
    return extract(split, fingerprint(split), make_backbone(), cache, **settings)


def test_features_are_the_backbones_outputs_in_the_order_of_the_ids(tmp_path):
    from bench.data.preprocess import preprocess

    split, backbone = split_of(30), make_backbone()
    features = features_of(split, tmp_path)
    pixels = torch.from_numpy(np.stack([preprocess(split.images.read(i), backbone.preprocessing) for i in range(30)]))
    np.testing.assert_allclose(features.values, backbone.module(pixels).detach().numpy(), rtol=1e-5, atol=1e-6)
    assert features.ids == split.ids


def test_batch_size_changes_no_feature_by_more_than_rounding(tmp_path):
    one = features_of(split_of(37), tmp_path / "a", batch_size=4)
    other = features_of(split_of(37), tmp_path / "b", batch_size=64)
    np.testing.assert_allclose(one.values, other.values, rtol=1e-5, atol=1e-6)


def test_a_second_call_reads_no_picture_and_the_speed_is_on_record(tmp_path):
    first = features_of(split_of(30), tmp_path)
    split = split_of(30)
    again = features_of(split, tmp_path)
    assert split.images.read_rows == []
    np.testing.assert_array_equal(first.values, again.values)
    assert speed(tmp_path, again.key)["images"] == 30


def test_other_weights_other_features(tmp_path):
    split = split_of(10)
    one = extract(split, fingerprint(split), make_backbone(1.0), tmp_path)
    two = extract(split, fingerprint(split), make_backbone(2.0), tmp_path)
    assert one.key != two.key
    assert not np.array_equal(one.values, two.values)


def test_one_broken_picture_stops_with_its_path_and_what_was_done_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.model.features.BLOCK", 8)
    with pytest.raises(DataError, match=r"/data/17.jpg: truncated"):
        features_of(split_of(30, broken=17), tmp_path, batch_size=4)
    split = split_of(30)
    features = features_of(split, tmp_path, batch_size=4)
    assert min(split.images.read_rows) == 16
    assert sorted(set(split.images.read_rows)) == list(range(16, 30))
    np.testing.assert_allclose(features.values, features_of(split_of(30), tmp_path / "whole").values, atol=1e-6)
    assert [path.suffix for path in sorted(tmp_path.glob("*.*"))] == [".npy", ".speed"]


def test_a_damaged_cache_is_made_anew(tmp_path):
    whole = np.array(features_of(split_of(30), tmp_path).values)
    path = next(tmp_path.glob("*.npy"))
    path.write_bytes(path.read_bytes()[:100])
    np.testing.assert_array_equal(features_of(split_of(30), tmp_path).values, whole)


def test_a_backbone_that_lies_about_its_dimensions_or_gives_nan_is_named(tmp_path):
    import dataclasses

    split = split_of(10)
    with pytest.raises(ModelError, match=r"gave features of shape .* declared: 9"):
        extract(split, "f", dataclasses.replace(make_backbone(), dimensions=9), tmp_path)
    with pytest.raises(ModelError, match="not finite"):
        extract(split, "f", make_backbone(float("nan")), tmp_path)
