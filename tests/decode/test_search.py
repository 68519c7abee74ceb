import math

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.decode.search import FIRST_STEP_WEIGHT, Conditional, Prefixes, beam_search, search
from bench.records import SearchOptions


def conditional_on(network, options):
    """Image 0 with an image term of zeros."""
    image_term = np.zeros(network.output.shape[1], np.float32)
    return Conditional(Prefixes(network, network.start_states(1)[0]), image_term, options)


def network_of(probabilities):
    """A network with these P(label | prefix), by prefix; a prefix that is not listed ends."""
    labels = len(next(iter(probabilities.values()))) - 1
    table = np.full((labels**4 * 4, labels + 1), -50.0, np.float32)
    table[:, labels] = 0.0
    for prefix, row in probabilities.items():
        number = 0
        for label in prefix:
            number = number * labels + label + 1
        table[number] = [math.log(p) if p > 0 else -50.0 for p in row]
    return oracle.TableNetwork(np.eye(labels + 1, dtype=np.float32), np.zeros(labels + 1, np.float32), table)


# Two labels, a and b, and END. Greedy search takes a (0.5); the best sequence begins with b.
HAND_MADE = {(): [0.5, 0.4, 0.1], (0,): [0.3, 0.3, 0.4], (1,): [0.9, 0.05, 0.05], (1, 0): [0.05, 0.05, 0.9]}


def test_a_beam_of_two_finds_by_hand_what_greedy_search_misses():
    greedy = search(conditional_on(network_of(HAND_MADE), SearchOptions(beam_width=1)))
    two = search(conditional_on(network_of(HAND_MADE), SearchOptions(beam_width=2)))
    assert greedy.labels == (0,)
    assert math.exp(greedy.log_probability) == pytest.approx(0.5 * 0.4)
    assert two.labels == (1, 0)
    assert math.exp(two.log_probability) == pytest.approx(0.4 * 0.9 * 0.9)
    assert two.complete


def test_an_ended_path_takes_a_place_in_the_beam_only_where_asked():
    # After round 1 END (0.5) and a (0.3) are the best two; b (0.2) survives only where END takes no place.
    rows = {(): [0.3, 0.2, 0.5], (0,): [0.1, 0.1, 0.8], (1,): [0.0, 0.0, 1.0]}
    live_after_one_round = {
        consumes: beam_search(
            conditional_on(
                network_of(rows), SearchOptions(beam_width=3 - consumes, end_consumes_slot=consumes, max_length=1)
            )
        )[1]
        for consumes in (True, False)
    }
    assert [path.labels for path in live_after_one_round[True]] == [(0,)]
    assert [path.labels for path in live_after_one_round[False]] == [(0,), (1,)]


def test_stopping_for_all_candidates_collects_more_of_them_than_stopping_for_the_best():
    rows = {(): [0.5, 0.1, 0.4], (0,): [0.3, 0.1, 0.6]}
    counts = {
        stop: len(beam_search(conditional_on(network_of(rows), SearchOptions(stop=stop, beam_width=3)))[0])
        for stop in ("best", "all")
    }
    assert counts["best"] < counts["all"]


def test_end_is_blocked_until_the_minimum_length_and_the_rest_is_renormalised():
    rows = {(): [0.06, 0.04, 0.9], (0,): [0.1, 0.3, 0.6], (1,): [0.4, 0.4, 0.2]}
    answer = search(conditional_on(network_of(rows), SearchOptions(min_length=1)))
    assert answer.labels == (0,)
    assert math.exp(answer.log_probability) == pytest.approx(0.6 * 0.6)
    assert answer.scores == pytest.approx([0.6, 0.4])


def test_a_path_of_maximum_length_is_incomplete_and_loses_to_any_ended_path():
    rows = {(): [0.9, 0.09, 0.01], (0,): [0.9, 0.09, 0.01], (1,): [0.5, 0.4, 0.1]}
    answer = search(conditional_on(network_of(rows), SearchOptions(beam_width=2, max_length=2)))
    assert answer.labels == (0, 0)
    assert not answer.complete
    widest = search(conditional_on(network_of(rows), SearchOptions(beam_width=9, max_length=2)))
    assert widest.complete


def test_masked_repeats_leave_each_label_once():
    rows = {(): [0.8, 0.1, 0.1], (0,): [0.8, 0.1, 0.1], (0, 1): [0.8, 0.1, 0.1]}
    answer = search(conditional_on(network_of(rows), SearchOptions(mask_repeats=True, min_length=2, max_length=5)))
    assert answer.labels == (0, 1)


def test_where_every_path_is_stuck_the_last_ones_are_the_answer():
    options = SearchOptions(mask_repeats=True, min_length=3, max_length=5)
    answer = search(conditional_on(network_of(HAND_MADE), options))
    assert len(answer.labels) == 2
    assert not answer.complete


