"""The paper's tables: printed values untouched, doubts marked by arithmetic, statuses that claim no more than is so."""

import csv
import io
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from example_runs import run_config

from bench import Measures, plugins
from bench.cli import run_command_line
from bench.show import published
from bench.show.paper_tables import Ledger, LedgerRow, build, grid, render
from bench.store.stored import About, Provenance, RunSummary

COCO = next(table for table in published.tables() if table.number == 3)
VOC = next(table for table in published.tables() if table.number == 4)
VOC_LABELS = tuple(column.measure.removeprefix("AP ") for column in VOC.columns[:-1])


def run(
    row: str = "CNN-RNN", seed: int = 0, images: int = 40_137, backbone: str = "vgg16", **changes: Any
) -> RunSummary:
    protocol = changes.pop("protocol", "coco-top3@1")
    table = next((table for table in published.tables() if protocol.startswith(f"{table.protocol}@")), COCO)
    data = {"name": table.dataset, "train": table.train} | changes.pop("dataset", {})
    config = run_config(
        "x", seed, model={"name": row.lower()}, backbone={"name": backbone}, protocol=protocol, dataset=data
    )
    labels = changes.pop("labels", VOC_LABELS if table is VOC else tuple(map(str, range(table.labels))))
    values = {
        "C-P": 0.655,
        "C-R": 0.56,
        "C-F1": 0.6038,
        "O-P": 0.69,
        "O-R": 0.65,
        "O-F1": 0.6694,
        "MAP@10_image": 0.612,
    }
    values |= changes.pop("values", {})
    per_class = changes.pop("per_class", {})
    assert not changes
    measures = Measures(config["protocol"], values, per_class)
    key, about = f"{row}{seed}{images}{backbone}", About(row=row)
    return RunSummary(Path("run"), key, config, "done", "", measures, images, labels, about)


def row_of(ledger: Ledger, name: str) -> LedgerRow:
    return next(row for row in ledger.rows if row.published.name == name)


def status_of(ledger: Ledger, name: str, column: str) -> str:
    return next(cell.status for cell in row_of(ledger, name).cells if cell.column == column)


def test_every_printed_value_is_the_papers(reference_data: Path) -> None:
    facts = json.loads((reference_data / "published_tables.json").read_text())
    for table, key in zip(published.tables(), [key for key in facts if key.startswith("table")], strict=True):
        rows = facts[key]["rows"]
        assert [row.label for row in table.rows] == list(rows)
        for row in table.rows:
            if table.number == 4:
                printed = rows[row.label]["ap"] | {"mAP": rows[row.label]["mAP"]}
            else:
                printed = dict(zip(facts[key]["metric_order"], rows[row.label], strict=True))
            assert row.values == {name: value for name, value in printed.items() if value is not None}


def test_an_f1_is_marked_suspect_exactly_where_no_rounding_of_precision_and_recall_gives_it() -> None:
    for table, letter in itertools.product(published.tables()[:3], "CO"):
        for row in table.rows:
            if f"{letter}-P" not in row.values:
                continue
            precision, recall = row.values[f"{letter}-P"], row.values[f"{letter}-R"]
            reachable = [
                2 * p * r / (p + r)
                for p in (precision - 0.05, precision + 0.05)
                for r in (recall - 0.05, recall + 0.05)
            ]
            printed = row.values.get(f"{letter}-F1")
            if printed is not None:
                possible = min(reachable) - 0.05 <= printed <= max(reachable) + 0.05
                assert possible == (f"{letter}-F1" not in row.suspect), (table.number, row.label, letter)


def test_every_doubt_is_about_a_printed_value_and_none_is_corrected() -> None:
    doubts = [(row, name) for table in published.tables() for row in table.rows for name in row.suspect]
    assert len(doubts) == 10
    for row, name in doubts:
        assert name in row.values
        assert row.suspect[name].repair != row.values[name]


