"""What is looked at before a row is stored: what moves slowly is found, what is unusual and sound passes."""

import numpy as np
import pytest
import torch

from bench import PluginError
from bench.model import checks, start_checks
from bench.model.networks import IMAGE_ROWS, scores_and_sets
from bench.records import Prediction, Scores


class Drifting(torch.nn.Module):
    """What it sees moves its scores by less, from one call to the next, than two calls may differ."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, features):
        self.seen += 1
        return features * (1 + 1e-5 * self.seen)


def test_a_state_that_moves_slowly_is_found_by_the_scores_of_the_first_images():
    values = np.ones((12 * IMAGE_ROWS, 4), np.float32)
    checks.check_own(Drifting(), values, None)
    scores, _ = scores_and_sets(model := Drifting(), values)
    predicted = Prediction(Scores(tuple(map(str, range(len(values)))), scores, "logit"), scores > 0)
    with pytest.raises(PluginError, match="scores change as more images are predicted, by 1"):
        checks.check_own(model, values, None, predicted)


def test_tensors_of_any_type_are_told_apart_bit_by_bit():
    """Of types that NumPy lacks, as a table of a language model's words in bfloat16."""

    def built(value, kind=torch.bfloat16):
        module = torch.nn.Module()
        module.register_buffer("words", torch.tensor([value, torch.nan]).to(kind))
        return module

    for kind in (torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float64):
        start_checks.check_built_again(built(0.5, kind), built(0.5, kind))
    for other in (built(0.25), built(0.5, torch.float16)):
        with pytest.raises(PluginError, match="from another words"):
            start_checks.check_built_again(built(0.5), other)
