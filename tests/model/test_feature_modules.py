"""Features of modules that keep or reuse memory as they work."""

import dataclasses
import threading
import time

import numpy as np
import pytest
import torch
from example_splits import make_backbone, split_of

from bench.data.fingerprint import fingerprint
from bench.model.features import extract


class Keeping(torch.nn.Module):
    """Keeps its input while it works, where another thread would put its own; may hold what cannot be copied."""

    def __init__(self, inner, held=None):
        super().__init__()
        self.inner, self.held, self.kept = inner, held, None

    def forward(self, pixels):
        self.kept = pixels
        time.sleep(0.001)
        return self.inner(self.kept)


@pytest.mark.parametrize("held", [None, threading.Lock()], ids=["copied", "not to be copied"])
def test_a_module_that_keeps_something_while_it_works_is_not_shared_by_threads(held, tmp_path):
    split, backbone = split_of(60), make_backbone()
    wanted = extract(split, fingerprint(split), backbone, tmp_path / "wanted", batch_size=4)
    keeping = dataclasses.replace(backbone, module=Keeping(backbone.module, held))
    found = extract(split, fingerprint(split), keeping, tmp_path / "found", batch_size=4)
    np.testing.assert_array_equal(found.values, wanted.values)


class Reusing(torch.nn.Module):
    """Gives the same memory for every batch, written anew."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.memory = inner, None

    def forward(self, pixels):
        found = self.inner(pixels)
        self.memory = torch.empty_like(found) if self.memory is None else self.memory
        return self.memory.copy_(found)


def test_a_module_that_gives_the_same_memory_again_has_the_features_of_each_batch(tmp_path):
    split, plain = split_of(40), make_backbone()
    reusing = dataclasses.replace(plain, module=Reusing(plain.module))
    found = [
        extract(split, fingerprint(split), one, tmp_path / name, batch_size=4).values
        for name, one in (("plain", plain), ("reusing", reusing))
    ]
    np.testing.assert_array_equal(*found)
