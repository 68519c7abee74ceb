import itertools
import math
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from damage import DAMAGE
from example_models import as_features, batch, make

from bench.contracts import TRAINING_OPTIONS
from bench.errors import ModelError, UsageError
from bench.model import checkpoint as checkpoints
from bench.model import settings, train
from bench.options import resolve
from bench.pipeline import run_one
from bench.records import RunRequest
from bench.system.deterministic import deterministic
from bench.system.sealed_files import write_sealed


def options(**given):
    return resolve(TRAINING_OPTIONS, given, "training")


def hits(values, truth):
    """A validation score: share of images whose best label is right."""

    def validate(model):
        best = train.scores(model, as_features(values)).argmax(axis=1)
        return float(truth[np.arange(len(truth)), best].mean())

    return validate


def fit(model, seed=0, checkpoint=None, validate=None, **given):
    values, truth = batch(60)
    chosen = options(**({"epochs": 6, "batch_size": 16} | given))
    score = validate or hits(values, truth)
    return train.fit(model, chosen, as_features(values), truth, score, name="toy", seed=seed, checkpoint=checkpoint)


def test_training_learns_a_small_set_by_heart():
    record = fit(make("bce", dropout=0.0, hidden="128"), epochs=80, learning_rates="1e-2", patience=80)
    assert record.score == 1.0
    assert record.history[-1].loss < record.history[0].loss


def test_the_same_seed_gives_the_same_weights_to_the_bit_and_another_seed_others():
    def weights(seed):
        model = make("warp")
        fit(model, seed)
        return train.save_weights(model)

    assert weights(0) == weights(0)
    assert weights(0) != weights(1)


def test_several_threads_give_the_same_weights_every_time():
    """Gradients of a label embedding are sums over many steps: their order must not depend on the threads."""
    from bench import plugins
    from bench.records import SearchOptions
    from bench.speed import workloads

    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        truth = workloads.generated_label_sets(80, 1500, cardinality=2.9)
        spec = plugins.installed().model("cnn-rnn").spec
        trained = [
            workloads.train("toy", truth, separation=2.0, k=3, options=SearchOptions(), spec=spec, epochs=2)
            for _ in range(2)
        ]
    finally:
        torch.set_num_threads(before)
    assert train.save_weights(trained[0].model) == train.save_weights(trained[1].model)
    assert not torch.are_deterministic_algorithms_enabled()


def test_what_has_no_deterministic_form_on_a_gpu_is_named_with_what_to_type():
    with pytest.raises(ModelError, match=r"^median: on a GPU its sums .* Try: --device cpu"), deterministic():
        raise RuntimeError("median does not have a deterministic implementation, but you set 'torch.use_...")
    assert torch.get_deterministic_debug_mode() == 0
    with pytest.raises(RuntimeError, match=r"^another$"), deterministic():
        raise RuntimeError("another")


def test_training_neither_uses_nor_changes_the_global_random_state():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, other = make("softmax"), make("softmax")
    fit(one)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(6)
    fit(other)
    assert train.save_weights(one) == train.save_weights(other)


@pytest.fixture
def every_epoch(monkeypatch):
    """Checkpoints after every epoch, however short."""
    monkeypatch.setattr(checkpoints, "SECONDS", 0.0)


def test_a_checkpoint_is_written_after_an_epoch_that_ends_some_seconds_after_the_last(tmp_path, monkeypatch):
    path, now, written = tmp_path / "checkpoint.pt", [0.0], []
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])  # hang guard: none, the test tells the time

    def validate(model):
        written.append((now[0], path.exists()))
        path.unlink(missing_ok=True)
        now[0] += 2.0
        return now[0]

    fit(make("bce"), checkpoint=path, validate=validate)
    assert written == [(0.0, False), (2.0, False), (4.0, False), (6.0, True), (8.0, False), (10.0, False)]
    assert path.exists()


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize("killed_after", [1, 5, 9])
def test_a_killed_training_continues_to_the_same_weights(tmp_path, killed_after):
    class KilledError(Exception):
        pass

    values, truth = batch(60)
    calls = 0

    def dies(model):
        nonlocal calls
        calls += 1
        if calls > killed_after:
            raise KilledError
        return hits(values, truth)(model)

    rates = {"learning_rates": "1e-2,1e-3"}
    whole, broken = make("cnn-rnn", hidden="8"), make("cnn-rnn", hidden="8")
    score = {"validate": lambda model: float(model.project_image.weight.detach().sum())}
    expected = fit(whole, **rates, **score)
    dying = {"validate": lambda model: (dies(make("bce")), score["validate"](model))[1]}
    with pytest.raises(KilledError):
        fit(broken, checkpoint=tmp_path / "checkpoint.pt", **rates, **dying)
    again = make("cnn-rnn", hidden="8")
    record = fit(again, checkpoint=tmp_path / "checkpoint.pt", **rates, **score)
    assert train.save_weights(again) == train.save_weights(whole)
    assert [(e.epoch, e.loss, e.score) for e in record.history] == [
        (e.epoch, e.loss, e.score) for e in expected.history
    ]


@pytest.mark.usefixtures("every_epoch")
def test_a_checkpoint_of_another_training_is_not_continued(tmp_path):
    path = tmp_path / "checkpoint.pt"
    fit(make("bce"), checkpoint=path)
    model, fresh = make("bce"), make("bce")
    fit(model, seed=1, checkpoint=path)
    fit(fresh, seed=1)
    assert train.save_weights(model) == train.save_weights(fresh)


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_is_told_and_never_used(tmp_path, kind, capsys):
    path, other = tmp_path / "checkpoint.pt", tmp_path / "other.pt"
    whole = make("bce")
    expected = fit(whole, checkpoint=path)
    fit(make("bce"), seed=1, checkpoint=other)
    DAMAGE[kind](path, other)
    assert capsys.readouterr().err == ""
    again = make("bce")
    record = fit(again, checkpoint=path)
    assert capsys.readouterr().err == f"note: {path} is damaged, or of another training: this one starts anew\n"
    assert train.save_weights(again) == train.save_weights(whole)
    assert [entry.loss for entry in record.history] == [entry.loss for entry in expected.history]