def test_mean_ap_of_table_4_is_the_mean_of_its_row() -> None:
    for row in VOC.rows:
        mean = sum(row.values[column.name] for column in VOC.columns[:-1]) / 20
        assert row.values["mAP"] == pytest.approx(mean, abs=0.0501)


def test_without_runs_every_row_is_there_in_order_and_says_why_it_has_no_measurement() -> None:
    ledger = build(COCO, [], ["CNN-RNN", "binary cross-entropy"])
    assert [row.published.name for row in ledger.rows] == [row.name for row in COCO.rows]
    assert row_of(ledger, "CNN-RNN").status == "not run: no data"
    assert row_of(ledger, "Binary cross-entropy").status == "not run: no data"
    assert row_of(ledger, "No RNN").status == "published only"


def test_a_model_without_a_run_beside_others_that_have_one_lacks_no_data() -> None:
    ledger = build(COCO, [run()], ["CNN-RNN", "WARP"])
    assert row_of(ledger, "WARP").status == "not run: no run of this model"


def test_a_value_near_the_printed_one_is_reproduced_by_its_difference() -> None:
    ledger = build(COCO, [run()])
    assert status_of(ledger, "CNN-RNN", "C-P") == "reproduced within 0.5"
    cell = next(cell for cell in row_of(ledger, "CNN-RNN").cells if cell.column == "O-R")
    assert (cell.published, cell.ours, cell.difference) == (66.4, 65.0, -1.4)
    assert row_of(ledger, "CNN-RNN").status == "measured"
    assert grid(ledger).rows[-2][-1].text == "reproduced within 1.4"


def test_a_value_far_from_the_printed_one_is_only_measured() -> None:
    ledger = build(COCO, [run(values={"O-R": 0.60})])
    assert status_of(ledger, "CNN-RNN", "O-R") == "measured"
    assert grid(ledger).rows[-2][-1].text == "measured"


def test_agreement_in_a_column_that_the_paper_does_not_define_is_no_reproduction() -> None:
    assert status_of(build(COCO, [run()]), "CNN-RNN", "MAP@10") == "measured"


def test_agreement_with_a_suspect_value_is_no_reproduction() -> None:
    ledger = build(COCO, [run("No RNN", values={"O-R": 0.613})])
    assert status_of(ledger, "No RNN", "O-R").startswith("published value suspect: with the printed O-P")


def test_agreement_on_other_images_is_no_reproduction() -> None:
    ledger = build(COCO, [run(images=128)])
    expected = "measured on 128 test images, the paper has 40,137 or 40,504"
    assert row_of(ledger, "CNN-RNN").status == expected
    assert status_of(ledger, "CNN-RNN", "C-P") == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"dataset": {"name": "coco"}}, ""),
        # The 2017 train part holds most of val2014; labelled val2017 has as many images as VOC 2007's test part.
        ({"dataset": {"train": "train2017"}}, "trained on train2017, the paper on train2014"),
        (
            {"dataset": {"name": "coco2017"}, "protocol": "voc2007@1", "images": 4952},
            "on coco2017, the paper has voc2007",
        ),
        (
            {"dataset": {"train": "train"}, "protocol": "voc2007@1", "images": 4952},
            "trained on train, the paper on trainval",
        ),
        ({"labels": ("dog",) * 79}, "over 79 labels, the paper has 80"),
        ({"per_class": {"support": (116_000.0, 592.0)}}, ""),
        (  # as of annotations whose small objects were left out
            {"per_class": {"support": (110_000.0,)}},
            "on test images with 110,000 labels, the published lists have 116,592",
        ),
    ],
)
def test_agreement_on_other_data_is_no_reproduction(changes, expected) -> None:
    table = VOC if "protocol" in changes else COCO
    ledger = build(table, [run(**changes, values={"mAP": 0.84})])
    assert row_of(ledger, "CNN-RNN").status == f"measured {expected}".strip()
    assert any(cell.status.startswith("reproduced") for cell in row_of(ledger, "CNN-RNN").cells) == (not expected)


