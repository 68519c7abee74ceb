"""Data sets, backbones and trackers that each break one rule of their contract, and what is said of them."""

import itertools
import json
import os
import socket
import threading
import warnings
from pathlib import Path

import numpy as np
import torch
from bad_models import Writes
from torch import nn

import bench

LABELS = ("cat", "dog", "cow")


class Pictures(bench.Images):
    """Pictures drawn from their number and a seed."""

    def __init__(self, count, seed):
        self.count, self.seed = count, seed

    def __len__(self):
        return self.count

    def read(self, index):
        return np.random.default_rng([self.seed, index]).integers(0, 256, (8, 8, 3), dtype=np.uint8)

    def describe(self, index):
        return f"{self.seed}/{index}"

    def content_hash(self):
        return bench.digest(f"{self.count} {self.seed}")


def split(name, pictures, labels=LABELS):
    truth = np.zeros((len(pictures), len(labels)), dtype=np.bool_)
    truth[np.arange(len(pictures)), np.arange(len(pictures)) % len(labels)] = True
    return bench.Split("toy", name, tuple(f"{name}{row}" for row in range(len(pictures))), labels, truth, pictures)


def toy(pictures=Pictures, labels=LABELS, protocol="top2@1"):
    return bench.Dataset(
        "toy", "made up", split("train", pictures(20, 0), labels), split("test", pictures(10, 1), labels), protocol
    )


def dataset(build):
    return bench.DatasetSpec("toy", "made up", lambda request: build())


class Grey(Pictures):
    def read(self, index):
        return super().read(index)[:, :, 0]

    def picture(self, index):
        from PIL import Image

        return Image.fromarray(super().read(index))


class OneAtATime(Pictures):
    """Keeps the place of the last picture, as a shared file does."""

    def read(self, index):
        self.place = index
        threading.Event().wait(0.001)
        return super().read(self.place)


class Nameless(Pictures):
    def describe(self, index):
        return "a picture"


class OneHash(Pictures):
    def content_hash(self):
        return "0" * 16


class Locked(Pictures):
    def __init__(self, count, seed):
        super().__init__(count, seed)
        self.lock = threading.Lock()


def first(action):
    """A data set whose building does ``action``."""

    def build():
        action()
        return toy()

    return build


COUNT = itertools.count()


def shuffled():
    seed = next(COUNT)
    return bench.Dataset("toy", "", split("train", Pictures(20, 2 * seed)), split("test", Pictures(9, 1)), "top2@1")


def phone():
    try:
        socket.getaddrinfo("example.org", 80)
    except OSError:
        return


def touch_elsewhere():
    Writes.elsewhere.write_text("x")
    Writes.elsewhere.unlink()


def be_loud():
    warnings.simplefilter("always", category=ResourceWarning)
    os.environ["OWN_PLUGIN"] = str(next(COUNT))


BAD_DATASETS = {
    "opens": (lambda: 3, "build returned a int, must return a bench.Dataset"),
    "protocol-fits": (lambda: toy(protocol="top9@1"), "k is 9, allowed: at most the 3 labels"),
    "labels-have-names": (lambda: toy(labels=("cat ", "dog", "cow")), "label names 'cat '"),
    "opened-again-it-is-the-same": (shuffled, "opened with an empty cache its fingerprints are"),
    "pictures-are-rgb": (lambda: toy(Grey), "must be a uint8 array (height, width, 3)"),
    "threads-read-the-same": (lambda: toy(OneAtATime), "differs when read again"),
    "pictures-have-names": (lambda: toy(Nameless), "several images are called 'a picture'"),
    "hashes-tell-splits-apart": (lambda: toy(OneHash), "all splits have the hash 0000"),
    "leaves-global-state": (first(be_loud), "it changed environment, warnings"),
    "writes-nothing-elsewhere": (first(touch_elsewhere), "it wrote "),
    "asks-no-network": (first(phone), "it asked for example.org"),
    "pickles": (lambda: toy(Locked), "cannot pickle"),
}
"""Check -> a data set that fails it and no other, and what is said."""


