"""Fine-tuning: killed and continued to the bit, augmentation from seed and number alone, schedules, early stopping."""

import numpy as np
import pytest
import torch
from damage import DAMAGE
from example_models import make

from bench import Backbone, Preprocessing, Split, UsageError, plugins
from bench.data import augment
from bench.data.augment import Augmentation, Augmented
from bench.data.images import ArrayImages
from bench.model import finetune
from bench.model.checkpoint import CheckpointFile, TuningState
from bench.model.finetune import Settings
from bench.plan import make_plan
from bench.records import RunRequest
from bench.sweep import plan_runs
from bench.system import threads

ALL = Settings(
    batch_size=8,
    accumulate=2,
    warmup=0.5,
    schedule="cosine",
    patience=3,
    augmentation=Augmentation(horizontal_flip=0.5, random_resized_crop=0.3, color_jitter=0.4),
)


def split(images=40, labels=3, side=24):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, side, side + 8, 3), dtype=np.uint8)
    truth = rng.random((images, labels)) < 0.5
    return Split(
        "noise", "fit", tuple(map(str, range(images))), tuple("abc"[:labels]), truth, ArrayImages(pixels, "noise")
    )


def backbone():
    torch.manual_seed(0)
    layers = (torch.nn.Conv2d(3, 6, 3, stride=2), torch.nn.BatchNorm2d(6), torch.nn.ReLU())
    pooled = torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    return Backbone("small", pooled.eval(), 6, Preprocessing(size=16, resize=20), "w", "small", engine="torch")


class KilledError(Exception):
    """Stands for the signal that no process survives."""


