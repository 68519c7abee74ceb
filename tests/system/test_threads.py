import threading
import time

import pytest

from bench.system.threads import in_threads, thread_counts


def test_results_come_in_order_whichever_thread_is_done_first():
    def slow_first(item):
        time.sleep(0.05 if item == 0 else 0)
        return item * item

    assert list(in_threads(slow_first, range(50), 4)) == [item * item for item in range(50)]


def test_no_more_work_is_begun_than_can_soon_be_taken():
    begun = []
    results = in_threads(begun.append, range(1000), 2)
    next(results)
    time.sleep(0.05)
    assert len(begun) <= 4
    results.close()


def test_an_error_comes_in_its_place_and_ends_the_threads():
    before = set(threading.enumerate())
    results = in_threads(lambda item: 1 // item, [1, 1, 0, 1], 2)
    assert [next(results), next(results)] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert set(threading.enumerate()) <= before


def test_thread_settings_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    counts = thread_counts()
    assert counts["OMP_NUM_THREADS"] == 3
    assert counts["cores"] >= 1
