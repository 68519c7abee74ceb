"""Fixtures shared by all tests."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from example_runs import make_run

from bench.store.run_folder import RunFolder


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The folder of real label lists, images and weights; it is not part of the project, so tests skip without it."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("BENCH_REFERENCE_DATA", default))
    if not folder.is_dir():
        pytest.skip("reference data not found; set BENCH_REFERENCE_DATA to its folder")
    return folder


@pytest.fixture
def stored_run(tmp_path: Path) -> Callable[..., RunFolder]:
    """A factory of small finished runs under ``tmp_path / "runs"``; see ``example_runs.make_run``."""
    return partial(make_run, tmp_path / "runs")