@pytest.mark.usefixtures("every_epoch")
def test_a_checkpoint_runs_no_code(tmp_path, capsys):
    """Sealed for this very training, but written by nobody who trains: what it would call is not called."""
    path = tmp_path / "checkpoint.pt"
    fit(make("bce"), checkpoint=path)
    keys = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.model.checkpoint.read_sealed", lambda path, key: keys.append(key))
        fit(make("bce"), checkpoint=path)
    write_sealed(path, keys[0], pickle.dumps(Hostile(tmp_path / "called")))
    capsys.readouterr()
    fit(make("bce"), checkpoint=path)
    assert "this one starts anew" in capsys.readouterr().err
    assert not (tmp_path / "called").exists()


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return self.path.touch, ()


def test_the_best_epoch_is_kept_and_patience_ends_the_training():
    scores = iter([0.1, 0.9, 0.5, 0.4, 0.3, 0.2, 0.1])
    record = fit(make("bce"), validate=lambda model: next(scores), epochs=50, patience=3, batch_size=2)
    assert (record.best_epoch, record.score, len(record.history)) == (2, 0.9, 5)


def test_epochs_of_few_updates_are_waited_until_they_are_as_many_updates():
    record = fit(make("bce"), validate=lambda model: 0.5, epochs=90, patience=2, halve_after=1, batch_size=32)
    assert (record.updates, len(record.history)) == (2, 1 + 2 * 15)
    assert [entry.rate for entry in record.history][15:17] == [1e-3, 5e-4]


def test_where_no_epochs_are_asked_for_few_updates_an_epoch_make_more_of_them(monkeypatch):
    monkeypatch.setattr(settings, "MOST_EPOCHS", 2)
    rising = itertools.count()
    for batch_size, updates, passes in ((2, 30, 2), (32, 2, 30)):
        record = fit(make("bce"), validate=lambda model: next(rising), epochs=0, batch_size=batch_size)
        assert (record.updates, len(record.history)) == (updates, passes)
    assert len(fit(make("bce"), validate=lambda model: next(rising), epochs=3, batch_size=32).history) == 3


def test_every_learning_rate_is_tried_from_the_same_start_and_the_best_is_kept():
    record = fit(make("bce"), learning_rates="1e-1,1e-2,1e-3", epochs=2)
    assert [entry.learning_rate for entry in record.history] == [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    best = max(record.history, key=lambda entry: entry.score)
    assert record.learning_rate == best.learning_rate


class Diverging(torch.nn.Module):
    """Its loss is NaN after the first epoch."""

    score_kind = "logit"

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(6, 4))
        self.steps = 0

    def forward(self, features):
        return features @ self.weight

    def loss(self, features, truth, generator):
        self.steps += 1
        return self(features).sum() * (float("nan") if self.steps > 4 else 1.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, [1.0], None])
def test_what_a_fit_chose_is_a_number_or_a_text(value):
    assert train.chosen_by(SimpleNamespace(chosen={"C": 0.1, "kernel": "linear"})) == {"C": 0.1, "kernel": "linear"}
    with pytest.raises(ModelError, match=r"attribute chosen: found .* for 'C', allowed: a finite number or a text"):
        train.chosen_by(SimpleNamespace(chosen={"C": value}))


def test_what_fit_chose_stands_in_the_record_of_a_model_that_gradients_train_too():
    model = make("bce")
    model.chosen = {"scale": 2.0}
    assert fit(model).chosen == {"scale": 2.0}
    assert fit(make("bce")).chosen == {}


def test_a_loss_that_diverges_is_one_clear_line_with_what_to_type():
    with pytest.raises(ModelError, match=r"toy: the loss became infinite .* epoch 2 .*--set learning_rates=0.0001"):
        fit(Diverging(), learning_rates="1e-3")


class Unwritten(Diverging):
    """Its loss reads memory that nobody wrote."""

    def loss(self, features, truth, generator):
        return self(features).sum() + torch.empty(1000).sum()


def test_a_loss_that_reads_what_nobody_wrote_is_told_in_the_first_epoch():
    before = torch.utils.deterministic.fill_uninitialized_memory
    with pytest.raises(ModelError, match=r"toy: the loss became infinite or undefined in epoch 1"):
        fit(Unwritten())
    assert torch.utils.deterministic.fill_uninitialized_memory == before


@pytest.mark.parametrize("text", ["", "a", "0", "-1", "1e-3,,", "nan", "inf", "0_1"])
def test_learning_rates_that_are_no_positive_numbers_are_refused(text):
    with pytest.raises(UsageError, match=r"option learning_rates: found .* --set learning_rates=1e-3,3e-4"):
        fit(make("bce"), learning_rates=text)
    with pytest.raises(UsageError, match="option learning_rates"):
        run_one(RunRequest("bce", "voc2007", sets=(f"learning_rates={text}",)))  # which is not there


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x00" * 64])
def test_damaged_weights_are_one_clear_line(content):
    with pytest.raises(ModelError, match="cannot read the model weights"):
        train.load_weights(make("bce"), content)


def test_weights_of_another_model_are_refused():
    with pytest.raises(ModelError, match="the model weights do not fit this model"):
        train.load_weights(make("bce", hidden="9"), train.save_weights(make("bce")))
