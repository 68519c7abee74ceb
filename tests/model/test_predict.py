import dataclasses

import pytest
import torch
from example_models import SeesImage, as_features, batch, make
from example_splits import make_split

from bench import ModelRequest
from bench.evaluation import protocols
from bench.evaluation.measure import measure
from bench.model.predict import predict, validator
from bench.records import SearchOptions

SEARCHES = [
    SearchOptions(min_length=1, max_length=3),
    SearchOptions(beam_width=4, min_length=1, max_length=4, class_score="beam_marginal"),
]


@pytest.mark.parametrize("search", [*SEARCHES, dataclasses.replace(SEARCHES[1], search="exact")])
@pytest.mark.parametrize("protocol", ["top2@1", "digit-scenes@1"])
@pytest.mark.parametrize("name", ["cnn-rnn", "sees-image"])
def test_the_score_that_selects_a_sequence_model_is_the_reported_one_though_no_class_scores_are_made(
    name, protocol, search
):
    values, truth = batch(50)
    torch.manual_seed(0)
    counts = tuple(truth.sum(axis=0).tolist())
    labels = tuple(f"label {number}" for number in range(4))
    model = make(name, hidden="8") if name == "cnn-rnn" else SeesImage(ModelRequest({}, 6, labels, counts, 0))
    split, features = make_split(truth), as_features(values)
    rules = dataclasses.replace(protocols.get(protocol), cut_to_k=True)
    prediction = predict(model.eval(), features, rules, search)
    reported = measure(rules, split.labels, truth, None, prediction.predicted, prediction.scores)
    assert prediction.predicted.any()
    assert validator(split, features, rules, search)(model) == pytest.approx(reported["O-F1"], abs=1e-15)


class ByColumns(SeesImage):
    """Its products are written ``(weight @ inputs.T).T``."""

    def step(self, labels, states):
        return tuple(array.T.contiguous().T for array in super().step(labels, states))


class Reusing(SeesImage):
    """Gives the same memory at each step, written anew."""

    given = None

    def step(self, labels, states):
        found = super().step(labels, states)
        self.given = self.given or tuple(map(torch.empty_like, found))
        return tuple(kept.copy_(array) for kept, array in zip(self.given, found, strict=True))


@pytest.mark.parametrize("changed", [ByColumns, Reusing])
def test_terms_and_states_are_searched_as_others_however_they_lie_in_memory(changed):
    values, truth = batch(50)
    request = ModelRequest({}, 6, tuple("abcd"), tuple(truth.sum(axis=0).tolist()), 0)
    found = []
    for kind in (SeesImage, changed):
        torch.manual_seed(0)
        found.append(predict(kind(request).eval(), as_features(values), protocols.get("top2@1"), SEARCHES[0]))
    assert (found[0].scores.values == found[1].scores.values).all()
