"""Search trees: what is drawn of a search is what the run answered."""

import numpy as np
import torch
from example_models import as_features, make
from example_splits import make_backbone, split_of

from bench.decode.search import search
from bench.model.inspection import inspect, search_tree
from bench.records import LabelSets, SearchOptions


class Table:
    """A next-label table in which greedy search is wrong: 'dog' first looks better, 'cat' END is more probable."""

    end = 2

    def __init__(self, options):
        self.options = options

    def __call__(self, prefix):
        steps = {(): (0.4, 0.6, 0.0), (0,): (0.0, 0.0, 1.0), (1,): (0.3, 0.3, 0.4)}
        with np.errstate(divide="ignore"):
            return np.log(np.array(steps.get(prefix, (0.0, 0.0, 1.0))))


def test_under_exact_search_the_tree_holds_the_answer_and_the_beams_own_path():
    options = SearchOptions(search="exact", beam_width=1, max_length=3)
    table = Table(options)
    found = search(table)
    assert found.labels == (0,)
    assert found.beam_missed
    tree = search_tree(table, (*found.labels, 2))
    assert (tree["answer"], tree["beam"], tree["search"]) == ([0, 2], [1, 2], "exact")
    edges = {(tuple(prefix), label): (round(p, 6), kept) for prefix, label, p, _, kept in tree["edges"]}
    assert edges[(), 0] == (0.4, False)
    assert edges[(0,), 2] == (1.0, False)
    assert edges[(1,), 2] == (0.4, True)


def test_a_model_that_answers_nothing_everywhere_has_its_pictures_too():
    split, backbone = split_of(12), make_backbone()
    model = make("cnn-rnn", dimensions=7, counts=(5,) * len(split.labels))
    features = as_features(np.random.default_rng(0).normal(size=(12, 7)).astype(np.float32))
    empty = LabelSets(features.ids, np.zeros((12, 0), np.int32), np.zeros(12), np.ones(12, np.bool_))
    shown = inspect(split, model, features, backbone, options=SearchOptions(max_length=3), label_sets=empty)
    assert shown.notes == ()
    assert {len(maps[0]) for maps in shown.attention.values()} == {1}


def test_of_a_model_whose_start_state_alone_sees_the_image_a_note_says_why_there_is_no_attention(monkeypatch):
    split, backbone = split_of(12), make_backbone()
    model = make("cnn-rnn", dimensions=7, counts=(5,) * len(split.labels))
    seen = model.image_term
    monkeypatch.setattr(model, "image_term", lambda features: torch.zeros_like(seen(features)))
    features = as_features(np.random.default_rng(0).normal(size=(12, 7)).astype(np.float32))
    empty = LabelSets(features.ids, np.zeros((12, 0), np.int32), np.zeros(12), np.ones(12, np.bool_))
    shown = inspect(split, model, features, backbone, options=SearchOptions(max_length=3), label_sets=empty)
    (told,) = shown.notes
    assert told.startswith("no picture of attention: the image is in the start state alone")
