"""Tables: aggregation over seeds, what may stand together, and the five formats."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from example_runs import run_config

from bench import Measures, StoreError, UsageError
from bench.show.rendering import as_json, grid, render, shown
from bench.show.row_labels import row_labels
from bench.show.tables import Cell, Table, build, by_dataset, columns_named, usual_columns, with_ties
from bench.store.run_folder import RunFolder
from bench.store.stored import About, RunSummary

Make = Callable[..., RunFolder]
COLUMNS = {column.name: column for column in usual_columns()}


def summary(model: str = "bce", /, seed: int = 0, value: float | None = 0.5, **changes: object) -> RunSummary:
    config = run_config(model, seed, **changes)
    key = f"{model}{seed}{len(str(changes))}"
    if value is None:
        return RunSummary(Path(key), key, config, "failed", "train: the loss became NaN")
    values = {"O-F1": value, "C-F1": 1 - value, "mAP": value, "labels_per_image": 2.5}
    return RunSummary(Path(key), key, config, "done", "", Measures("top2@1", values), 4)


def test_a_row_is_the_mean_and_sample_deviation_over_seeds() -> None:
    table = build([summary(seed=0, value=0.5), summary(seed=1, value=0.6), summary(seed=2, value=0.7)])
    assert len(table.rows) == 1
    cell = table.rows[0].cells["O-F1"]
    assert (round(cell.mean, 9), round(cell.spread or 0, 9), cell.n) == (60.0, 10.0, 3)
    assert table.rows[0].seeds == (0, 1, 2)
    assert shown(cell, COLUMNS["O-F1"]) == "60.0 ±10.0"


def test_one_seed_has_no_spread() -> None:
    assert build([summary()]).rows[0].cells["O-F1"] == Cell(50.0, None, 1)


def test_values_are_percent_with_one_decimal_and_labels_per_image_are_counts() -> None:
    row = build([summary(value=0.60449)]).rows[0]
    assert shown(row.cells["O-F1"], COLUMNS["O-F1"]) == "60.4"
    assert shown(row.cells["labels/image"], COLUMNS["labels/image"]) == "2.50"
    assert shown(row.cells.get("MAP@10"), COLUMNS["MAP@10"]) == "-"


def test_an_undefined_value_is_left_out_of_the_mean() -> None:
    nan = summary(seed=1, value=float("nan"))
    table = build([summary(), nan])
    assert table.rows[0].cells["mAP"] == Cell(50.0, None, 1)
    assert "bce: undefined for 1 of its 2 seeds, and left out of the mean: C-F1, O-F1, mAP" in table.notes
    assert not any("undefined" in note for note in build([summary(), summary(seed=1)]).notes)


def test_the_best_value_is_marked_as_shown_so_equal_looks_share_it() -> None:
    table = build([summary("bce", value=0.60041), summary("warp", value=0.60039), summary("softmax", value=0.5)])
    best = [row.label for row in table.rows if table.is_best(row, COLUMNS["O-F1"])]
    assert best == ["bce", "warp"]
    assert not any(table.is_best(row, COLUMNS["labels/image"]) for row in table.rows)


def test_rows_of_one_model_are_named_by_the_options_in_which_they_differ() -> None:
    def model(cell: str) -> dict[str, object]:
        return {"name": "cnn-rnn", "options": {"cell": cell, "hidden": 512}}

    backbones = {"name": "wide", "weights_hash": "eeee", "finetune": 1}
    runs = [
        summary("cnn-rnn", model=model("gru")),
        summary("cnn-rnn", model=model("paper")),
        summary("bce"),
        summary("warp"),
        summary("warp", backbone=backbones),
    ]
    labels = [row.label for row in build(runs).rows]
    assert labels == [
        "cnn-rnn (cell=gru)",
        "cnn-rnn (cell=paper)",
        "bce",
        "warp (backbone.name=tiny)",
        "warp (backbone.name=wide)",
    ]


def test_runs_of_one_model_that_differ_in_protocol_version_or_device_stand_in_one_table() -> None:
    table = build([summary(), summary(protocol="top3@1")], mix=True)
    assert [row.label for row in table.rows] == ["bce (protocol=top2@1)", "bce (protocol=top3@1)"]
    versions = build([summary(bench="0.1.0", device="cpu"), summary(bench="0.2.0", device="cuda")])
    assert [row.label for row in versions.rows] == ["bce (bench=0.1.0 device=cpu)", "bce (bench=0.2.0 device=cuda)"]


def test_somebodys_own_scores_of_a_models_name_are_told_from_it_by_a_word() -> None:
    """Neither has the other's options, all of which would stand in both names."""
    runs = [summary(device="cpu"), summary(external={"kind": "logit", "sha256": "ab" * 32})]
    assert [row.label for row in build(runs).rows] == ["bce", "bce (external)"]


