from dataclasses import fields
from typing import get_type_hints

import numpy as np
import oracle
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import bench
from bench.decode.search import Conditional, Prefixes, search
from bench.notebook.searching import SearchKeywords

SEARCH = {
    "search": st.sampled_from(["beam", "beam", "exact"]),
    "beam_width": st.integers(1, 6),
    "end_consumes_slot": st.booleans(),
    "mask_repeats": st.booleans(),
    "min_length": st.integers(0, 3),
    "max_length": st.integers(3, 5),
    "stop": st.sampled_from(["best", "all"]),
    "class_score": st.sampled_from(["max_over_steps", "first_step", "beam_marginal", "inclusion"]),
    "node_limit": st.sampled_from([1, 5, 60]),
}
options = st.fixed_dictionaries({}, optional=SEARCH)


def logits_of(network, image_terms):
    """The logits of a step network as a function of prefix and image, (labels + 1,) float64."""
    prefixes = [Prefixes(network, start) for start in network.start_states(len(image_terms))]

    def logits(prefix, image=0):
        term = prefixes[image if network.sees_image else 0].term(prefix)
        joint = term.astype(np.float64) + image_terms[image].astype(np.float64)
        joint = {"identity": joint, "relu": np.maximum(joint, 0.0), "tanh": np.tanh(joint)}[network.activation]
        return network.output.astype(np.float64) @ joint + network.bias.astype(np.float64)

    return logits


def reference(network, image_terms, chosen):
    starts = network.start_states(len(image_terms))
    for image, image_term in enumerate(image_terms):
        yield search(Conditional(Prefixes(network, starts[image if network.sees_image else 0]), image_term, chosen))


def assert_equal(decoded, answers, tolerance):
    sets = decoded.label_sets
    for row, answer in enumerate(answers):
        assert tuple(label for label in sets.sequences[row].tolist() if label >= 0) == answer.labels
        assert sets.complete[row] == answer.complete
        np.testing.assert_allclose(sets.log_probabilities[row], answer.log_probability, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(
            decoded.class_scores.values[row], answer.scores.astype(np.float32), rtol=tolerance, atol=tolerance
        )


@settings(deadline=None, max_examples=80)
@given(oracle.cases(max_labels=4), options)
def test_a_function_of_the_prefix_is_searched_as_the_reference_searches(case, given_options):
    network, image_terms = case
    decoded = bench.beam_search(logits_of(network, image_terms), images=len(image_terms), **given_options)
    assert_equal(decoded, reference(network, image_terms, bench.SearchOptions(**given_options)), 0.0)


@settings(deadline=None, max_examples=100)
@given(oracle.cases(max_labels=4), options)
def test_a_step_network_is_searched_as_the_reference_searches(case, given_options):
    network, image_terms = case
    assume(network.activation != "tanh")
    assume(max(np.abs(network.table).max(), np.abs(image_terms).max()) < 2**14)
    starts = network.start_states(len(image_terms))
    decoded = bench.beam_search(network, image_terms, start_states=starts, **given_options)
    assert_equal(decoded, reference(network, image_terms, bench.SearchOptions(**given_options)), 2e-6)


@settings(deadline=None, max_examples=60)
@given(oracle.cases(max_labels=3), st.integers(1, 3), st.booleans())
def test_full_width_and_exact_search_of_a_function_equal_exhaustive_search(case, longest, mask_repeats):
    network, image_terms = case
    starts = network.start_states(len(image_terms))
    for how in ({"beam_width": 256}, {"search": "exact"}):
        limits = {"max_length": longest, "mask_repeats": mask_repeats}
        decoded = bench.beam_search(logits_of(network, image_terms), images=len(image_terms), **limits, **how)
        for row, image_term in enumerate(image_terms):
            start = starts[row if network.sees_image else 0]
            path, log_probability = oracle.best_path(network, image_term, start, bench.SearchOptions(**limits))
            labels = [int(label) for label in decoded.label_sets.sequences[row] if label >= 0]
            ended = [len(network.output) - 1] if decoded.label_sets.complete[row] else []
            assert (*labels, *ended) == path
            assert decoded.label_sets.log_probabilities[row] == pytest.approx(log_probability, rel=1e-9, abs=1e-9)


def test_one_image_of_many_is_that_image_alone():
    table = np.random.default_rng(0).normal(size=(6, 5, 4))
    together = bench.beam_search(lambda prefix, image: table[image, len(prefix)], images=6, max_length=5)
    for image in range(6):
        alone = bench.beam_search(lambda prefix, image=image: table[image, len(prefix)], max_length=5)
        length = alone.label_sets.sequences.shape[1]
        np.testing.assert_array_equal(alone.label_sets.sequences[0], together.label_sets.sequences[image, :length])
        assert (together.label_sets.sequences[image, length:] == -1).all()
        np.testing.assert_array_equal(alone.class_scores.values[0], together.class_scores.values[image])
    named = bench.beam_search(lambda prefix, image: table[image, len(prefix)], images=2, ids=["a", "b"], max_length=5)
    assert named.label_sets.ids == ("a", "b")


def test_a_prefix_is_asked_for_once_and_an_answer_may_be_filled_anew():
    asked, row = [], np.zeros(3)

    def logits(prefix):
        asked.append(prefix)
        row[:] = [len(prefix) * 0.5, -len(prefix), -1.0]
        return row

    reused = bench.beam_search(logits, max_length=4)
    assert len(asked) == len(set(asked)) > 1
    fresh = bench.beam_search(lambda prefix: [len(prefix) * 0.5, -len(prefix), -1.0], max_length=4)
    np.testing.assert_array_equal(reused.label_sets.sequences, fresh.label_sets.sequences)
    assert reused.label_sets.log_probabilities == fresh.label_sets.log_probabilities


def test_answers_that_are_not_kept_change_no_result(monkeypatch):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(5, 7))
    kept = bench.beam_search(lambda prefix: table[sum(prefix) % 5], max_length=6, beam_width=4)
    monkeypatch.setattr("bench.notebook.searching.TREE_BYTES", 1)
    dropped = bench.beam_search(lambda prefix: table[sum(prefix) % 5], max_length=6, beam_width=4)
    np.testing.assert_array_equal(kept.label_sets.sequences, dropped.label_sets.sequences)


