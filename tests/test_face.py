"""``import bench``: light, complete, and each public name the thing it says."""

import ast
import importlib
import os
import pkgutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

import bench

SOURCE = Path(bench.__file__).read_text(encoding="utf-8")


def names_for_type_checkers():
    """What ``if TYPE_CHECKING`` imports: name -> module."""
    block = next(n for n in ast.parse(SOURCE).body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    assert all(isinstance(entry, ast.ImportFrom) for entry in block.body)
    return {alias.asname or alias.name: entry.module for entry in block.body for alias in entry.names}


def test_all_homes_and_what_type_checkers_see_agree():
    homes = {name: module for module, names in bench._HOMES.items() for name in names.split()}
    assert homes == names_for_type_checkers()
    assert sorted(homes) == sorted(bench.__all__)
    assert len(set(bench.__all__)) == len(bench.__all__)
    assert (Path(bench.__file__).parent / "py.typed").is_file()


def test_the_reference_has_every_public_name_once():
    page = Path(__file__).parents[1] / "docs" / "reference.md"
    listed = [line.removeprefix("::: bench.") for line in page.read_text().splitlines() if line.startswith(":::")]
    assert sorted(listed) == sorted(bench.__all__)


@pytest.mark.parametrize("name", bench.__all__)
def test_every_public_name_is_there_and_is_no_module(name):
    value = getattr(bench, name)
    assert not isinstance(value, types.ModuleType)
    assert value is getattr(importlib.import_module(bench._HOME_OF[name]), name)


def test_no_module_of_bench_has_a_public_name():
    """Importing ``bench.run`` as a module would put the module in the function's place."""
    modules = {entry.name for entry in pkgutil.iter_modules(bench.__path__)}
    assert {"records", "notebook", "cli"} <= modules
    assert not modules & set(bench.__all__)


def test_public_functions_stay_functions_once_every_module_is_imported():
    code = (
        "import bench, pkgutil, importlib\n"
        "functions = {name: getattr(bench, name) for name in ('run', 'compare', 'runs', 'measure', 'predict')}\n"
        "for entry in pkgutil.walk_packages(bench.__path__, 'bench.'):\n"
        "    importlib.import_module(entry.name)\n"
        "assert all(getattr(bench, name) is function for name, function in functions.items())\n"
        "assert all(callable(function) for function in functions.values())\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


@pytest.mark.parametrize(
    "statement",
    ["import bench", "import bench; bench.DataError", "import bench; bench.unknown", "import bench; dir(bench)"],
)
def test_nothing_heavy_is_imported_before_it_is_needed(statement):
    heavy = {"numpy", "torch", "typer", "rich", "PIL", "pandas", "onnxruntime", "pluggy", "scipy", "sklearn"}
    code = f"{statement}; import sys; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_onnx_runtime_keeps_no_number_of_this_machine(tmp_path):
    """Its telemetry, which sends it, begins with its import, and is silent in CI: nothing else of the environment."""
    environment = {"HOME": str(tmp_path), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    code = "import bench, onnxruntime; print(onnxruntime.get_available_providers()[-1])"
    done = subprocess.run([sys.executable, "-P", "-c", code], env=environment, capture_output=True, check=True)
    assert done.stdout == b"CPUExecutionProvider\n"
    assert not list(tmp_path.iterdir())


def test_naming_a_function_imports_no_torch():
    names = ("run", "compare", "runs", "measure", "beam_search", "predict", "RunTable")
    asked = "print(getattr(bench, name) and name, *{'torch', 'typer'} & {*sys.modules})"
    code = f"import bench, sys\nfor name in {names}: {asked}"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert tuple(done.stdout.splitlines()) == names


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'bench' has no attribute 'runn'"):
        _ = bench.runn
