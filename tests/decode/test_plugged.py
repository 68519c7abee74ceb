"""A plugin's decoder: what the step network says of its answers is what the search says, and no wrong answer passes."""

from dataclasses import replace

import numpy as np
import pytest
from documented import documented
from hypothesis import given
from hypothesis import strategies as st
from oracle import TableNetwork, cases, log_probabilities
from test_plugins import entry, hook

import bench
from bench import SearchOptions, plugins
from bench.decode.decoder import decode, sequences_alone
from bench.decode.rescored import next_label_log_probabilities, rescored

OPTIONS = SearchOptions(max_length=4)


def network(sees_image=False):
    rng = np.random.default_rng(0)
    output, table = rng.normal(size=(4, 2)).astype(np.float32), rng.normal(size=(9, 2)).astype(np.float32)
    return TableNetwork(output, np.zeros(4, np.float32), table, "tanh", sees_image)


def terms(images=5):
    return np.random.default_rng(1).normal(size=(images, 2)).astype(np.float32)


@pytest.fixture
def offered(monkeypatch):
    def offer(search):
        registry = plugins.load(
            [entry("bench-more", hook("bench_decoders", [bench.SequenceSearch("own", "", search)]))]
        )
        monkeypatch.setattr(plugins, "loaded", lambda: registry)

    return offer


def decoded(options=OPTIONS, images=5, sees_image=False):
    net = network(sees_image)
    names = tuple(map(str, range(images)))
    return decode(net, terms(images), net.start_states(images), names, replace(options, decoder="own"))


@given(cases(), st.integers(1, 3), st.integers(0, 2), st.booleans())
def test_the_next_labels_probabilities_are_those_of_plain_arithmetic(case, max_length, min_length, mask_repeats):
    network, image_terms = case
    options = SearchOptions(max_length=max(max_length, min_length), min_length=min_length, mask_repeats=mask_repeats)
    labels, starts = len(network.output) - 1, network.start_states(len(image_terms))
    states = starts if network.sees_image else np.repeat(starts, len(image_terms), axis=0)
    found, _ = network.step(np.full(len(image_terms), labels + 1), states)
    start = np.zeros((len(image_terms), 0), dtype=np.int64)
    own = next_label_log_probabilities(network, found, image_terms, start, options)
    for row, image_term in enumerate(image_terms):
        expected = log_probabilities(network, image_term, states[row], (), options)
        np.testing.assert_allclose(own[row], expected, rtol=1e-9, atol=1e-9)


@given(cases(max_labels=4), st.integers(1, 4), st.integers(0, 2), st.booleans(), st.sampled_from(["beam", "exact"]))
def test_the_hosts_own_answers_rescored_are_the_hosts_own_answers(case, longest, shortest, mask_repeats, search):
    network, image_terms = case
    starts, ids = network.start_states(len(image_terms)), tuple(map(str, range(len(image_terms))))
    for class_score in ("max_over_steps", "first_step", "beam_marginal"):
        options = SearchOptions(
            search=search,
            max_length=max(longest, shortest),
            min_length=shortest,
            mask_repeats=mask_repeats,
            class_score=class_score,
        )
        host = decode(network, image_terms, starts, ids, options, engine="reference")
        sets = host.label_sets
        whole = np.full((len(ids), options.max_length), -1)
        whole[:, : sets.sequences.shape[1]] = sets.sequences
        own = rescored(network, image_terms, starts, whole, options)
        if not sets.complete.all():
            continue  # a path that was cut off by a limit, which a decoder cannot say
        np.testing.assert_allclose(own.log_probabilities, sets.log_probabilities, rtol=1e-9, atol=1e-9)
        assert own.complete.all()
        if class_score != "beam_marginal" or search == "exact":
            np.testing.assert_allclose(own.class_scores, host.class_scores.values, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("sees_image", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        replace(OPTIONS, mask_repeats=True, min_length=2),
        replace(OPTIONS, max_length=1),
        replace(OPTIONS, class_score="first_step"),
    ],
)
def test_the_documented_greedy_search_is_a_beam_of_one_path(offered, options, sees_image):
    offered(documented().search_greedily)
    net, names = network(sees_image), tuple("abcde")
    host = decode(net, terms(), net.start_states(5), names, replace(options, beam_width=1), engine="reference")
    own = decoded(options, sees_image=sees_image)
    np.testing.assert_array_equal(own.label_sets.sequences, host.label_sets.sequences)
    np.testing.assert_array_equal(own.label_sets.complete, host.label_sets.complete)
    np.testing.assert_allclose(own.label_sets.log_probabilities, host.label_sets.log_probabilities)
    np.testing.assert_allclose(own.class_scores.values, host.class_scores.values, rtol=1e-6)
    assert own.statistics == {"images": 5}


