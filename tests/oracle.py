"""Exhaustive search, too plain to be wrong, and step networks small enough for it."""

import math
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays


@dataclass
class TableNetwork:
    """A step network whose prefix terms are rows of a table: any function of the prefix, and of the image.

    The state is (number of the prefix, offset of the image); START keeps the offset that it is given.
    """

    output: np.ndarray
    bias: np.ndarray
    table: np.ndarray
    activation: str = "identity"
    sees_image: bool = False
    calls: int = 0

    def step(self, labels, states):
        self.calls += 1
        count = len(self.output) - 1
        number = np.where(labels == count + 1, 0, (states[:, 0].astype(np.int64) * count + labels + 1) % 2**20)
        offset = states[:, 1].astype(np.int64)
        following = np.stack([number, offset], axis=1).astype(np.float32)
        return self.table[(number + offset) % len(self.table)].astype(np.float32), following

    def start_states(self, images):
        offsets = np.arange(images) * 7 if self.sees_image else np.zeros(1)
        return np.stack([np.zeros_like(offsets), offsets], axis=1).astype(np.float32)


def log_probabilities(network, image_term, start_state, prefix, options):
    """log P(each label and END | image, prefix), from START on."""
    end = len(network.output) - 1
    state = start_state[None, :]
    for label in (end + 1, *prefix):
        term, state = network.step(np.array([label]), state)
    joint = term[0].astype(float) + image_term.astype(float)
    joint = {"identity": joint, "relu": joint * (joint > 0), "tanh": np.tanh(joint)}[network.activation]
    logits = [float(network.output[k].astype(float) @ joint + network.bias[k]) for k in range(end + 1)]
    for k in range(end + 1):
        too_early = k == end and len(prefix) < options.min_length
        if too_early or (options.mask_repeats and k in prefix):
            logits[k] = -math.inf
    highest = max(logits)
    if highest == -math.inf:
        return logits
    total = math.fsum(math.exp(logit - highest) for logit in logits)
    return [logit - highest - math.log(total) for logit in logits]


def every_path(network, image_term, start_state, options):
    """Every path of probability > 0 with at most ``max_length`` steps, END included, as {labels: log-probability}."""
    end = len(network.output) - 1
    found = {(): 0.0}
    frontier = [()]
    for _ in range(options.max_length):
        extended = []
        for prefix in frontier:
            step = log_probabilities(network, image_term, start_state, prefix, options)
            for label in range(end + 1):
                if step[label] > -math.inf:
                    path = (*prefix, label)
                    found[path] = found[prefix] + step[label]
                    if label != end:
                        extended.append(path)
        frontier = extended
    return found


def best_path(network, image_term, start_state, options):
    """The most probable ended path, or else the most probable of the longest ones: (labels, log-probability)."""
    end = len(network.output) - 1
    paths = every_path(network, image_term, start_state, options)
    ended = [path for path in paths if path[-1:] == (end,)]
    longest = max(len(path) for path in paths)
    allowed = ended or [path for path in paths if len(path) == longest]
    # Ties: log-probabilities on a grid of 2^-30, then shorter, then lower labels, as bench.decode.search says.
    best = min(allowed, key=lambda path: (-math.floor(paths[path] * 2**30 + 0.5), len(path), path))
    return best, paths[best]


NUMBERS = st.sampled_from([-4.0, -1.5, -1.0, -0.5, 0.0, 0.0, 0.25, 0.5, 1.0, 2.0])
"""Small binary fractions: their sums and products are exact in float32, so exact ties are common and stay ties."""


@st.composite
def cases(draw, max_labels=6, max_images=4):
    """A network and the image terms of a few images, with ties, zeros, forbidden labels and extreme scores."""
    labels, width, images = draw(st.integers(1, max_labels)), draw(st.integers(1, 3)), draw(st.integers(1, max_images))
    output = draw(arrays(np.float32, (labels + 1, width), elements=NUMBERS))
    bias = draw(arrays(np.float32, labels + 1, elements=st.one_of(NUMBERS, st.sampled_from([-np.inf, -200.0, 90.0]))))
    table = draw(arrays(np.float32, (draw(st.integers(1, 12)), width), elements=NUMBERS))
    activation = draw(st.sampled_from(["identity", "relu", "tanh"]))
    scale = draw(st.sampled_from([1.0, 1.0, 1.0, 2.0**10, 2.0**30, 2.0**60]))
    image_terms = draw(arrays(np.float32, (images, width), elements=NUMBERS)) * np.float32(scale)
    network = TableNetwork(output, bias, table * np.float32(scale), activation, draw(st.booleans()))
    return network, image_terms
