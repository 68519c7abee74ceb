"""Predictions of anybody's code: each form of file gives the same numbers, and nothing in doubt is stored."""

import hashlib
import json

import numpy as np
import pandas
import pytest
from example_commands import bench

import bench as face
from bench.cli.commands.predict import _texts as written
from bench.data.images import MissingImages
from bench.errors import DataError
from bench.exported.labelling import Unread
from bench.exported.predict import Labelled
from bench.external.align import Reading, aligned
from bench.external.given import Dense, Names
from bench.external.read import read
from bench.records import Split
from bench.store.external import scores_hash

LABELS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def parts(place):
    """Test and validation part: ids, label names and truth, as exported, and made-up probabilities."""
    found = {}
    for number, part in enumerate(("test", "validation")):
        with np.load(place / "data" / f"{part}.npz") as stored:
            ids, labels, truth = stored["ids"].tolist(), stored["labels"].tolist(), stored["truth"]
        noise = np.random.default_rng(number).random(truth.shape)
        found[part] = ids, labels, truth, (0.55 * truth + 0.4 * noise).astype(np.float32).astype(np.float64)
    return found


@pytest.fixture
def score(place, tmp_path):
    """``bench score`` on that data set, its runs in a store of this test."""

    def call(file, *arguments):
        own = (
            "--dataset",
            "corel5k",
            "--data-root",
            place / "corel",
            "--protocol",
            "top2@1",
            "--out",
            tmp_path / "runs",
        )
        return bench("score", file, *own, *arguments)

    return call


def stored(tmp_path):
    return list(face.runs(tmp_path / "runs")) if (tmp_path / "runs").is_dir() else []


def write_npz(path, ids, labels, scores, **more):
    np.savez(path, ids=np.array(ids), labels=np.array(labels), scores=scores, **more)


def table(header, rows):
    return "\n".join(",".join(map(str, row)) for row in [header, *rows])


def write_forms(folder, ids, labels, truth, scores):
    """Write one part in every form, images and labels in other orders than the data set's; yield file and options."""
    images, names = np.arange(len(ids))[::-1], np.array([2, 0, 1])
    rows = [(ids[i], [labels[n] for n in names], scores[i][names]) for i in images]
    write_npz(folder / "a.npz", [ids[i] for i in images], [labels[n] for n in names], scores[images][:, names])
    yield "a.npz", ()
    np.save(folder / "b.npy", scores[images][:, names])
    (folder / "ids.txt").write_text("\n".join(ids[i] for i in images))
    (folder / "labels.txt").write_text("\n".join(labels[n] for n in names))
    yield "b.npy", ("--ids", folder / "ids.txt", "--labels", folder / "labels.txt")
    wide = [(image, *map(repr, row.tolist())) for image, _, row in rows]
    (folder / "c.csv").write_text(table(["whatever", *rows[0][1]], wide))
    yield "c.csv", ()
    (folder / "d.tsv").write_text(table(["image", *rows[0][1]], wide).replace(",", "\t"))
    yield "d.tsv", ()
    pairs = [(image, name, float(one)) for image, own, row in rows for name, one in zip(own, row, strict=True)]
    (folder / "e.csv").write_text(table(["image", "label", "score"], pairs))
    yield "e.csv", ()
    category = {name: 10 * (number + 1) for number, name in enumerate(labels)}
    entries = [{"image_id": image, "category_id": category[name], "score": one} for image, name, one in pairs]
    (folder / "f.json").write_text(json.dumps(entries + [entry | {"score": 0.0} for entry in entries[:3]]))
    kinds = [{"id": number, "name": name} for name, number in category.items()]
    (folder / "categories.json").write_text(json.dumps({"categories": kinds}))
    yield "f.json", ("--labels", folder / "categories.json", "--several", "max")
    mapping = {image: dict(zip(own, row.tolist(), strict=True)) for image, own, row in rows}
    (folder / "g.json").write_text(json.dumps(mapping))
    yield "g.json", ()
    told = [Labelled(image, tuple(own), tuple(row.tolist()), None) for image, own, row in rows]
    (folder / "i.jsonl").write_text("".join(written(iter(told), "jsonl")))  # of --top-k, as many as there are labels
    yield "i.jsonl", ()
    (folder / "voc").mkdir()
    for name in labels:
        lines = [f"{image} {one!r}\n" for image, own, one in pairs if own == name]
        (folder / "voc" / f"comp1_cls_test_{name}.txt").write_text("".join(lines))
    yield "voc", ()
    pandas.DataFrame([row for _, _, row in rows], [image for image, _, _ in rows], rows[0][1]).reset_index(
        names="id"
    ).to_parquet(folder / "h.parquet")
    yield "h.parquet", ()


