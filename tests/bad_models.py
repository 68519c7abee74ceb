"""Models that each break one rule of their contract, and what is said of them; ``Plain`` and ``Worded`` break none."""

import contextlib
import os
import socket
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import bench


class Plain(nn.Module):
    score_kind = "logit"

    def __init__(self, request):
        super().__init__()
        self.labels = len(request.labels)
        self.linear = nn.Linear(request.dimensions, self.labels)

    def forward(self, features):
        return self.linear(features)

    def loss(self, features, truth, generator, ignore=None):
        per_pair = functional.binary_cross_entropy_with_logits(self(features), truth.float(), reduction="none")
        return (per_pair if ignore is None else per_pair.masked_fill(ignore, 0.0)).sum(dim=1).mean()


class NoModule(Plain):
    def __new__(cls, request):
        return 3


class FromTheClock(Plain):
    def __init__(self, request):
        super().__init__(request)
        self.linear.weight.data += int.from_bytes(os.urandom(1)) + 1


FIRST = nn.Linear(6, 6)


class Shared(Plain):
    """Has a part that is one for all builds."""

    def __init__(self, request):
        super().__init__(request)
        self.first = FIRST


class NoGradient(Plain):
    def loss(self, features, truth, generator):
        return self(features).detach().mean()


class TooFew(Plain):
    def forward(self, features):
        scores = super().forward(features)
        return scores if self.training else scores[:, :0]


class DrawsAnew(Plain):
    def fit(self, features, truth, ignore=None):
        self.linear.bias.data += float(np.random.default_rng().random())


class Chance(Plain):
    def forward(self, features):
        return functional.dropout(super().forward(features), 0.5)


class Neighbourly(Plain):
    def forward(self, features):
        scores = super().forward(features)
        return scores if self.training else scores - scores.mean(dim=0)


class LastRow(Plain):
    def forward(self, features):
        scores = super().forward(features)
        place = torch.arange(len(features))[:, None]
        return scores if self.training else scores + (place == len(features) - 1)


class Forgets(Plain):
    prior = 0.0

    def fit(self, features, truth, ignore=None):
        self.prior = 3.0

    def forward(self, features):
        return super().forward(features) + self.prior


class Global(Plain):
    def loss(self, features, truth, generator, ignore=None):
        warnings.simplefilter("ignore", category=ResourceWarning)
        os.environ["OWN_PLUGIN"] = str(len(os.environ.get("OWN_PLUGIN", "")))
        return super().loss(features, truth, generator, ignore)


class Writes(Plain):
    # One file a process: tests that run side by side would remove each other's.
    elsewhere = Path(tempfile.gettempdir()) / f"written-by-a-bad-plugin-{os.getpid()}"

    def loss(self, features, truth, generator, ignore=None):
        self.elsewhere.write_text("x")
        self.elsewhere.unlink()
        return super().loss(features, truth, generator, ignore)


class WritesHere(Plain):
    def loss(self, features, truth, generator, ignore=None):
        Path("log.txt").write_text("x")
        return super().loss(features, truth, generator, ignore)


class Phones(Plain):
    def loss(self, features, truth, generator, ignore=None):
        with contextlib.suppress(OSError):
            socket.create_connection(("192.0.2.1", 80), timeout=1).close()  # hang guard
        return super().loss(features, truth, generator, ignore)


class DividesByLabels(Plain):
    def loss(self, features, truth, generator, ignore=None):
        counts = truth.sum(dim=1).float() if ignore is None else torch.ones(len(truth))
        return super().loss(features, truth, generator, ignore) * (1 / counts).mean()


class BestTwo(Plain):
    def loss(self, features, truth, generator, ignore=None):
        self(features).topk(2)
        return super().loss(features, truth, generator, ignore)


class DividesByCounts(Plain):
    def __init__(self, request):
        super().__init__(request)
        self.register_buffer("weight", 1 / torch.tensor(request.label_counts).float())

    def forward(self, features):
        return super().forward(features) * self.weight


class DividesByAbsence(Plain):
    def __init__(self, request):
        super().__init__(request)
        self.register_buffer("absent", torch.ones(self.labels))

    def fit(self, features, truth, ignore=None):
        absent = torch.from_numpy(~truth if ignore is None else ~truth & ~ignore).sum(dim=0).float()
        self.absent.copy_(1 / absent if truth.shape[1] > 1 else absent + 1)

    def forward(self, features):
        return super().forward(features) * self.absent


class Squeezes(Plain):
    def forward(self, features):
        return self.linear(features.squeeze(1) if features.shape[1] == 1 else features)


class Standardises(Plain):
    def __init__(self, request):
        super().__init__(request)
        self.register_buffer("deviation", torch.ones(request.dimensions))

    def fit(self, features, truth, ignore=None):
        self.deviation.copy_(torch.from_numpy(features).std(dim=0))

    def forward(self, features):
        return super().forward(features / self.deviation)


class CountsIgnored(Plain):
    def loss(self, features, truth, generator, ignore=None):
        return super().loss(features, truth, generator)


