"""The label-set policy in an exported model's description."""

import pytest

from bench import DataError, ModelError
from bench.exported.policy import ExportedPolicy, reader


def test_an_export_whose_policy_is_not_installed_says_what_to_install():
    policy = ExportedPolicy("best", "bench-best", "2.0", {"at": {"dtype": "float32", "shape": [], "values": [0.5]}})
    with pytest.raises(ModelError, match=r"by policy 'best' of bench-best 2\.0, which is not installed\. Try: pip"):
        reader(policy, 2, None)


@pytest.mark.parametrize(
    "state",
    [
        {"at": 3},
        {"at": {"dtype": "float32", "shape": [2], "values": [1.0]}},
        {"at": {"dtype": "object", "shape": [1], "values": [1.0]}},
        {"at": {"dtype": "float32", "shape": [1], "values": [float("inf")]}},
        {"at": {"dtype": "float32", "shape": [10**9, 10**9], "values": []}},
        [],
    ],
)
def test_a_damaged_state_in_a_description_is_refused(state):
    with pytest.raises(DataError, match="policy state"):
        ExportedPolicy("threshold", "multilabel-bench", "1", state)
