"""The shell commands that README and docs show, and how a test runs each on a small stand-in of what it names."""

import re
import shlex
from pathlib import Path

from example_network import two_layers

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))

ELSEWHERE = {
    "bench data download": "0.9 GB; tests/cli/test_owners_command.py fetches from a local server",
    "bench speed": "minutes; tests/speed",
    "bench speed-metrics": "minutes; tests/speed",
    "bench data speed": "minutes; tests/data/test_loading.py",
    "bench run --model bce --dataset shards --set": "two disks; tests/first_party/test_shard_lists.py",
    "bench run --model bce --dataset huggingface": "the hub, or an extra; tests/first_party/test_huggingface.py",
    "bench compare --dataset coco2014-part": "the photographs; its data set is that of --dataset coco2014 otherwise",
    "bench compare --dataset corel5k --data-root corel5k --backbone": "photographs; tests/test_pipeline.py",
    "bench compare --dataset coco --data-root coco128": "photographs; tests/first_party/test_datasets.py",
    "bench track 9b2f 41aa --to mlflow,wandb": "extras; tests/show/test_tracking.py",
    "bench compare --dataset digit-scenes --models cnn-rnn,bce --seeds 3 --track mlflow": "an extra; as above",
    "bench plugin check near-best": "an installed plugin; CI installs the examples and checks each",
    "bench score": "scores of a file that the page does not make; tests/external/test_score.py",
    **dict.fromkeys(
        (
            "bench run --model bce --dataset shards --data-root s3:",
            "bench data verify coco --data-root gs:",
            "bench run --model bce --dataset digit-scenes --out s3:",
            "bench table --runs s3:",
            "bench status --runs s3:",
        ),
        "an address; tests/remote",
    ),
    **dict.fromkeys(("bench figures", "bench report"), "seconds for each run; tests/cli/test_choose.py"),
    "bench gc": "the tester's own cache; tests/store/test_leftovers.py",
    "bench compare --dataset digit-scenes --models cnn-rnn,bce --seeds 3 --cluster": "an extra; tests/test_cluster.py",
    "bench --plugin ./mine.py": "a file of one's own; tests/test_plugin_files.py",
}
"""Commands that are parsed, not run, by how they begin; where the same is run."""

SMALL = {
    "digit-scenes": ("--set", "dataset.train_images=1000"),
    "": ("--backbone", f"timm/{two_layers.__name__}", "--set", "backbone.init=random", "--set", "backbone.size=32"),
}
"""Seconds instead of minutes. Photographs get a network of random weights: nothing is fetched."""

WRITTEN = (
    (r"--seeds 3", "--seeds 2"),
    (r"--trials 16", "--trials 2"),
    (r"torchvision/resnet50", "torchvision/resnet18"),
    (r"(--models [\w-]+),\S*(,bce\b)\S*", r"\1\2"),  # cnn-rnn and bce, of which there are runs; others are looked up
)


def commands_of(page):
    """Yield each ``bench ...`` of a page's shell blocks, continued lines joined, ``&&`` taken apart."""
    for block in re.findall(r"^ *```sh\n(.*?)^ *```$", page.read_text(encoding="utf-8"), re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.join(shlex.split(line, comments=True)).partition(" '>' ")[0]
            yield from (part.strip() for part in words.split("'&&'") if part.strip().startswith("bench "))


def is_run_elsewhere(command):
    return any(command.startswith(beginning) for beginning in ELSEWHERE)


def arguments_of(command, runs=("9b2f", "41aa")):
    """Return what follows ``bench``, with a name for each placeholder."""
    stand_ins = {
        "RUN": runs[0],
        "KEY": runs[0],
        "RUN2": runs[-1],
        "DIR": "voc",
        "FILE": "sets.json",
        "RUNS": "runs",
        "OWNER/NAME": "owner/name",
    }
    if command.startswith("bench protocols"):
        stand_ins |= {"NAME": "voc2007@1", "NAME2": "coco-top3@1"}
    words = shlex.split(command)[1:]
    dots = ["--dataset", "digit-scenes", "--models", "bce,softmax"]
    return [stand_ins.get(word, word) for given in words for word in (dots if given == "..." else [given])]


def small(arguments):
    """Return the same command, at work for seconds: fewer images and epochs, a network of random weights."""
    text = shlex.join(arguments)
    text = text.replace(" --recompute --data-root voc", " --recompute")  # of the embedded data set, which has none
    if arguments[:3] == ["data", "show", "digit-scenes"]:
        return [*shlex.split(text), *SMALL["digit-scenes"]]
    if not any(word in arguments[:3] for word in ("run", "compare")):
        return shlex.split(text)
    for long, short in WRITTEN:
        text = re.sub(long, short, text)
    embedded = "digit-scenes" in arguments
    more = SMALL["digit-scenes"] if embedded else SMALL[""]
    return [*shlex.split(text), "--set", "epochs=1", *more]
