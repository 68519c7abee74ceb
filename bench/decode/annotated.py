"""Step networks whose every step sees the image, as the step networks that the searches know.

The searches hand a state on from prefix to prefix and know nothing of images. So the row of the image goes in front of
each of its states: a float32, which is exact up to 2^24, and beyond that many images nobody searches at once.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from bench.records import Activation, FloatArray

MOST_IMAGES = 2**24
"""Images whose rows a float32 tells apart."""


class AnnotatedNetwork(Protocol):
    """As ``bench.contracts.StepNetwork``, but for ``step``, which also takes what each prefix's image is seen by."""

    activation: Activation
    output: FloatArray
    bias: FloatArray

    def step_seeing(self, labels: Any, states: FloatArray, annotations: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return prefix terms (b, D) and states (b, S); ``annotations`` (b, ...) are of each prefix's image."""
        ...


class SeeingImages:
    """A ``StepNetwork`` of ``network`` for the images with these ``annotations``, (images, ...)."""

    sees_image = True

    def __init__(self, network: AnnotatedNetwork, annotations: FloatArray) -> None:
        assert len(annotations) <= MOST_IMAGES, f"{len(annotations)} images are searched at once"
        self.network, self.annotations = network, annotations
        self.activation, self.output, self.bias = network.activation, network.output, network.bias

    def step(self, labels: Any, states: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return prefix terms and states; as in ``states``, the image's row stands in front of each."""
        rows = states[:, 0].astype(np.int64)
        own = np.ascontiguousarray(states[:, 1:])
        terms, following = self.network.step_seeing(labels, own, self.annotations[rows])
        return terms, np.concatenate([states[:, :1], following], axis=1)


def numbered(start_states: FloatArray) -> FloatArray:
    """Return each image's start state with the image's row in front, (images, 1 + S).

    >>> numbered(np.zeros((2, 1), np.float32)).tolist()
    [[0.0, 0.0], [1.0, 0.0]]
    """
    rows = np.arange(len(start_states), dtype=np.float32)[:, None]
    return np.concatenate([rows, start_states], axis=1)
