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


def typed(command, asked, value):
    """The least that the command can be called with, and ``value`` for the parameter ``asked``."""
    words = []
    for each in command.params:
        if each is asked or each.required:
            word = value if each is asked else "x"
            words += [each.opts[0], word] if each.opts[0].startswith("-") else [word]
    return words


def called(parameter):
    return parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.metavar


def test_every_path_of_a_command_says_that_it_may_be_an_address_or_refuses_one(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = 0
    for name in COMMANDS:
        for words, command in commands([name], load_command(name)):
            for parameter in filter(takes_paths, command.params):
                addressed = parameter.callback is not None
                assert addressed == ("address" in (parameter.help or "")), (words, parameter.name)
                if not addressed:
                    assert run_command_line([*words, *typed(command, parameter, ADDRESS)]) == 2
                    told = capsys.readouterr().err
                    found = f"{called(parameter)}: found {ADDRESS}"
                    assert told == f"error: {found}, allowed: a path of this machine\n", words
                    refused += 1
    assert refused >= 20
    assert not list(tmp_path.iterdir())


def test_no_path_of_a_command_is_empty_as_a_variable_is_that_is_not_set(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in COMMANDS:
        for words, command in commands([name], load_command(name)):
            for parameter in filter(takes_paths, command.params):
                assert run_command_line([*words, *typed(command, parameter, "")]) == 2
                told = capsys.readouterr().err
                assert told.startswith(f"error: {called(parameter)}: found an empty name, allowed: a path"), words
    assert not list(tmp_path.iterdir())
