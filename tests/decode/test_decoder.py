import dataclasses

import numpy as np
import oracle
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bench.decode import _beam
from bench.decode.decoder import Decoded, Decoder, PrefixTree, decode
from bench.errors import ModelError
from bench.records import SearchOptions


def run(network, image_terms, options, **settings) -> Decoded:
    ids = [str(image) for image in range(len(image_terms))]
    return decode(network, image_terms, network.start_states(len(image_terms)), ids, options, **settings)


def assert_same(one, other, tolerance=0.0):
    np.testing.assert_array_equal(one.label_sets.sequences, other.label_sets.sequences)
    np.testing.assert_array_equal(one.label_sets.complete, other.label_sets.complete)
    np.testing.assert_allclose(
        one.label_sets.log_probabilities, other.label_sets.log_probabilities, rtol=tolerance, atol=tolerance
    )
    np.testing.assert_allclose(one.class_scores.values, other.class_scores.values, rtol=tolerance, atol=tolerance)
    for count in ("node_limit_hits", "beam_misses"):
        assert one.statistics[count] == other.statistics[count]


def random_network(labels, seed, activation="identity", sees_image=False, spread=1.0):
    """Generic scores, among which no two paths tie."""
    rng = np.random.default_rng(seed)
    output = rng.normal(size=(labels + 1, 5)).astype(np.float32)
    table = rng.normal(size=(997, 5), scale=spread).astype(np.float32)
    bias = rng.normal(size=labels + 1).astype(np.float32)
    return oracle.TableNetwork(output, bias, table, activation, sees_image)


def random_terms(images, seed, width=5):
    return np.random.default_rng(seed).normal(size=(images, width)).astype(np.float32)


@st.composite
def search_options(draw, longest=6):
    max_length = draw(st.integers(1, longest))
    return SearchOptions(
        search=draw(st.sampled_from(["beam", "beam", "exact"])),
        beam_width=draw(st.integers(1, 6)),
        end_consumes_slot=draw(st.booleans()),
        mask_repeats=draw(st.booleans()),
        min_length=draw(st.integers(0, max_length)),
        max_length=max_length,
        stop=draw(st.sampled_from(["best", "all"])),
        class_score=draw(st.sampled_from(["max_over_steps", "first_step", "beam_marginal", "inclusion"])),
        node_limit=draw(st.sampled_from([1, 5, 100_000])),
    )


@settings(max_examples=400)
@given(oracle.cases(), search_options())
def test_the_kernel_equals_the_reference_with_exact_ties(case, options):
    network, image_terms = case
    # tanh rounds, so that exact ties are not representable; the next test covers it.
    assume(network.activation != "tanh")
    # Beyond 2^53 a float64 sum of prefix and image term is no longer exact, and its order shows.
    assume(max(np.abs(network.table).max(), np.abs(image_terms).max()) < 2**40)
    # An exact search over ever shorter remainders of equal probability visits every path.
    assume(options.search == "beam" or len(network.output) <= 4)
    kernel = run(network, image_terms, options)
    assert_same(kernel, run(network, image_terms, options, engine="reference"), tolerance=2e-6)


@settings(max_examples=300)
@given(
    st.integers(0, 2**32),
    st.integers(1, 40),
    st.sampled_from(["identity", "relu", "tanh"]),
    st.booleans(),
    st.sampled_from([0.3, 1.0, 6.0]),
    search_options(longest=5),
)
def test_the_kernel_equals_the_reference_on_generic_scores(  # noqa: PLR0917
    seed, labels, activation, sees_image, spread, options
):
    network = random_network(labels, seed, activation, sees_image, spread)
    image_terms = random_terms(5, seed + 1)
    if options.search == "exact":
        options = dataclasses.replace(options, node_limit=50)
    kernel = run(network, image_terms, options)
    assert_same(kernel, run(network, image_terms, options, engine="reference"), tolerance=2e-5)


@pytest.mark.parametrize("labels", [255, 510, 511, 512, 1000, 3000])
@pytest.mark.parametrize("ties", ["none", "twins", "integers"])
def test_a_first_look_in_float_changes_no_answer(labels, ties):
    """With 511 labels and END, or more, the kernel looks in float first; equal labels leave it in doubt."""
    network = random_network(labels, labels, spread=3.0)
    image_terms = random_terms(4, 1)
    if ties == "twins":
        network.output[1:labels:2], network.bias[1:labels:2] = (
            network.output[: labels - 1 : 2],
            network.bias[: labels - 1 : 2],
        )
    if ties == "integers":
        network.output[:], network.bias[:] = np.round(network.output), np.round(network.bias)
        network.table[:], image_terms = np.round(network.table), np.round(image_terms)
    for width, shortest in ((1, 0), (2, 3), (5, 0), (5, 5)):
        options = SearchOptions(beam_width=width, min_length=shortest, max_length=6)
        kernel = run(network, image_terms, options, threads=2)
        assert_same(kernel, run(network, image_terms, options, engine="reference"), tolerance=2e-5)
        decoder = Decoder(network, network.start_states(4), options)
        longest = kernel.label_sets.sequences.shape[1]
        np.testing.assert_array_equal(decoder.sequences(image_terms)[:, :longest], kernel.label_sets.sequences)


