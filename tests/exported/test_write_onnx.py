"""What writing an ONNX file keeps of torch for the next one."""

import sys
from types import SimpleNamespace

import pytest
import torch
from torch.onnx._internal.exporter._registration import ONNXRegistry

from bench.errors import ModelError
from bench.exported.export import LARGEST, export
from bench.onnx.files import write_onnx


def write(path):
    torch.manual_seed(0)
    write_onnx(torch.nn.Linear(3, 2), (torch.zeros(2, 3),), ["values"], ["scores"], path)
    return path.read_bytes()


def test_torchs_table_of_operators_is_made_once_and_anew_with_torchvisions(tmp_path, monkeypatch):
    whole, make, made = write(tmp_path / "whole.onnx"), ONNXRegistry.from_torchlib, []

    def counted(cls, *args, **opset):
        made.append(opset)
        return make(*args, **opset)

    own = classmethod(counted)
    monkeypatch.setattr(ONNXRegistry, "from_torchlib", own)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    assert [write(tmp_path / f"{number}.onnx") for number in range(2)] == [whole, whole]
    assert len(made) == 1
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert write(tmp_path / "with.onnx") == whole
    assert len(made) == 2
    assert vars(ONNXRegistry)["from_torchlib"] is own


def test_a_torch_without_that_private_table_makes_its_own_for_each_file(tmp_path, monkeypatch):
    make, made = ONNXRegistry.from_torchlib, []

    def counted(cls, *args, **opset):
        made.append(opset)
        return make(*args, **opset)

    monkeypatch.setattr(ONNXRegistry, "from_torchlib", classmethod(counted))
    monkeypatch.setitem(sys.modules, ONNXRegistry.__module__, None)
    assert write(tmp_path / "first.onnx") == write(tmp_path / "second.onnx")
    assert len(made) == 2


def test_what_is_printed_while_torch_exports_is_no_part_of_a_commands_output(tmp_path, monkeypatch, capsys):
    export = torch.onnx.export

    def told(*args, **options):
        print("Applied 2 of general pattern rewrite rules.")
        return export(*args, **options)

    monkeypatch.setattr(torch.onnx, "export", told)
    write(tmp_path / "told.onnx")
    assert capsys.readouterr() == ("", "")


def test_weights_beyond_what_an_onnx_file_holds_are_refused_before_they_are_exported(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.onnx, "export", None)
    with torch.device("meta"):
        model = torch.nn.Linear(2**15, LARGEST // 4 // 2**15)
    with pytest.raises(ModelError, match=r"its weights are 2,147,549,184 bytes, an ONNX file holds fewer than"):
        export(torch.nn.Identity(), model, SimpleNamespace(kind="scores"), tmp_path, shape=(2**15,))
