"""Tests of a package run within a test: in this process, which has imported torch and what pytest needs already."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

QUIET = ("terminal", "cacheprovider", "faulthandler", "xdist")
"""Plugins of pytest that would print among, or end, what the outer one does."""


@dataclass
class Seen:
    """Names of the tests, from the root on, and the words of those that failed."""

    collected: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.collected += [item.nodeid for item in session.items]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.failed += [report.longreprtext] if report.failed else []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed += [report.longreprtext] if report.failed else []
        self.passed += [report.nodeid] if report.passed and report.when == "call" else []


def run_inside(folder: Path, *arguments: str, root: Path) -> Seen:
    """Run the tests in ``folder`` without a ``conftest.py`` and the settings of this project."""
    seen = Seen()
    own = [f"-pno:{plugin}" for plugin in QUIET] + ["-c", os.devnull, "--import-mode=importlib", "--noconftest"]
    code = pytest.main([*own, "--rootdir", str(root), *arguments, str(folder)], plugins=[seen])
    assert code == 0, "\n".join(seen.failed) or code
    return seen