def test_no_two_rows_share_a_label_where_a_third_file_is_what_tells_it_from_both() -> None:
    def scored(sha256: str, validation: str = "", seed: int = 0) -> RunSummary:
        file = {"kind": "logit", "sha256": sha256 * 32, "validation_sha256": validation, "scores": sha256}
        return summary(seed=seed, external=file)

    by_validation = [scored("ab"), scored("ab", "v" * 64), scored("cd")]
    by_seed = [scored("ab"), scored("ab", seed=1), scored("cd")]
    assert [row.label for row in build(by_validation).rows] == [
        "bce (external file=abababab external.validation_sha256=)",
        "bce (external file=abababab external.validation_sha256=vvvvvvvv)",
        "bce (external file=cdcdcdcd)",
    ]
    labels = [row.label for row in build(by_seed).rows]
    assert labels == [f"bce (external file={which})" for which in ("abababab seed=0", "abababab seed=1", "cdcdcdcd")]


def test_seeds_of_the_same_scores_are_told() -> None:
    def notes(*scores: str) -> list[str]:
        files = ({"kind": "logit", "sha256": f"{seed}" * 64, "scores": one} for seed, one in enumerate(scores))
        return [
            note
            for note in build([summary(seed=n, external=file) for n, file in enumerate(files)]).notes
            if "±" in note
        ]

    (usual,) = notes("a", "b", "c")
    assert notes("a", "b", "a")[1:] == ["bce (external): 3 seeds are 2 different scores, so their ± is too small"]
    assert usual == "± is the sample standard deviation over seeds"


def test_seeds_of_the_same_numbers_are_told() -> None:
    """As of a model that does not take its seed, and does not say so."""
    told = "bce: its 3 seeds gave the same numbers, so ± says nothing of chance"
    assert told in build([summary(seed=seed) for seed in range(3)]).notes
    assert told not in build([summary(seed=seed, value=0.5 + (seed == 2) / 1000) for seed in range(3)]).notes


def other_images() -> dict[str, object]:
    return run_config()["dataset"] | {"fingerprints": {"train": "aaaa", "validation": "bbbb", "test": "ffff"}}


def test_runs_on_different_images_are_refused_with_both_fingerprints() -> None:
    runs = [summary("bce"), summary("warp", dataset=other_images())]
    with pytest.raises(StoreError, match=r"do not compare: data set fingerprints cccc/aaaa/bbbb and ffff.*--mix"):
        build(runs)


def test_the_remedy_for_runs_that_do_not_compare_is_one_that_tells_them_apart() -> None:
    """It named --dataset and --protocol where both were the same, as of one data set before and after an edit."""
    runs = [summary("bce"), summary("softmax"), summary("warp", dataset=other_images())]
    with pytest.raises(StoreError, match=rf"Try: bench table {runs[0].key[:8]} {runs[1].key[:8]}, which do, or --mix"):
        build(runs)
    with pytest.raises(StoreError, match="Try: bench table --protocol NAME, or --mix"):
        build([summary("bce"), summary("warp", protocol="top3@1")])
    other = {"name": "at-most-k", "amount": "at most k", "by_protocol": False}
    with pytest.raises(StoreError, match=rf"Try: bench table {runs[0].key[:8]} {runs[1].key[:8]}, which do, or --mix"):
        build([*runs[:2], summary("warp", policy=other)])


def test_runs_under_different_protocols_are_refused() -> None:
    with pytest.raises(StoreError, match="do not compare: protocols top2@1 and top3@1"):
        build([summary("bce"), summary("warp", protocol="top3@1")])


def test_a_row_of_several_files_is_called_by_none_of_them() -> None:
    policies = [{"name": name, "amount": "any number", "by_protocol": False} for name in ("threshold", "count")]
    runs = [
        summary(seed=seed, policy=policy, external={"kind": "logit", "sha256": f"{seed}" * 64})
        for policy, seeds in zip(policies, ((0, 1), (1, 0)), strict=True)
        for seed in seeds
    ]
    assert [row.label for row in build(runs).rows] == [f"bce (external policy={one['name']})" for one in policies]


def test_a_mixed_table_is_made_when_asked_for_and_says_so() -> None:
    table = build([summary("bce"), summary("warp", protocol="top3@1")], mix=True)
    assert table.notes[0] == "MIXED, rows do not compare: protocols top2@1 and top3@1"
    assert not any(cell.bold for row in grid(table).rows for cell in row)  # none is the best of what does not compare
    assert "MIXED" in render([table], "markdown")


