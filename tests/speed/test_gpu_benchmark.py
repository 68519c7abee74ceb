"""benchmarks/gpu.py where there is no GPU: what it refuses, and why it would not believe a number."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("gpu_benchmark", FOLDER / "gpu.py")
    module = sys.modules["gpu_benchmark"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def without_gpu():
    return pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


@without_gpu()
def test_without_a_gpu_it_says_so_and_the_exit_status_too(tool, tmp_path, capsys):
    assert tool.main(["--out", str(tmp_path / "out")]) == 3
    assert capsys.readouterr().out == "not run: no GPU\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="there is a GPU")
def test_the_one_call_does_so_before_it_installs_anything():
    done = subprocess.run(["bash", FOLDER / "gpu.sh"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "not run: no GPU\n")


@pytest.fixture
def two_nodes(tmp_path):
    """An ONNX file of two nodes that no optimizer joins."""
    nodes = [helper.make_node("Sin", ["pixels"], ["waves"]), helper.make_node("Relu", ["waves"], ["terms"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("pixels", "terms")]
    model = helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:]), ir_version=9)
    model.opset_import[0].version = 17
    onnx.save(model, tmp_path / "two.onnx")
    return tmp_path / "two.onnx"


def test_every_node_is_counted_by_the_provider_that_ran_it(tool, two_nodes):
    pixels = np.ones((2, 4), dtype=np.float32)
    check = tool.placed(two_nodes, pixels, "cpu", "two")
    assert check.held
    assert check.found == "2 on CPUExecutionProvider"


@without_gpu()
@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_session_that_fell_back_to_the_cpu_is_found_by_its_nodes(tool, two_nodes):
    check = tool.placed(two_nodes, np.ones((2, 4), dtype=np.float32), "cuda", "two")
    assert not check.held
    assert check.found == "2 on CPUExecutionProvider; CPUExecutionProvider has Relu, Sin"


def test_one_node_on_the_cpu_is_enough_to_be_invalid(tool, two_nodes, tmp_path, monkeypatch):
    ran = {"CUDAExecutionProvider": {"Conv": 52}, "CPUExecutionProvider": {"Cast": 1}}
    monkeypatch.setattr(tool, "nodes", lambda _: ran)
    monkeypatch.setitem(tool.PROVIDERS, "cuda", "CPUExecutionProvider")  # a session can be opened here
    check = tool.placed(two_nodes, np.ones((2, 4), dtype=np.float32), "cuda", "two")
    assert not check.held
    assert "52 on CUDAExecutionProvider; 1 on CPUExecutionProvider" in check.found


def row(tool, **changes):
    values = {"network": "vgg16", "images": 64, "method": "ONNX Runtime fp32", "share": 0.97, "apart": 1e-4}
    return tool.Row(milliseconds=tool.Spread(3, 1.0, 2.0, 3.0, 4.0, 5.0), **values | changes)


def rates(tool, whole, backbone=100.0, reading=200.0):
    return [tool.Rates("vgg16", "torch", whole, backbone, reading)]


def test_valid_needs_every_check_and_invalid_tells_each_that_fails(tool):
    enough, few = rates(tool, 96.0), rates(tool, 90.0)
    assert tool.verdict(tool.checks_of([row(tool)], "cuda", enough)) == "VALID"
    assert tool.verdict(tool.checks_of([row(tool)], "cuda", rates(tool, 48.0, reading=50.0))) == "VALID"
    for changes, device, rate, reason in (
        ({"apart": 0.1}, "cuda", enough, "equal to the CPU within 0.0001: 1.0e-01"),
        ({"apart": float("nan")}, "cuda", enough, "equal to the CPU within 0.0001: nan"),
        ({"share": 0.9}, "cuda", enough, "image to labels over the backbone >= 0.95: 0.900"),
        ({}, "cuda", few, "0.900 (90 images/s; backbone alone 100, reading alone 200)"),
        ({}, "cpu", enough, "the device is a GPU: a dry run on the CPU"),
    ):
        said = tool.verdict(tool.checks_of([row(tool, **changes)], device, rate))
        assert said.startswith("INVALID\n")
        assert said.count("\n") == 1
        assert reason in said


@pytest.mark.parametrize(
    ("counts", "held"),
    [
        ('tests="5" errors="0" failures="0" skipped="0"', True),
        ('tests="5" errors="0" failures="1" skipped="0"', False),
        ('tests="5" errors="0" failures="0" skipped="5"', False),
        ('tests="0" errors="0" failures="0" skipped="0"', False),
    ],
)
def test_tests_that_failed_were_skipped_or_are_none_make_it_invalid(tool, tmp_path, counts, held):
    (tmp_path / "tests.xml").write_text(f"<testsuites><testsuite {counts}/></testsuites>")
    assert tool.tests_passed(tmp_path / "tests.xml").held is held
    assert not tool.tests_passed(tmp_path / "absent.xml").held


def test_the_page_has_a_place_for_the_results(tool):
    page = (FOLDER.parent / "docs" / "performance.md").read_text()
    once = tool.into_page(page, "VALID\n\nrows\n")
    assert f"{tool.BEGIN}\nVALID\n\nrows\n{tool.END}" in once
    assert tool.into_page(once, "VALID\n\nrows\n") == once
    assert once.replace("VALID\n\nrows", "") != page.replace("VALID\n\nrows", "")
    with pytest.raises(ValueError, match="the page lacks"):
        tool.into_page("no marks", "rows")


@pytest.mark.parametrize("name", ["resnet18", "alexnet"])
def test_a_network_ends_in_the_joint_space(tool, name):
    """ResNet-50 ends as the one, VGG16 as the other."""
    with torch.inference_mode():
        assert tool.network(name, 7)(torch.zeros(2, 3, 64, 64)).shape == (2, 7)


def two_layers(_, depth):
    torch.manual_seed(0)
    pooled = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, depth))
    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, stride=2), torch.nn.ReLU(), pooled).eval()


@pytest.mark.slow
def test_a_dry_run_takes_the_whole_way_and_is_invalid(tool, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("bench.system.clock.SECONDS", 0.01)
    monkeypatch.setattr(tool, "network", two_layers)  # torch writes it as ONNX in no time
    page = tmp_path / "page.md"
    page.write_text(f"{tool.BEGIN}\nnot run\n{tool.END}\n")
    assert tool.main(["--dry-run", "--out", str(tmp_path), "--page", str(page)]) == 1
    stored = json.loads((tmp_path / "gpu.json").read_text())
    assert stored["verdict"] == "INVALID"
    failed = {check["what"] for check in stored["checks"] if not check["held"]}
    assert {"the device is a GPU", "the tests marked gpu ran and passed"} <= failed
    assert len(stored["rows"]) == 6
    assert all(check["held"] for check in stored["checks"] if "every node on" in check["what"])
    assert capsys.readouterr().out.strip() == (tmp_path / "gpu.md").read_text().strip()
    assert "not run" in page.read_text()
