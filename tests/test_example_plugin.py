"""The distributions under ``examples/`` are found, listed and tested as a stranger's plugins would be.

``nox -s examples`` installs each for real.
"""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from inner_pytest import run_inside

from bench import plugins

EXAMPLES = sorted(file.parent for file in (Path(__file__).parents[1] / "examples").glob("*/pyproject.toml"))

ADDS = {
    "bench-asl": {"models": ["asl"]},
    "bench-exact-match": {"metrics": ["exact-match"]},
    "bench-shapes": {"datasets": ["shapes"], "protocols": ["shapes@1"]},
}
"""What each adds, by kind."""


def module_of(example: Path) -> str:
    return example.name.replace("-", "_")


@pytest.fixture(params=EXAMPLES, ids=lambda example: example.name)
def example(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.fixture
def installed(tmp_path: Path, example: Path) -> dict[str, str]:
    """An environment in which the example is installed: its packages and the metadata that an installer writes."""
    project = tomllib.loads((example / "pyproject.toml").read_text())["project"]
    metadata = tmp_path / f"{module_of(example)}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    ((group, points),) = project["entry-points"].items()
    lines = [f"[{group}]", *(f"{name} = {module}" for name, module in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    (tmp_path / module_of(example)).symlink_to(example / module_of(example))
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def test_an_example_is_listed_with_its_distribution_and_without_torch(installed: dict[str, str], example: Path) -> None:
    code = (
        "import sys; from bench.cli import run_command_line; run_command_line(['list', '--json']);"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=installed, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    mine = {
        kind: names
        for kind, entries in listed.items()
        if kind not in {"broken", "clashes"}
        and (names := [entry["name"] for entry in entries if entry["distribution"] == example.name])
    }
    assert mine == ADDS[example.name]
    assert not listed["broken"]


@pytest.fixture
def found_here(installed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process find the example as it is installed."""
    monkeypatch.syspath_prepend(tmp_path)
    plugins.loaded.cache_clear()
    yield
    plugins.loaded.cache_clear()


@pytest.mark.usefixtures("found_here")
def test_the_examples_own_tests_pass(example: Path) -> None:
    assert run_inside(example / "tests", root=example).passed


def test_an_example_uses_only_the_public_names_of_bench(example: Path) -> None:
    import bench

    for file in (example / module_of(example)).glob("*.py"):
        text = file.read_text()
        assert "from bench" not in text.replace(f"from {module_of(example)}", "")
        used = {word.split("(")[0].strip(".,)[]:`") for word in text.split() if word.startswith("bench.")}
        assert {name.split(".")[1].rstrip("].,:") for name in used} <= set(bench.__all__)
