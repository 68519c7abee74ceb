"""The stubs of compiled modules name the parameters that those have: stubtest sees none of pybind11's functions."""

import ast
from pathlib import Path

import pytest

from bench.decode import _beam
from bench.model import _update


def functions(module):
    """Yield what a module and its classes are called with, and what the stub says of it."""
    stub = ast.parse((Path(module.__file__).parent / f"{module.__name__.rpartition('.')[2]}.pyi").read_text("utf-8"))
    owners = [(module, stub.body)]
    owners += [
        (getattr(module, cls.name), cls.body)
        for cls in stub.body
        if isinstance(cls, ast.ClassDef) and cls.name[0] != "_"
    ]
    for owner, body in owners:
        for said in body:
            if isinstance(said, ast.FunctionDef) and not said.decorator_list and said.name != "__len__":
                yield getattr(owner, said.name), said


def parameters(function):
    """Return names, kinds and defaults without the types, which pybind11 writes in its own way."""
    arguments = function.args
    for argument in (*arguments.args, *arguments.kwonlyargs):
        argument.annotation = None
    return ast.unparse(arguments)


@pytest.mark.parametrize("module", [_beam, _update], ids=lambda module: module.__name__)
def test_the_stub_has_the_parameters_of_the_module(module):
    found = list(functions(module))
    assert found
    for function, said in found:
        # pybind11 writes the signature into the first line of the docstring.
        signature = function.__doc__.partition("\n")[0]
        (compiled,) = ast.parse(f"def {signature}: ...").body
        assert parameters(said) == parameters(compiled), said.name