def test_the_title_of_a_mixed_table_is_not_that_of_one_data_set() -> None:
    other = run_config()["dataset"] | {"name": "own", "fingerprints": {"test": "eeee"}}
    one, two = (replace(run, about=About(variant=run.dataset)) for run in (summary(), summary(dataset=other)))
    assert build([one]).title == "toy; toy; 4 test images (top2@1)"
    assert build([one, replace(two, images=1200)], mix=True).title == "own, toy; 4 and 1,200 test images (top2@1)"


@pytest.mark.parametrize("part", ["model", "backbone", ""])
def test_what_is_odd_in_a_row_of_a_third_partys_code_stands_below_the_table(part: str) -> None:
    theirs = {part: run_config("mine")[part] | {"distribution": "other"}} if part else {}
    about = About(remarks=("no gradient reaches linear.weight",))
    runs = [replace(summary("mine", seed, **theirs), about=about) for seed in range(2)]
    said = [note for note in build(runs).notes if "no gradient" in note]
    assert said == (["mine: no gradient reaches linear.weight"] if part else [])


def test_a_failed_run_is_a_row_with_its_reason_in_every_format() -> None:
    table = build([summary("bce"), summary("warp", value=None)])
    assert table.rows[1].cells == {}
    reason = "seed 0 failed: train: the loss became NaN"
    assert [remark for remark in grid(table).remarks if remark.startswith("warp")] == [f"warp: {reason}"]
    for style in ("markdown", "latex", "csv", "json"):
        assert reason in render([table], style)


def test_a_failed_seed_is_a_note_beside_the_seeds_that_worked() -> None:
    table = build([summary(seed=0), summary(seed=1, value=None)])
    assert table.rows[0].cells["O-F1"].n == 1
    assert "bce: seed 1 failed: train: the loss became NaN" in table.notes


def test_a_column_without_resamples_says_that_it_has_no_marks() -> None:
    table = build([summary(value=0.5), summary("softmax", value=0.52)])
    one, other = np.array([0.5, *np.linspace(0.4, 0.6, 8)]), np.array([0.52, *np.linspace(0.6, 0.4, 8)])
    every = {name: {"O-F1": values, "mAP": values} for name, values in (("bce", one), ("softmax", other))}
    marked = with_ties(table, every)
    assert marked.ties == {("bce", "O-F1"), ("bce", "mAP")}
    assert marked.notes[-1] == "not resampled, so nothing is told apart in it: C-F1"

    def told(table: Table, name: str) -> list[bool | None]:
        return [row["cells"][name]["not_distinguishable_from_best"] for row in as_json(table)["rows"]]

    # What was not looked at is no "no".
    assert [told(marked, "O-F1"), told(marked, "C-F1"), told(table, "O-F1")] == [[True, False], [None] * 2, [None] * 2]
    every = {name: values | {"C-F1": values["O-F1"]} for name, values in every.items()}
    assert not any("not resampled" in note for note in with_ties(table, every).notes)


def test_the_runs_of_a_row_stand_in_the_order_of_its_seeds() -> None:
    runs = [summary(seed=3, value=None), summary(seed=2), summary(seed=0), summary(seed=1)]
    (row,) = as_json(build(runs))["rows"]
    by_key = {run.key: run for run in runs}
    assert row["seeds"] == (0, 1, 2)
    assert [by_key[key].config["seed"] for key in row["runs"]] == [0, 1, 2, 3]


def test_a_run_that_failed_before_its_config_was_known_is_still_a_row() -> None:
    early = RunSummary(Path("runs"), "", {"model": {"name": "bce"}, "dataset": {"name": "toy"}}, "failed", "no data")
    table = build([summary("bce"), early])
    # By its label alone a report finds a row's figures: two of one label would be one.
    assert [row.label for row in table.rows] == ["bce", "bce (options unknown)"]
    assert table.rows[-1].failures == ("seed ? failed: no data",)
    assert [row.label for row in build([early]).rows] == ["bce"]


def test_a_damaged_run_is_a_row_that_names_the_file(stored_run: Make) -> None:
    sound, damaged = stored_run("bce"), stored_run("warp")
    (damaged.path / "measures.json").write_text("{}")
    table = build([sound.summary(), damaged.summary()])
    assert "O-F1" in table.rows[0].cells
    assert "measures.json damaged" in table.rows[1].failures[0]


def test_no_runs_is_an_error_that_says_what_to_type() -> None:
    with pytest.raises(StoreError, match=r"no runs to tabulate. Try: bench run"):
        build([])


