"""Slow tests are left out of a plain ``pytest``, which ends by saying how many and how to run them."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

LEFT_OUT = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")


def named_paths(config: pytest.Config) -> list[Path]:
    """Return the files and folders named on the command line, other than those that hold every test."""
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        return []
    every = [config.rootpath, *(config.rootpath / path for path in config.getini("testpaths"))]
    paths = [(config.invocation_params.dir / argument.split("::")[0]).resolve() for argument in config.args]
    return [path for path in paths if path not in every]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out slow tests, except where they are asked for: by ``--slow``, by ``-m``, or by naming their place.

    Workers of pytest-xdist begin with the files that have some.
    """
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)
    if config.getoption("--slow", default=False) or "slow" in config.getoption("markexpr"):
        return
    named = named_paths(config)
    left_out = [
        item
        for item in items
        if item.get_closest_marker("slow") and not any(item.path.is_relative_to(path) for path in named)
    ]
    config.stash[LEFT_OUT] = len(left_out)
    if hasattr(config, "workeroutput"):
        config.workeroutput["left_out"] = len(left_out)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over the count of a worker of pytest-xdist: each collects all tests."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """Tell last, after the failures."""
    yield
    if count := terminalreporter.config.stash.get(LEFT_OUT, 0):
        tests = f"{count} slow test{'s were' if count > 1 else ' was'}"
        terminalreporter.write_line(f"{tests} left out; .ci/run runs them, and so does: pytest --slow")
