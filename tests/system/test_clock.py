"""Wall times and the machine record."""

import getpass
import json
import platform
import time
from pathlib import Path

import pytest

from bench.system.clock import Stopwatch, item_times, seconds, turns
from bench.system.environment import environment, processor


def test_times_of_a_stage_entered_twice_add_up() -> None:
    clock = Stopwatch()
    for _ in range(2):
        with clock.stage("wait"):
            time.sleep(0.01)
    assert 0.02 <= clock.to_json()["seconds"]["wait"] < 1


def test_stages_stay_in_the_order_first_entered() -> None:
    clock = Stopwatch()
    for name in ("b", "a", "b"):
        with clock.stage(name):
            pass
    assert list(clock.to_json()["seconds"]) == ["b", "a"]


def test_the_stage_in_which_an_error_arose_is_the_current_one_and_is_timed() -> None:
    clock = Stopwatch()
    with pytest.raises(ValueError, match="broken"), clock.stage("train"):
        raise ValueError("broken")
    assert clock.current == "train"
    assert clock.nanoseconds["train"] > 0


def test_every_item_is_timed_after_the_warm_up() -> None:
    calls: list[int] = []
    times = item_times(calls.append, [1, 2, 3], warm_up=2)
    assert calls == [1, 1, 1, 2, 3]
    assert len(times) == 3
    assert min(times) > 0


def test_calls_take_turns_after_each_has_been_warmed_up() -> None:
    order: list[int] = []
    turns({"one": lambda: order.append(1), "other": lambda: order.append(2)})
    assert order[:4] == [1, 1, 2, 2]
    assert min(order.count(1), order.count(2)) > 10
    assert order[2:].index(2) < len(order) - 1 - order[::-1].index(1)


def test_a_slow_call_gets_the_least_number_of_turns_and_a_fast_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.system.clock.SECONDS", 0.1)
    times = turns({"slow": lambda: time.sleep(0.05), "fast": lambda: None}, least=3)
    assert len(times["slow"]) == 3
    assert len(times["fast"]) > 3


def test_the_seconds_of_several_calls_are_the_mean_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now, calls = iter([10**9, 5 * 10**9]), []
    monkeypatch.setattr("time.perf_counter_ns", lambda: next(now))
    assert seconds(lambda: calls.append(1), 8) == 0.5
    assert len(calls) == 8


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