def test_agreement_on_a_part_of_the_published_set_is_no_reproduction() -> None:
    part = run(images=3000)
    part = replace(part, about=replace(part.about, part_of="a part of train2014: not the official split"))
    ledger = build(COCO, [part])
    assert row_of(ledger, "CNN-RNN").status == "measured on a part of train2014: not the official split"
    assert status_of(ledger, "CNN-RNN", "C-P") == "measured on a part of train2014: not the official split"


def test_agreement_with_another_backbone_is_no_reproduction() -> None:
    ledger = build(COCO, [run(backbone="timm")])
    assert status_of(ledger, "CNN-RNN", "C-P") == "measured with timm features, the paper has vgg16"


def test_agreement_with_options_that_were_typed_is_no_reproduction() -> None:
    other = run()
    other = replace(other, about=replace(other.about, origins={"training.epochs": "--set epochs=2"}))
    ledger, expected = build(COCO, [other]), "measured with epochs=2, which was typed"
    assert status_of(ledger, "CNN-RNN", "C-P") == row_of(ledger, "CNN-RNN").status == expected


def test_a_run_under_another_protocol_is_not_in_the_table() -> None:
    assert row_of(build(COCO, [run(protocol="top3@1")], ["CNN-RNN"]), "CNN-RNN").ours is None


def test_seeds_of_a_row_are_averaged_and_other_options_are_a_second_row() -> None:
    runs = [run(seed=0), run(seed=1, values={"C-P": 0.665}), run(images=128, backbone="timm")]
    rows = [row for row in build(COCO, runs).rows if row.published.name == "CNN-RNN"]
    assert [row.ours.seeds for row in rows if row.ours] == [(0, 1), (0,)]
    assert rows[0].cells[0].ours == pytest.approx(66.0)
    assert [cell[0].text for cell in grid(build(COCO, runs)).rows].count("CNN-RNN") == 1


def test_seeds_that_failed_or_came_from_elsewhere_are_told_beside_their_row() -> None:
    failed = replace(run(seed=2), state="failed", reason="train: the loss became NaN", measures=None, images=0)
    ledger = build(COCO, [run(seed=0), run(seed=1), failed])
    assert row_of(ledger, "CNN-RNN").cells[0].status.startswith("reproduced")
    remarks = grid(ledger).remarks
    assert "cnn-rnn: seed 2 failed: train: the loss became NaN" in remarks
    assert "± is the sample standard deviation over seeds" in remarks
    theirs = replace(run(seed=1), provenance=Provenance("theirs.tar", "0" * 64))
    merged = row_of(build(COCO, [run(seed=0), theirs]), "CNN-RNN")
    assert merged.cells[0].status == merged.status == "measured elsewhere, merged from theirs.tar"


def test_a_failed_run_is_a_row_with_its_reason() -> None:
    failed = RunSummary(Path("run"), "k", run().config, "failed", "train: the loss became NaN", about=About("CNN-RNN"))
    ledger = build(COCO, [failed])
    assert row_of(ledger, "CNN-RNN").status == "failed: seed 0 failed: train: the loss became NaN"
    assert "the loss became NaN" in render([ledger], "markdown")


def test_table_4_takes_the_average_precision_of_each_class_by_its_voc_name() -> None:
    per_class = {"ap": tuple(index / 100 for index in range(20))}
    one = run(protocol="voc2007@1", images=4_952, per_class=per_class, values={"mAP": 0.84})
    cells = {cell.column: cell for cell in row_of(build(VOC, [one]), "CNN-RNN").cells}
    assert VOC_LABELS[0] == "aeroplane"
    assert cells["plane"].ours == 0.0
    assert cells["tv"].ours == pytest.approx(19.0)
    assert cells["mAP"].status == "reproduced within 0.0"


