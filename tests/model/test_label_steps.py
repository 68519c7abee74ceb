"""The steps of true sequences: each label in the data set's order, then END, and nothing counts after it."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from bench import label_steps


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=5))
def test_each_image_emits_its_labels_in_order_then_end_once(rows):
    truth = torch.tensor(rows)
    steps = [(previous.tolist(), wanted.tolist(), going.tolist()) for previous, wanted, going in label_steps(truth)]
    for image, row in enumerate(rows):
        sequence = [label for label in range(3) if row[label]]
        counted = [(previous[image], wanted[image]) for previous, wanted, going in steps if going[image]]
        assert counted == list(zip([4, *sequence], [*sequence, 3], strict=True))
    assert torch.equal(truth, torch.tensor(rows))
