"""The example distribution ``examples/bench-asl`` is found, listed and tested as a stranger's plugin would be."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "bench-asl"


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """An environment in which the example is installed: its packages and the metadata that an installer writes."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    metadata = tmp_path / f"bench_asl-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    ((group, points),) = project["entry-points"].items()
    lines = [f"[{group}]", *(f"{name} = {module}" for name, module in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    (tmp_path / "bench_asl").symlink_to(EXAMPLE / "bench_asl")
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def test_the_example_is_listed_with_its_distribution_and_without_torch(installed: dict[str, str]) -> None:
    code = (
        "import sys; from bench.cli import run_command_line; run_command_line(['list', 'models', '--json']);"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=installed, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    models = {model["name"]: model for model in json.loads(done.stdout)["models"]}
    assert (models["asl"]["distribution"], models["asl"]["version"]) == ("bench-asl", "0.1.0")
    assert [option["name"] for option in models["asl"]["options"] if "of" not in option] == [
        "gamma_positive",
        "gamma_negative",
        "margin",
    ]
    assert models["bce" if "bce" in models else "softmax"]["distribution"] == "multilabel-bench"


def test_the_examples_own_tests_pass(installed: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(EXAMPLE)]
    command += ["-c", os.devnull, "--import-mode=importlib", str(EXAMPLE / "tests")]
    done = subprocess.run(command, env=installed, cwd=EXAMPLE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_the_example_uses_only_the_public_names_of_bench() -> None:
    import bench

    for file in (EXAMPLE / "bench_asl").glob("*.py"):
        text = file.read_text()
        assert "from bench" not in text.replace("from bench_asl", "")
        used = {word.split("(")[0].strip(".,)[]:`") for word in text.split() if word.startswith("bench.")}
        assert {name.split(".")[1].rstrip("].,:") for name in used} <= set(bench.__all__)
