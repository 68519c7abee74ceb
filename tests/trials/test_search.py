"""Trials end to end, on small pictures: reproducible, resumable, blind to test, and no failure ends them."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from example_commands import bench, write_corel
from example_exports import run_options
from example_models import registry_with
from judged_models import SPECS, Judged
from safetensors.numpy import load
from sklearn.metrics import f1_score

from bench import pipeline, plugins
from bench.evaluation import policies, protocols
from bench.model import train
from bench.recompute.run import recompute
from bench.show.settings import settings_of
from bench.show.tables import build
from bench.store.run_folder import RunFolder
from bench.store.runs import find
from bench.store.validate import verdict
from bench.trials import search
from bench.trials.files import TrialFile


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    registry = registry_with(*SPECS)
    monkeypatch.setattr(plugins, "installed", lambda: registry)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Pictures, and a cache of features that all tests share."""
    root = tmp_path_factory.mktemp("trials")
    write_corel(root / "corel")
    return root


INIT = ("--set", "backbone.init=random")
EPOCHS = ("--set", "epochs=3")


def run(root, model, trials, *more, out=None, command="run"):
    """Run ``model`` with ``trials``; later options win over earlier ones."""
    named = ("--model", model) if command == "run" else ("--models", model)
    place = (*run_options(root)[:-2], "--out", out or root / "runs")
    return bench(command, *named, *place, *INIT, "--trials", trials, *more)


def only(out, model):
    (folder,) = find(out, "corel5k", (model,))
    return folder


def tried(folder):
    """The ledger of a run without what differs from time to time."""
    ledger = folder.read_trials()
    return replace(ledger, trials=tuple(replace(trial, seconds=0.0) for trial in ledger.trials))


def files_of(out):
    return sorted(out.glob("corel5k/*/trials/*.json"))


def test_trials_are_the_same_in_another_store_and_after_a_damaged_and_a_lost_file(root, tmp_path, capsys):
    assert run(root, "bce", 3, *EPOCHS, out=tmp_path / "a") == 0
    assert run(root, "bce", 3, *EPOCHS, out=tmp_path / "b") == 0
    one, other = only(tmp_path / "a", "bce"), only(tmp_path / "b", "bce")
    assert one.key == other.key
    assert tried(one) == tried(other)
    assert one.read_weights() == other.read_weights()
    first, second, _ = files_of(tmp_path / "b")
    first.unlink()
    second.write_bytes(second.read_bytes().replace(b'"score":', b'"score":9'))
    shutil.rmtree(other.path)
    capsys.readouterr()
    assert run(root, "bce", 3, *EPOCHS, out=tmp_path / "b") == 0
    assert capsys.readouterr().err.count("is damaged: this trial is made anew") == 1
    assert tried(only(tmp_path / "b", "bce")) == tried(one)


def test_a_search_that_is_broken_off_goes_on_with_the_trial_in_flight(root, tmp_path, monkeypatch):
    made, whole = [], search._made

    def broken_off(*arguments):
        made.append(arguments[1])
        if len(made) == 3:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(search, "_made", broken_off)
    assert run(root, "svm", 4, out=tmp_path) == 130
    assert len(files_of(tmp_path)) == 2
    assert run(root, "svm", 4, out=tmp_path) == 0
    ledger = only(tmp_path, "svm").read_trials()
    assert made[3:] == [made[2], dict(ledger.trials[3].options)]
    assert not list(tmp_path.glob("corel5k/*/trials/*.lock"))


def test_a_larger_budget_makes_only_the_trials_that_are_missing(root, tmp_path, monkeypatch):
    assert run(root, "knn", 2, out=tmp_path) == 0
    before = only(tmp_path, "knn").read_trials()
    made, whole = [], search._made
    monkeypatch.setattr(search, "_made", lambda *arguments: made.append(arguments[1]) or whole(*arguments))
    assert run(root, "knn", 4, "--seed", 1, out=tmp_path) == 0
    ledger = next(folder for folder in find(tmp_path) if folder.config["seed"] == 1).read_trials()
    assert ledger.trials[:2] == before.trials
    assert [dict(trial.options) for trial in ledger.trials[2:]] == made


