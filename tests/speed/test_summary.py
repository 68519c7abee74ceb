"""The table on top of docs/performance.md."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from inner_pytest import run_inside

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("speed_summary", ROOT / "benchmarks" / "summary.py")
    module = sys.modules["speed_summary"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_row_gives_ours_the_fastest_peer_the_limit_and_the_ratios(tool, tmp_path):
    names = {"test_x.py::test_ours[1]": 0.010, "test_x.py::test_peer[a]": 0.05, "test_x.py::test_peer[b]": 0.04}
    stored = [{"fullname": f"tests/benchmarks/{name}", "stats": {"median": value}} for name, value in names.items()]
    (tmp_path / "stored.json").write_text(json.dumps({"benchmarks": stored}))
    peers = {"slow": "test_x.py::test_peer[a", "quick": "test_x.py::test_peer[b", "absent": "test_x.py::test_none"}
    line = tool.Line("work", "test_x.py::test_ours", peers, tool.Work(flops=4e6, bytes=1e6))
    medians = tool.medians_of([tmp_path / "stored.json"] * 3)
    assert tool.cells(line, medians, (1e9, 1e9)) == ["work", "10", "quick: 40", "4", "4", "2.5"]
    assert tool.cells(line, {}, (1e9, 1e9)) == ["work", "not run", "", "", "", ""]
    last = tool.table(medians, (1e9, 1e9), [line]).splitlines()[-1]
    assert last == "| work | 10 | quick: 40 | 4 | 4 | 2.5 |"


def test_the_larger_of_flops_and_bytes_is_the_limit(tool):
    assert tool.Work(flops=6.0, bytes=1.0).seconds(2.0, 1.0) == 3.0
    assert tool.Work(flops=1.0, bytes=5.0).seconds(2.0, 1.0) == 5.0


def test_every_row_names_a_benchmark_that_exists(tool, monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # pytest-benchmark would warn of it
    # Their conftest.py would leave them out.
    seen = run_inside(ROOT / "tests" / "benchmarks", "--collect-only", root=ROOT)
    found = [name.removeprefix("tests/benchmarks/") for name in seen.collected]
    for line in tool.LINES:
        for name in (line.ours, *line.peers.values()):
            assert any(each.startswith(name) for each in found), name
