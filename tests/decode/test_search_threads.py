"""A compiled search works without the GIL: what another Python thread asks of it meanwhile is refused."""

import sys
import threading

import numpy as np
import oracle
import pytest

from bench.decode import _beam
from bench.decode.decoder import PrefixTree
from bench.records import SearchOptions


def warm_search(images):
    """A search that has begun and lacks no prefix, so that one ``advance`` does all the work; and how to end it."""
    rng = np.random.default_rng(0)
    output, table = (rng.normal(size=(rows, 5)).astype(np.float32) for rows in (41, 997))
    network = oracle.TableNetwork(output, np.zeros(41, np.float32), table, "tanh", False)
    terms = rng.normal(size=(images, 5)).astype(np.float32)
    search = _beam.Search(PrefixTree(network, 2).compiled, SearchOptions(beam_width=8, max_length=6), threads=1)
    search.begin(terms, network.start_states(1))
    while (lacking := search.advance()) is not None:
        search.provide(*network.step(*lacking))
    expected = search.sequences()
    search.begin(terms, network.start_states(1))
    return search, expected, (terms, network.start_states(1))


@pytest.mark.parametrize("call", ["begin", "advance", "provide", "release", "answers", "sequences"])
def test_a_search_that_advances_refuses_other_calls_and_is_not_disturbed(call):
    search, expected, arrays = warm_search(30_000)
    arguments = arrays if call in {"begin", "provide"} else ()
    started = threading.Event()
    thread = threading.Thread(target=lambda: (started.set(), search.advance()))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)  # the thread gives the GIL up when it advances, and not before
    try:
        thread.start()
        started.wait()
    finally:
        sys.setswitchinterval(interval)
    with pytest.raises(ValueError, match="advancing in another thread"):
        getattr(search, call)(*arguments)
    thread.join()
    np.testing.assert_array_equal(search.sequences(), expected)
