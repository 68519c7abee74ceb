"""What a report shows of a group: the order of rows, names of tables, errors, labels, pairs, and its pictures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from example_runs import LABELS, TRUTH, make_run, run_config, validation_part

from bench.cli.pictures import opened
from bench.data.images import ArrayImages
from bench.errors import StoreError
from bench.evaluation.choosing import main_metric
from bench.records import Scores, Split
from bench.show import published
from bench.show.report import contents, gather, order, page, side_folder
from bench.show.report.evidence import Evidence, Part
from bench.show.report.pairs_of_labels import label_pairs
from bench.show.report.pictures import with_pictures
from bench.store.runs import find

EXACTLY = {"name": "exactly-k", "amount": "exactly k", "by_protocol": True}
THRESHOLD = {"name": "threshold", "amount": "any number", "by_protocol": False}


def group_of(root):
    (group,) = gather.groups([folder.summary() for folder in find(root)])
    return group


def test_rows_stand_by_the_main_metric_of_the_protocol(stored_run, tmp_path):
    stored_run("bce", values={"O-F1": 0.7, "mAP": 0.2})
    stored_run("warp", values={"O-F1": 0.6, "mAP": 0.3})
    stored_run("svm").fail("train", "it would not")
    group = group_of(tmp_path / "runs")
    assert [row.label for row in group.table.rows] == ["bce", "warp", "svm"]
    by_map = order.best_first(group.table, main_metric("voc2007@1"))
    assert [row.label for row in by_map.rows] == ["warp", "bce", "svm"]


def test_tables_of_one_data_set_are_told_apart(stored_run, tmp_path):
    stored_run("bce", policy=EXACTLY)
    stored_run("bce", policy=THRESHOLD)
    stored_run("bce", protocol="top1@1", policy=EXACTLY)
    groups = gather.groups([folder.summary() for folder in find(tmp_path / "runs")])
    headings = [group.heading for group in groups]
    assert sorted(headings) == [
        "toy, top1@1, label sets by the protocol",
        "toy, top2@1, any number of labels an image",
        "toy, top2@1, label sets by the protocol",
    ]
    assert order.headings([groups[0].runs, groups[0].runs]) == ["toy", "toy (2)"]


@pytest.mark.parametrize(
    ("dataset", "protocol", "tables"),
    [("coco2014", "coco-top3@1", [3]), ("toy", "top2@1", []), ("csv", "coco-top3@1", [])],
)
def test_the_papers_tables_stand_where_a_run_could_stand_in_them(dataset, protocol, tables, stored_run):
    run = stored_run("bce", dataset=run_config()["dataset"] | {"name": dataset}, protocol=protocol).summary()
    assert [table.number for table in order.of_paper(published.tables(), [run])] == tables


@pytest.fixture
def three(tmp_path):
    """Two models: ``bce`` is sure of a mistake on image c and half sure on a, ``prior`` gives every image the same."""
    root = tmp_path / "runs"
    bce, prior = make_run(root, "bce", values={"O-F1": 0.7, "mAP": 0.5}), make_run(root, "prior", values={"O-F1": 0.2})
    scores = np.where(TRUTH, 0.9, 0.1).astype(np.float32)
    scores[2], scores[0, 1] = (0.9, 0.1, 0.99), 0.6
    ids = bce.read_truth().ids
    bce.write_scores(Scores(ids, scores, "probability"))
    bce.write_predicted(scores > 0.5)
    part, prediction = validation_part()
    same = np.tile(np.float32([0.6, 0.5, 0.4]), (4, 1))
    prior.write_scores(Scores(ids, same, "probability"))
    prior.write_predicted(np.tile([True, True, False], (4, 1)))
    prior.write_validation(part, replace(prediction, scores=Scores(part.ids, same, "probability")))
    return root


def test_the_surest_mistake_comes_first_and_all_images_with_errors_are_there(three):
    found = contents.of_group(group_of(three), 10)
    assert (found.erring, found.images) == (4, 4)
    assert [card.id for card in found.cards[:2]] == ["c", "a"]
    first = found.cards[0]
    assert first.columns == ("cat", "dog", "cow")
    assert dict(zip(found.rows, first.lines, strict=True)) == {"bce": ("rmw", 0), "prior": ("rr.", 0)}
    assert first.certainty > 0.8 > found.cards[1].certainty
    assert found.judges == ("bce",)  # the other's scores tell no image from another
    assert [card.id for card in contents.of_group(group_of(three), 1).cards] == ["c"]


def test_an_ignored_pair_is_no_mistake(three):
    found = contents.of_group(group_of(three), 10)
    (card,) = (card for card in found.cards if card.id == "a")
    assert "cow" not in card.columns  # it is ignored on that image


def test_each_label_has_every_models_ap_and_the_best_models_curve(three):
    found = contents.of_group(group_of(three), 10)
    by_name = {row.label: row for row in found.labels}
    assert set(by_name) == set(LABELS)
    assert by_name["cat"].ap == (1.0, 1.0)
    assert np.isnan(by_name["dog"].ap).all()
    assert found.labels[-1].label == "dog"  # without a number, so last
    assert (by_name["cow"].precision, by_name["cow"].recall) == (2 / 3, 1.0)
    assert by_name["cow"].curve[-1] == pytest.approx(2 / 3)


def test_pairs_that_are_predicted_together_too_often_and_too_rarely_are_found():
    truth = np.zeros((90, 4), dtype=bool)
    truth[:40, :2] = True
    predicted = np.zeros_like(truth)
    predicted[:40, 0] = predicted[40:80, 2] = predicted[40:80, 3] = True
    whole = Part(tuple(map(str, range(90))), ("a", "b", "c", "d"), truth, None)
    evidence = Evidence(whole, {}, {"m": predicted}, (), np.zeros(90, dtype=np.float32))
    found = label_pairs(evidence)
    assert [(pair.labels, pair.true, pair.predicted) for pair in found] == [
        (("c", "d"), 0, (40,)),
        (("a", "b"), 40, (0,)),
    ]
    assert found[0].off == -found[1].off == pytest.approx(40**0.5)


def splits():
    """Train and test of the toy runs, with a picture of test twice: once more in train, under another label."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (7, 20, 24, 3), dtype=np.uint8)
    pixels[6] = pixels[1]
    train = Split("toy", "train", ("x", "y", "z"), LABELS, TRUTH[:3].copy(), ArrayImages(pixels[4:], "train"))
    return train, Split("toy", "test", ("a", "b", "c", "d"), LABELS, TRUTH.copy(), ArrayImages(pixels[:4], "test"))


