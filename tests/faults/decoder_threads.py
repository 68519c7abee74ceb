"""Threads that share a decoder, its tree and its arrays, and disturb it: ``python tests/faults/decoder_threads.py 20``.

No test runner, so that it also runs under ThreadSanitizer (``nox -s threads``). Prints what was asked and answered.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter

import numpy as np

from bench.decode import _beam
from bench.decode.decoder import Decoder
from bench.records import SearchOptions

LABELS, DEPTH, STATE = 40, 16, 8
IMAGES = 60


def normals(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


class Network:
    """A step network without weights: every prefix's term and state follow from its last label and parent's state."""

    activation, sees_image = "identity", False
    output, bias = normals(0, LABELS + 1, DEPTH), normals(1, LABELS + 1)
    start_states = np.zeros((1, STATE), np.float32)

    def step(self, labels, states):
        terms = np.tanh(np.outer(labels + 1, np.arange(1, DEPTH + 1)) * 0.13)
        return terms.astype(np.float32), np.tanh(states + labels[:, None] * 0.1).astype(np.float32)


def decoder(**options):
    network = Network()
    chosen = SearchOptions(beam_width=3, max_length=4, class_score="max_over_steps")
    return Decoder(network, network.start_states, chosen, threads=2, **options)


def shared(threads, calls):
    """Count how the calls of threads that share one decoder, or its tree, were answered: 'right' or otherwise."""
    sets = [normals(10 + thread, IMAGES, DEPTH) for thread in range(threads)]
    expected = [decoder().sequences(terms) for terms in sets]
    one = decoder()
    other = decoder(tree=one.tree)
    outcomes = Counter()

    def work(thread):
        for call in range(calls):
            asked = (one, other)[(thread + call) % 2]
            try:
                if call % 3:
                    found = asked.sequences(sets[thread])
                else:
                    found = asked.answers(sets[thread], Network.start_states)[0]["sequences"]
                outcomes["right" if np.array_equal(found, expected[thread]) else "wrong"] += 1
            except Exception as error:
                outcomes[f"{type(error).__name__}: {error}"] += 1

    in_threads([lambda thread=thread: work(thread) for thread in range(threads)])
    return outcomes


def disturbed(rounds):
    """Count what searches said while another thread released, truncated, began anew, resized and overwrote."""
    options = SearchOptions(beam_width=8, max_length=3, class_score="max_over_steps")
    outcomes = Counter()
    for round_ in range(rounds):
        tree = _beam.Tree(Network.output, Network.bias, "identity", STATE)
        search = _beam.Search(tree, options, threads=2)
        terms = normals(round_, 4000, DEPTH)
        search.begin(terms, Network.start_states)
        done = threading.Event()

        def advance(search=search, done=done):
            try:
                while (lacking := search.advance()) is not None:
                    search.provide(*Network().step(*lacking))
            except (ValueError, RuntimeError) as error:
                outcomes[str(error)] += 1
            finally:
                done.set()

        def disturb(search=search, tree=tree, terms=terms, done=done):
            calls = (
                search.release,
                search.answers,
                search.sequences,
                lambda: tree.truncate(0),
                lambda: (len(tree), tree.bytes, search.rows_scored, search.prefixes_computed),
                lambda: terms.fill(np.nan),
                lambda: terms.resize((0, DEPTH), refcheck=False),
                lambda: search.begin(normals(9, 1, DEPTH), Network.start_states),
                lambda: search.provide(normals(9, 1, DEPTH), normals(9, 1, STATE)),
            )
            while not done.is_set():
                for call in calls:
                    try:
                        call()
                    except (ValueError, RuntimeError) as error:
                        outcomes[str(error)] += 1

        in_threads([advance, disturb])
    return outcomes


def in_threads(works):
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    sys.setswitchinterval(1e-5)
    print(dict(shared(4, 10 * size)))
    print(dict(disturbed(size)))
