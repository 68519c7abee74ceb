import json

import pytest
from PIL import Image

from bench import cli
from bench.show.contact_sheet import caption

SMALL = ("--set", "train_images=1000")


def bench(*arguments):
    return cli.run_command_line([str(argument) for argument in arguments])


def test_statistics_are_printed_for_people_and_for_machines(capsys):
    assert bench("data", "stats", "digit-scenes", *SMALL) == 0
    printed = capsys.readouterr().out
    assert "labels per image" in printed
    assert "most often together" in printed
    assert bench("data", "stats", "digit-scenes", *SMALL, "--json") == 0
    counted = json.loads(capsys.readouterr().out)["splits"]
    assert set(counted) == {"train", "validation", "test"}
    assert counted["train"]["images"] == 1000
    assert counted["train"]["fingerprint"] in printed


def test_a_data_set_is_called_as_it_was_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = (*SMALL, "--name", "my posters")
    assert bench("data", "stats", "digit-scenes", *named) == 0
    assert capsys.readouterr().out.startswith("my posters: ")
    assert bench("data", "stats", "digit-scenes", *named, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert {told["dataset"], *(part["dataset"] for part in told["splits"].values())} == {"my posters"}
    assert bench("data", "show", "digit-scenes", *named, "--count", "2") == 0
    assert "of my posters/train" in " ".join(capsys.readouterr().out.split())
    assert [path.name for path in tmp_path.iterdir()] == ["my_posters-train.png"]


def test_a_contact_sheet_is_a_picture_with_as_many_images_as_asked(tmp_path, capsys):
    path = tmp_path / "sheet.png"
    assert bench("data", "show", "digit-scenes", *SMALL, "--split", "test", "--count", "7", "--out", path) == 0
    assert "7 of 400 images of digit-scenes/test" in capsys.readouterr().out
    with Image.open(path) as sheet:
        assert sheet.format == "PNG"
        assert min(sheet.size) > 400
        assert len(sheet.convert("RGB").getcolors(maxcolors=2**24)) > 500


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("stats", "digit-scnes"), "did you mean 'digit-scenes'"),
        (("stats", "digit-scenes", "--set", "train_images=3"), "option dataset.train_images: found '3'"),
        (("show", "digit-scenes", "--split", "dev", *SMALL), "no split 'dev'"),
        (("stats", "digit-scenes", "--name", "coco"), "--name: 'coco' is another data set"),
        (("stats", "coco", "--data-root", "nowhere"), "'coco' expects there: annotations"),
        (("show", "digit-scenes", "--out", "/proc/none/sheet.png", *SMALL), "cannot write /proc/none/sheet.png"),
    ],
)
def test_a_mistake_is_one_clear_line(arguments, message, capsys):
    assert bench("data", *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_a_caption_never_breaks_a_name_and_counts_what_it_leaves_out():
    names = [f"traffic light {number}" for number in range(20)]
    text = caption(names)
    assert len(text.splitlines()) <= 3
    assert text.endswith(f"+{20 - text.count('traffic')}")
    assert caption([]) == "no label"


def test_statistics_are_drawn_with_their_numbers(tmp_path, capsys):
    assert bench("data", "stats", "digit-scenes", *SMALL, "--plots", tmp_path) == 0
    assert "drawn of train" in capsys.readouterr().out
    for name in ("label-frequency", "co-occurrence", "cardinality"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert len(picture.convert("RGB").getcolors(maxcolors=2**24)) > 10
        assert (tmp_path / f"{name}.svg").read_text().startswith("<svg")
    lines = (tmp_path / "cardinality.csv").read_text().splitlines()
    assert lines[0] == "labels,images"
    assert sum(int(line.split(",")[1]) for line in lines[1:]) == 1000


def test_names_in_any_script_and_with_dollars_are_drawn_as_they_are(tmp_path, capsys):
    for number in range(6):
        Image.new("RGB", (9, 9), (40 * number, 0, 0)).save(tmp_path / f"\u65e5{number}.png")
    rows = [f"\u65e5{number}.png,$5 $_{{x;\u672c\n" for number in range(6)]
    (tmp_path / "labels.csv").write_text("path,labels\n" + "".join(rows), encoding="utf-8")
    assert bench("data", "show", "csv", "--data-root", tmp_path, "--out", tmp_path / "sheet.png") == 0
    assert capsys.readouterr().err == ""


def test_the_variant_names_the_folder_however_it_was_typed(tmp_path, monkeypatch, capsys):
    (tmp_path / "pets").mkdir()
    for number in range(6):
        Image.new("RGB", (9, 9), (40 * number, 0, 0)).save(tmp_path / "pets" / f"{number}.png")
    (tmp_path / "pets" / "labels.csv").write_text("path,labels\n" + "".join(f"{n}.png,a\n" for n in range(6)))
    monkeypatch.chdir(tmp_path / "pets")
    assert bench("data", "stats", "csv", "--data-root", ".", "--json") == 0
    assert json.loads(capsys.readouterr().out)["variant"].startswith("pets: train 5 / test 1 images")


def test_of_many_faults_the_first_are_named_and_the_rest_counted(tmp_path, capsys):
    rows = []
    for number in range(30):
        (tmp_path / f"{number}.png").write_bytes(b"no picture")
        rows.append(f"{number}.png,a\n")
    (tmp_path / "labels.csv").write_text("path,labels\n" + "".join(rows))
    assert bench("data", "verify", "csv", "--data-root", tmp_path) == 2
    printed = capsys.readouterr().out
    assert printed.count("unreadable: cannot read image") == 10
    assert "and 20 more of these; --json names all" in printed
    assert "30 of 30 images read: 30 unreadable" in printed
