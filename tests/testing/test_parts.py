"""Each check of what is no model passes on sound parts, and fails alone on the one that breaks it."""

import types

import bad_parts
import bad_scoring
import bad_shown
import pytest
from bad_parts import BAD_BACKBONES, BAD_DATASETS, BAD_TRACKERS, dataset
from bad_scoring import BAD_DECODERS, BAD_METRICS, BAD_POLICIES
from bad_shown import BAD_FORMATS, BAD_PROTOCOLS, BAD_SECTIONS
from documented import documented
from example_roots import ROOTS

import bench
from bench import plugins
from bench.evaluation import metric_table, protocols
from bench.testing import (
    check_backbone,
    check_dataset,
    check_decoder,
    check_metric,
    check_policy,
    check_protocol,
    check_report_section,
    check_table_format,
    check_tracker,
    examinations,
    examine,
    parametrize_with_checks,
)
from bench.testing.backbones import BACKBONE_CHECKS
from bench.testing.datasets import DATASET_CHECKS
from bench.testing.decoders import DECODER_CHECKS
from bench.testing.metrics import METRIC_CHECKS
from bench.testing.policies import POLICY_CHECKS
from bench.testing.protocols import PROTOCOL_CHECKS
from bench.testing.report_sections import REPORT_SECTION_CHECKS
from bench.testing.table_formats import TABLE_FORMAT_CHECKS
from bench.testing.trackers import TRACKER_CHECKS


def backbone(build):
    return bench.BackboneSpec("net", "made up", lambda request: build())


def tracker(open_tracker):
    return bench.TrackerSpec("files", "made up", open_tracker)


def metric(function):
    return bench.Metric("own", function, "Made up")


def section(tables):
    return bench.ReportSection("section", "made up", tables)


def table_format(render):
    return bench.TableFormat("format", "made up", render)


def policy(built):
    return bench.LabelSetPolicy("own-sets", "made up", built.fit, built.label_sets)


def decoder(search):
    return bench.SequenceSearch("own-search", "made up", search)


BAD = [
    *((dataset(build), name, words) for name, (build, words) in BAD_DATASETS.items()),
    *((backbone(build), name, words) for name, (build, words) in BAD_BACKBONES.items()),
    *((tracker(opened), name, words) for name, (opened, words) in BAD_TRACKERS.items()),
    *((metric(function), name, words) for name, (function, words) in BAD_METRICS.items()),
    *((broken, name, words) for name, (broken, words) in BAD_PROTOCOLS.items()),
    *((section(tables), name, words) for name, (tables, words) in BAD_SECTIONS.items()),
    *((table_format(render), name, words) for name, (render, words) in BAD_FORMATS.items()),
    *((policy(build()), name, words) for name, (build, words) in BAD_POLICIES.items()),
    *((decoder(search), name, words) for name, (search, words) in BAD_DECODERS.items()),
]


@pytest.mark.parametrize(("spec", "name", "words"), BAD, ids=[f"{spec.name}-{name}" for spec, name, _ in BAD])
def test_a_part_that_breaks_one_rule_fails_that_check_alone(spec, name, words):
    found = {outcome.check.name: outcome.told for outcome in examine(spec) if outcome.state == "failed"}
    assert list(found) == [name]
    assert words in found[name]


@pytest.mark.parametrize(
    ("table", "bad"),
    [
        (DATASET_CHECKS, BAD_DATASETS),
        (BACKBONE_CHECKS, BAD_BACKBONES),
        (TRACKER_CHECKS, BAD_TRACKERS),
        (METRIC_CHECKS, BAD_METRICS),
        (PROTOCOL_CHECKS, BAD_PROTOCOLS),
        (REPORT_SECTION_CHECKS, BAD_SECTIONS),
        (TABLE_FORMAT_CHECKS, BAD_FORMATS),
        (POLICY_CHECKS, BAD_POLICIES),
        (DECODER_CHECKS, BAD_DECODERS),
    ],
)
def test_every_check_that_judges_has_a_part_that_fails_it(table, bad):
    assert {check.name for check in table} - {"cost"} == set(bad)