def test_a_forbidden_label_is_never_taken_and_where_all_are_the_answer_is_empty():
    decoded = bench.beam_search(lambda _: [-np.inf, 0.0, -np.inf], max_length=2, beam_width=9)
    assert decoded.label_sets.sequences.tolist() == [[1, 1]]
    nothing = bench.beam_search(lambda _: [-np.inf, -np.inf])
    assert nothing.label_sets.sequences.shape == (1, 0)
    assert not nothing.label_sets.complete[0]


def test_keywords_are_the_fields_of_search_options():
    assert get_type_hints(SearchKeywords) == {
        entry.name: get_type_hints(bench.SearchOptions)[entry.name] for entry in fields(bench.SearchOptions)
    }


NETWORK = oracle.TableNetwork(np.eye(3, dtype=np.float32), np.zeros(3, np.float32), np.ones((2, 3), np.float32))
TERMS, STARTS = np.zeros((2, 3)), NETWORK.start_states(2)


def by_network(terms=TERMS, starts=STARTS, network=NETWORK, **keywords):
    return bench.beam_search(network, terms, start_states=starts, **keywords)


def flat(_):
    return [0.0, 0.0, 0.0]


REFUSED = {
    "table": (lambda: bench.beam_search(np.zeros((3, 3))), "found a ndarray, .*Try: lambda prefix: logits"),
    "nothing": (lambda: bench.beam_search(3), "found a int, allowed: a step network, or a function of the prefix"),
    "terms": (lambda: bench.beam_search(flat, TERMS), "are for a step network, found a function"),
    "no terms": (lambda: bench.beam_search(NETWORK), "a step network needs image_terms"),
    "unknown": (
        lambda: bench.beam_search(flat, beam_widht=3),
        "no search option 'beam_widht'; did you mean 'beam_width'",
    ),
    "zero": (lambda: bench.beam_search(flat, beam_width=0), "beam_width: found 0, allowed: a whole number >= 1"),
    "text": (lambda: bench.beam_search(flat, beam_width="3"), "beam_width: found '3'"),
    "true": (lambda: bench.beam_search(flat, beam_width=True), "beam_width: found True"),
    "word": (lambda: bench.beam_search(flat, stop="first"), "stop: found 'first', allowed: best, all"),
    "one": (lambda: bench.beam_search(flat, mask_repeats=1), "mask_repeats: found 1, allowed: True or False"),
    "lengths": (lambda: bench.beam_search(flat, min_length=30), "lengths: found 30..20"),
    "nan": (lambda: bench.beam_search(lambda _: [0.0, np.nan]), r"after prefix \(\) hold NaN or \+infinity"),
    "infinity": (lambda: bench.beam_search(lambda _: [0.0, np.inf]), "hold NaN or"),
    "none": (lambda: bench.beam_search(lambda _: None), r"logits after prefix \(\) are object"),
    "scalar": (lambda: bench.beam_search(lambda _: 0.0), r"found shape \(\), allowed: \(labels \+ 1,\)"),
    "longer": (
        lambda: bench.beam_search(lambda p: [0.0] * (3 + len(p))),
        r"after prefix \(0,\): found shape \(4,\), allowed: \(3,\)",
    ),
    "matrix": (lambda: bench.beam_search(lambda _: np.zeros((2, 3))), r"found shape \(2, 3\), allowed"),
    "other": (
        lambda: bench.beam_search(lambda _, image: [0.0] * (3 + image), images=2),
        r"logits after prefix \(\) of image 1: found shape \(4,\), allowed: \(3,\), as before",
    ),
    "no image": (lambda: bench.beam_search(flat, images=0), "images: found 0, allowed: a whole number from 1"),
    "images": (lambda: by_network(images=2), "images= is for a function"),
    "beyond float64": (lambda: bench.beam_search(lambda _: np.array(["1e4000", 0], np.longdouble)), "hold NaN or"),
    "ids": (lambda: bench.beam_search(flat, ids=["a", "b"]), "ids: found 2 names for 1 images"),
    "id": (lambda: bench.beam_search(flat, ids="a"), "ids: found a str, must be a list in the order of rows"),
    "width": (lambda: by_network(np.zeros((2, 4))), r"image_terms are \(2, 4\), must be \(images, 3\)"),
    "whole": (lambda: by_network(np.zeros((2, 3), int)), "must be floating-point with two axes"),
    "terms nan": (lambda: by_network(np.full((2, 3), np.nan)), "image_terms holds NaN"),
    "starts": (lambda: by_network(starts=np.zeros((2, 2))), "start_states have 2 rows, must be 1"),
    "threads": (lambda: by_network(threads=-1), "threads: found -1"),
    "output": (
        lambda: by_network(network=oracle.TableNetwork(np.eye(3), np.zeros(3, np.float32), np.ones((2, 3)))),
        "step network: .*float64",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_searched_is_one_clear_line(case):
    call, message = REFUSED[case]
    with pytest.raises(bench.BenchError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