def test_test_labels_in_another_order_change_no_choice(root, tmp_path):
    """Nothing is chosen on test: with its labels dealt anew, trials and choice are the same, and measures are not."""
    shutil.copytree(root / "corel", tmp_path / "corel")
    lines = [line.split("\t") for line in (tmp_path / "corel" / "test.tsv").read_text().splitlines()]
    dealt = np.random.default_rng(1).permutation([labels for _, labels in lines])
    rows = [f"{name}\t{labels}" for (name, _), labels in zip(lines, dealt, strict=True)]
    (tmp_path / "corel" / "test.tsv").write_text("\n".join(rows))
    for model, more in (("bce", EPOCHS), ("svm", ())):
        folders = []
        for data, out in ((root / "corel", tmp_path / "as"), (tmp_path / "corel", tmp_path / "dealt")):
            assert run(root, model, 3, *more, "--data-root", data, out=out) == 0
            folders.append(only(out, model))
        as_is, shuffled = folders
        assert tried(as_is) == tried(shuffled)
        assert as_is.read_weights() == shuffled.read_weights()
        assert as_is.read_measures().values != shuffled.read_measures().values
    assert [path.name for path in files_of(tmp_path / "as")] == [path.name for path in files_of(tmp_path / "dealt")]


def test_the_final_training_is_on_train_and_validation_for_the_chosen_trials_epochs(root, tmp_path, monkeypatch):
    given, fit = [], train.fit

    def seen(model, options, features, truth, validate, **named):
        given.append((len(truth), named["validation"], tuple(named.get("schedule", ())), validate))
        return fit(model, options, features, truth, validate, **named)

    monkeypatch.setattr(train, "fit", seen)
    assert run(root, "bce", 2, *EPOCHS, out=tmp_path) == 0
    folder = only(tmp_path, "bce")
    ledger, training = folder.read_trials(), folder.read_training()
    *trials, (images, validation, schedule, validate) = given
    assert [len(one) for _, _, one, _ in trials] == [0, 0]
    assert all(count + ledger.images == 60 and held is not None for count, held, _, _ in trials)
    # All of train, the epochs of the chosen trial at its rates, and nothing that validation labels can be seen by.
    assert (images, validation, schedule, validate) == (60, None, ledger.best.rates, train.unjudged)
    assert [entry["rate"] for entry in training["history"]] == list(ledger.best.rates)
    assert {entry["score"] for entry in training["history"]} == {None}
    assert folder.config["training"]["hold_out"] == 0.0
    assert verdict(folder).faults == ()


def test_a_run_of_trials_says_of_each_value_where_it_came_from_and_is_made_again(root, tmp_path):
    assert run(root, "bce", 2, *EPOCHS, out=tmp_path) == 0
    folder = only(tmp_path, "bce")
    settings = settings_of(folder)
    assert [name for name, setting in settings.items() if not setting.origin] == []
    assert settings["training.weight_decay"].origin.startswith("chosen: trial ")
    assert settings["training.epochs"].origin == "--set epochs=3"
    again = recompute(folder, retrain=True)
    assert (again.faults, again.level) == ((), "retrained")


@pytest.mark.parametrize(("best", "told"), [(2, (60, "")), (1, (54, "chooses for itself"))])
def test_a_model_without_gradients_keeps_all_images_unless_it_chooses_by_some(root, tmp_path, monkeypatch, best, told):
    """Of two trials of knn the first chooses how many vote, and the second is told."""
    made = []

    def judged(one, extracted):
        made.append(one)
        return float(len(made) == best), ()

    monkeypatch.setattr(search, "_judged", judged)
    assert run(root, "knn", 2, out=tmp_path) == 0
    folder = only(tmp_path, "knn")
    images, said = told
    assert len(load(folder.read_weights())["features"]) == images
    assert folder.read_trials().refit == (best == 2)
    assert said in " ".join(folder.read_about().notes)
    assert verdict(folder).faults == ()
    voting = settings_of(folder)["model.options.neighbours"]
    assert (voting.in_force == voting.value) == (best == 2)
    assert voting.origin.endswith(": chosen on the validation part") == (best == 1)


