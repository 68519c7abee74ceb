"""Data sets, backbones, trackers and metrics that each break one rule of their contract, and what is said of them."""

import dataclasses
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
    "pickles": (lambda: backbone(LocalLambda()), "pickle"),
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


def hit_rate(evaluation):
    """A sound metric: the share of images of which one predicted label is right."""
    return float((evaluation.image_counts.true_positives > 0).mean())


def place(evaluation):
    right = evaluation.image_counts.true_positives > 0
    return float(right @ np.arange(1, len(right) + 1)) / len(right) ** 2


def after(action):
    def function(evaluation):
        action()
        return hit_rate(evaluation)

    return function


BAD_METRICS = {
    "gives-a-number": (lambda evaluation: "good", "it gives a str, must be a number"),
    "says-the-same-again": (lambda evaluation: hit_rate(evaluation) + next(COUNT), "it says "),
    "order-changes-nothing": (place, "it says "),
    "right-is-better": (lambda evaluation: 1 - hit_rate(evaluation), "better: higher"),
    "packed-masks-are-taken": (
        lambda evaluation: hit_rate(evaluation) + 0 * float(evaluation.truth.mean()),
        "AttributeError: 'BitMatrix' object has no attribute 'mean'",
    ),
    "ignored-pairs-count-not": (
        lambda evaluation: float((evaluation.truth[:] & evaluation.predicted[:]).any(axis=1).mean()),
        "with ignored labels true",
    ),
    "empty-and-single": (
        lambda evaluation: 1 / (len(evaluation.labels) - 1) + hit_rate(evaluation),
        "ZeroDivisionError",
    ),
    "leaves-global-state": (after(be_loud), "it changed environment, warnings"),
    "writes-nothing-elsewhere": (after(touch_elsewhere), "it wrote "),
    "asks-no-network": (after(phone), "it asked for example.org"),
}


class Threshold:
    """A sound label-set policy: one threshold, that of the best O-F1 of a few."""

    def fit(self, part):
        values = np.quantile(part.scores, np.linspace(0, 1, 9))
        return {"at": np.asarray(max(values, key=lambda at: part.score(part.scores >= at)))}

    def label_sets(self, scores, state):
        return scores >= state["at"]


class NoArrays(Threshold):
    def fit(self, part):
        return 0.5


class Chance(Threshold):
    def fit(self, part):
        return {"at": np.asarray(float(next(COUNT)))}


class MeanOfImages(Threshold):
    def label_sets(self, scores, state):
        return scores >= scores.mean()


class Forgets(Threshold):
    """Chooses the same on the same part, and keeps it beside its state."""

    def fit(self, part):
        self.at = np.asarray(part.truth.mean())
        return {}

    def label_sets(self, scores, state):
        return scores >= 6 * self.at - 2


class Divides(Threshold):
    def fit(self, part):
        return {"at": np.asarray(1 / int(part.truth.sum()))}


def policy(action):
    class Acting(Threshold):
        def fit(self, part):
            action()
            return super().fit(part)

    return Acting


BAD_POLICIES = {
    "gives-label-sets": (NoArrays, "fit returned a float, must return named arrays"),
    "chooses-the-same-again": (Chance, "state 'at' is another the second time"),
    "images-stand-alone": (MeanOfImages, "images have another label set alone than among others"),
    "state-is-all": (Forgets, "its label sets are others once it was fitted on another part"),
    "odd-parts": (Divides, "ZeroDivisionError"),
    "leaves-global-state": (policy(be_loud), "it changed environment, warnings"),
    "writes-nothing-elsewhere": (policy(touch_elsewhere), "it wrote "),
    "asks-no-network": (policy(phone), "it asked for example.org"),
}


def greedy(network, image_terms, start_states, options, *, place=0, end_counts=True):
    """A sound decoder: the most probable label after each prefix, or after START the one at ``place``."""
    count, end = len(image_terms), len(network.output) - 1
    sequences, total = np.full((count, options.max_length), -1), np.zeros(count)
    states = start_states if network.sees_image else start_states.repeat(count, axis=0)
    going, labels = np.arange(count), np.full(count, end + 1)
    for step in range(options.max_length):
        terms, states = network.step(labels, states)
        known = network, terms, image_terms[going], sequences[going, :step], options
        likely = bench.next_label_log_probabilities(*known)
        ranked, rows = np.argsort(-likely, axis=1), np.arange(len(likely))
        labels = ranked[:, 0] if step else ranked[:, place]
        labels = np.where(likely[rows, labels] > -np.inf, labels, ranked[:, 0])
        more = labels != end
        total[going] += np.where(more | end_counts, likely[rows, labels], 0.0)
        going, labels, states = going[more], labels[more], states[more]
        sequences[going, step] = labels
        if not len(going):
            break
    return sequences, total


def repeats(network, image_terms, start_states, options):
    return greedy(network, image_terms, start_states, dataclasses.replace(options, mask_repeats=False))


def changes(*given):
    return greedy(*given, place=next(COUNT) % 2)


def looks_around(network, image_terms, *given):
    return greedy(network, image_terms, *given, place=int(len(image_terms) > 1))


def divides(network, *given):
    return greedy(network, *given, place=0 // (len(network.output) - 2))


def decoder(action):
    def search(*given):
        action()
        return greedy(*given)

    return search


BAD_DECODERS = {
    "answers-are-sequences": (repeats, "repeat a label, which mask_repeats forbids, as ["),
    "probabilities-are-right": (
        lambda *given: greedy(*given, end_counts=False),
        "log-probabilities are not those of their sequences",
    ),
    "answers-the-same-again": (changes, "images get another sequence the second time"),
    "images-stand-alone": (looks_around, "images have another sequence alone than among others"),
    "one-label": (divides, "ZeroDivisionError"),
    "leaves-global-state": (decoder(be_loud), "it changed environment, warnings"),
    "writes-nothing-elsewhere": (decoder(touch_elsewhere), "it wrote "),
    "asks-no-network": (decoder(phone), "it asked for example.org"),
}
