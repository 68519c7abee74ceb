"""Installed models fitted to arrays of a test's own, and what they then say."""

import inspect

import numpy as np
import torch
from example_learning import overall_f1

from bench import Validation


def fitted(model, values, truth, held=None, *, known=None, k=2):
    """Fit ``model``; its validation part, where it takes one, is ``held``: features and truth, told of ``known``."""
    if "validation" not in inspect.signature(model.fit).parameters:
        model.fit(values, truth)
    else:
        part = held and Validation(
            held[0], held[1], None, lambda one: f1_of(one, held[0], held[1], k, known=known), known
        )
        model.fit(values, truth, validation=part)
    return model.eval()


def scored(model, values, known=None):
    """A model's scores as an array."""
    told = [] if known is None else [torch.from_numpy(known)]
    with torch.inference_mode():
        return model(torch.from_numpy(np.asarray(values, dtype=np.float32)), *told).numpy()


def f1_of(model, values, truth, k=2, known=None):
    """O-F1 of the best ``k`` labels of each image; known ones are in no set and count nowhere."""
    scores = scored(model, values, known)
    if known is None:
        return overall_f1(scores, truth, k)
    return overall_f1(np.where(known, -np.inf, scores), truth & ~known, k)