def test_trials_of_a_fitted_policy_are_judged_by_it_on_images_that_it_was_not_fitted_on(tmp_path):
    write_corel(tmp_path / "corel", images=150)  # a validation part of 15 is divided; one of 6 is not
    out = tmp_path / "out"
    assert run(tmp_path, "bce", 2, *EPOCHS, "--policy", "threshold", out=out) == 0
    folder = only(out, "bce")
    ledger, part, protocol = folder.read_trials(), folder.read_validation(), protocols.get(folder.config["protocol"])
    assert ledger.metric == "O-F1 by threshold"
    # Of seed 0, and trained without the validation part: the run's model is the chosen trial's.
    own, truth = policies.of_config(folder.config), part.truth
    sets = policies.held_out(own, protocol, part.prediction, truth.truth, ignore=truth.ignore, labels=truth.labels)
    assert ledger.best.score == pytest.approx(f1_score(truth.truth, sets, average="micro"), abs=1e-12)
    made = set(files_of(out))
    assert run(tmp_path, "bce", 2, *EPOCHS, out=out) == 0
    assert len({*files_of(out)} - made) == 2


@pytest.mark.parametrize(("asked", "metric"), [((), "O-F1"), (("--set", "select_by=mAP"), "mAP")])
def test_trials_are_judged_alike_whatever_chooses_the_rate_unless_something_was_asked_for(tmp_path, asked, metric):
    write_corel(tmp_path / "corel", images=60)
    assert run(tmp_path, "bce", 2, *EPOCHS, *asked, out=tmp_path / "out") == 0
    folder = only(tmp_path / "out", "bce")
    assert folder.config["training"]["select_by"] == (metric if asked else "MAP@10")
    assert folder.read_trials().metric == metric
    assert len({TrialFile(tmp_path, folder.config, name).key for name in ("O-F1", "mAP", "O-F1 by threshold")}) == 3


def test_a_run_made_from_one_of_another_policy_keeps_the_ledger_of_its_own_trials(root, tmp_path, monkeypatch):
    lent, whole = [], pipeline.derive
    monkeypatch.setattr(pipeline, "derive", lambda *arguments: lent.append(arguments[1]) or whole(*arguments))
    for policy in ("threshold", "at-most-k"):
        assert run(root, "plain", 2, "--policy", policy, out=tmp_path) == 0
    assert lent == ["at-most-k"]
    for folder in find(tmp_path):
        assert folder.read_trials().metric == f"O-F1 by {folder.config['policy']['name']}"
        assert set(folder.read_trials().notes) <= set(folder.read_about().notes)
        assert verdict(folder).faults == ()


def test_a_trial_that_fails_is_a_line_with_its_reason_and_not_the_end(root, tmp_path, capsys):
    assert run(root, "partly", 4, out=tmp_path) == 0
    folder = only(tmp_path, "partly")
    ledger = folder.read_trials()
    reasons = {trial.options["slope"]: trial.reason for trial in ledger.trials}
    assert reasons[1] == reasons[-1] == ""
    assert "the model diverged" in reasons[2]
    assert "ValueError: three is too many" in reasons[3]
    assert any("2 of 4 trials failed" in note for note in folder.read_about().notes)
    capsys.readouterr()
    assert bench("trials", folder.path) == 0
    assert "three is too many" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("error", [FileNotFoundError("no table"), MemoryError(), ModuleNotFoundError("no lasso")])
