"""The workflow files call what anybody can run, for the versions of Python that the package says."""

import itertools
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CI, WHEELS = ((ROOT / ".github/workflows" / f"{name}.yml").read_text(encoding="utf-8") for name in ("ci", "wheels"))


def test_the_public_ci_calls_ci_run_and_sessions_that_there_are():
    assert "- run: bash .ci/run\n" in CI
    sessions = re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"nox -s (\w+)", CI)) <= set(sessions)
    assert "permissions: {contents: read}" in CI
    assert "permissions: {contents: read}" in WHEELS


def test_every_python_that_is_claimed_has_a_wheel_and_a_job():
    prefix = "Programming Language :: Python :: "
    claimed = [text.removeprefix(prefix) for text in TABLE["project"]["classifiers"] if text.startswith(prefix + "3.")]
    assert claimed == ["3.11", "3.12", "3.13", "3.14"]
    assert TABLE["project"]["requires-python"] == f">={claimed[0]}"
    settings = TABLE["tool"]["cibuildwheel"]
    assert settings["build"].split() == [f"cp{version.replace('.', '')}-*" for version in claimed]
    tested = re.findall(r'"(3\.\d+)"', CI) + re.findall(r"container: python:(3\.\d+)", CI)
    assert set(tested) == set(claimed)


def test_every_dependency_has_a_least_version_and_the_public_ci_tests_these():
    extras = TABLE["project"]["optional-dependencies"]
    wanted = [*TABLE["build-system"]["requires"], *TABLE["project"]["dependencies"], *itertools.chain(*extras.values())]
    assert len(wanted) > 40
    own = "multilabel-bench["
    assert [text for text in wanted if not re.match(r"[\w\[\]-]+>=\d", text) and not text.startswith(own)] == []
    assert "nox -s oldest" in CI


def test_what_a_wheel_is_tested_with_is_there():
    settings = TABLE["tool"]["cibuildwheel"]
    assert all((ROOT / name).exists() for name in settings["test-sources"])
    assert (ROOT / settings["test-command"].split()[-1]).is_dir()
    assert {"linux", "macos", "windows"} <= settings.keys()