def test_every_form_of_file_gives_the_same_scores_in_the_data_sets_order(score, parts, tmp_path, capsys):
    pytest.importorskip("pyarrow")
    for file, options in write_forms(tmp_path, *parts["test"]):
        assert score(tmp_path / file, "--kind", "probability", *options) == 0, capsys.readouterr().err
    ids, labels, truth, scores = parts["test"]
    runs = stored(tmp_path)
    assert len(runs) == 10
    for run in runs:
        assert (run.ids, run.labels, run.truth.tolist()) == (tuple(ids), tuple(labels), truth.tolist())
        np.testing.assert_array_equal(run.scores.values, scores.astype(np.float32))
        assert run.measures == face.measure(truth, scores, protocol="top2@1", labels=labels)
    own = hashlib.sha256((tmp_path / "a.npz").read_bytes()).hexdigest()
    assert own in {run.config["external"]["sha256"] for run in runs}
    printed = capsys.readouterr().out
    assert "a (external)" in printed
    assert f"external: scores of files made outside of this benchmark, by SHA-256: a {own[:6]}" in " ".join(
        printed.split()
    )
    assert bench("validate", tmp_path / "runs") == 0


def broken(ids, labels, truth, scores):
    """Return by the line that is printed what of a file is wrong: ids, labels, scores and options."""
    nan = scores.copy()
    nan[1, 2] = np.nan
    sets = truth.astype(int)
    fine = ("--kind", "probability")
    return {
        "no row of 1 of the 20 images of corel5k/test, as": (ids[1:], labels, scores[1:], fine),
        "stands twice; each image must stand once": ([*ids[1:], ids[1]], labels, scores, fine),
        "1 of 20 ids are no image of corel5k/test, as 'x'": ([*ids[1:], "x"], labels, scores, fine),
        "Try: --match name": ([f"my/{one}" for one in ids], labels, scores, fine),
        "Try: --match number, if these are the numbers in images' names; of an annotations file's images, --ids FILE": (
            *([*map(str, range(20))], labels, scores, fine),
        ),
        "no label of corel5k 'gren'; did you mean 'green'?": (ids, ["red", "gren", "blue"], scores, fine),
        "label 'red' stands twice": (ids, ["red", "red", "blue"], scores, fine),
        "no scores of 1 of 3 labels": (ids, labels[:2], scores[:, :2], fine),
        "does not say which label each of its 3 columns is": (ids, None, scores, fine),
        "found nan, must be a number": (ids, labels, nan, fine),
        "must be 0 to 1, as of probabilities. Try: --kind logit\n": (ids, labels, 4 * scores - 2, fine),
        "must be 0 to 1, as of probabilities. Try: a hundredth of them, if": (ids, labels, 100 * scores, fine),
        "as of probabilities. Try: --kind logit, or exp of them, if": (ids, labels, scores - 2, fine),
        "every score is 0 or 1, as of label sets, --kind says 'probability'": (ids, labels, sets, fine),
        "must be 0 or 1, as of label sets. Try: --kind probability": (ids, labels, scores, ("--kind", "labels")),
        "every score lies in 0 to 1, so as logits": (ids, labels, scores, ("--kind", "logit")),
        "every score is 0 or more, so as logits": (ids, labels, 100 * scores, ("--kind", "logit")),
        "--kind: found none, allowed: probability, logit, score": (ids, labels, scores, ()),
        "no kind of scores 'prob'": (ids, labels, scores, ("--kind", "prob")),
        "--policy threshold is chosen on validation images, whose scores were not given": (
            *(ids, labels, scores),
            (*fine, "--policy", "threshold"),
        ),
        "scores of kind 'margin' have no threshold": (
            *(ids, labels, scores),
            ("--kind", "score", "--policy", "natural-threshold"),
        ),
        "--name: found '../up', allowed: up to 64 letters": (ids, labels, scores, (*fine, "--name", "../up")),
        "--set: found 'epochs', allowed: dataset.NAME": (ids, labels, scores, (*fine, "--set", "epochs=3")),
    }


