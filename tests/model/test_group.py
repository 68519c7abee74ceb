"""Fine-tuning by two processes: the weights of one up to rounding, whatever the loss, and no process left waiting."""

import sys

import numpy as np
import pytest
import torch
from example_ranks import ended, start

CODE = """
import sys
import numpy as np, torch
from bench import Backbone, Preprocessing, Split
from bench.data.augment import Augmentation
from bench.data.images import ArrayImages
from bench.errors import DataError, StoreError
from bench.model import finetune
from bench.model.checkpoint import TuningState
from bench.model.group import Group, OtherFailedError
from bench.system import ranks
from bench.system.launched import launched

place = launched(["run"])
group = None
if place is not None:
    team = ranks.join(place)
    group = Group.joined(team, "cpu")

class Pictures(ArrayImages):
    broken = -1
    def picture(self, index):
        if index == Pictures.broken:
            raise DataError(f"cannot read image {index}")
        return super().picture(index)

def split(images=37, labels=3, side=24):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, side, side + 8, 3), dtype=np.uint8)
    truth = rng.random((images, labels)) < 0.5
    ids, ignore = tuple(map(str, range(images))), rng.random((images, labels)) < 0.2
    return Split("noise", "fit", ids, tuple("abc"), truth, Pictures(pixels, "noise"), ignore & ~truth)

def backbone():
    torch.manual_seed(0)
    layers = (torch.nn.Conv2d(3, 6, 3, stride=2), torch.nn.BatchNorm2d(6), torch.nn.ReLU())
    pooled = torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    return Backbone("small", pooled.eval(), 6, Preprocessing(size=16, resize=20), "w", "small", engine="torch")

class Head(torch.nn.Module):
    '''Its loss is no mean over images: the batch is normalised, and divided by how many pairs count.'''
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.normal, self.linear = torch.nn.BatchNorm1d(6, momentum=0.5), torch.nn.Linear(6, 3)
        self.unused = torch.nn.Parameter(torch.ones(2))
    def loss(self, features, truth, generator, ignore=None):
        values = self.normal(features) if len(features) > 1 else features
        kept = values * (torch.rand(values.shape, generator=generator, device=values.device) > 0.3)
        kept = kept + torch.randn(6).to(values.device) / 9
        each = torch.nn.functional.binary_cross_entropy_with_logits(self.linear(kept), truth.float(), reduction="none")
        return (each * ~ignore).sum() / (truth.sum() + 1)

class Judging:
    def score(self, model):
        return 1.0 / (1.0 + float(model.linear.weight.detach().abs().sum()))

def tuned(**chosen):
    fit, head, settings = split(), Head(), finetune.Settings(**chosen)
    judge = finetune.judged_by(
        fit, backbone(), lambda features: Judging(), "cpu", batch_size=settings.batch_size, group=group)
    found = finetune.tune(backbone(), head, fit, fit.truth, fit.ignore, epochs=3, seed=0, settings=settings,
        device="cpu", judge=judge, group=group)
    return [value.numpy() for value in (*found.module.state_dict().values(), *head.state_dict().values())]

SETTINGS = [
    {"batch_size": 8, "learning_rate": 0.05},
    {"batch_size": 1, "learning_rate": 0.02},
    {"batch_size": 5, "accumulate": 3, "warmup": 0.5, "schedule": "cosine", "patience": 1, "learning_rate": 0.05,
     "augmentation": Augmentation(horizontal_flip=0.5, random_resized_crop=0.3, color_jitter=0.4)},
]
found = {}
for number, chosen in enumerate(SETTINGS):
    for part, value in enumerate(tuned(**chosen)):
        found[f"{number} {part}"] = value
if group is None or group.rank == 0:
    np.savez(sys.argv[1], **found)
if group is not None:
    Pictures.broken = 17
    raised = ""
    try:
        tuned(batch_size=37)
    except DataError as error:
        raised = str(error)
    except OtherFailedError:
        raised = "another"
    # The group is still of use.
    again = tuned(**SETTINGS[0]) if not setattr(Pictures, "broken", -1) else []
    same = all((found[f"0 {part}"] == value).all() for part, value in enumerate(again))
    print(raised, "the same" if same else "other", flush=True)
    class Full:
        '''A checkpoint of rank 0 alone, as a run's is, on a disk that is full.'''
        def shared(self, group):
            return TuningState()
        def save(self, state):
            if group.rank == 0:
                raise StoreError("no space")
    try:
        fit = split()
        finetune.tune(
            backbone(), Head(), fit, fit.truth, fit.ignore, epochs=2, seed=0, checkpoint=Full(), group=group)
    except (StoreError, OtherFailedError) as error:
        print(error, flush=True)
    group.take([torch.zeros(1)])
    if group.rank == 0:
        team.close(0)
    else:
        next(team.orders())
"""


@pytest.mark.slow
def test_two_processes_tune_as_one_does_whatever_the_loss_and_fail_together(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["-c", str(tmp_path / "one.npz")])
    exec(CODE, {})
    first, second = ended(start("-c", CODE, tmp_path / "two.npz", OMP_NUM_THREADS="1"))
    assert first[0] == 0, first[2]
    one, two = np.load(tmp_path / "one.npz"), np.load(tmp_path / "two.npz")
    assert set(one.files) == set(two.files)
    for name in one.files:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-4, atol=1e-6, err_msg=name)
    assert sorted(first[1].splitlines() + second[1].splitlines()) == [
        "another process of the group failed",
        "another the same",
        "cannot read image 17 the same",
        "no space",
    ]


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="NCCL needs a GPU for each of two processes")
def test_two_gpus_tune_as_one_does(tmp_path):
    code = CODE.replace('"cpu"', '"cuda"')
    ended(start("-c", code, tmp_path / "one.npz", count=1, CUDA_VISIBLE_DEVICES="0"))
    first, _ = ended(start("-c", code, tmp_path / "two.npz"))
    assert first[0] == 0, first[2]
    one, two = np.load(tmp_path / "one.npz"), np.load(tmp_path / "two.npz")
    for name in one.files:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-3, atol=1e-5, err_msg=name)