@pytest.mark.parametrize("number", ["1", "2", "3", "4", "all"])
@pytest.mark.parametrize("style", ["terminal", "markdown", "latex", "csv", "json"])
def test_the_papers_tables_are_printed_in_every_format(
    number: str, style: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["table", number, "--runs", str(tmp_path), "--format", style]) == 0
    shown = capsys.readouterr().out
    assert "CNN-RNN" in shown
    assert "published value suspect" in shown or number == "1"
    # A line for each printed row, and one for the prior.
    cells = {"1": 56, "2": 35, "3": 42, "4": 126, "all": 259}[number]
    if style == "json":
        assert len(json.loads(shown)) == cells
    if style == "csv":
        assert len(list(csv.DictReader(io.StringIO(shown)))) == cells


def test_markdown_and_latex_rows_have_one_cell_per_column() -> None:
    ledger = build(COCO, [run()])
    pipes = {line.count("|") for line in render([ledger], "markdown").splitlines() if line.startswith("|")}
    ampersands = {line.count("&") for line in render([ledger], "latex").splitlines() if line.endswith("\\\\")}
    assert pipes == {len(COCO.columns) + 3}
    assert ampersands == {len(COCO.columns) + 1}


def test_where_a_measured_method_is_not_its_sources_stands_below_the_table_once() -> None:
    told = replace(run(), about=About(row="CNN-RNN", deviations="one layer for two"))
    remarks = grid(build(COCO, [told, replace(told, key="other")])).remarks
    assert [remark for remark in remarks if "one layer" in remark] == ["cnn-rnn: one layer for two"]


@pytest.mark.parametrize(
    ("row", "backbone", "status"),
    [
        ("HCP-1000C", {"name": "crops", "variant": "vgg16"}, "measured"),
        ("HCP-1000C", {"name": "vgg16"}, "measured with vgg16 features, the paper has crops/vgg16"),
        ("INRIA", {"name": "dense-sift"}, "measured"),
        ("I-FT", {"name": "timm", "variant": "resnet18"}, "measured with timm/resnet18 features, the paper has vgg16"),
    ],
)
def test_a_row_is_measured_with_what_its_own_method_looks_at_pictures_with(row, backbone, status) -> None:
    told = run(row, images=4952, protocol="voc2007@1", values={"mAP": 0.2})
    assert row_of(build(VOC, [replace(told, config=told.config | {"backbone": backbone})]), row).status == status


def test_every_row_of_table_4_has_a_runner_and_is_not_only_quoted() -> None:
    rows = {found.spec.row for found in plugins.installed().all(plugins.MODELS).values()}
    assert {row.status for row in build(VOC, [], rows).rows} == {"not run: no data"}


CONTROLS = [found.spec for found in plugins.installed().all(plugins.MODELS).values() if found.spec.every_table]


@pytest.mark.parametrize("table", published.tables(), ids=lambda table: str(table.number))
def test_every_table_has_a_line_for_the_prior_that_names_the_command_that_makes_it(table) -> None:
    ledger = build(table, [], (), CONTROLS)
    assert [row.published.name for row in ledger.rows if row.control] == ["Label prior"]
    command = f"bench run --model prior --dataset {table.dataset}"
    assert grid(ledger).rows[-1][-1].text == f"control, not published: not run: {command}"
    assert plugins.installed().dataset(table.dataset)


def test_a_run_of_the_prior_is_a_control_whatever_its_backbone_and_no_reproduction() -> None:
    prior = run("Label prior", backbone="digits-cnn")
    prior = replace(prior, config={**prior.config, "model": {"name": "prior"}})
    ledger = build(COCO, [prior, run()], ["CNN-RNN"], CONTROLS)
    (control,) = [row for row in ledger.rows if row.control]
    assert control is ledger.rows[-1]
    assert (control.status, control.cells[0].published) == ("measured", None)
    line = [text.text for text in grid(ledger).rows[-1]]
    assert (line[0], line[1], line[-1]) == ("prior (control)", "65.5", "control, not published: measured")
    assert [row for row in ledger.rows if not row.control] == list(build(COCO, [run()], ["CNN-RNN"]).rows)