def test_what_the_machine_lacked_once_is_tried_again(root, tmp_path, monkeypatch, error):
    whole = Judged.fit

    def lacking(self, features, truth):
        if self.slope == -1:
            try:
                raise error
            except type(error) as caught:
                raise ValueError("it cannot be read") from caught

    monkeypatch.setattr(Judged, "fit", lacking)
    assert run(root, "partly", 4, out=tmp_path) == 0
    before = {trial.options["slope"]: trial for trial in only(tmp_path, "partly").read_trials().trials}
    assert "it cannot be read" in before[-1].reason
    assert len(files_of(tmp_path)) == 3
    monkeypatch.setattr(Judged, "fit", whole)
    assert run(root, "partly", 4, "--seed", 1, out=tmp_path) == 0
    later = next(folder for folder in find(tmp_path) if folder.config["seed"] == 1).read_trials()
    after = {trial.options["slope"]: trial for trial in later.trials}
    assert after[-1].score is not None
    assert all(after[slope] == before[slope] for slope in (1, 2, 3))


def test_a_loss_that_diverges_is_a_line_of_the_ledger(root, tmp_path):
    wild = ("--set", "clip_norm=0", "--set", "learning_rates=1e36", "--set", "batch_size=8")
    assert run(root, "softmax", 2, *EPOCHS, *wild, out=tmp_path) == 2
    (first, second) = files_of(tmp_path)
    assert b"loss became infinite" in first.read_bytes()
    assert b"loss became infinite" in second.read_bytes()


BAD = {
    "none": (("partly", 0), "--trials: found 0, allowed: whole numbers from 1 to 10000. Try: --trials 16"),
    "below": (("partly", -1), "--trials: found -1"),
    "fine-tuning": (("partly", 2, "--finetune", 1), "--trials 2 with 1 epochs of fine-tuning"),
    "all fail": (("never", 2), "model 'never': none of its 2 trials worked. The first: "),
}


@pytest.mark.parametrize("mistake", BAD)
def test_a_mistake_is_one_clear_line_and_exit_code_two(root, tmp_path, mistake, capsys):
    arguments, message = BAD[mistake]
    assert run(root, *arguments, "--backbone", "timm/test_resnet", out=tmp_path) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note: ")]
    assert len(errors) == 1
    assert message in errors[0]


def corel(root, train):
    """Rewrite the train list of a copy of the pictures: ``train`` says the labels of each image."""
    names = [line.split("\t")[0] for line in (root / "train.tsv").read_text().splitlines()]
    rows = [f"{name}\t{labels}" for name, labels in zip(names, train, strict=False)]
    (root / "train.tsv").write_text("\n".join(rows))
    return root


def test_too_few_images_for_a_validation_part_are_one_clear_line(root, tmp_path, capsys):
    own = corel(shutil.copytree(root / "corel", tmp_path / "corel"), ["red", "green", "blue"])
    assert run(root, "svm", 2, "--data-root", own, out=tmp_path / "runs") == 2
    assert "3 images are too few to hold out a validation part" in capsys.readouterr().err


def test_labels_that_no_validation_image_has_are_named(root, tmp_path):
    own = corel(shutil.copytree(root / "corel", tmp_path / "corel"), ["red"] * 57 + ["green", "red", "blue"])
    assert run(root, "svm", 2, "--data-root", own, out=tmp_path / "runs") == 0
    notes = " ".join(only(tmp_path / "runs", "svm").read_about().notes)
    assert (
        "2 of 3 labels are on no image of the validation part, so trials are not judged by them: blue, green" in notes
    )
    assert "all trials have the same validation score, so the defaults are kept" in notes
    assert "only 6 images: which trial is best is mostly chance" in notes


def test_one_class_keeps_the_defaults_and_says_so(root, tmp_path):
    own = corel(shutil.copytree(root / "corel", tmp_path / "corel"), ["red"] * 60)
    (own / "test.tsv").write_text("\n".join(f"test{number}.png\tred" for number in range(20)))
    assert run(root, "svm", 2, "--data-root", own, "--protocol", "top1@1", out=tmp_path / "runs") == 0
    folder = only(tmp_path / "runs", "svm")
    assert folder.read_trials().chosen == 0
    assert any("so the defaults are kept" in note for note in folder.read_about().notes)


