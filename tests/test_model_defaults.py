"""What a model says where the user says nothing: its backbone, its epochs of fine-tuning."""

from dataclasses import replace

import pytest
from example_models import SEES_IMAGE, registry_with

from bench.plan import make_plan
from bench.records import RunRequest


def plan(spec_changes, **asked):
    spec = replace(SEES_IMAGE, **spec_changes)
    return make_plan(RunRequest(spec.name, "digit-scenes", **asked), registry_with(spec))


@pytest.mark.parametrize(
    ("own", "asked", "expected"),
    [
        ("", "", ("digits-cnn", "")),
        ("timm/{}", "", ("timm", "digits-cnn")),
        ("timm/resnet18", "", ("timm", "resnet18")),
        ("timm/resnet18", "digits-cnn", ("digits-cnn", "")),
    ],
)
def test_the_backbone_is_the_one_asked_for_or_the_models_or_the_data_sets(own, asked, expected):
    made = plan({"backbone": own}, backbone=asked)
    assert (made.backbone.spec.name, made.variant) == expected


@pytest.mark.parametrize(("asked", "expected"), [(None, 3), (0, 0), (5, 5)])
def test_the_epochs_of_fine_tuning_are_those_asked_for_or_the_models(asked, expected):
    assert plan({"finetune": 3}, finetune=asked).finetune == expected


def test_most_models_keep_the_backbone_frozen():
    assert plan({}).finetune == 0