def test_a_metric_that_keeps_its_first_value_is_told():
    """As one whose cache knows predictions by their shape: every row after the first has that value."""
    first = {}
    kept = metric(lambda evaluation: first.setdefault(evaluation.truth.shape, bad_scoring.hit_rate(evaluation)))
    failed = {outcome.check.name for outcome in examine(kept) if outcome.state == "failed"}
    assert "right-is-better" in failed


def test_sound_parts_pass_every_check():
    outcomes = [
        *check_dataset(dataset(bad_parts.toy)),
        *check_backbone(backbone(lambda: bad_parts.backbone(bad_parts.Net()))),
        *check_tracker(tracker(bad_parts.Files)),
        *check_metric(metric(bad_scoring.hit_rate)),
        *check_metric(metric(bad_scoring.recall_in_float32)),
        *check_protocol(bad_shown.protocol()),
        *check_report_section(section(bad_shown.hits)),
        *check_table_format(table_format(bad_shown.listed)),
        *check_policy(policy(bad_scoring.Threshold())),
        *check_decoder(decoder(bad_scoring.greedy)),
    ]
    assert {outcome.state for outcome in outcomes} == {"passed"}


FIRST_PARTY = [
    *examinations("digit-scenes", {"train_images": "1000"}),
    *examinations("digits-cnn"),
    *examinations("timm/test_resnet", {"init": "random", "size": "32"}),
    *examinations("torchvision/squeezenet1_1", {"init": "random", "size": "64"}),
    *(one for name in ("tensorboard", "mlflow", "wandb") for one in examinations(name)),
    *(one for name in plugins.loaded().all(plugins.POLICIES) for one in examinations(name)),
]


@parametrize_with_checks(FIRST_PARTY)
def test_first_party_parts_keep_their_contract(check):
    check()


@pytest.mark.parametrize("name", ROOTS)
def test_first_party_data_sets_that_read_files_keep_their_contract(name, tmp_path):
    ROOTS[name](tmp_path)
    outcomes = check_dataset(name, tmp_path)
    assert {outcome.state for outcome in outcomes} == {"passed"}


def test_every_first_party_data_set_is_checked():
    known = set(plugins.load(without=frozenset()).all(plugins.DATASETS))
    # Above; test_huggingface.py, where its library is installed; and of 12,000 ids, test_coco_part.py.
    elsewhere = {"digit-scenes", "huggingface", "coco2014-part"}
    assert known == set(ROOTS) | elsewhere


@pytest.mark.parametrize("name", sorted(metric_table.by_name()))
def test_the_hosts_own_metrics_keep_the_contract(name):
    check_metric(metric_table.by_name()[name])


@pytest.mark.parametrize("name", sorted(protocols.REGISTERED))
def test_the_hosts_own_protocols_keep_the_contract(name):
    check_protocol(protocols.get(name))


def test_the_hooks_in_docs_plugins_keep_their_contract():
    page = documented()
    names = ("metrics", "protocols", "policies", "decoders", "report_sections", "table_formats")
    hooks = [getattr(page, f"bench_{name}") for name in names]
    outcomes = [outcome for hook in hooks for spec in hook() for outcome in examine(spec)]
    assert [str(outcome) for outcome in outcomes if outcome.state != "passed"] == []


def test_a_plugin_that_adds_nothing_says_so():
    plugin = types.SimpleNamespace(bench_protocols=bench.hookimpl(lambda: []))
    with pytest.raises(bench.UsageError, match=r"adds nothing that there are checks for, allowed: models, data sets"):
        examinations(plugin)


def test_a_family_is_not_run_and_says_what_to_type():
    assert examine("timm")[0].told == "it is a family, of which one is checked. Try: bench plugin check timm/NAME"


def test_a_data_set_without_its_files_is_not_run_and_says_what_to_type():
    (outcome, *_) = examine("coco")
    assert outcome.state == "not run"
    assert "--data-root DIR, where DIR holds annotations" in outcome.told
