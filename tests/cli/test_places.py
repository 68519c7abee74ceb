"""Where an address can stand on the command line, and where it cannot."""

from pathlib import Path

from bench.cli import COMMANDS, load_command, run_command_line

ADDRESS = "s3://bucket/x"


def commands(words, command):
    """Each command that holds no others, with the words that call it."""
    for name, below in getattr(command, "commands", {}).items():
        yield from commands([*words, name], below)
    if not hasattr(command, "commands"):
        yield words, command


def takes_paths(parameter):
    return parameter.type_descriptor.annotation in {Path, Path | None, list[Path], list[Path] | None}


def typed(command, asked):
    """The least that the command can be called with, and ``ADDRESS`` for the parameter ``asked``."""
    words = []
    for each in command.params:
        if each is asked or each.required:
            value = ADDRESS if each is asked else "x"
            words += [each.opts[0], value] if each.opts[0].startswith("-") else [value]
    return words


def test_every_path_of_a_command_says_that_it_may_be_an_address_or_refuses_one(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = 0
    for name in COMMANDS:
        for words, command in commands([name], load_command(name)):
            for parameter in filter(takes_paths, command.params):
                addressed = parameter.callback is not None
                assert addressed == ("address" in (parameter.help or "")), (words, parameter.name)
                if not addressed:
                    assert run_command_line([*words, *typed(command, parameter)]) == 2
                    told = capsys.readouterr().err
                    called = parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.metavar
                    assert told == f"error: {called}: found {ADDRESS}, allowed: a path of this machine\n", words
                    refused += 1
    assert refused >= 20
    assert not list(tmp_path.iterdir())
