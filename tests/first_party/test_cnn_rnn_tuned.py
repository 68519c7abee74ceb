"""What the strongest cnn-rnn has beyond the paper's, each part on data made to need it."""

import numpy as np
import pytest
import torch
from bench_models.cnn_rnn_tuned import SPEC
from example_commands import FAST, bench, write_corel
from example_exports import run_of, run_options
from example_models import as_features, batch, make

from bench import ModelRequest, SearchOptions
from bench.evaluation import protocols
from bench.model import train
from bench.model.predict import predict
from bench.options import resolve
from bench.plan import search_options, training_options
from bench.plugins import MODELS, installed
from bench.store.validate import validate

PROTOCOL = protocols.get("top2@1")


def learnt(name, values, truth, **options):
    """The model called ``name``, trained a fixed number of epochs, and how it searches."""
    spec = installed().model(name).spec
    given = {
        "epochs": "30",
        "batch_size": "32",
        "learning_rates": "3e-3",
        "dropout": "0",
        **{key: str(v) for key, v in options.items()},
    }

    def of(table):
        names = {option.name for option in table}
        return resolve(table, {key: value for key, value in given.items() if key in names}, name)

    shape = values.shape[1:] if values.ndim == 4 else None
    counts, labels = tuple(truth.sum(axis=0).tolist()), tuple(map(str, range(truth.shape[1])))
    model = spec.build(ModelRequest(of(spec.options), values.shape[1], labels, counts, 0, shape))
    training, epochs = of(training_options(spec)), int(given["epochs"])
    schedule = [float(given["learning_rates"])] * epochs
    train.fit(model, training, as_features(values), truth, train.unjudged, name=name, seed=0, schedule=schedule)
    return model, SearchOptions(**protocols.searched(PROTOCOL, of(search_options(spec))))


def decoded(name, train_part, values, **options):
    model, search = learnt(name, *train_part, **options)
    return predict(model, as_features(values), PROTOCOL, search)


