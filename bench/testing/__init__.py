"""The conformance kit: whether a plugin keeps its contract, for its own tests and for ``bench plugin check``.

from bench.testing import parametrize_with_checks

@parametrize_with_checks(["bench-asl"])
def test_it_keeps_its_contract(check):
check()
"""

from bench.testing.checks import Check, CheckFailed, Examination, Outcome
from bench.testing.examine import check_backbone, check_dataset, check_model, check_tracker, examinations, examine
from bench.testing.pytest_support import parametrize_with_checks

__all__ = [
    "Check",
    "CheckFailed",
    "Examination",
    "Outcome",
    "check_backbone",
    "check_dataset",
    "check_model",
    "check_tracker",
    "examinations",
    "examine",
    "parametrize_with_checks",
]
