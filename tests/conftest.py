"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The folder of real label lists, images and weights; it is not part of the project, so tests skip without it."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("BENCH_REFERENCE_DATA", default))
    if not folder.is_dir():
        pytest.skip("reference data not found; set BENCH_REFERENCE_DATA to its folder")
    return folder