def test_pictures_come_from_the_data_set_once_and_near_duplicates_with_them(three, tmp_path):
    group = group_of(three)
    bare = replace(contents.of_group(group, 10), pictures={})
    found = with_pictures(bare, group, splits, tmp_path / "cache", None)
    assert set(found.pictures) == {0, 1, 2, 3}
    (double,) = found.doubles
    assert (double.ids, double.part, double.equal) == (("b", "z"), "train", False)

    def closed():
        raise StoreError("not here")

    assert with_pictures(bare, group, closed, tmp_path / "cache", None) == found
    other = with_pictures(bare, group, closed, tmp_path / "empty", None)
    assert other.pictures == {}
    assert other.remarks == ("4 test images with errors have no picture here: not here",)


def test_a_data_set_that_cannot_be_opened_is_one_kind_of_error_whatever_its_run_holds(three):
    with pytest.raises(StoreError):
        opened(group_of(three).runs)()
    with pytest.raises(StoreError, match="no finished run"):
        opened([])()


@pytest.mark.parametrize("page", ["", ".", "/"])
def test_a_page_that_no_file_can_be_called_is_one_line(page):
    with pytest.raises(StoreError, match=r"no plain file. Try: another one with --out"):
        side_folder.beside(Path(page))


def test_many_pictures_lie_beside_the_page_and_leave_with_it(three, tmp_path, monkeypatch):
    monkeypatch.setattr(side_folder, "EMBEDDED", 1)
    group = group_of(three)
    found = with_pictures(contents.of_group(group, 10), group, splits, tmp_path / "cache", None)
    folder = side_folder.beside(tmp_path / "my report.html")
    assert (
        side_folder.Pictures("r\udcff_files", side_folder.EMBEDDED).source(b"") == "r%FF_files/e3b0c44298fc1c149afb.jpg"
    )
    pictures = side_folder.Pictures(folder.name)
    html = page.render([group], page.drawings([group]), [], "Report", [found], pictures=pictures)
    assert html.count("data:image/jpeg") == 1
    assert html.count('src="my%20report_files/') >= 3
    side_folder.write(folder, pictures.files)
    (folder / "notes.txt").write_text("not ours")
    assert {path.name for path in folder.iterdir()} == {*pictures.files, "notes.txt"}
    side_folder.tidy(folder, {})
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
