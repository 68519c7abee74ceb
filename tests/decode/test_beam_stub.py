"""The compiled module's stub names the parameters that the module has: stubtest sees none of pybind11's functions."""

import ast
from pathlib import Path

import pytest

from bench import decode

STUB = ast.parse((Path(decode.__file__).parent / "_beam.pyi").read_text(encoding="utf-8"))
METHODS = [
    (cls.name, method)
    for cls in STUB.body
    if isinstance(cls, ast.ClassDef)
    for method in cls.body
    if isinstance(method, ast.FunctionDef) and not method.decorator_list and method.name != "__len__"
]


def parameters(function):
    """Return names, kinds and defaults without the types, which pybind11 writes in its own way."""
    arguments = function.args
    for argument in (*arguments.args, *arguments.kwonlyargs):
        argument.annotation = None
    return ast.unparse(arguments)


@pytest.mark.parametrize(("cls", "stub"), METHODS, ids=lambda value: getattr(value, "name", value))
def test_the_stub_has_the_parameters_of_the_module(cls, stub):
    # pybind11 writes the signature into the first line of the docstring.
    signature = getattr(getattr(decode._beam, cls), stub.name).__doc__.partition("\n")[0]
    (compiled,) = ast.parse(f"def {signature}: ...").body
    assert parameters(stub) == parameters(compiled)
