"""One decoder in several threads: every answer is right, and who disturbs a search is refused or changes nothing."""

import sys

import numpy as np
import pytest
from faults import decoder_threads

from bench.decode import _beam
from bench.errors import ModelError
from bench.records import SearchOptions

REFUSALS = {
    "the search is advancing in another thread",
    "the tree is in use by a search",
    "the step network gave another number of terms or states than asked for",
    "begin() must come before advance()",
    "the pending prefixes were not provided",
}


@pytest.fixture(autouse=True)
def eager_switching(monkeypatch):
    """Threads give way to one another a hundred times as often as they would."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    yield
    sys.setswitchinterval(interval)


def test_threads_that_share_a_decoder_and_its_tree_get_right_answers():
    assert decoder_threads.shared(threads=4, calls=100) == {"right": 400}


def test_calls_that_disturb_a_search_are_refused_in_a_line():
    outcomes = decoder_threads.disturbed(rounds=10)
    assert set(outcomes) <= REFUSALS
    assert outcomes


@pytest.mark.parametrize(
    "change",
    [
        lambda terms: terms.fill(np.nan),
        lambda terms: terms.fill(1),
        lambda terms: terms.resize((0, decoder_threads.DEPTH), refcheck=False),
    ],
    ids=["nan", "other values", "resized"],
)
def test_what_becomes_of_the_callers_arrays_changes_no_answer(change):
    network = decoder_threads.Network()

    def found(change):
        tree = _beam.Tree(network.output, network.bias, "identity", decoder_threads.STATE)
        search = _beam.Search(tree, SearchOptions(beam_width=3, max_length=4), threads=1)
        terms, starts = decoder_threads.normals(5, 30, decoder_threads.DEPTH), network.start_states.copy()
        search.begin(terms, starts)
        change(terms)
        starts.resize((0, 0), refcheck=False)
        while (lacking := search.advance()) is not None:
            search.provide(*network.step(*lacking))
        return search.answers()

    for name, expected in found(lambda terms: None).items():
        np.testing.assert_array_equal(found(change)[name], expected)


@pytest.mark.parametrize("size", [2**62, 2**63 - 1, 2**40, -1])
def test_a_state_of_a_size_that_fits_nowhere_is_refused(size):
    network = decoder_threads.Network()
    with pytest.raises(ValueError, match=rf"^state_size is {size}, must be at (most|least) \d+$"):
        _beam.Tree(network.output, network.bias, "identity", size)


def test_answers_that_fit_in_no_memory_are_refused_before_they_are_asked_of_it():
    network = decoder_threads.Network()
    tree = _beam.Tree(network.output, network.bias, "identity", decoder_threads.STATE)
    search = _beam.Search(tree, SearchOptions(max_length=2**31 - 1))
    terms = np.zeros((50_000, decoder_threads.DEPTH), np.float32)
    with pytest.raises(ValueError, match=r"answers of 50000 images .* fit in no memory"):
        search.begin(terms, network.start_states)
    with pytest.raises(ValueError, match="begin"):
        search.advance()


def test_numbers_that_do_not_lie_where_their_type_may_are_refused():
    network = decoder_threads.Network()
    tree = _beam.Tree(network.output, network.bias, "identity", decoder_threads.STATE)
    shifted = np.frombuffer(bytes(4 * decoder_threads.DEPTH + 1), np.uint8)[1:].view(np.float32)
    with pytest.raises(ValueError, match="image_terms must be aligned"):
        _beam.Search(tree, SearchOptions()).begin(shifted.reshape(1, -1), network.start_states)


@pytest.mark.parametrize("way", ["sequences", "answers"])
def test_a_failed_step_leaves_the_tree_to_other_decoders(way):
    one = decoder_threads.decoder()
    other = decoder_threads.decoder(tree=one.tree)
    terms = decoder_threads.normals(3, 5, decoder_threads.DEPTH)
    broken = np.full((1, decoder_threads.DEPTH), np.nan, np.float32)
    one.network.step = lambda labels, states: (broken, states)
    arguments = (terms,) if way == "sequences" else (terms, one.start_states)
    with pytest.raises(ModelError, match=r"^decoding: .*NaN or infinity.*lower learning rate"):
        getattr(one, way)(*arguments)
    np.testing.assert_array_equal(other.sequences(terms), decoder_threads.decoder().sequences(terms))
