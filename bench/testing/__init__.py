"""The conformance kit: whether a plugin keeps its contract, for its own tests and for ``bench plugin check``.

    import bench_asl
    from bench.testing import parametrize_with_checks

    @parametrize_with_checks([bench_asl])
    def test_it_keeps_its_contract(check):
        check()

Torch is imported when the first of these names is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.testing.checks import Check, CheckFailed, Examination, Outcome
    from bench.testing.parts import (
        check_backbone,
        check_dataset,
        check_decoder,
        check_metric,
        check_model,
        check_policy,
        check_protocol,
        check_report_section,
        check_table_format,
        check_tracker,
        examinations,
        examine,
    )
    from bench.testing.pytest_support import parametrize_with_checks

__all__ = [
    "Check",
    "CheckFailed",
    "Examination",
    "Outcome",
    "check_backbone",
    "check_dataset",
    "check_decoder",
    "check_metric",
    "check_model",
    "check_policy",
    "check_protocol",
    "check_report_section",
    "check_table_format",
    "check_tracker",
    "examinations",
    "examine",
    "parametrize_with_checks",
]

_HOMES = dict.fromkeys(("Check", "CheckFailed", "Examination", "Outcome"), "checks")
_HOMES["parametrize_with_checks"] = "pytest_support"


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'bench.testing' has no attribute '{name}'")
    home = _HOMES.get(name, "parts")
    return getattr(importlib.import_module(f"bench.testing.{home}"), name)
