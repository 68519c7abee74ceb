"""What every model makes of pairs that are neither positive nor negative, such as VOC's difficult objects."""

import numpy as np
import pytest
import torch
from example_models import as_features, batch, make

from bench import plugins
from bench.model import train
from bench.options import resolve
from bench.plan import training_options

LOSSES = ("bce", "softmax", "warp", "joint-embedding", "asymmetric-loss", "i-ft", "cnn-rnn", "no-rnn")


def masked(images=40):
    """Features, truth and an ignore mask that holds a whole image and, beside it, one pair in four."""
    values, truth = batch(images)
    ignore = np.random.default_rng(5).random(truth.shape) < 0.25
    ignore[3] = True
    return values, truth, ignore


def loss_and_gradients(model, values, truth, ignore):
    torch.manual_seed(0)
    given = [torch.from_numpy(array) for array in (values, truth)]
    mask = {} if ignore is None else {"ignore": torch.from_numpy(ignore)}
    model.zero_grad()
    loss = model.loss(*given, torch.Generator().manual_seed(1), **mask)
    loss.backward()
    return loss.item(), [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("name", LOSSES)
def test_whatever_truth_has_at_an_ignored_pair_changes_no_loss_and_no_gradient(name):
    values, truth, ignore = masked()
    model = make(name, dropout="0")
    seen = [loss_and_gradients(model, values, changed, ignore) for changed in (truth & ~ignore, truth | ignore)]
    assert seen[0][0] == seen[1][0]
    for one, other in zip(seen[0][1], seen[1][1], strict=True):
        assert torch.equal(one, other)
        assert one.isfinite().all()
    assert seen[0][0] != loss_and_gradients(model, values, truth & ~ignore, None)[0]


@pytest.mark.parametrize("name", LOSSES)
def test_a_mask_without_pairs_is_no_mask_to_the_bit(name):
    values, truth = batch(40)
    model = make(name, dropout="0")
    seen = [loss_and_gradients(model, values, truth, mask) for mask in (None, np.zeros_like(truth))]
    assert seen[0][0] == seen[1][0]
    for one, other in zip(seen[0][1], seen[1][1], strict=True):
        assert torch.equal(one, other)


def objective(name, logits, truth, ignore=None, seed=0):
    model = make(name, counts=(1,) * logits.shape[1])
    generator = torch.Generator().manual_seed(seed)
    return model.objective(torch.from_numpy(logits), torch.from_numpy(truth), generator, ignore)


@pytest.mark.parametrize("name", ["bce", "softmax"])
def test_a_label_that_is_ignored_everywhere_is_as_if_it_were_no_label(name):
    logits = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    truth = batch(9, labels=5)[1]
    ignore = torch.zeros(9, 5, dtype=torch.bool)
    ignore[:, 2] = True
    kept = [0, 1, 3, 4]
    expected = objective(name, np.ascontiguousarray(logits[:, kept]), np.ascontiguousarray(truth[:, kept]))
    torch.testing.assert_close(objective(name, logits, truth, ignore), expected)


def test_warp_neither_ranks_an_ignored_label_nor_counts_it():
    # Every other label violates, so the first draw finds one: rank = others / 1, of two that are not ignored.
    logits = np.array([[0.0, 5.0, 5.0, 90.0]], dtype=np.float32)
    truth = np.array([[True, False, False, False]])
    ignore = torch.tensor([[False, False, False, True]])
    assert objective("warp", logits, truth, ignore).item() == pytest.approx((1 + 1 / 2) * (1 - 0 + 5))


def test_a_sequence_neither_names_an_ignored_label_nor_normalises_over_it():
    model = make("no-rnn", dropout="0", normalize="none").double()
    values = batch(1)[0].astype(np.float64)
    truth, ignore = np.array([[True, True, False, True]]), np.array([[False, True, False, False]])
    end, expected = 4, []
    order = [label for label in model.label_order.tolist() if truth[0, label] and not ignore[0, label]]
    with torch.no_grad():
        state, before = model.start_states(torch.from_numpy(values)), end + 1
        for target in (*order, end):
            term, state = model.step(torch.tensor([before]), state)
            logits = ((term + model.image_term(torch.from_numpy(values))) @ model.output_embedding()[0].T)[0]
            logits[:end][torch.from_numpy(ignore[0])] = -np.inf
            expected.append(-logits.log_softmax(dim=0)[target].item())
            before = target
    found, _ = loss_and_gradients(model, values, truth, ignore)
    assert found == pytest.approx(np.mean(expected))


def fitted(name, values, truth, ignore):
    model = make(name)
    options = resolve(training_options(plugins.installed().model(name).spec), {}, name)
    if "epochs" in options:
        options |= {"epochs": 2}
    train.fit(model, options, as_features(values), truth, lambda _: 0.0, name=name, seed=0, ignore=ignore)
    return model


def test_a_support_vector_machine_is_solved_without_the_ignored_images():
    values, truth, ignore = masked()
    ignore[:, 1] = True
    model = fitted("svm", values, truth, ignore)
    scores = model(torch.from_numpy(values)).numpy()
    np.testing.assert_array_equal(scores[:, 1], -1.0)  # no image says anything of it
    for label in (0, 2, 3):
        kept = ~ignore[:, label]
        alone = fitted("svm", np.ascontiguousarray(values[kept]), np.ascontiguousarray(truth[kept]), None)
        np.testing.assert_allclose(alone(torch.from_numpy(values)).numpy()[:, label], scores[:, label], atol=1e-6)


def test_neighbours_do_not_vote_on_what_is_ignored_of_them():
    model = make("knn", dimensions=2, counts=(1, 1), neighbours="3")
    values = np.array([[1, 0], [2, 0], [3, 0]], dtype=np.float32)
    truth = np.array([[True, False], [True, False], [False, True]])
    model.fit(values, truth, np.array([[False, True], [False, True], [True, True]]))
    torch.testing.assert_close(model(torch.tensor([[5.0, 0.0]])), torch.tensor([[1.0, 0.0]]))
    restored = make("knn", dimensions=2, counts=(1, 1), neighbours="3")
    train.load_weights(restored, train.save_weights(model))
    assert torch.equal(restored(torch.tensor([[5.0, 0.0]])), model(torch.tensor([[5.0, 0.0]])))
