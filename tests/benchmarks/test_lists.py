"""Opening NUS-WIDE-1000's lists at their full size: ``pytest tests/benchmarks --benchmark-only``.

Made anew without images, so that this runs anywhere. The aim is less than 10 seconds on two cores.
"""

import pytest
from example_lists import write_nuswide_1000

from bench import plugins
from bench.contracts import DatasetRequest
from bench.data.open import open_dataset
from bench.options import resolve


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    root = tmp_path_factory.mktemp("nuswide")
    write_nuswide_1000(root, 269_648)
    return root


def test_lists_of_full_size(benchmark, lists):
    spec = plugins.installed().dataset("nuswide-1000").spec
    request = DatasetRequest(resolve(spec.options, {}, "nuswide-1000"), lists)
    dataset = benchmark.pedantic(open_dataset, (spec, request), rounds=3, warmup_rounds=1)
    assert dataset.train.truth.shape[1] == 1000
