"""Exported folders that the tests of this room share; a test that changes one copies it first."""

import pytest
from example_exports import export_models


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Runs of every model, each exported: ``root``, and ``root / model`` of an exported one."""
    return export_models(tmp_path_factory.mktemp("exported"))