def test_what_is_missing_double_unknown_or_in_doubt_is_one_line_and_stores_nothing(score, parts, tmp_path, capsys):
    found = broken(*parts["test"])
    for number, (line, (ids, labels, scores, options)) in enumerate(found.items()):
        file = tmp_path / f"{number}.npz"
        np.savez(file, ids=np.array(ids), scores=scores, **({} if labels is None else {"labels": np.array(labels)}))
        assert score(file, *options) == 2, line
        told = capsys.readouterr().err
        assert line in told
        assert told.count("\n") == 1
    assert not stored(tmp_path)


@pytest.mark.parametrize("form", ["csv", "json", "jsonl"])
def test_what_bench_predict_writes_is_label_sets(tmp_path, form):
    """It was refused, though it is what an exported model says of the test images."""
    rows = [Labelled("=a.jpg", ("=red", "b'-lue"), (2.0, 1.0), None, (0.9, 0.7)), Labelled("b.jpg", (), (), None, ())]
    file = tmp_path / f"labels.{form}"
    file.write_text("".join(written(iter(rows), form)), encoding="utf-8-sig")
    given = read(file, Names(("=red", "green", "b'-lue"))).given
    assert [*zip(given.images, given.labels, strict=True)] == [("=a.jpg", "=red"), ("=a.jpg", "b'-lue")]
    assert (given.named, given.scores) == ({"=a.jpg", "b.jpg"}, None)
    assert (given.beside is None) == (form == "csv")
    file.write_text(file.read_text(encoding="utf-8-sig").replace('"scores": []', '"scores": null'))
    assert read(file, Names(("=red", "green", "b'-lue"))).given.beside is None
    file.write_text("".join(written(iter([*rows, Unread("c.jpg", "damaged: x")]), form)))
    with pytest.raises(DataError, match=r"image 'c.jpg' was not read: damaged: x\. Every image must have its labels"):
        read(file, Names(("=red", "green", "b'-lue")))