def test_any_measured_value_can_be_a_column_and_others_are_refused() -> None:
    runs = [summary()]
    assert columns_named(["O-F1", "labels_per_image"], runs)[1] == COLUMNS["labels/image"]
    with pytest.raises(UsageError, match="no column 'O-F2'; did you mean 'O-F1'"):
        columns_named(["O-F2"], runs)


def test_runs_are_grouped_by_data_set() -> None:
    runs = [summary(), summary(dataset=run_config()["dataset"] | {"name": "other"})]
    assert {name: len(group) for name, group in by_dataset(runs).items()} == {"toy": 1, "other": 1}


def two_models() -> Sequence[RunSummary]:
    return [summary("bce", 0, 0.5), summary("bce", 1, 0.6), summary("warp", 0, 0.4), summary("warp", 1, 0.4)]


def test_markdown_has_one_cell_per_column_in_every_row() -> None:
    lines = [line for line in render([build(two_models())], "markdown").splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| bce | - | - | 45.0 ±7.1 | - | - | **55.0 ±7.1** |")


def test_markdown_escapes_what_would_break_a_row() -> None:
    text = render([build([summary("a|b")])], "markdown")
    assert "a\\|b" in text


def test_latex_uses_booktabs_and_escapes_special_characters() -> None:
    text = render([build([summary("a_b"), summary("50%")])], "latex")
    for part in ("\\toprule", "\\midrule", "\\bottomrule", "a\\_b", "50\\%"):
        assert part in text
    rows = [line for line in text.splitlines() if line.endswith("\\\\")]
    assert len({line.replace("\\&", "").count("&") for line in rows}) == 1
    assert "55.0 $\\pm$7.1" in render([build(two_models())], "latex")
    goal = run_config()["policy"] | {"name": "precision>=0.9", "by_protocol": False}
    assert "precision\\textgreater{}=0.9" in render([build([summary(policy=goal)])], "latex")


def test_csv_and_json_hold_the_unrounded_values() -> None:
    table = build([summary(value=0.123456)])
    row = next(csv.DictReader(io.StringIO(render([table], "csv"))))
    assert float(row["O-F1"]) == pytest.approx(12.3456)
    assert row["O-F1 sd"] == ""
    parsed = json.loads(render([table], "json"))
    assert parsed[0]["rows"][0]["cells"]["O-F1"]["mean"] == pytest.approx(12.3456)
    assert parsed == json.loads(json.dumps([as_json(table)]))


def test_the_best_value_of_a_column_is_bold() -> None:
    texts = grid(build(two_models()))
    column = texts.header.index("O-F1")
    assert [(row[column].text, row[column].bold) for row in texts.rows] == [("55.0 ±7.1", True), ("40.0 ±0.0", False)]


def test_rendering_needs_neither_torch_nor_what_plugins_build(stored_run: Make) -> None:
    folder = stored_run()
    code = (
        "import sys; from pathlib import Path;"
        "from bench.store import run_folder; from bench.show import tables, rendering;"
        f"run = run_folder.RunFolder(Path({str(folder.path)!r})).summary();"
        "print(rendering.render([tables.build([run])], 'markdown'));"
        "heavy = {'torch', 'onnxruntime', 'sklearn', 'matplotlib', 'pandas', 'bench_models.heads'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "**toy; four images; 4 test images (top2@1)**" in done.stdout


def test_a_row_is_told_by_what_was_chosen_and_not_by_what_follows_from_it() -> None:
    def config(code: str, **backbone: Any) -> dict[str, Any]:
        values = {"backbone.name": "timm", "backbone.finetune": 0, "code.backbone": code, "protocol": "p"}
        return {"model.name": "bce", **values, **{name.replace("_", ".", 1): value for name, value in backbone.items()}}

    frozen = config("aaaa")
    tuned = config("aaaa", backbone_finetune=5) | {"finetuning.batch_size": 32}
    longer = config("aaaa", backbone_finetune=5) | {"finetuning.batch_size": 64}
    crops = config("bbbb", backbone_name="crops") | {"backbone.grid": 3}
    assert row_labels([frozen, tuned]) == ["bce (backbone.finetune=0)", "bce (backbone.finetune=5)"]
    assert row_labels([frozen, tuned, longer])[1:] == [
        "bce (backbone.finetune=5 finetune.batch_size=32)",
        "bce (backbone.finetune=5 finetune.batch_size=64)",
    ]
    assert row_labels([frozen, crops]) == ["bce (backbone.name=timm)", "bce (backbone.name=crops)"]
    other_code = config("cccc")
    assert row_labels([frozen, other_code]) == ["bce (code.backbone=aaaa)", "bce (code.backbone=cccc)"]
    assert row_labels([frozen, frozen | {"backbone.grid": 3}]) == ["bce", "bce (backbone.grid=3)"]
