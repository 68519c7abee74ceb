"""The order of work that keeps a GPU busy; what needs one is in tests/test_gpu.py."""

import numpy as np

from bench.model.on_gpu import one_ahead


def test_a_batch_is_fetched_once_the_next_is_started_and_in_order():
    events = []

    def started(number):
        events.append(f"start {number}")

        def finish():
            events.append(f"finish {number}")
            return np.full(1, number)

        return finish

    assert [int(values[0]) for values in one_ahead(map(started, range(3)))] == [0, 1, 2]
    assert events == ["start 0", "start 1", "finish 0", "start 2", "finish 1", "finish 2"]
    assert list(one_ahead([])) == []