def test_tables_that_can_be_read_in_two_ways_or_none_are_refused(score, parts, tmp_path, capsys):
    ids = parts["test"][0]
    cases = {
        "2 of 3 columns are no label of the data set (image, dog)": "image,red,dog\n1,2,3",
        "column 'red' stands twice": "image,red,red\n1,2,3",
        "row 3 has 2 cells, the header 4": "image,red,green,blue\n1,2,3,4\n1,2",
        "found 'high' where a score belongs": table(["image", *LABELS], [(one, "high", 0.5, 0.5) for one in ids]),
        "pairs have no score, as image": table(["image", "label", "score"], [(one, "red", 0.5) for one in ids]),
        "holds label sets and no score of each label": table(["image", "labels"], [(one, "red;blue") for one in ids]),
        "label 'red' stands 2 times for image": table(["id", "label", "score"], [(one, "red", 0.5) for one in ids * 2]),
    }
    for line, text in cases.items():
        (tmp_path / "t.csv").write_text(text)
        assert score(tmp_path / "t.csv", "--kind", "probability") == 2
        assert line in capsys.readouterr().err
    for line, content in {
        "no npz file of plain arrays: ": pickled(tmp_path),
        "stands twice in one object": b'{"a": {"red": 1}, "a": {"red": 0}}',
        "no JSON": b"[" * 100_000,
        "found NaN, which is no number": b'{"a": {"red": NaN}}',
        "is not UTF-8": b"\xff\xfe{}",
        "Try: --kind labels, or bench predict --json --top-k 3": "".join(
            written(iter([Labelled(ids[0], ("red", "blue"), (0.9, 0.8), None)]), "json")
        ).encode(),
    }.items():
        file = tmp_path / ("x.npz" if content.startswith(b"PK") else "x.json")
        file.write_bytes(content)
        assert score(file, "--kind", "probability") == 2
        assert line in capsys.readouterr().err
    assert not stored(tmp_path)


def pickled(folder):
    np.savez(folder / "p.npz", ids=np.array([object()]), scores=np.zeros((1, 1)))
    return (folder / "p.npz").read_bytes()


def test_ids_typed_beside_a_table_that_has_its_own_must_be_its_own(score, parts, tmp_path, capsys):
    ids, labels, _, scores = parts["test"]
    rows = [(image, *map(repr, row.tolist())) for image, row in zip(ids, scores, strict=True)]
    (tmp_path / "wide.csv").write_text(table(["image", *labels], rows))
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    asked = (tmp_path / "wide.csv", "--kind", "probability", "--ids", tmp_path / "ids.txt")
    assert score(*asked) == 0
    (tmp_path / "ids.txt").write_text("\n".join(reversed(ids)))
    assert score(*asked) == 2
    assert "its own ids are not those of --ids. Try: without --ids" in capsys.readouterr().err


def test_a_square_matrix_which_may_be_turned_is_said_to_be_read_by_rows():
    square = np.array([[0.1, 0.2], [0.3, 0.4]])
    truth = np.eye(2, dtype=bool)
    split = Split("toy", "test", ("a", "b"), ("cat", "dog"), truth, MissingImages(("a", "b"), "not here"))
    found = aligned(Dense("x.npz", split.ids, split.labels, square), split, Reading("probability"), {})
    assert found.notes == ("as many images as labels, 2: each row was read as an image, each column as a label",)


def test_probabilities_that_went_through_a_sigmoid_once_more_are_told_of():
    once = np.array([[0.1, 0.8], [0.3, 0.4], [0.9, 0.0]])
    ids = tuple("abc")
    split = Split("toy", "test", ids, ("cat", "dog"), once > 0.5, MissingImages(ids, "not here"))
    for scores, told in ((once, 0), (1 / (1 + np.exp(-once)), 1)):
        found = aligned(Dense("x.npz", ids, split.labels, scores), split, Reading("probability"), {})
        assert sum("a sigmoid applied twice" in note for note in found.notes) == told


def test_logits_of_which_none_is_above_0_are_told_of():
    """As log-probabilities are, of which a threshold of 0 takes none."""
    scores, ids = np.log(np.array([[0.1, 0.8], [0.3, 0.4], [0.9, 0.5]])), tuple("abc")
    split = Split("toy", "test", ids, ("cat", "dog"), scores > -0.7, MissingImages(ids, "not here"))
    for values, told in ((scores, 1), (scores + 1, 0)):
        found = aligned(Dense("x.npz", ids, split.labels, values), split, Reading("logit"), {})
        assert sum("logarithms of probabilities" in note for note in found.notes) == told


