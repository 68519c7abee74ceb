"""Every command of README and docs is one that there is, and does what it says on a small stand-in of its data."""

import re
import shutil
import tarfile

import example_roots
import pytest
from documented_commands import ELSEWHERE, PAGES, arguments_of, commands_of, is_run_elsewhere, small
from PIL import Image

from bench import cli, plugins
from bench.contracts import FINETUNING_OPTIONS, SEARCH_OPTIONS, TRAINING_OPTIONS

SHOWN = [(page.name, command) for page in PAGES for command in commands_of(page)]
RUN = [page for page in PAGES if any(not is_run_elsewhere(command) for command in commands_of(page))]

FOLDERS = {
    "my-images": example_roots.csv,
    "folders": example_roots.imagefolder,
    "voc": example_roots.voc2007,
    "NUS-WIDE": example_roots.nuswide,
    "shards": example_roots.shards,
}


def parsed(arguments):
    """Parse ``arguments`` as the command line does, down to the subcommand that takes them, without running it."""
    while arguments and arguments[0].startswith("-"):
        arguments = arguments[2:] if arguments[0] in {"--plugin", "--without"} else arguments[1:]
    name, *rest = arguments
    command = cli.load_command(name)
    with command.make_context(name, rest) as context:
        if hasattr(command, "commands"):  # as bench data
            name, command, rest = command.resolve_command(context, rest)
            command.make_context(name, rest, parent=context).close()


@pytest.mark.parametrize(("page", "command"), SHOWN)
def test_a_documented_command_is_one_that_there_is(page, command):
    arguments = arguments_of(command)
    parsed(arguments)
    if "--models" in arguments and "--plugin" not in arguments:
        for name in arguments[arguments.index("--models") + 1].split(","):
            assert plugins.installed().model(name)


def test_every_option_that_a_page_sets_is_one_that_there_is():
    """As `--set dataset.k=5`; of results, which are of then, pages say what they were made with."""
    known = {option.name for option in (*TRAINING_OPTIONS, *SEARCH_OPTIONS)}
    known |= {f"finetune.{option.name}" for option in FINETUNING_OPTIONS}
    owners = {"models": "", "datasets": "dataset.", "backbones": "backbone.", "trackers": "tracker."}
    for kind in (plugins.MODELS, plugins.DATASETS, plugins.BACKBONES, plugins.TRACKERS):
        options = [option.name for found in plugins.installed().all(kind).values() for option in found.spec.options]
        known |= {owners[kind.plural] + name for name in options} | set(options if kind is plugins.TRACKERS else ())
    for page in PAGES:
        found = re.findall(r"--set '?([a-z_.]+)=", page.read_text(encoding="utf-8"))
        assert page.name == "results.md" or not set(found) - known, page


def test_a_command_that_is_gone_is_found():
    with pytest.raises(cli.USAGE_ERROR):
        parsed(["run", "--modell", "bce"])


def test_what_is_run_elsewhere_is_still_shown():
    for beginning in ELSEWHERE:
        assert any(command.startswith(beginning) for _, command in SHOWN), beginning


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    """A store of two runs, for pages that begin with stored ones."""
    folder = tmp_path_factory.mktemp("documented") / "runs"
    digits = ("--dataset", "digit-scenes", "--set", "dataset.train_images=1000", "--set", "epochs=1")
    assert cli.run_command_line(["compare", "--models", "cnn-rnn,bce", *digits, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def places(tmp_path, monkeypatch, two_runs):
    """A folder with all that the commands name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(example_roots.PARTS, "train", 40)
    shutil.copytree(two_runs, tmp_path / "runs")
    for name, fill in FOLDERS.items():
        (tmp_path / name).mkdir()
        fill(tmp_path / name)
    for name in ("photo.jpg", "new-photo.jpg", "photos/a.jpg", "more/b/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (200, 0, 0)).save(tmp_path / name)
    with tarfile.open(tmp_path / "shard-000.tar", "w") as archive:
        archive.add(tmp_path / "photo.jpg", "photo.jpg")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_the_commands_of_a_page_run_in_their_order(page, places, capfd):
    if page.name == "your-data.md":
        example_roots.coco_json(places / "coco")
    else:
        example_roots.coco(places / "coco", {"train2017": 40, "val2017": 3})
    failed = []
    for command in commands_of(page):
        if not is_run_elsewhere(command):
            asked = "trials.json" if command.startswith("bench trials") else "config.json"
            found = sorted((places / "runs").glob(f"digit-scenes/*/*/{asked}"))
            # A run whose options trials chose can be shown under fewer policies, and keys are in no order.
            found.sort(key=lambda path: (path.parent / "trials.json").exists())
            keys = [path.parent.name for path in found]
            capfd.readouterr()
            arguments = small(arguments_of(command, keys))
            if cli.run_command_line(arguments) != 0:
                failed.append(f"bench {' '.join(arguments)}\n  {capfd.readouterr().err.splitlines()[-1:]}")
    assert not failed, "\n".join(failed)


def test_every_link_of_a_page_leads_to_a_file_and_a_heading():
    for page in (*PAGES, PAGES[0].with_name("SECURITY.md"), PAGES[0].with_name("THIRD_PARTY.md")):
        for link in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
            if not link.startswith(("http", "mailto:")):
                path, _, heading = link.partition("#")
                target = page.parent / path if path else page
                assert target.exists(), (page.name, link)
                assert not heading or heading in _headings(target), (page.name, link)


def _prose(page):
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def _headings(page):
    """Return what a link may end with, as GitHub and the site make it of a heading."""
    found = re.findall(r"^#+ (.*)$", _prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in found}
