"""Masks in packed bits, and metrics in blocks: the same numbers in less memory."""

import importlib
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench import DataError, Scores
from bench.contracts import Protocol
from bench.evaluation import metrics, protocols
from bench.evaluation.bits import BitMatrix, count, row_blocks
from bench.evaluation.measure import measure
from bench.evaluation.metrics import Counts

KINDS = ("11_point", "all_point", "non_interpolated")
TIES = st.sampled_from([-np.inf, 0.0, 0.25, 0.5, 0.75, 1.0])


def packed(mask):
    return BitMatrix(np.packbits(mask, axis=1), mask.shape[1])


@contextmanager
def blocks_of(entries, labels, tile, block_bytes=2**20):
    turning = importlib.import_module("bench.evaluation.metrics.average_precision")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.evaluation.bits.BLOCK_ENTRIES", entries)
        patch.setattr(turning, "BLOCK_LABELS", labels)
        patch.setattr(turning, "TILE", tile)
        patch.setattr(turning, "BLOCK_BYTES", block_bytes)
        yield


@st.composite
def cases(draw):
    shape = (draw(st.integers(1, 14)), draw(st.integers(1, 19)))
    truth, predicted, ignore = (draw(arrays(np.bool_, shape)) for _ in range(3))
    return truth, predicted, draw(arrays(np.float32, shape, elements=TIES)), ignore & ~truth


def every_metric(truth, predicted, scores, ignore, k):
    found = {
        "class_counts": metrics.class_counts(truth, predicted, ignore),
        "image_counts": metrics.image_counts(truth, predicted, ignore),
        "map_at_k_image": metrics.map_at_k_image(truth, scores, k, ignore),
        "map_at_k_class": metrics.map_at_k_class(truth, scores, k, ignore),
        "top_k": metrics.top_k(scores, k),
        "packed_top_k": metrics.packed_top_k(scores, k)[:],
        "ranked": metrics.ranked(scores, k),
    }
    return found | metrics.average_precisions(truth, scores, KINDS, ignore)


def values(result):
    counts = isinstance(result, Counts)
    return np.stack([result.true_positives, result.predicted, result.positives]) if counts else result


@given(
    arrays(np.bool_, st.tuples(st.integers(0, 9), st.integers(1, 20))),
    *[st.tuples(st.integers(-25, 25) | st.none(), st.integers(-25, 25) | st.none())] * 2,
)
@example(np.ones((2, 20), dtype=np.bool_), (None, None), (9, 3))
@example(np.ones((2, 20), dtype=np.bool_), (1, None), (9, 17))
def test_a_part_of_packed_bits_is_that_part_of_the_mask(mask, rows, columns):
    rows, columns = slice(*rows), slice(*columns)
    bits = packed(mask)
    assert bits.shape == mask.shape
    assert count(bits) == count(mask) == mask.sum()
    np.testing.assert_array_equal(bits[rows], mask[rows])
    np.testing.assert_array_equal(bits[rows, columns], mask[rows, columns])
    blocks = (mask[block] for block in row_blocks(*mask.shape))
    np.testing.assert_array_equal(BitMatrix.pack(blocks, mask.shape[1])[:], mask)


@pytest.mark.parametrize("bits", [np.zeros((2, 1), np.uint8), np.zeros((2, 2), np.int64), np.zeros(2, np.uint8)])
def test_bits_of_another_shape_are_refused(bits):
    with pytest.raises(DataError, match=r"must be uint8 \(images, 2\) for 9 labels"):
        BitMatrix(bits, 9)


@settings(max_examples=60)
@given(
    cases(),
    st.integers(1, 12),
    st.booleans(),
    st.tuples(st.integers(1, 40), st.integers(1, 9), st.integers(1, 5), st.sampled_from([1, 40, 2**20])),
)
def test_no_size_of_block_and_no_packing_changes_a_bit_of_any_metric(case, k, with_ignore, sizes):
    truth, predicted, scores, ignore = case
    mask = ignore if with_ignore else None
    whole = every_metric(truth, predicted, scores, mask, k)
    with blocks_of(*sizes):
        dense = every_metric(truth, predicted, scores, mask, k)
        bits = every_metric(packed(truth), packed(predicted), scores, packed(ignore) if with_ignore else None, k)
    for name, expected in whole.items():
        np.testing.assert_array_equal(values(dense[name]), values(expected), err_msg=name)
        np.testing.assert_array_equal(values(bits[name]), values(expected), err_msg=name)


@settings(max_examples=30)
@given(cases(), st.sampled_from(["topk_exact", "topk_threshold"]))
def test_a_protocol_measures_packed_masks_as_bool_ones(case, selection):
    truth, predicted, values_, ignore = case
    labels = tuple(map(str, range(truth.shape[1])))
    scores = Scores(tuple(map(str, range(len(truth)))), values_, "probability")
    protocol = Protocol(name="t@1", summary="", k=min(2, len(labels)), selection=selection)
    for chosen in (predicted, None):
        whole = measure(protocol, labels, truth, ignore, chosen, scores)
        with blocks_of(7, 2, 3):
            bits = measure(
                protocol, labels, packed(truth), packed(ignore), None if chosen is None else packed(chosen), scores
            )
        np.testing.assert_equal(bits.values, whole.values)
        np.testing.assert_equal(bits.per_class, whole.per_class)
        assert bits.notes == whole.notes


def test_memory_mapped_scores_are_measured_in_a_fraction_of_their_size(tmp_path):
    images, labels, k = 20_000, 200, 3
    rng = np.random.default_rng(0)
    np.save(tmp_path / "scores.npy", rng.random((images, labels), dtype=np.float32))
    scores = Scores(tuple(map(str, range(images))), np.load(tmp_path / "scores.npy", mmap_mode="r"), "probability")
    truth = packed(rng.random((images, labels)) < 0.02)
    predicted = metrics.packed_top_k(scores.values, k)
    names = tuple(map(str, range(labels)))
    with blocks_of(2**14, 128, 256, block_bytes=2**20):
        tracemalloc.start()
        measure(protocols.get(f"top{k}@1"), names, truth, None, predicted, scores)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # The ten best labels of each image (27 bytes each) and one block of 1 MiB; the scores have 16 MB.
    assert peak < images * 10 * 27 + 2**21
    assert peak < scores.values.nbytes / 2


def test_scores_are_checked_for_nan_without_a_mask_of_them_all():
    values_ = np.zeros((1000, 2000), dtype=np.float32)
    ids = tuple(map(str, range(1000)))
    tracemalloc.start()
    Scores(ids, values_, "logit")
    assert tracemalloc.get_traced_memory()[1] < values_.size / 10
    tracemalloc.stop()
    for place in ((0, 0), (499, 1234), (999, 1999)):
        broken = values_.copy()
        broken[place] = np.nan
        with pytest.raises(DataError, match="scores hold NaN"):
            Scores(ids, broken, "logit")
