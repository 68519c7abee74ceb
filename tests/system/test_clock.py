"""Wall times and the machine record."""

import getpass
import json
import platform
from itertools import count
from pathlib import Path

import pytest

from bench.system.clock import Stopwatch, item_times, summarize, thread_counts
from bench.system.environment import environment, processor


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is a quarter of a second further each time that it is read."""
    readings = count(0, 250_000_000)
    monkeypatch.setattr("bench.system.clock.time.perf_counter_ns", lambda: next(readings))


def test_times_of_a_stage_entered_twice_add_up(ticking: None) -> None:
    clock = Stopwatch()
    for _ in range(2):
        with clock.stage("wait"):
            pass
    assert clock.to_json()["seconds"] == {"wait": 0.5}


def test_stages_stay_in_the_order_first_entered() -> None:
    clock = Stopwatch()
    for name in ("b", "a", "b"):
        with clock.stage(name):
            pass
    assert list(clock.to_json()["seconds"]) == ["b", "a"]


def test_the_stage_in_which_an_error_arose_is_the_current_one_and_is_timed(ticking: None) -> None:
    clock = Stopwatch()
    with pytest.raises(ValueError, match="broken"), clock.stage("train"):
        raise ValueError("broken")
    assert clock.current == "train"
    assert clock.nanoseconds["train"] == 250_000_000


def test_every_item_is_timed_after_the_warm_up(ticking: None) -> None:
    calls: list[int] = []
    times = item_times(calls.append, [1, 2, 3], warm_up=2)
    assert calls == [1, 1, 1, 2, 3]
    assert times == [0.25, 0.25, 0.25]


def test_percentiles_are_those_of_the_items() -> None:
    summary = summarize([i / 100 for i in range(101)])
    expected = {"count": 101, "median": 0.5, "p50": 0.5, "p95": 0.95, "p99": 0.99, "spread": 0.5}
    assert summary == pytest.approx(expected)


def test_no_times_have_no_summary() -> None:
    with pytest.raises(ValueError, match="no times"):
        summarize([])


def test_thread_settings_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    counts = thread_counts()
    assert counts["OMP_NUM_THREADS"] == 3
    assert counts["cores"] >= 1


def test_the_machine_record_names_versions_but_neither_host_nor_user_nor_path() -> None:
    text = json.dumps(environment())
    record = json.loads(text)
    assert {"multilabel-bench", "numpy"} <= set(record["packages"])
    assert record["python"] == platform.python_version()
    assert record["cores"] >= 1
    for private in (platform.node(), str(Path.home()), f'"{getpass.getuser()}"'):
        assert private not in text


def test_the_processor_is_read_from_the_system(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Example CPU @ 2.0GHz\n\nprocessor\t: 1\nmodel name\t: Other\n")
    assert processor(cpuinfo) == "Example CPU @ 2.0GHz"
    assert processor(tmp_path / "absent") == (platform.processor() or platform.machine())