def test_ids_may_be_paths_of_windows():
    ids = ("a.jpg", "b.jpg")
    split = Split("toy", "test", ids, ("cat", "dog"), np.eye(2, dtype=bool), MissingImages(ids, "not here"))
    given = Dense("x.npz", ("D:\\photos\\b.jpg", "D:\\photos\\a.jpg"), split.labels, np.array([[0.1, 0.2], [0.3, 0.4]]))
    with pytest.raises(DataError, match="Try: --match name"):
        aligned(given, split, Reading("probability"), {})
    for match in ("name", "stem"):
        found = aligned(given, split, Reading("probability", match=match), {})
        np.testing.assert_array_equal(found.scores.values, np.float32([[0.3, 0.4], [0.1, 0.2]]))


def test_labels_of_an_image_that_float32_cannot_tell_apart_are_told_of():
    """The best of them is then the first, though the file says that it is another."""
    split = Split("toy", "test", ("a",), ("cat", "dog"), np.array([[False, True]]), MissingImages(("a",), "not here"))
    close = np.array([[1 - 1e-10, 1 - 1e-12]])
    found = aligned(Dense("x.npz", split.ids, split.labels, close), split, Reading("probability"), {})
    note = "1 scores equal another one of their image as float32, and did not before; the lower label goes first"
    assert found.notes == (note,)


def test_label_sets_have_no_ranking_no_interval_of_one_and_no_other_policy(score, parts, tmp_path, capsys):
    ids, labels, truth, scores = parts["test"]
    sets = scores > 0.35  # some are wrong
    named = [(one, ";".join(np.array(labels)[own])) for one, own in zip(ids, sets, strict=True)]
    (tmp_path / "sets.csv").write_text(table(["image", "labels"], named))
    assert score(tmp_path / "sets.csv", "--kind", "labels") == 0
    (run,) = stored(tmp_path)
    np.testing.assert_array_equal(run.predicted, sets)
    assert np.isnan([run.measures[name] for name in ("mAP", "MAP@10", "mAP_11_point")]).all()
    assert run.measures["O-F1"] == face.measure(truth, scores, predicted=sets, protocol="top2@1")["O-F1"]
    assert "mAP" not in run.intervals()
    low, high = run.intervals()["O-F1"]
    assert low < run.measures["O-F1"] < high
    write_npz(tmp_path / "ranked.npz", ids, labels, scores, kind="score")
    assert score(tmp_path / "ranked.npz", "--kind", "probability") == 2
    assert "says that its scores are of kind 'score'" in capsys.readouterr().err
    assert score(tmp_path / "ranked.npz") == 0
    capsys.readouterr()
    assert bench("table", "--significance", "--runs", tmp_path / "runs") == 0
    pairs = capsys.readouterr().out.partition("pairwise differences")[2]
    assert "O-F1" in pairs
    assert "mAP" not in pairs  # of one row alone there is no difference
    for command in (("validate",), ("table",), ("lens", run.key), ("report", "--out", tmp_path / "report.html")):
        assert bench(*command, "--runs", tmp_path / "runs") == 0
    assert "own (sets (external))" in " ".join(capsys.readouterr().out.split())
    assert bench("policy", run.key, "--policy", "exactly-k", "--runs", tmp_path / "runs") == 2
    assert "was stored as label sets, without scores" in capsys.readouterr().err


def test_a_policy_is_chosen_later_on_the_validation_scores_that_were_given(score, parts, tmp_path, capsys):
    for part in ("test", "validation"):
        ids, labels, _, scores = parts[part]
        write_npz(tmp_path / f"{part}.npz", ids, labels, scores)
    given = (tmp_path / "test.npz", "--kind", "probability", "--name", "mine")
    assert score(*given, "--validation", tmp_path / "test.npz") == 2
    assert "which is of test" in capsys.readouterr().err
    assert score(*given, "--validation", tmp_path / "validation.npz") == 0
    (run,) = stored(tmp_path)
    later = run.by_policy("threshold")
    assert score(*given, "--validation", tmp_path / "validation.npz", "--policy", "threshold") == 0
    assert {one.key for one in stored(tmp_path)} == {run.key, later.key}
    assert later.predicted.sum() != run.predicted.sum()
    assert bench("validate", tmp_path / "runs", "--json") == 0
    capsys.readouterr()
    assert bench("validate", later.key, "--recompute", "--runs", tmp_path / "runs") == 2
    assert "not recomputed" in capsys.readouterr().out
    assert bench("export", run.key, "--runs", tmp_path / "runs", "--out", tmp_path / "model") == 2
    assert "its scores came from a file" in capsys.readouterr().err