def tune(path=None, settings=ALL, *, seed=0, epochs=3, key="run", dies_in=None, judge=lambda module, model: 0.0):
    """Fine-tune with a head that drops units by torch's global generator; killed in the middle of epoch ``dies_in``."""
    fit = split()
    model = make("bce", dimensions=6, counts=(1,) * 3, dropout="0.5", hidden="8")
    loss, calls = model.loss, [0]

    def counted(*arguments, **more):
        calls[0] += 1
        if dies_in is not None and calls[0] == (dies_in - 1) * -(-40 // settings.batch_size) + 2:
            raise KilledError
        return loss(*arguments, **more)

    model.loss = counted
    file = CheckpointFile(path, key, TuningState, seconds=0.0)
    return finetune.tune(
        backbone(),
        model,
        fit,
        fit.truth,
        epochs=epochs,
        seed=seed,
        settings=settings,
        judge=judge,
        checkpoint=file,
    ).weights_hash


@pytest.mark.parametrize("settings", [Settings(), ALL])
@pytest.mark.parametrize("dies_in", [1, 2, 3])
def test_a_killed_fine_tuning_continues_after_its_last_whole_epoch_to_the_same_weights(
    tmp_path, settings, dies_in, capsys
):
    path = tmp_path / "checkpoint-finetune.pt"
    with pytest.raises(KilledError):
        tune(path, settings, dies_in=dies_in)
    np.random.random(3)  # noqa: NPY002 - what another process draws
    assert tune(path, settings) == tune(None, settings)
    told = capsys.readouterr().err
    assert told == (f"note: fine-tuning goes on after epoch {dies_in - 1} of 3\n" if dies_in > 1 else "")


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_of_a_fine_tuning_is_told_and_never_used(tmp_path, kind, capsys):
    path, other = tmp_path / "checkpoint-finetune.pt", tmp_path / "other.pt"
    tune(path, Settings(), epochs=1)
    tune(other, Settings(), epochs=1, seed=1, key="other")
    DAMAGE[kind](path, other)
    capsys.readouterr()
    assert tune(path, Settings()) == tune(None, Settings())
    assert capsys.readouterr().err == f"note: {path} is damaged, or of another training: this one starts anew\n"


def test_patience_ends_it_and_the_best_epochs_backbone_is_kept(capsys):
    scores = iter([0.1, 0.9, 0.5, 0.4, 0.3])
    settings = Settings(patience=2)
    found = tune(None, settings, epochs=9, judge=lambda module, model: next(scores))
    assert found == tune(None, Settings(), epochs=2)
    assert "stopped after epoch 4 of 9, by patience: epoch 2 is kept" in capsys.readouterr().err


def test_batches_whose_gradients_are_added_make_the_update_of_one_batch():
    """Dropout is drawn for each batch, so the head here has none, and sums differ only by rounding."""

    def tuned(**settings):
        model, fit = make("bce", dimensions=6, counts=(1,) * 3, dropout="0"), split()
        chosen = Settings(**settings)
        return finetune.tune(backbone(), model, fit, fit.truth, epochs=2, seed=0, settings=chosen).module.state_dict()

    whole, parts = tuned(batch_size=16), tuned(batch_size=4, accumulate=4)
    for name, tensor in whole.items():
        torch.testing.assert_close(parts[name], tensor)


def augmented(seed=0, epoch=0, **chosen):
    return Augmented(split().images, backbone().preprocessing, Augmentation(**chosen), seed, epoch)


def test_pictures_are_changed_by_seed_epoch_and_their_number_whatever_the_threads(monkeypatch):
    from bench.data import loading

    chosen = {"horizontal_flip": 0.5, "random_resized_crop": 0.3, "color_jitter": 0.4}
    expected = [augmented(**chosen).read(row) for row in range(40)]
    batches = [list(range(start, start + 8)) for start in range(32, -1, -8)]
    for count in (1, 5):
        monkeypatch.setattr(loading, "thread_counts", lambda count=count: {"cores": count})
        raw = Preprocessing(size=16, resize=16, crop="squash", mean=(0.0,) * 3, std=(1.0,) * 3)
        loaded = zip(batches, loading.load(augmented(**chosen), batches, raw), strict=True)
        for batch, pixels in loaded:
            for row, values in zip(batch, pixels, strict=True):
                np.testing.assert_array_equal((values * 255).round().transpose(1, 2, 0), expected[row])
    assert threads.thread_counts()["cores"] > 0
    for other in ({"seed": 1}, {"epoch": 1}):
        assert any((augmented(**chosen, **other).read(row) != expected[row]).any() for row in range(3))


def test_each_augmentation_does_what_it_is_called():
    plain = Augmented(split().images, backbone().preprocessing, Augmentation(), 0, 0).read(0)
    np.testing.assert_array_equal(augmented(horizontal_flip=1.0).read(0), plain[:, ::-1])
    jittered = augmented(color_jitter=0.5).read(0)
    assert jittered.shape == plain.shape
    assert (jittered != plain).any()
    places = [augment.crop(np.random.default_rng(row), 300, 200, 0.25) for row in range(200)]
    areas = [across * down / 60000 for _, _, across, down in places]
    assert 0.24 < min(areas) < 0.4
    assert max(areas) > 0.8
    assert all(left + across <= 300 and top + down <= 200 for left, top, across, down in places)
    assert len({(left, top) for left, top, _, _ in places}) > 100
    # None of these ratios fits into a ribbon: as torchvision does, its middle is taken.
    assert augment.crop(np.random.default_rng(0), 1000, 10, 1.0) == (493, 0, 13, 10)


def request(model="bce", *sets, **more):
    return RunRequest(model, "digit-scenes", sets=sets, **more)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (request("bce", "finetune.warmup=1"), "the backbone of model 'bce' stays frozen. Try: also --finetune 5"),
        (request("bce", "finetune.warmpu=1", finetune=1), "did you mean 'warmup'"),
        (request("bce", "finetune.precision=bf16", finetune=1), "found --device cpu, allowed: a GPU"),
        (request("bce", "finetune.warmup=-1", finetune=1), "Try: --set finetune.warmup=0.0"),
        (request("bce", "tune.warmup=1", finetune=1), "dataset.NAME, backbone.NAME or finetune.NAME"),
    ],
)
def test_options_of_fine_tuning_that_cannot_be_are_refused_in_one_line(asked, expected):
    with pytest.raises(UsageError, match=expected):
        make_plan(asked, plugins.installed())


def test_options_of_fine_tuning_go_to_the_models_that_are_fine_tuned():
    planned = plan_runs(request("", "finetune.schedule=cosine"), ["bce", "i-ft"], 1)
    assert [one.sets for one in planned] == [(), ("finetune.schedule=cosine",)]
    with pytest.raises(UsageError, match="stays frozen"):
        plan_runs(request("", "finetune.schedule=cosine"), ["bce", "softmax"], 1)
    plan = make_plan(planned[1], plugins.installed())
    assert (plan.finetuning["schedule"], plan.finetuning["learning_rate"]) == ("cosine", 1e-3)
    assert make_plan(planned[0], plugins.installed()).finetuning == {}
