"""CONTRIBUTING.md names files that are there and commands that exist."""

import re
from pathlib import Path

import pytest

from bench.cli import COMMANDS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"`([^`\n]+)`", TEXT)
PATHS = {text for text in QUOTED if re.fullmatch(r"[\w.-]+(/[\w.-]+)*/([\w-]+\.\w+)?", text)}
CAPITALS = re.compile(r"NAME|ROOM|STAGE")


@pytest.mark.parametrize("path", sorted(path for path in PATHS if not CAPITALS.search(path)))
def test_a_file_that_is_named_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_there_are_files_to_look_for() -> None:
    assert {"bench/pipeline.py", "csrc/options.h", "bench/evaluation/metrics/"} <= PATHS


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_commands_exist() -> None:
    named = set(re.findall(r"^bench ([\w-]+)", TEXT, re.MULTILINE)) | set(re.findall(r"`bench ([\w-]+)", TEXT))
    assert len(named) >= 5
    assert named <= set(COMMANDS)


def test_sessions_exist() -> None:
    sessions = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"nox -s (\w+)", TEXT)) <= sessions
    assert set(re.findall(r"nox -s (\w+)", TEXT)) >= {"tests", "lint", "types"}
