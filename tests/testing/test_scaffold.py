"""A plugin that ``bench plugin new`` writes passes its own test at once, and is installed as any other is."""

import importlib
import json
import os
import subprocess
import sys

import pytest
from inner_pytest import run_inside

from bench.cli import run_command_line
from bench.testing import examine
from bench.testing.parts import CHECKED
from bench.testing.scaffold import FLAVOURS, KINDS, write_plugin


def test_there_is_a_beginning_for_every_kind_that_is_checked():
    assert len(set(KINDS) - set(FLAVOURS)) == len(CHECKED)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_keeps_its_contract(kind, tmp_path, monkeypatch):
    if kind == "estimator":
        pytest.importorskip("skops", reason="not installed: pip install 'multilabel-bench[sklearn]'")
    folder = write_plugin(f"begun-{kind}", kind, tmp_path)
    monkeypatch.syspath_prepend(folder)
    outcomes = examine(importlib.import_module(f"bench_begun_{kind.replace('-', '_')}"))
    assert [str(outcome) for outcome in outcomes if outcome.state == "failed"] == []
    assert sum(outcome.state == "passed" for outcome in outcomes) >= (3 if kind == "protocol" else 5)
    for file in folder.rglob("*.py"):
        assert "$" not in file.read_text()
        assert len(file.read_text().splitlines()) < 60


def test_a_check_of_a_package_that_is_not_installed_says_how_to_install_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_command_line(["plugin", "new", "begun-there"]) == 0
    for name in ("bench-begun-there", "./bench-begun-there"):
        assert run_command_line(["plugin", "check", name]) == 2
        assert "Try: pip install -e ./bench-begun-there, then the same" in capsys.readouterr().err


def test_it_is_installed_listed_and_its_own_test_passes(tmp_path, monkeypatch, capsys):
    assert run_command_line(["plugin", "new", "begun-here", "--out", str(tmp_path)]) == 0
    assert "bench plugin check bench-begun-here" in capsys.readouterr().out
    folder, target = tmp_path / "bench-begun-here", tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*install, "--target", target, folder], check=True, capture_output=True)
    paths = os.pathsep.join([str(target), *filter(None, [os.environ.get("PYTHONPATH")])])
    code = "import sys; from bench.cli import main; sys.argv[1:] = ['list', 'models', '--json']; main()"
    command = [sys.executable, "-P", "-c", code]
    listed = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=True)
    models = {model["name"]: model["distribution"] for model in json.loads(listed.stdout)["models"]}
    assert models["begun-here"] == "bench-begun-here"
    monkeypatch.syspath_prepend(folder)
    assert len(run_inside(folder / "tests", "-k", "trains or one-label", root=folder).passed) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["Mine"], "found name 'Mine', allowed: small letters"),
        (["../x"], "found name '../x'"),
        (["mine", "--kind", "dataset", "--flavour", "sequence"], "allowed: --kind model"),
        (["there"], "is there already. Try: another name, or --out DIR"),
    ],
)
def test_what_cannot_be_begun_is_one_line(arguments, words, tmp_path, capsys):
    write_plugin("there", "model", tmp_path)
    assert run_command_line(["plugin", "new", *arguments, "--out", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1
