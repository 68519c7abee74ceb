"""Fields that allow certain values alone are looked at where a plugin gives them: one misspelt is no default."""

import math

import pytest
from hostile_runs import Flat, registry, run

import bench
from bench import PluginError, UsageError


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"selection": "topk-exact"}, "selection 'topk-exact', allowed: topk_exact, topk_threshold"),
        ({"ap": "11-point"}, "ap '11-point', allowed: 11_point, all_point, non_interpolated"),
        ({"no_predictions": "nan"}, "no_predictions 'nan', allowed: zero, one"),
        ({"k": 2.0}, "k 2.0, allowed: a whole number"),
        ({"cut_to_k": "no"}, "cut_to_k 'no', allowed: True or False"),
        ({"max_length": True}, "max_length True, allowed: a whole number"),
    ],
)
def test_a_protocol_of_other_choices_is_refused(changes, words):
    with pytest.raises(UsageError) as caught:
        bench.Protocol(**{"name": "pairs@1", "summary": "two", "k": 2, **changes})
    assert words in str(caught.value)


def test_a_kind_of_model_that_there_is_not_is_refused():
    with pytest.raises(UsageError, match="model 'm': kind 'score', allowed: scores, sets, sequence"):
        bench.ModelSpec("m", "a model", "score", lambda request: None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"crop": "centre"}, "crop 'centre', allowed: center, squash"),
        ({"interpolation": "lanczos"}, "interpolation 'lanczos', allowed: nearest, bilinear, bicubic"),
        ({"size": 4.0}, "size 4.0, allowed: a whole number"),
        ({"mean": (math.nan, 0.5, 0.5)}, "mean (nan, 0.5, 0.5), must be a tuple of three finite numbers"),
        ({"std": (1.0,)}, "std (1.0,), must be a tuple of three finite numbers"),
    ],
)
def test_a_backbones_preprocessing_of_other_choices_is_refused_by_name(changes, words, tmp_path):
    preprocessing = bench.Preprocessing(**{"size": 4, "resize": 4, "crop": "squash", **changes})

    def build():
        return bench.Backbone("flat", Flat(), 48, preprocessing, "0" * 16)

    with pytest.raises(PluginError) as caught:
        run(tmp_path, registry(backbone=build, bad="backbone"))
    assert words in str(caught.value)
    assert str(caught.value).startswith("bench-bad 2.1 (bad), build backbone of backbone 'flat'")
