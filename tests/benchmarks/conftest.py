"""Benchmarks are measured when asked for, ``pytest tests/benchmarks --benchmark-only``, and never in passing."""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    if not config.getoption("benchmark_only"):
        items[:] = [item for item in items if "benchmarks" not in item.path.parts]
