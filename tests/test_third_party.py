"""THIRD_PARTY.md names all that the project uses, and is written by the program that it says."""

import importlib.util
import re
from pathlib import Path

import pytest

from bench import plugins

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "THIRD_PARTY.md").read_text(encoding="utf-8")
SPEC = importlib.util.spec_from_file_location("third_party", ROOT / ".ci" / "third_party.py")
third_party = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(third_party)


def test_every_package_that_pyproject_names_has_a_row_with_its_licence():
    rows = third_party.rows_of(PAGE)
    direct = third_party.asked_for()
    assert {"numpy", "torch", "pybind11", "mlflow", "clang-tidy"} <= direct.keys()
    assert direct.keys() - rows.keys() == set()
    assert [
        name for name, row in rows.items() if not re.fullmatch(r"\| `\S+` \| [^|]*\w[^|]* \| [^|]*\w[^|]* \|", row)
    ] == []
    assert "not said" not in PAGE


def test_every_data_set_and_backbone_has_a_row_with_its_terms():
    offered = plugins.installed()
    own = {
        kind: {name for name, found in offered.all(kind).items() if found.origin.distribution == "multilabel-bench"}
        for kind in (plugins.DATASETS, plugins.BACKBONES)
    }
    assert set(third_party.DATA) == own[plugins.DATASETS]
    assert set(third_party.WEIGHTS) == own[plugins.BACKBONES]
    for name in (*third_party.DATA, *third_party.WEIGHTS):
        assert re.search(rf"^\| {re.escape(name)} \|", PAGE, re.MULTILINE), name


def test_a_page_written_anew_keeps_the_rows_of_what_is_not_installed_here(monkeypatch):
    known = third_party.licence
    absent = {"numpy", "matplotlib"}
    monkeypatch.setattr(third_party, "licence", lambda name: None if name in absent else known(name))
    anew = third_party.page(PAGE)
    before, after = third_party.rows_of(PAGE), third_party.rows_of(anew)
    assert {after[name] for name in absent} == {before[name] for name in absent}
    assert third_party.page(anew) == anew
    with pytest.raises(SystemExit, match="is not installed, and THIRD_PARTY"):
        third_party.page("")


def test_the_security_page_names_commands_and_sessions_that_there_are():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    sessions = re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"nox -s (\w+)", text)) <= set(sessions)
    assert all((ROOT / name).exists() for name in re.findall(r"`(\w+\.md|LICENSE)`", text))
