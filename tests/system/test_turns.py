import contextlib
import threading

import pytest
from example_models import as_features, batch, make

from bench.contracts import TRAINING_OPTIONS
from bench.model import networks, train
from bench.options import resolve
from bench.system import turns


def test_of_those_that_take_turns_one_at_a_time_computes_on_all_cores(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(turns, "_LOCKS", [])
    turns.take_turns(tmp_path)
    came = []

    def wait():
        with turns.all_cores():
            came.append("second")

    other = threading.Thread(target=wait)
    with turns.all_cores():
        other.start()
        while "waiting for process" not in capfd.readouterr().err:
            assert came == []
        came.append("first")
    other.join()
    assert came == ["first", "second"]
    assert list(tmp_path.iterdir()) == []


def test_where_no_lock_can_be_made_all_compute_at_once(tmp_path, monkeypatch):
    (tmp_path / "no folder").touch()
    monkeypatch.setattr(turns, "_LOCKS", [])
    turns.take_turns(tmp_path / "no folder")
    with turns.all_cores():
        pass


@pytest.mark.parametrize(("most", "expected"), [(1, 1), (networks.ONE_THREAD, 0)])
def test_a_training_waits_for_its_turn_where_its_model_takes_all_cores(most, expected, monkeypatch):
    taken = []

    @contextlib.contextmanager
    def all_cores():
        taken.append(1)
        yield

    monkeypatch.setattr(train, "all_cores", all_cores)
    monkeypatch.setattr(networks, "ONE_THREAD", most)
    values, truth = batch(20)
    chosen = resolve(TRAINING_OPTIONS, {"epochs": 1}, "training")
    train.fit(make("bce"), chosen, as_features(values), truth, lambda model: 0.0, name="toy", seed=0)
    assert sum(taken) == expected
