"""What a plugin's functions were made with, as texts in the hash of its code: alike in every process."""

import functools
import operator
import sys
from argparse import Namespace
from collections import deque
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
import torch

from bench import ModelSpec, code
from bench.code import plugin_code
from bench.plugins import Found, Origin


def found(build):
    return Found(ModelSpec("mine", "One line", "scores", build), Origin("mine", "1.0", "mine"))


class Builder:
    """A ``build`` that is an object."""

    def __init__(self, width):
        self.width = width

    def __call__(self, request):
        return self.width

    def build(self, request):
        return self.width


def closed_over(width):
    def build(request):
        return width

    return build


def of_objects(width):
    """Return a ``build`` that a description of layers is closed over, as one that a package's ``__init__`` writes."""
    return closed_over({"layers": [SimpleNamespace(kind=Builder, width=width)], "names": {"a", "b"}})


def by_default(width):
    def build(request, width=width, *, wide=width):
        return width, wide

    return build


class Private:
    """A ``build`` whose value has a name of its class's own."""

    __slots__ = ("__width",)

    def __init__(self, width):
        self.__width = width

    def __call__(self, request):
        return self.__width


def halves(width):
    """Return one of two functions that are called alike."""
    if width > 0.5:

        def half(x): ...
    else:

        def half(x): ...

    return half


def of_two(one, other):
    def build(request):
        return one, other

    return build


def swapped(width, one=1, other=2):
    return (one, other) if width > 0.5 else (other, one)


MADE_WITH = {
    "which of two": lambda width: functools.partial(closed_over, *swapped(width)),
    "which of two, in a closure": lambda width: of_two(*swapped(width)),
    "which of two functions": lambda width: functools.partial(closed_over, *swapped(width, torch.relu, torch.tanh)),
    "whose": lambda width: of_two(*map(closed_over, swapped(width))),
    "one of two lambdas": lambda width: closed_over([lambda x: x + 1, lambda x: x - 1][width > 0.5]),
    "one of two local functions": lambda width: closed_over(halves(width)),
    "kind of key": lambda width: closed_over({1 if width > 0.5 else "1": 0}),
    "private": Private,
    "getter": lambda width: closed_over(operator.attrgetter(f"width{width}")),
    "generator": lambda width: closed_over(np.random.default_rng(int(width * 10))),
    "complex": lambda width: closed_over(torch.tensor([width * 1j])),
    "text": lambda width: closed_over(f"relu{width}"),
    "path": lambda width: functools.partial(closed_over, Path(f"widths-{width}.csv")),
    "function": lambda width: functools.partial(closed_over, torch.relu if width > 0.5 else torch.tanh),
    "class": lambda width: closed_over({"layer": torch.nn.GELU if width > 0.5 else torch.nn.ReLU}),
    "itself": lambda width: Builder.build if width > 0.5 else closed_over,
    "range": lambda width: closed_over(range(int(width * 10))),
    "type of numbers": lambda width: closed_over(torch.float16 if width > 0.5 else torch.float32),
    "queue": lambda width: closed_over(deque([width])),
    "partial": lambda width: functools.partial(closed_over, width),
    "keyword": lambda width: functools.partial(closed_over, width=width),
    "container": lambda width: functools.partial(closed_over, {"widths": [width]}),
    "closure": closed_over,
    "object": Builder,
    "method": lambda width: Builder(width).build,
    "objects": of_objects,
    "object of objects": lambda width: Builder(Builder(width)),
    "default": by_default,
    "array": lambda width: functools.partial(closed_over, np.array([[width]])),
    "objects of a long array": lambda width: closed_over(np.array([*range(600), width, *range(600)], dtype=object)),
    "table": lambda width: closed_over(pandas.DataFrame({"width": [width]})),
    "tensor": lambda width: closed_over([torch.tensor([width, width], requires_grad=True)]),
}


def test_what_an_object_keeps_as_it_works_is_no_edit():
    build = Builder(0.5)
    before = plugin_code(found(build))
    build.table = [1, 2]
    assert plugin_code(found(build)) == before


@pytest.mark.parametrize("make", [functools.partial(functools.partial, closed_over), closed_over])
def test_what_a_function_was_given_counts_as_it_is_where_a_key_is_made(make):
    """A notebook may change it in place; what is changed as a run goes on is no edit."""
    build = make(given := {"width": 8})
    before = plugin_code(found(build), anew=True)
    given["width"] = 16
    assert plugin_code(found(build)) == before
    assert plugin_code(found(build), anew=True) == plugin_code(found(make({"width": 16}))) != before


@pytest.mark.parametrize("way", ["by its folder", "by a link", "from its folder", "by an editable install"])
def test_where_a_checkout_lies_is_no_part_of_what_a_build_is_made_with(tmp_path, monkeypatch, way):
    hashes = set()
    for place in (tmp_path / "one", tmp_path / "two"):
        (package := place / "mine").mkdir(parents=True)
        (link := tmp_path / f"to-{place.name}").symlink_to(place)
        listed = {"by its folder": [str(place)], "by a link": [str(link)], "from its folder": [""]}.get(way, [])
        monkeypatch.setattr(sys, "path", [*filter(None, sys.path), *listed])
        monkeypatch.chdir(place if way == "from its folder" else tmp_path)
        monkeypatch.setitem(sys.modules, "mine", SimpleNamespace(__path__=[str(package)], __spec__=None))
        if way != "by an editable install":
            monkeypatch.delitem(sys.modules, "mine")
        hashes |= {plugin_code(found(closed_over(made(package / "prior.csv")))) for made in (str, Path)}
    assert len(hashes) == 1


@pytest.mark.parametrize("hold", [deque, lambda values: Namespace(a=values[0])])
def test_a_set_in_any_container_counts_in_one_order(hold):
    """Its own order is another one in each process, and here after other insertions."""
    assert [*(one := {0, 8})] != [*(other := {8, 0})]
    assert plugin_code(found(closed_over(hold([one])))) == plugin_code(found(closed_over(hold([other]))))


@pytest.mark.parametrize("way", MADE_WITH)
def test_a_number_that_a_build_is_made_with_counts_wherever_it_is_written(way):
    make = MADE_WITH[way]
    assert plugin_code(found(make(0.5))) == plugin_code(found(make(0.5)))
    assert plugin_code(found(make(0.5))) != plugin_code(found(make(0.9)))


def test_of_a_library_that_a_build_is_made_with_no_source_is_read():
    made = code._made_of(functools.partial(closed_over, {"layer": torch.nn.GELU, "squash": torch.relu}), anew=True)
    assert not [module for module in made.modules if module.partition(".")[0] == "torch"]
