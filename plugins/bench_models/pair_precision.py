"""What models choose by that are fitted and not trained in epochs: how well scores rank all pairs of image and label.

O-F1 of exactly k labels, which they once chose by, is chance where few images validate, hardly moves where images have
fewer labels than are given, and is the same for every choice where there are no more than k labels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from bench import FloatArray, Validation

CHUNK = 256
"""Images scored at once: neighbours of each are looked up with all their labels."""


def pair_precision(model: nn.Module, validation: Validation) -> float:
    """Return the average precision of the validation part's pairs, best score first; 0 where no pair is true.

    Ignored pairs count not at all, and pairs of equal scores come in together.
    """
    counted = np.ones_like(validation.truth) if validation.ignore is None else ~validation.ignore
    scores = _scores(model, validation.features)[counted]
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(validation.truth[counted][order])
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else order
    found = np.diff(hits[last], prepend=0)
    return float((found * hits[last] / (last + 1)).sum() / max(found.sum(), 1))


@torch.no_grad()
def _scores(model: nn.Module, features: FloatArray) -> FloatArray:
    device = next(iter(model.state_dict().values())).device
    model.eval()
    chunks = [np.array(features[start : start + CHUNK], dtype=np.float32) for start in range(0, len(features), CHUNK)]
    return np.concatenate([model(torch.from_numpy(chunk).to(device)).cpu().numpy() for chunk in chunks])
