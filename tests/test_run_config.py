"""What is written down of a run and stands in no key: as it is now, whenever the run is asked for again."""

from dataclasses import replace
from types import SimpleNamespace

import hostile_runs
import numpy as np
import pytest

from bench.assembly import _cached_parts
from bench.pipeline import run_one
from bench.records import Ledger, RunRequest, Trial
from bench.run_config import bring_up_to_date
from bench.store.run_folder import RunFolder

NOW = {"size": 0.0, "note": ""}


def edited_toy():
    """Return ``toy`` as its files are by now."""
    data = hostile_runs.toy()
    sizes = (data.test.truth * NOW["size"]).astype(np.float32)
    return replace(data, test=replace(data.test, sizes=sizes), notes=(NOW["note"],))


def asked_for(folder, size, note, row):
    NOW.update(size=size, note=note)
    _cached_parts.cache_clear()
    plugins = hostile_runs.registry(dataset=edited_toy)
    models = plugins.offered["models"]
    models["m"] = replace(models["m"], spec=replace(models["m"].spec, row=row, deterministic=row == "WARP"))
    return run_one(RunRequest("m", "toy", out=folder / "runs", cache=folder / "cache"), plugins)


def test_a_finished_run_has_sizes_notes_and_row_of_the_published_tables_as_they_are_now(tmp_path):
    first = asked_for(tmp_path, 0.25, "one image has no label", "CNN-RNN")
    measured = first.read_measures()
    second = asked_for(tmp_path, 0.5, "", "WARP")
    assert second.path == first.path
    assert second.read_sizes().max() == 0.5
    assert second.read_about().row == "WARP"
    assert second.read_about().deterministic
    assert "one image has no label" not in second.read_about().notes
    assert second.done
    assert second.read_measures() == measured


def test_a_finished_run_in_a_store_that_cannot_be_written_to_stays_as_it_is(tmp_path, monkeypatch):
    first = asked_for(tmp_path, 0.25, "", "CNN-RNN")
    monkeypatch.setattr("os.access", lambda path, _: path != first.path)
    monkeypatch.setattr(RunFolder, "held", lambda _: pytest.fail("it cannot be locked"))
    assert asked_for(tmp_path, 0.5, "", "WARP").read_about().row == "CNN-RNN"


def test_a_finished_run_has_its_trials_as_they_were_made_last(tmp_path, monkeypatch):
    """One that failed for want of memory is made again, and may choose the same."""
    folder = asked_for(tmp_path, 0.25, "", "")
    lost = Trial({"C": 1.0}, None, reason="MemoryError", seconds=1.0)
    made = Trial({"C": 1.0}, 0.25, seconds=2.0)
    best = Trial({"C": 2.0}, 0.5, seconds=1.0)
    folder.write_trials(earlier := Ledger(2, "O-F1", 4, (best, lost), False))
    for trials, kept in (((replace(best, seconds=9.0), lost), (best, lost)), ((best, made), (best, made))):
        ledger = replace(earlier, trials=trials)
        monkeypatch.setattr("bench.run_config.about", lambda _: folder.read_about())
        bring_up_to_date(folder, SimpleNamespace(ledger=ledger, parts=hostile_runs.toy()))
        assert folder.read_trials().trials == kept