def pairs(images, seed):
    """Nothing of the image says which pair of labels it has, 0 and 1 or 2 and 3."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((images, 4), dtype=np.bool_)
    second = rng.random(images) < 0.5
    truth[second, 2:], truth[~second, :2] = True, True
    return rng.normal(size=(images, 3)).astype(np.float32), truth


def test_labels_that_are_emitted_together_go_together_and_without_a_memory_they_do_not():
    part, (values, _) = pairs(256, 0), pairs(64, 1)
    small = {"hidden": 16, "embedding": 16, "image_hidden": 0}

    def coherent(**more):
        found = np.asarray(decoded("cnn-rnn-tuned", part, values, **small, **more).predicted[:])
        return (found == [1, 1, 0, 0]).all(axis=1) | (found == [0, 0, 1, 1]).all(axis=1)

    assert coherent().mean() > 0.95
    assert coherent(cell="none").mean() < 0.7


def test_a_hidden_layer_sees_what_no_matrix_does():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(256, 2)).astype(np.float32)
    alike = values[:, 0] * values[:, 1] > 0
    truth = np.stack([alike, ~alike], axis=1)
    few = {"epochs": 15, "learning_rates": 1e-2}
    right = [
        (np.asarray(decoded("cnn-rnn-tuned", (values, truth), values, hidden=8, embedding=8, image_hidden=units, **few)
         .scores.values).argmax(axis=1) == ~alike).mean()
        for units in (32, 0)
    ]  # fmt: skip
    assert right[0] > 0.9
    assert right[1] < 0.7


@pytest.mark.parametrize("units", ["0", "8"])
def test_a_labels_own_logit_is_of_the_image_alone_and_has_no_bound_by_the_embedding(units):
    model = make("cnn-rnn", embedding="2", image_hidden=units, own_logits="true", dropout="0").eval()
    values = torch.from_numpy(batch(20)[0])
    term, _ = model.step(torch.tensor([model.start]), model.start_states(values))
    logits = (term + model.image_term(values)) @ model.output_embedding()[0].T
    assert torch.linalg.matrix_rank(logits - logits.mean(dim=0)) == 5  # with 2 dimensions alone it is 2
    assert not term[:, 2:].any()


def test_places_find_an_object_that_the_mean_over_places_drowns():
    rng = np.random.default_rng(0)
    patterns = rng.normal(size=(4, 8))
    truth = rng.random((400, 4)) < 0.4
    truth[np.arange(400), rng.integers(4, size=400)] = True
    maps = rng.normal(size=(400, 8, 36))
    for image, row in enumerate(truth):
        for place, label in zip(rng.permutation(36), row.nonzero()[0], strict=False):
            maps[image, :, place] = 3.0 * patterns[label]
    maps = maps.reshape(400, 8, 6, 6).astype(np.float16)
    means = maps.astype(np.float32).mean(axis=(2, 3))
    small = {"hidden": 16, "embedding": 16, "epochs": 12, "learning_rates": 1e-2}

    def f1(name, values, **more):
        found = decoded(name, (values[:300], truth[:300]), values[300:], **small, **more).predicted[:]
        return 2 * (found & truth[300:]).sum() / (found.sum() + truth[300:].sum())

    assert f1("cnn-rnn-places", maps, image_hidden=16) > f1("cnn-rnn-tuned", means, image_hidden=16) + 0.1


@pytest.mark.parametrize("unrepeated", [False, True])
@pytest.mark.parametrize("ignored", [False, True])
def test_the_loss_of_a_free_order_is_the_probability_of_any_label_still_to_come(ignored, unrepeated):
    model = make("cnn-rnn", order="free", unrepeated=str(unrepeated).lower(), dropout="0").double().eval()
    values, truth = batch(20)
    truth[0] = False
    ignore = torch.from_numpy(np.random.default_rng(3).random(truth.shape) < 0.2) if ignored else None
    features = torch.from_numpy(values).double()
    order = torch.randperm(4, generator=torch.Generator().manual_seed(5)).tolist()
    output, _ = model.output_embedding()
    costs = []
    for image in range(20):
        out = [label for label in range(4) if ignore is not None and ignore[image, label]]
        left = [label for label in order if truth[image, label] and label not in out]
        states, previous = model.start_states(features), model.start
        for step in range(len(left) + 1):
            term, states = model.step(torch.tensor([previous]), states)
            logits = ((term + model.image_term(features[image : image + 1])) @ output.T)[0]
            logits[out + left[: step if unrepeated else 0]] = -np.inf
            costs.append(-logits.softmax(dim=0)[left[step:] or [model.end]].sum().log())
            previous = left[step] if step < len(left) else None
    found = model.loss(features, torch.from_numpy(truth), torch.Generator().manual_seed(5), ignore)
    torch.testing.assert_close(found, torch.stack(costs).mean())


def test_members_answer_with_the_mean_of_their_logits_and_learn_as_each_would():
    small = {"image_hidden": "8", "hidden": "8", "embedding": "8", "dropout": "0", "own_logits": "true"}
    together, alone = (make("cnn-rnn-tuned", members=count, **small).eval() for count in ("2", "1"))
    members = list(together.members)
    torch.testing.assert_close(members[0].state_dict(), alone.state_dict())
    features, truth = map(torch.from_numpy, batch(20))

    def logits(model):
        states, found = model.start_states(features), []
        for label in (alone.start, 1, 2):
            term, states = model.step(torch.tensor([label]), states)
            found.append((term + model.image_term(features)) @ model.output_embedding()[0].T)
        return torch.stack(found)

    def loss(model):
        return model.loss(features, truth, torch.Generator().manual_seed(5))

    torch.testing.assert_close(logits(together), (logits(members[0]) + logits(members[1])) / 2)
    torch.testing.assert_close(loss(together), loss(members[0]) + loss(members[1]))
    assert not torch.equal(loss(members[0]), loss(members[1]))


@pytest.mark.parametrize(("name", "members"), [("cnn-rnn-tuned", 2), ("cnn-rnn-places", 1)])
def test_its_files_say_what_its_run_has_stored(name, members, tmp_path):
    write_corel(tmp_path / "corel")
    small = ("--set", "image_hidden=16", "--set", "hidden=16", "--set", "embedding=16")
    small += ("--set", f"members={members}", "--set", "own_logits=true")
    assert bench("run", "--model", name, *run_options(tmp_path), *FAST, *small) == 0
    folder = run_of(tmp_path, name)
    assert folder.config["search"]["class_score"] == "inclusion"
    assert validate([folder])[0].faults == ()
    # An export is compared with torch and with the stored scores, and is absent where it differs.
    assert bench("export", folder.path, "--out", tmp_path / "model") == 0


def test_both_stand_beside_the_papers_own_row():
    rows = [found.spec.row for name, found in installed().all(MODELS).items() if name.startswith("cnn-rnn")]
    assert rows == ["CNN-RNN"] * 3
    assert {option.name: option.default for option in search_options(SPEC)}["beam_width"] == 10