@pytest.mark.parametrize("activation", ["identity", "relu", "tanh"])
@pytest.mark.parametrize("cancels", [False, True])
@pytest.mark.parametrize(("size", "tolerance"), [(1e2, 1e-4), (1e3, 1e-3), (1e5, 1e-6), (1e7, 1e-6), (1e9, 1e-5)])
def test_large_logits_that_differ_little_are_scored_as_in_float64(activation, cancels, size, tolerance):
    """Sizes below and above where the kernel leaves float32; image and prefix add up, or cancel."""
    for seed in range(10):
        network = random_network(12, seed, activation)
        rng = np.random.default_rng(seed)
        network.table[:, 0] += np.float32(size)
        network.output[:, 0] = 1.0
        terms = random_terms(5, seed + 1)
        terms[:, 0] += np.float32(-size if cancels else size)
        for search, scored in (("beam", "max_over_steps"), ("beam", "beam_marginal"), ("exact", "first_step")):
            options = SearchOptions(
                search=search, max_length=3, class_score=scored, min_length=int(rng.integers(2)), node_limit=50
            )
            kernel = run(network, terms, options)
            assert_same(kernel, run(network, terms, options, engine="reference"), tolerance=tolerance)


@pytest.mark.parametrize("seed", range(12))
def test_a_label_that_is_nearly_certain_is_never_more_than_certain(seed):
    """Else a path would cost less than its beginning, and an exact search would drop the beginning."""
    network = random_network(1, seed, spread=6.0)
    terms = random_terms(5, seed + 1)
    for search in ("beam", "exact"):
        options = SearchOptions(search=search, beam_width=1, max_length=3)
        kernel = run(network, terms, options)
        assert (kernel.label_sets.log_probabilities <= 0).all()
        assert_same(kernel, run(network, terms, options, engine="reference"), tolerance=2e-5)