def test_a_method_without_a_space_is_exempt_and_says_so_and_is_trained_on_as_much(root, tmp_path):
    assert run(root, "plain", 16, out=tmp_path) == 0
    folder = only(tmp_path, "plain")
    assert len(folder.read_trials().trials) == 1
    assert folder.config["trials"]["trained_on"] == "train and validation"
    assert "model 'plain' has nothing to choose by trials: it declares no search space" in folder.read_about().notes


def test_what_is_typed_is_not_tried(root, tmp_path):
    assert run(root, "svm", 16, "--set", "C=1", "--set", "normalize=l2", out=tmp_path) == 0
    folder = only(tmp_path, "svm")
    assert [dict(trial.options) for trial in folder.read_trials().trials] == [{}]
    assert folder.config["model"]["options"]["C"] == 1.0
    assert any("every option of its search space was given" in note for note in folder.read_about().notes)


def test_a_table_says_how_many_trials_rows_had_and_marks_those_with_fewer(root, tmp_path, capsys):
    assert run(root, "svm,plain", 2, "--no-prior", out=tmp_path, command="compare") == 0
    assert "options chosen on validation by 2 trials a row" in " ".join(capsys.readouterr().out.split())
    summaries = [folder.summary() for folder in find(tmp_path)]
    table = build(summaries)
    assert [row.label for row in table.rows] == ["plain", "svm"]
    assert "fewer points to try than trials allowed: plain 1" in table.notes
    assert run(root, "knn", 3, out=tmp_path) == 0
    marked = build([folder.summary() for folder in find(tmp_path)])
    assert [row.label for row in marked.rows] == ["knn", "plain †", "svm †"]
    assert any("fewer trials than the 3 of the others" in note and "svm 2" in note for note in marked.notes)


def test_the_ledger_stands_in_the_report_and_as_json(root, tmp_path, capsys):
    assert run(root, "svm", 2, out=tmp_path / "runs") == 0
    folder = only(tmp_path / "runs", "svm")
    capsys.readouterr()
    assert bench("trials", folder.path, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert [trial["options"] for trial in record["trials"]] == [
        dict(trial.options) for trial in folder.read_trials().trials
    ]
    page = tmp_path / "report.html"
    assert bench("report", "--runs", tmp_path / "runs", "--out", page, "--resamples", 0) == 0
    html = page.read_text()
    assert "<h3>Trials</h3>" in html
    assert "validation images" in html


def test_a_run_without_trials_says_how_to_make_them(root, tmp_path, capsys):
    place = (*run_options(root)[:-2], "--out", tmp_path)
    assert bench("run", "--model", "svm", *place, *INIT) == 0
    capsys.readouterr()
    assert bench("trials", only(tmp_path, "svm").path) == 2
    assert "Try: the same bench run with --trials 16" in capsys.readouterr().err


LIES = {
    "another best": (lambda ledger: _scored(ledger, 1.0), "its best trial chose other options than its config has: C"),
    "one trial less": (lambda ledger: replace(ledger, trials=ledger.trials[:1]), "are not those of its config"),
    "no score": (lambda ledger: _scored(ledger, 7.0), "no score, or one that no validation part gives"),
}


def _scored(ledger, score):
    wrong = next(index for index in range(2) if index != ledger.chosen)
    other = replace(ledger.best, score=0.5)
    trials = [replace(ledger.trials[wrong], score=score) if index == wrong else other for index in range(2)]
    return replace(ledger, trials=tuple(trials))


@pytest.mark.parametrize("lie", LIES)
def test_a_ledger_that_does_not_lead_to_its_run_is_found(root, tmp_path, lie):
    assert run(root, "svm", 2, out=tmp_path) == 0
    folder = only(tmp_path, "svm")
    forge, words = LIES[lie]
    RunFolder(folder.path).write_trials(forge(folder.read_trials()))
    assert any(words in fault for fault in verdict(folder).faults)