class Net(nn.Module):
    """Random convolutions, the same ones each time."""

    def __init__(self, seed=0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.convolution = nn.Conv2d(3, 4, 3)

    def forward(self, pixels):
        return self.convolution(pixels).relu().mean(dim=(2, 3))


def backbone(module, dimensions=4, weights_hash="0" * 16):
    plain = bench.Preprocessing(8, 8, "squash")
    return bench.Backbone("net", module, dimensions, plain, weights_hash)


class Normalised(Net):
    def forward(self, pixels):
        deviation = pixels.flatten(1).std(dim=1)[:, None, None, None]
        return super().forward((pixels - pixels.mean(dim=(1, 2, 3), keepdim=True)) / deviation)


class Crowded(Net):
    def forward(self, pixels):
        features = super().forward(pixels)
        return features - features.mean(dim=0)


class LastOfFour(Net):
    def forward(self, pixels):
        features = super().forward(pixels)
        return features + (torch.arange(len(pixels)) == 3)[:, None]


class Forgetful(Net):
    """Keeps a part of its weights as a plain attribute, drawn anew in each build, beside what is stored."""

    def __init__(self):
        super().__init__()
        self.own = [self.convolution.weight.detach().clone()]

    def _load_from_state_dict(self, *arguments):
        super()._load_from_state_dict(*arguments)
        self.own[0] = self.own[0] * 0

    def forward(self, pixels):
        return super().forward(pixels) + nn.functional.conv2d(pixels, self.own[0]).mean(dim=(2, 3))


class LocalLambda(Net):
    def __init__(self):
        super().__init__()
        self.after = lambda features: features

    def forward(self, pixels):
        return self.after(super().forward(pixels))


class Branches(Net):
    def forward(self, pixels):
        return super().forward(pixels) * (1 if pixels.sum().item() > -1e9 else 2)


def did(action):
    def build():
        action()
        return backbone(Net())

    return build


BAD_BACKBONES = {
    "builds": (lambda: backbone(3), "the backbone's module is a int"),
    "features-have-their-shape": (lambda: backbone(Net(), 5), "gave features of shape (4, 4), declared: 5"),
    "flat-pictures": (lambda: backbone(Normalised()), "gave features that are not finite"),
    "built-again-it-is-the-same": (lambda: backbone(Net(next(COUNT))), "features differ by"),
    "images-stand-alone": (lambda: backbone(Crowded()), "depend on the other images of its batch"),
    "border-of-a-batch": (lambda: backbone(LastOfFour()), "features of one image differ in row 3"),
    "state-survives-a-copy": (lambda: backbone(Forgetful()), "with the same weights it gives other features"),
    "leaves-global-state": (did(be_loud), "it changed environment, warnings"),
    "writes-nothing-elsewhere": (did(touch_elsewhere), "it wrote "),
    "asks-no-network": (did(phone), "it asked for example.org"),
    "pickles": (lambda: backbone(LocalLambda()), "local object"),
    "exports": (lambda: backbone(Branches()), "cannot be exported"),
}


class Files:
    """A sound tracker: one JSON file for each key."""

    def __init__(self, request):
        self.folder = request.folder

    def name(self, what):
        return what.key

    def run(self, run):
        return self.write(self.name(run), {"seed": run.seed, "curves": [series.name for series in run.series]})

    def table(self, table):
        return self.write(table.key, list(table.header))

    def write(self, key, content):
        path = self.folder / f"{key}.json"
        bench.write_atomic(path, json.dumps(content).encode())
        return str(path)


class Silent(Files):
    def run(self, run):
        super().run(run)


class Adds(Files):
    def write(self, key, content):
        super().write(f"{key}-{next(COUNT)}", content)
        return super().write(key, content)


class BySeed(Files):
    def name(self, what):
        return what.model


class NeedsCurves(Files):
    def run(self, run):
        return super().run(run) if run.series[0].epochs else ""


def tracker(action):
    class Acting(Files):
        def run(self, run):
            action()
            return super().run(run)

    return Acting


BAD_TRACKERS = {
    "says-where": (Silent, "it says [None, "),
    "told-again-it-replaces": (Adds, "2 more files"),
    "runs-are-kept-apart": (BySeed, "two runs are both at"),
    "odd-values-are-taken": (NeedsCurves, "IndexError"),
    "leaves-global-state": (tracker(be_loud), "it changed environment, warnings"),
    "writes-nothing-elsewhere": (tracker(lambda: Path("log.txt").write_text("x")), "it wrote log.txt in the working"),
    "asks-no-network": (tracker(phone), "it asked for example.org"),
}