@settings(max_examples=150)
@given(oracle.cases(max_labels=3), st.integers(1, 3), st.booleans(), st.data())
def test_exact_search_and_a_full_width_beam_equal_exhaustive_search(case, longest, mask_repeats, data):
    network, image_terms = case
    assume(network.activation != "tanh")
    assume(max(np.abs(network.table).max(), np.abs(image_terms).max()) < 2**14)
    base = SearchOptions(max_length=longest, min_length=data.draw(st.integers(0, longest)), mask_repeats=mask_repeats)
    starts = network.start_states(len(image_terms))
    for options in (dataclasses.replace(base, beam_width=256), dataclasses.replace(base, search="exact")):
        decoded = run(network, image_terms, options)
        for row, image_term in enumerate(image_terms):
            start = starts[row if network.sees_image else 0]
            path, log_probability = oracle.best_path(network, image_term, start, options)
            labels = [int(label) for label in decoded.label_sets.sequences[row] if label >= 0]
            ended = [len(network.output) - 1] if decoded.label_sets.complete[row] else []
            assert (*labels, *ended) == path
            assert decoded.label_sets.log_probabilities[row] == pytest.approx(log_probability, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("sees_image", [False, True])
@pytest.mark.parametrize("search", ["beam", "exact"])
def test_batch_threads_tree_and_eviction_never_change_a_result(monkeypatch, sees_image, search):
    network = random_network(20, 3, sees_image=sees_image, spread=2.0)
    image_terms = random_terms(70, 4)
    options = SearchOptions(search=search, beam_width=3, max_length=6, node_limit=200, class_score="beam_marginal")
    expected = run(network, image_terms, options, threads=1)
    assert_same(run(network, image_terms, options, threads=5), expected)
    tree = PrefixTree(network, 2)
    for _ in ("cold", "warm"):
        assert_same(run(network, image_terms, options, tree=tree), expected)
    monkeypatch.setattr("bench.decode.decoder.CHUNK", 9)
    monkeypatch.setattr("bench.decode.decoder.EXACT_CHUNK", 3)
    assert_same(run(network, image_terms, options), expected)
    small = PrefixTree(network, 2, most_bytes=10 * tree.compiled.bytes_per_prefix)
    assert_same(run(network, image_terms, options, tree=small), expected)
    assert len(small) <= 10
    alone = [
        decode(network, image_terms[row : row + 1], states, ["0"], options)
        for row, states in enumerate(
            network.start_states(70)[:, None] if sees_image else [network.start_states(1)] * 70
        )
    ]
    np.testing.assert_array_equal(
        [one.label_sets.log_probabilities[0] for one in alone], expected.label_sets.log_probabilities
    )


def test_a_warm_tree_asks_the_network_for_nothing():
    network, image_terms = random_network(20, 3), random_terms(30, 4)
    tree = PrefixTree(network, 2)
    cold = run(network, image_terms, SearchOptions(max_length=5), tree=tree)
    assert cold.statistics["prefixes"] == len(tree) > 0
    calls = network.calls
    warm = run(network, image_terms, SearchOptions(max_length=5), tree=tree)
    assert warm.statistics["prefixes"] == 0
    assert network.calls == calls


def test_prefixes_are_asked_for_in_one_batch_per_round():
    network = random_network(20, 3)
    run(network, random_terms(200, 4), SearchOptions(beam_width=2, max_length=4))
    assert network.calls <= 4


def test_no_images_give_no_sequences():
    network = random_network(4, 0)
    for engine in ("kernel", "reference"):
        decoded = run(network, random_terms(0, 0), SearchOptions(), engine=engine)
        assert decoded.label_sets.sequences.shape == (0, 0)
        assert decoded.class_scores.values.shape == (0, 4)


MALFORMED = {
    "dtype": (lambda terms: terms.astype(np.float64), "image_terms is float64, must be float32"),
    "dimensions": (lambda terms: terms[0], r"image_terms has shape \(5,\), must be \(rows, 5\)"),
    "width": (lambda terms: terms[:, :4].copy(), r"image_terms has shape \(3, 4\), must be \(rows, 5\)"),
    "order": (np.asfortranarray, "image_terms must be C-contiguous"),
    "stride": (lambda terms: np.repeat(terms, 2, axis=1)[:, ::2], "image_terms must be C-contiguous"),
    "nan": (lambda terms: np.full_like(terms, np.nan), "image_terms holds NaN or infinity"),
    "list": (lambda terms: terms.tolist(), "image_terms must be a NumPy array"),
}


@pytest.mark.parametrize("damage", MALFORMED)
def test_malformed_arrays_are_refused_with_their_name(damage):
    spoil, message = MALFORMED[damage]
    network = random_network(4, 0)
    tree = PrefixTree(network, 2)
    with pytest.raises(ValueError, match=message):
        _beam.Search(tree.compiled, SearchOptions()).begin(spoil(random_terms(3, 0)), network.start_states(1))


def test_start_states_of_another_number_are_refused():
    network = random_network(4, 0, sees_image=True)
    tree = PrefixTree(network, 2)
    with pytest.raises(ValueError, match="one row, or one for each image"):
        _beam.Search(tree.compiled, SearchOptions(), sees_image=True).begin(random_terms(3, 0), network.start_states(2))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda labels, states: (np.full((len(labels), 5), np.nan, np.float32), states), "terms holds NaN"),
        (lambda labels, states: (np.zeros((len(labels) + 1, 5), np.float32), states), "another number"),
        (lambda labels, states: (np.full((len(labels), 5), 3e38, np.float32), states), "overflow"),
    ],
)
def test_a_step_network_that_misbehaves_is_one_clear_error_and_leaves_the_tree_usable(step, message):
    network = random_network(4, 0)
    tree = PrefixTree(network, 2)
    working, network.step = network.step, step
    with pytest.raises(ModelError, match=message):
        run(network, random_terms(3, 0), SearchOptions(), tree=tree)
    if "overflow" in message:
        return
    network.step = working
    assert_same(
        run(network, random_terms(3, 0), SearchOptions(), tree=tree), run(network, random_terms(3, 0), SearchOptions())
    )


def test_a_tree_in_use_is_refused_and_left_to_the_search_that_uses_it():
    network, terms = random_network(5, 0), random_terms(4, 1)
    tree = PrefixTree(network, 2, most_bytes=0)
    start = network.start_states(4)
    options = SearchOptions(max_length=3)
    first = _beam.Search(tree.compiled, options, sees_image=False, threads=1)
    first.begin(terms, start, True)
    lacking = first.advance()
    with pytest.raises(ModelError, match="the tree is in use by another search"):
        Decoder(network, start, options, tree=tree).answers(terms, start)
    while lacking is not None:
        first.provide(*network.step(*lacking))
        lacking = first.advance()
    expected = run(network, terms, options)
    longest = expected.label_sets.sequences.shape[1]
    np.testing.assert_array_equal(first.answers()["sequences"][:, :longest], expected.label_sets.sequences)
