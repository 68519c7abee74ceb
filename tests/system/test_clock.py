"""Wall times and the machine record."""

import getpass
import json
import platform
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from bench.system.clock import Stopwatch, item_times, local_time, seconds, turns
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


@pytest.mark.parametrize("zone", ["XYZ99:99", "nowhere", "Asia/Tokyo"])
def test_a_time_is_told_whatever_the_zone_is_and_none_of_what_is_no_time(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", zone)
        time.tzset()
        told = [local_time(value) for value in (1e9, 1e18, float("nan"))]
    time.tzset()
    assert [when and when.timestamp() for when in told] == [1e9, None, None]


def test_every_item_is_timed_after_the_warm_up(ticking: None) -> None:
    calls: list[int] = []
    times = item_times(calls.append, [1, 2, 3], warm_up=2)
    assert calls == [1, 1, 1, 2, 3]
    assert times == [0.25, 0.25, 0.25]


class FakeClock:
    """A clock that only its own calls move on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.nanoseconds, self.order = 0, []
        monkeypatch.setattr("bench.system.clock.time.perf_counter_ns", lambda: self.nanoseconds)

    def taking(self, spent: float) -> Callable[[], None]:
        """A call that takes ``spent`` seconds."""

        def call() -> None:
            self.nanoseconds += round(spent * 1e9)
            self.order.append(spent)

        return call


def test_methods_take_turns_as_often_as_their_time_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock(monkeypatch)
    monkeypatch.setattr("bench.system.clock.SECONDS", 1.0)
    times = turns({"short": clock.taking(0.0625), "long": clock.taking(0.5)})
    assert clock.order[:4] == [0.0625, 0.0625, 0.5, 0.5]
    assert clock.order[4:14] == [0.0625, 0.5] * 5
    assert times == {"short": [0.0625] * 16, "long": [0.5] * 5}


def test_calls_too_short_for_the_clock_are_timed_in_bunches(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock(monkeypatch)
    times = turns({"short": clock.taking(250e-6)})["short"]
    assert set(times) == {250e-6}
    assert len(clock.order) == 2 + 8 * len(times)


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


def test_the_machine_record_has_the_versions_of_what_a_plugins_distribution_requires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, more in (
        ("own-plugin", "Requires-Dist: Own_Base>=1\nRequires-Dist: own-docs; extra == 'docs'\n"),
        ("own-base", ""),
    ):
        (about := tmp_path / f"{name.replace('-', '_')}-1.5.dist-info").mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n{more}")
    (tmp_path / "own_plugin-1.5.dist-info" / "entry_points.txt").write_text("[multilabel_bench]\nown = own_plugin\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    packages = environment()["packages"]
    assert {name: packages.get(name) for name in ("own-plugin", "own-base")} == {"own-plugin": "1.5", "own-base": "1.5"}
