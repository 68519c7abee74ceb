"""Metrics, label-set policies and decoders that each break one rule of their contract, and what is said of them."""

import dataclasses

import numpy as np
from bad_parts import COUNT, be_loud, phone, touch_elsewhere

import bench


def hit_rate(evaluation):
    """A sound metric: the share of images of which one predicted label is right."""
    return float((evaluation.image_counts.true_positives > 0).mean())


def recall_in_float32(evaluation):
    """A sound metric whose sum depends on the order of images by its rounding."""
    counts = evaluation.image_counts
    recalls = np.float32(counts.true_positives) / np.float32(np.maximum(counts.positives, 1))
    return float(np.cumsum(recalls, dtype=np.float32)[-1] / np.float32(len(recalls)))


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
    "is-a-fraction": (lambda evaluation: 100 * hit_rate(evaluation), "which is shown as "),
    "says-the-same-again": (lambda evaluation: hit_rate(evaluation) / (2 + next(COUNT)), "it says "),
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
        lambda evaluation: 0 / (len(evaluation.labels) - 1) + hit_rate(evaluation),
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
