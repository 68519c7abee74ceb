"""What an error says to type is what the command takes: with its prefix, quoted for a shell, possible there."""

import re
from pathlib import Path

import example_roots
import pytest

from bench.cli import run_command_line

RUN = ("run", "--model", "bce", "--dataset", "digit-scenes")
STATS = ("data", "stats", "csv", "--data-root", ".")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            (*STATS, "--set", "delimiter=x"),
            "option dataset.delimiter: found 'x', .* Try: --set dataset.delimiter=comma",
        ),
        ((*STATS, "--set", "dataset.separator="), "Try: --set 'dataset.separator=;'"),
        (("track", "--to", "wandb", "--set", "mode=x"), "option tracker.mode: .* Try: --set tracker.mode=offline"),
        (("track", "--to", "wandb", "--set", "tracker.mode=offline"), "no runs under runs"),
        ((*RUN, "--set", "tracker.experiment=x"), "no tracker was asked for. Try: --track mlflow"),
        ((*RUN, "--set", "tracker.colour=x"), "no tracker was asked for. See: bench list trackers --options"),
        ((*RUN, "--backbone", "timm"), "backbone 'timm' is a family. Try: --backbone timm/resnet18"),
        (
            (*RUN, "--backbone", "resnet50"),
            r"no backbone 'resnet50'; allowed: .* timm/<name>, torchvision/<name>, vgg16",
        ),
        ((*RUN, "--policy", "precision>=90"), "--policy: found 'precision>=90', .* as in precision>=90%"),
        ((*RUN, "--policy", "recall<0.9"), "Try: --policy 'recall>=0.9'"),
        (
            ("run", "--model", "svm", "--dataset", "digit-scenes", "--set", "epochs=1"),
            "no option of model 'svm' 'epochs'; .* fitted at once, without options of training. Try: without it",
        ),
        (
            ("compare", "--dataset", "digit-scenes", "--models", "bce", "--set", "cnn-rnn.cell=gru"),
            "--set cnn-rnn.cell: found model 'cnn-rnn', allowed: of this table's, bce, prior",
        ),
        (("data", "download", "digit-scenes", "--out", "x"), "is built in, .* Try: bench data stats digit-scenes"),
        (("plugin", "new", "bench-bce"), r"'bce', which multilabel-bench .* has already. Try: my-bce"),
        (("speed", "--network", "resnet17"), "no network for --network 'resnet17'; .* Try: --network resnet18"),
        (("speed", "--network", "vgg16"), "no network for --network 'vgg16'; .* Try: --network resnet18"),
    ],
)
def test_a_remedy_is_what_the_command_takes(
    arguments: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    example_roots.csv(tmp_path)
    assert run_command_line(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(told, line), line
