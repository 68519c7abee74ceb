"""A small data set and what it exports, which predictions are scored on."""

import pytest
from example_commands import bench, write_corel


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a small data set, ``corel``, and what it exports, ``data``."""
    root = tmp_path_factory.mktemp("score")
    write_corel(root / "corel")
    assert bench("data", "export", "corel5k", "--data-root", root / "corel", "--out", root / "data") == 0
    return root
