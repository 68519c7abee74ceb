"""bench.records.SearchOptions is the one source of a search's words and defaults; the compiled module follows it."""

from dataclasses import fields, replace
from typing import get_args, get_type_hints

import numpy as np
import pytest

from bench.decode import _beam
from bench.records import Activation, SearchOptions

HINTS = get_type_hints(SearchOptions) | {"activation": Activation}
WORDS = {name: get_args(hint) for name, hint in HINTS.items() if get_args(hint)}


def tree_with(activation="identity"):
    return _beam.Tree(np.zeros((3, 2), np.float32), np.zeros(3, np.float32), activation, 1)


def choose(name, word):
    """Make a compiled tree and search with ``word`` for the choice ``name``."""
    if name == "activation":
        tree_with(word)
    else:
        _beam.Search(tree_with(), replace(SearchOptions(), **{name: word}))


def test_the_choices_among_words_are_these():
    assert set(WORDS) == {"search", "stop", "class_score", "activation"}


@pytest.mark.parametrize(("name", "word"), [(name, word) for name, words in WORDS.items() for word in words])
def test_the_kernel_takes_every_word_that_the_types_allow(name, word):
    choose(name, word)


@pytest.mark.parametrize("name", WORDS)
def test_the_kernel_takes_no_other_word_and_lists_those_it_takes(name):
    with pytest.raises(ValueError, match=f"^{name} is 'made-up', must be one of ") as refused:
        choose(name, "made-up")
    listed = str(refused.value).partition(" must be one of ")[2].split(", ")
    assert sorted(listed) == sorted(WORDS[name])


def test_the_kernel_reads_every_option():
    """It has no defaults of its own, so an option that it does not read would change nothing."""
    read = set()

    class Spy:
        def __getattr__(self, name):
            read.add(name)
            return getattr(SearchOptions(), name)

    _beam.Search(tree_with(), Spy())
    assert read == {field.name for field in fields(SearchOptions)} - {"decoder"}  # which says whether it is asked
