"""A few trials of what `nox -s faults` does at length: a disturbed run, finished, is an undisturbed one."""

import re
import subprocess
import sys

import pytest
from faults import fuzz

CAMPAIGN = fuzz.__file__.replace("fuzz.py", "campaign.py")


@pytest.mark.slow
def test_runs_exports_and_reports_that_are_disturbed_and_finished_are_as_undisturbed_ones():
    command = [sys.executable, "-P", CAMPAIGN, "--kills", "5", "--others", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    counts = re.findall(r"(\d+) of (\d+)$", done.stdout, re.MULTILINE)
    assert len(counts) >= 4
    assert all(right == tried for right, tried in counts)
