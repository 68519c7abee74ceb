"""Each check of a model passes on a sound one, and fails, it alone and with its reason, on the one that breaks it."""

import json
from types import SimpleNamespace

import bad_models
import pytest
from bad_models import BAD_MODELS, BAD_SEQUENCES, HEAD
from documented import documented

import bench
from bench import plugins
from bench.cli import run_command_line
from bench.testing import CheckFailed, check_model, examinations, examine, parametrize_with_checks
from bench.testing.common import pickled
from bench.testing.model_checks import MODEL_CHECKS
from bench.testing.sequence_checks import SEQUENCE_CHECKS


def spec(model, kind="scores"):
    return bench.ModelSpec("m", "a model", kind, model, options=(HEAD,), space=getattr(model, "space", ()))


def failed(outcomes):
    return {outcome.check.name: outcome for outcome in outcomes if outcome.state == "failed"}


def failed_of(bad, name):
    """The checks that ``bad`` fails; its export, which takes seconds, only where ``name`` is that check."""
    (examination,) = examinations(bad)
    names = [check.name for check in examination.checks if check.name != "exports" or name == "exports"]
    return failed([examination.outcome(one) for one in names])


@pytest.mark.parametrize("kind", ["scores", "sequence"])
def test_a_sound_model_passes_every_check(kind):
    outcomes = examine(spec(bad_models.Plain if kind == "scores" else bad_models.Worded, kind))
    assert failed(outcomes) == {}
    assert [outcome.check.name for outcome in outcomes if outcome.state == "not run"] == (
        [] if kind == "scores" else ["ignored-pairs-change-nothing"]
    )


def test_a_model_that_says_it_is_deterministic_and_is_not_fails():
    liar = bench.ModelSpec("m", "a model", "scores", bad_models.Plain, options=(HEAD,), deterministic=True)
    found = failed_of(liar, "same-seed-same-result")
    assert "with another seed it gives other" in found["same-seed-same-result"].told


@pytest.mark.parametrize("name", BAD_MODELS)
def test_a_model_that_breaks_one_rule_fails_that_check_alone(name):
    model, words = BAD_MODELS[name]
    found = failed_of(spec(model), name)
    assert list(found) == [name]
    assert words in found[name].told
    assert "\n" not in found[name].told
    assert found[name].check.remedy in str(found[name])


@pytest.mark.parametrize("name", BAD_SEQUENCES)
def test_a_sequence_model_that_breaks_one_rule_fails_that_check_alone(name):
    model, words = BAD_SEQUENCES[name]
    found = failed_of(spec(model, "sequence"), name)
    assert list(found) == [name]
    assert words in found[name].told


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (bad_models.SearchesTooFar, "option batch_size: found '0', allowed: a whole number >= 1"),
        (bad_models.SearchesItsJudge, "search space of model 'm': option 'select_by' cannot be chosen"),
    ],
)
def test_a_search_space_that_goes_too_far_fails_its_check_alone(model, words):
    found = failed_of(spec(model), "search-space")
    assert list(found) == ["search-space"]
    assert words in found["search-space"].told


def test_every_check_that_judges_has_a_model_that_fails_it():
    judging = {check.name for check in MODEL_CHECKS} - {"cost"}
    assert set(BAD_MODELS) == judging
    assert set(BAD_SEQUENCES) == {check.name for check in SEQUENCE_CHECKS} - judging - {"cost"}


def test_a_file_in_the_working_directory_is_found():
    (told,) = failed_of(spec(bad_models.WritesHere), "").values()
    assert told.told == "it wrote log.txt in the working directory"


def test_a_failed_check_raises_with_the_reason_and_the_remedy():
    with pytest.raises(CheckFailed, match=r"model 'm', constant-features failed: .*Try: clamp deviations"):
        check_model(spec(bad_models.Standardises))
    assert len(check_model(spec(bad_models.Plain))) == len(MODEL_CHECKS)


def test_what_needs_a_failed_check_is_not_run():
    outcomes = {outcome.check.name: outcome for outcome in examine(spec(bad_models.NoModule))}
    assert outcomes["trains"].state == "not run"
    assert outcomes["pickles"].told == "it needs says-the-same-again"


SMALLER = {"inria": {"gaussians": "2"}}
"""Options that change how much is computed, and not what."""

FIRST_PARTY = [
    one
    for spec in plugins.load(without=frozenset()).all(plugins.MODELS)
    for one in examinations(spec, SMALLER.get(spec, {}))
]
for examination in FIRST_PARTY:
    # tests/first_party/test_rows_exported.py asks for more: the files of a whole export give what a run has stored.
    examination.checks = [check for check in examination.checks if check.name != "exports"]


@parametrize_with_checks(FIRST_PARTY)
def test_first_party_models_keep_their_contract(check):
    check()


DOCUMENTED = [spec for spec in vars(documented()).values() if isinstance(spec, bench.ModelSpec)]


@parametrize_with_checks(DOCUMENTED)
def test_the_models_in_docs_plugins_keep_their_contract(check):
    check()


def test_the_command_prints_reason_and_remedy_and_says_by_its_exit_code(tmp_path, capsys, monkeypatch):
    file = tmp_path / "own_models.py"
    file.write_text(
        "import bench\nimport bad_models\n\n@bench.hookimpl\ndef bench_models():\n"
        "    return [bench.ModelSpec('m', 'a model', 'scores', bad_models.Standardises)]\n"
    )
    assert run_command_line(["plugin", "check", str(file)]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "FAIL constant-features" in printed
    assert "Try: clamp deviations and lengths before you divide by them" in printed
    assert run_command_line(["plugin", "check", "bce", "--json"]) == 0
    outcomes = json.loads(capsys.readouterr().out)
    assert {outcome["state"] for outcome in outcomes} == {"passed"}
    assert run_command_line(["plugin", "check", "bec"]) == 2
    assert "did you mean 'bce'?" in capsys.readouterr().err


def test_an_option_may_be_set_and_a_misspelt_one_is_named():
    ((part,),) = ([one.part for one in examinations("knn", {"neighbours": "3"})],)
    assert part.options["neighbours"] == 3
    with pytest.raises(bench.UsageError, match="did you mean 'neighbours'"):
        examinations("knn", {"neighbors": "3"})


@pytest.mark.parametrize("given", [lambda model: model, lambda model: SimpleNamespace(model=model)])
def test_a_class_inside_a_function_is_not_asked_to_be_pickled_also_behind_the_hosts_module(given):
    class Arrays: ...

    with pytest.raises(bench.NotRun, match="Arrays stands inside a function"):
        pickled(given(Arrays()))