class OneChoice(Plain):
    def __init__(self, request):
        super().__init__(request)
        if request.options["head"] == "deep":
            raise NotImplementedError("deep heads")


class SearchesNothing(Plain):
    space = (bench.Dimension("heads", ("flat", "deep")),)


class SearchesTooFar(Plain):
    space = (bench.Dimension("batch_size", low=0, high=64),)


class SearchesItsJudge(Plain):
    space = (bench.Dimension("select_by", ("O-F1", "mAP")),)


class Lambda(Plain):
    def __init__(self, request):
        super().__init__(request)
        self.scale = lambda scores: 2 * scores

    def forward(self, features):
        return self.scale(super().forward(features))


class PythonNumbers(Plain):
    def forward(self, features):
        return super().forward(features) if self.training or features.abs().sum().item() >= 0 else features


HEAD = bench.Option("head", "flat", "what is on top", choices=("flat", "deep"))

BAD_MODELS = {
    "builds": (NoModule, "build returned a int, must return a torch.nn.Module"),
    "same-seed-same-start": (FromTheClock, "two builds with one seed differ in linear.weight"),
    "weights-are-its-own": (Shared, "first.weight, first.bias is one tensor in two builds"),
    "trains": (NoGradient, "does not require grad"),
    "answers-have-their-shape": (TooFew, "scores of shape (8, 0), must be (8, 4)"),
    "same-seed-same-result": (DrawsAnew, "trained twice with one seed it gives other scores"),
    "says-the-same-again": (Chance, "asked again give other scores"),
    "images-stand-alone": (Neighbourly, "depend on the other images of its batch"),
    "border-of-a-batch": (LastRow, "scores of one image differ in row 255"),
    "state-survives-a-fresh-build": (Forgets, "keeps state outside its state_dict"),
    "leaves-global-state": (Global, "it changed environment, warnings"),
    "writes-nothing-elsewhere": (Writes, "it wrote "),
    "asks-no-network": (Phones, "it asked for 192.0.2.1"),
    "images-without-labels": (DividesByLabels, "the loss became infinite or undefined"),
    "one-label": (BestTwo, "selected index k out of range"),
    "label-never-seen": (DividesByCounts, "the loss became infinite or undefined"),
    "label-always-seen": (DividesByAbsence, "the loss became infinite or undefined"),
    "one-feature": (Squeezes, "cannot be multiplied"),
    "constant-features": (Standardises, "the loss became infinite or undefined"),
    "ignored-pairs-change-nothing": (CountsIgnored, "they change its scores"),
    "every-choice": (OneChoice, "NotImplementedError: deep heads"),
    "search-space": (SearchesNothing, "no option in the search space of model 'm' 'heads'; did you mean 'head'?"),
    "pickles": (Lambda, "local object"),
    "exports": (PythonNumbers, "cannot be exported"),
}
"""Check -> a model that fails it and no other, and what is said."""


class Worded(nn.Module):
    """A small sequence model: the state is the last label's vector; teacher forcing in the labels' order."""

    activation, sees_image = "tanh", False

    def __init__(self, request, size=8):
        super().__init__()
        self.labels = len(request.labels)
        self.embedding, self.image = nn.Embedding(self.labels + 2, size), nn.Linear(request.dimensions, size)
        self.output = nn.Linear(size, self.labels + 1)
        self.end, self.start = self.labels, self.labels + 1

    def image_term(self, features):
        return self.image(features)

    def start_states(self, features):
        return self.embedding.weight.new_zeros(1, 8)

    def step(self, labels, states):
        vectors = self.embedding(labels)
        return vectors, vectors

    def output_embedding(self):
        return self.output.weight, self.output.bias

    def loss(self, features, truth, generator):
        left, total = truth.clone(), 0.0
        previous = torch.full((len(truth),), self.start)
        for _ in range(int(truth.sum(dim=1).max()) + 1):
            prefix, _ = self.step(previous, None)
            target = torch.where(left.any(dim=1), left.int().argmax(dim=1), self.end)
            logits = self.output(torch.tanh(prefix + self.image_term(features)))
            total = total + (functional.cross_entropy(logits, target, reduction="none") * (previous != self.end)).mean()
            left = left & (torch.arange(self.labels) != target[:, None])
            previous = target
        return total


class EndFirst(Worded):
    """Takes the first label's row for END."""

    def __init__(self, request):
        super().__init__(request)
        self.end = 0


class FirstStep(Worded):
    """Learns what comes after START, and nothing of what comes after a label."""

    def loss(self, features, truth, generator):
        target = torch.where(truth.any(dim=1), truth.int().argmax(dim=1), self.end)
        prefix, _ = self.step(torch.full((len(truth),), self.start), None)
        return functional.cross_entropy(self.output(torch.tanh(prefix + self.image_term(features))), target)


class NoSearch(Worded):
    """Names an activation that no decoder knows."""

    activation = "sigmoid"


BAD_SEQUENCES = {
    "is-decoded": (NoSearch, "sigmoid"),
    "learns-to-end": (EndFirst, "END right after START is"),
    "learns-to-start": (FirstStep, "and END after it is"),
}