def test_thresholds_for_goals_are_chosen_on_scores_of_a_file_and_no_export_is_told(score, parts, tmp_path, capsys):
    for part in ("test", "validation"):
        ids, labels, _, scores = parts[part]
        write_npz(tmp_path / f"{part}.npz", ids, labels, scores)
    given = (tmp_path / "test.npz", "--kind", "probability", "--name", "mine")
    goal, runs = "red:precision>=0.9;isotonic", tmp_path / "runs"
    assert score(*given, "--policy", goal) == 2
    assert "Try: --validation FILE" in capsys.readouterr().err
    assert score(*given) == score(*given, "--validation", tmp_path / "validation.npz", "--policy", goal) == 0
    (with_goals,) = (run for run in stored(tmp_path) if run.config["policy"]["name"] != "exactly-k")
    assert with_goals.config["policy"]["name"] == f"f1;{goal}"
    assert bench("validate", with_goals.path) == 0
    assert bench("results", "pack", with_goals.path, "--out", tmp_path / "one.tar") == 0
    assert bench("trials", with_goals.path) == 2
    assert "bench run" not in capsys.readouterr().err
    capsys.readouterr()
    for command in ("thresholds", "choose"):
        (told,) = [[command, with_goals.path, "--runs", runs, "--for", "f1"]]
        assert bench(*told) == 0
        assert "bench export" not in (shown := capsys.readouterr().out)
        assert "bench report" in shown or "bench thresholds" in shown
    (other,) = (run for run in stored(tmp_path) if not run.config["external"]["validation_sha256"])
    assert bench("thresholds", other.path, "--for", "f1", "--runs", runs) == 2
    assert "Try: bench score with --validation FILE" in capsys.readouterr().err


def test_scores_exchanged_in_the_folder_are_found_though_every_seal_is_renewed(score, parts, tmp_path):
    ids, labels, truth, scores = parts["test"]
    write_npz(tmp_path / "a.npz", ids, labels, scores)
    assert score(tmp_path / "a.npz", "--kind", "probability") == 0
    (run,) = stored(tmp_path)
    folder = run._stored
    better = face.Scores(run.ids, truth.astype(np.float32) * 0.9, "probability")
    assert scores_hash(better) != run.config["external"]["scores"]
    folder.write_scores(better)
    predicted = face.measure(truth, better.values, protocol="top2@1", labels=labels)
    folder.write_measures(predicted)
    assert bench("validate", tmp_path / "runs") == 1


def test_seeds_are_one_row_and_two_files_of_one_name_and_seed_are_two(score, parts, tmp_path):
    ids, labels, _, scores = parts["test"]
    for number, file in enumerate(("0.npz", "1.npz", "other.npz")):
        write_npz(tmp_path / file, ids, labels, scores * (1 - 0.1 * number))
    for seed in (0, 1):
        assert score(tmp_path / f"{seed}.npz", "--kind", "probability", "--name", "mine", "--seed", seed) == 0
    (row,) = face.runs(tmp_path / "runs").table().rows
    assert (row["model"], row["seeds"]) == ("mine (external)", [0, 1])
    assert score(tmp_path / "other.npz", "--kind", "probability", "--name", "mine", "--seed", 1) == 0
    names = [row["model"] for row in face.runs(tmp_path / "runs").table().rows]
    assert len(set(names)) == 3
    assert all(name.startswith("mine (external") for name in names)
