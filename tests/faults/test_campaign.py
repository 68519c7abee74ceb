"""A few trials of what `nox -s faults` does at length: a disturbed run, finished, is an undisturbed one."""

import subprocess
import sys
from collections import Counter
from random import Random
from types import SimpleNamespace

import pytest
from faults import campaign, ledger


@pytest.mark.slow
def test_runs_exports_and_reports_that_are_disturbed_and_finished_are_as_undisturbed_ones(tmp_path):
    book = tmp_path / "ledger.jsonl"
    command = [sys.executable, "-P", campaign.__file__, "--kills", "3", "--others", "1", "--ledger", str(book)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    counts = ledger.faults(ledger.entries(book))
    assert len(counts) >= 8 or "not tried: " in done.stdout  # what cannot be mounted
    assert all(right == tried for right, tried in counts.values())


def test_a_campaign_that_is_gone_on_with_makes_the_trials_that_its_ledger_lacks():
    made, names = Counter[str](), ("signal", "rename", "full_disk", "unwritable", "together")
    stub = SimpleNamespace(draw=Random(0), **{name: lambda *_, name=name: made.update([name]) for name in names})
    stub.old_lock = stub.clock_back = stub.damage = lambda: made.update(["other"])
    before = {"SIGKILL in run": [59, 60], "SIGKILL at a rename of export": [1, 1], "damaged files": [10, 10]}
    for trial in campaign.planned(stub, 200, 10, before):
        trial()
    # Of 100 kills at a moment 60 are of runs, and every one was made; of the others ten of each kind, but for damage.
    assert made == {"signal": 40 + 10, "rename": 99, "full_disk": 10, "unwritable": 10, "together": 10, "other": 20}
