import importlib.metadata

import bench


def test_the_installed_distribution_has_the_version_of_the_package():
    assert importlib.metadata.version("multilabel-bench") == bench.__version__