def test_equal_logits_go_to_the_lower_label_and_end_comes_last():
    rows = {(): [0.25, 0.25, 0.25, 0.25], (0,): [0.1, 0.1, 0.1, 0.7]}
    candidates, live = beam_search(conditional_on(network_of(rows), SearchOptions(beam_width=2, max_length=1)))
    assert [path.labels for path in live] == [(0,), (1,)]
    assert candidates == []


def test_class_scores_are_what_their_names_say():
    rows = {(): [0.5, 0.3, 0.2], (0,): [0.1, 0.4, 0.5], (1,): [0.4, 0.2, 0.4]}
    scores = {
        kind: search(conditional_on(network_of(rows), SearchOptions(class_score=kind, beam_width=2))).scores
        for kind in ("max_over_steps", "first_step", "beam_marginal", "inclusion")
    }
    assert scores["first_step"] == pytest.approx([0.5, 0.3])
    assert scores["max_over_steps"] == pytest.approx([0.5, 0.4])
    # The only candidate is (a, END): the search stops before (a, b), with 0.2, could end.
    assert scores["beam_marginal"] == pytest.approx([0.25, 0.0], abs=1e-6)
    # Here it does not stop: b at once, and after a; a at once, and after b.
    assert scores["inclusion"] == pytest.approx([0.5 + 0.3 * 0.4, 0.3 + 0.5 * 0.4])


def test_the_marginal_ranks_labels_that_no_candidate_holds_by_their_first_step():
    rows = {(): [0.5, 0.1, 0.2, 0.2], (0,): [0.05, 0.03, 0.02, 0.9]}
    options = SearchOptions(class_score="beam_marginal", beam_width=1)
    assert search(conditional_on(network_of(rows), options)).scores[1:] == pytest.approx(
        [0.1 * FIRST_STEP_WEIGHT, 0.2 * FIRST_STEP_WEIGHT]
    )


def test_a_node_limit_is_reported_and_leaves_the_beams_answer():
    options = SearchOptions(search="exact", beam_width=1, node_limit=1)
    answer = search(conditional_on(network_of(HAND_MADE), options))
    assert answer.limited
    assert not answer.complete
    assert answer.visited == 1
    assert answer.labels == (0,)


def test_exact_search_reports_that_the_beam_missed():
    answer = search(conditional_on(network_of(HAND_MADE), SearchOptions(search="exact", beam_width=1)))
    assert answer.labels == (1, 0)
    assert answer.beam_missed
    assert answer.complete


@settings(max_examples=150)
@given(st.data())
def test_full_width_beam_and_exact_search_equal_exhaustive_search(data):
    network, image_terms = data.draw(oracle.cases(max_labels=3))
    longest = data.draw(st.integers(1, 3))
    options = {
        "max_length": longest,
        "min_length": data.draw(st.integers(0, longest)),
        "mask_repeats": data.draw(st.booleans()),
    }
    start_states = network.start_states(len(image_terms))
    for image, image_term in enumerate(image_terms):
        start = start_states[image if network.sees_image else 0]
        expected, log_probability = oracle.best_path(network, image_term, start, SearchOptions(**options))
        full_width = SearchOptions(beam_width=256, stop=data.draw(st.sampled_from(["best", "all"])), **options)
        exact = SearchOptions(search="exact", beam_width=1, **options)
        for chosen in (full_width, exact):
            answer = search(Conditional(Prefixes(network, start), image_term, chosen))
            ended = (len(network.output) - 1,) if answer.complete else ()
            assert answer.labels + ended == expected
            assert answer.log_probability == pytest.approx(log_probability, rel=1e-9, abs=1e-9)


def test_with_all_paths_in_the_beam_inclusion_is_the_probability_that_a_sequence_has_the_label():
    rows = {
        (): [0.5, 0.3, 0.2],
        (0,): [0.0, 0.4, 0.6],
        (1,): [0.5, 0.0, 0.5],
        (0, 1): [0.0, 0.0, 1.0],
        (1, 0): [0.0, 0.0, 1.0],
    }
    options = SearchOptions(class_score="inclusion", beam_width=20, mask_repeats=True)
    answer = search(conditional_on(network_of(rows), options))
    sequences = {(): 0.2, (0,): 0.5 * 0.6, (0, 1): 0.5 * 0.4, (1,): 0.3 * 0.5, (1, 0): 0.3 * 0.5}
    for label in (0, 1):
        expected = sum(chance for labels, chance in sequences.items() if label in labels)
        assert answer.scores[label] == pytest.approx(expected)


def test_for_inclusion_what_a_beam_drops_goes_on_as_what_it_keeps():
    # Of a (0.5), b (0.3) and END the beam keeps a alone, and after either c comes with 0.4.
    rows = {(): [0.5, 0.3, 0.0, 0.2], (0,): [0.0, 0.0, 0.4, 0.6], (1,): [0.0, 0.0, 0.4, 0.6]}
    options = SearchOptions(class_score="inclusion", beam_width=1)
    assert search(conditional_on(network_of(rows), options)).scores == pytest.approx([0.5, 0.3, 0.8 * 0.4])
