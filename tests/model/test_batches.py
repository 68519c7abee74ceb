import inspect

import numpy as np
import pytest
import torch
from example_models import as_features, batch, make

from bench.contracts import TRAINING_OPTIONS
from bench.model import batches, networks, train
from bench.options import resolve
from bench.system.threads import torch_threads


def trained(model, epochs=3, **given):
    values, truth = batch(60)
    options = resolve(TRAINING_OPTIONS, {"epochs": epochs, "batch_size": 16} | given, "training")
    train.fit(model, options, as_features(values), truth, lambda model: 0.0, name="toy", seed=0)
    return train.save_weights(model)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("mapped", [False, True])
def test_features_laid_out_once_and_features_read_by_batch_are_the_same_batches(tmp_path, monkeypatch, dtype, mapped):
    values, truth = batch(40)
    values = values.astype(dtype)
    if mapped:
        np.save(tmp_path / "values.npy", values)
        values = np.load(tmp_path / "values.npy", mmap_mode="r")
    ignore = ~truth
    rows = torch.tensor([7, 0, 39, 7])
    device = torch.device("cpu")
    once = batches.Batches(values, truth, ignore, device).take(rows)
    monkeypatch.setattr(batches, "IN_MEMORY", 0)
    by_batch = batches.Batches(values, truth, ignore, device).take(rows)
    wanted = (values[rows.numpy()].astype(np.float32), truth[rows.numpy()], ignore[rows.numpy()])
    for one, other, plain in zip(once, by_batch, wanted, strict=True):
        assert torch.equal(one, other)
        assert np.array_equal(one.numpy(), plain)


@pytest.mark.parametrize("at_once", [0, 400, 2**24])
def test_batches_in_order_are_those_of_their_rows_whatever_is_put_in_order_at_once(monkeypatch, at_once):
    values, truth = batch(40)
    order = torch.randperm(len(values), generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(batches, "AT_ONCE", at_once)
    for ignore in (None, ~truth):
        made = batches.Batches(values, truth, ignore, torch.device("cpu"))
        found = list(made.in_order(order, 7))
        wanted = [made.take(rows) for rows in torch.split(order, 7)]
        assert len(found) == len(wanted) == 6
        for one, other in zip(found, wanted, strict=True):
            assert all((a is b is None) or torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_batches_share_no_memory_with_the_features_and_truth_that_they_were_made_of():
    values, truth = batch(8)
    made = batches.Batches(values, truth, None, torch.device("cpu"))
    before = [part.clone() for part in made.take(torch.arange(8))[:2]]
    values += 1.0
    truth[:] = ~truth
    assert all(torch.equal(*pair) for pair in zip(before, made.take(torch.arange(8))[:2], strict=True))


@pytest.mark.parametrize("name", ["bce", "cnn-rnn"])
def test_a_small_model_is_trained_to_the_same_bits_whatever_number_of_threads_torch_has(threads, name):
    threads(1)
    # Both are built here: orthogonal initial weights, which LAPACK makes, may depend on the threads.
    first, second = make(name), make(name)
    one = trained(first)
    threads(4)
    assert trained(second) == one


@pytest.mark.parametrize(("most", "wanted"), [(0, 3), (10**9, 1)])
def test_threads_go_by_the_number_of_parameters_and_are_put_back(threads, monkeypatch, most, wanted):
    threads(3)
    monkeypatch.setattr(networks, "ONE_THREAD", most)
    model, seen = make("bce"), []
    loss = model.loss
    model.loss = lambda *parts: (seen.append(torch.get_num_threads()), loss(*parts))[1]
    trained(model)
    assert set(seen) == {wanted}
    assert torch.get_num_threads() == 3


def test_threads_are_put_back_after_an_error(threads):
    threads(3)
    with pytest.raises(ValueError, match="inside"), torch_threads(1):
        raise ValueError("inside")
    assert torch.get_num_threads() == 3


def test_the_signature_of_a_loss_is_read_once_a_training_and_not_once_a_batch(monkeypatch):
    calls = []
    read = inspect.signature
    monkeypatch.setattr(inspect, "signature", lambda method: (calls.append(method), read(method))[1])

    def count(epochs):
        calls.clear()
        trained(make("bce"), epochs)
        return len(calls)

    assert count(1) == count(5)