def test_label_sets_alone_are_those_of_the_plugin_too(offered):
    offered(documented().search_greedily)
    net, options = network(), replace(OPTIONS, decoder="own")
    alone = sequences_alone(net, terms(), net.start_states(5), tuple("abcde"), options)
    np.testing.assert_array_equal(alone.sequences, decoded().label_sets.sequences)


def test_no_image_is_no_answer_and_the_plugin_is_not_asked(offered):
    offered(lambda *_: 1 / 0)
    assert decoded(images=0).label_sets.sequences.shape == (0, 0)


def test_a_probability_is_stored_as_the_step_network_says_it(offered):
    def roughly(*arguments):
        sequences, found = documented().search_greedily(*arguments)
        return sequences, (found + 1e-4).astype(np.float32)

    offered(documented().search_greedily)
    exact = decoded().label_sets.log_probabilities
    offered(roughly)
    np.testing.assert_array_equal(decoded().label_sets.log_probabilities, exact)


def always(sequences, claimed=0.0):
    def search(network, image_terms, start_states, options):
        return np.tile(sequences, (len(image_terms), 1)), np.full(len(image_terms), claimed)

    return search


@pytest.mark.parametrize(
    ("search", "options", "words"),
    [
        (lambda *_: None, OPTIONS, "search returned a NoneType, must return (sequences, log_probabilities)"),
        (always([0.0]), OPTIONS, "sequences of float64 (5, 1), must be integers (5, any length)"),
        (lambda *_: (np.zeros((5, 1), int), np.zeros(4)), OPTIONS, "log-probabilities of float64 (4,)"),
        (always([3]), OPTIONS, "hold what is no label: allowed are 0 to 2, and -1 after the last, as [3]"),
        (always([0, -1, 1]), OPTIONS, "5 of 5 sequences have gaps, as [0, -1, 1]"),
        (always([0, 1, 2, 0, 1]), OPTIONS, "are longer than max_length=4"),
        (always([0, 1, 0]), replace(OPTIONS, mask_repeats=True), "repeat a label, which mask_repeats forbids"),
        (
            always([0]),
            replace(OPTIONS, min_length=2),
            "as [0]: it has probability 0 with min_length=2",
        ),
        (always([0], np.nan), OPTIONS, "have a log-probability that is not finite"),
        (always([0], -0.1), OPTIONS, "log-probabilities are not those of their sequences, as of [0]: claimed -0.1000"),
        (lambda *_: {}["x"], OPTIONS, "KeyError: 'x'"),
    ],
)
def test_what_is_no_answer_is_one_line_that_names_the_plugin(offered, search, options, words):
    offered(search)
    with pytest.raises(bench.PluginError) as raised:
        decoded(options)
    assert str(raised.value).startswith("bench-more 1.2 (models), decode of decoder 'own'")
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_network_that_is_not_finite_is_no_fault_of_the_plugin(offered):
    offered(documented().search_greedily)
    net = network()
    net.output[0, 0] = np.nan
    with pytest.raises(bench.ModelError, match="decoding: output embeddings are not finite"):
        decode(net, terms(), net.start_states(5), tuple("abcde"), replace(OPTIONS, decoder="own"))


def test_a_search_that_writes_on_what_it_is_given_changes_nothing(offered):
    def writes(network, image_terms, start_states, options):
        found = documented().search_greedily(network, image_terms, start_states, options)
        image_terms[:] = start_states[:] = network.output[:] = 0
        network.bias, network.sees_image = network.bias - 1, not network.sees_image
        object.__setattr__(options, "min_length", 3)
        return found

    offered(documented().search_greedily)
    expected = decoded()
    offered(writes)
    np.testing.assert_array_equal(decoded().class_scores.values, expected.class_scores.values)
