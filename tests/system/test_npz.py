import io
import sys

import numpy as np
import pytest

from bench.system.npz import load_npz, save_npz


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_holds_the_arrays_that_it_was_given_and_no_other(compressed):
    arrays = {"/a b": np.arange(3), "names": np.array(["x", "yz"])}
    save_npz(buffer := io.BytesIO(), arrays, compressed=compressed)
    found = load_npz(buffer.getvalue())
    assert found.keys() == arrays.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(found[name], values)


def test_objects_are_refused_and_not_pickled():
    with pytest.raises(ValueError, match="names holds objects"):
        save_npz(io.BytesIO(), {"names": np.array([{}], dtype=object)})


@pytest.mark.parametrize("order", ["<", ">"])
def test_texts_that_are_none_are_refused(order):
    texts = np.array(["ab", "cd"], f"{order}U2")
    save_npz(file := io.BytesIO(), {"ids": texts})
    assert load_npz(file.getvalue())["ids"].tolist() == ["ab", "cd"]
    texts.view(f"{order}u4")[3] = sys.maxunicode + 1
    save_npz(file := io.BytesIO(), {"ids": texts})
    with pytest.raises(ValueError, match="an array of texts that are none"):
        load_npz(file.getvalue())
