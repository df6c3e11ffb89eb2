"""`docs/reference.md`, made of the commands and of the configuration's schema: `python -P -m evosearch.cli.reference`."""

import sys
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import typer.main

from evosearch.cli.app import EXIT_STATUSES, app
from evosearch.config.schema import config_reference

HEAD = """\
# Reference

Written by `make docs`; edit what it is made of, the commands and the settings in the code.

## Commands

`evosearch COMMAND --help` shows the same. `--storage URL` goes with every command that touches a journal, `--set KEY=VALUE`
with every command that takes a configuration.
"""

CONFIGURATION = """\
## Configuration

A file names its data; everything else has a default, the paper's where the paper has one. A wrong key, type or range is
refused with file and line. `configs/schema.json` lets an editor complete the keys: `# yaml-language-server:
$schema=PATH/schema.json` as a file's first line.
"""


def reference_page() -> str:
    """The whole page, as Markdown."""
    commands = "\n\n".join(_commands(typer.main.get_command(app), "evosearch"))
    return f"{HEAD}\n{commands}\n\n{EXIT_STATUSES}\n\n{CONFIGURATION}\n{config_reference()}\n"


def _commands(command: Any, name: str) -> Iterator[str]:
    """A section for each command that can be typed. `command`: typer's own kind, of which it exports no name."""
    if hasattr(command, "commands"):
        for word, inner in command.commands.items():
            yield from _commands(inner, f"{name} {word}")
        return
    arguments = [one.metavar for one in command.params if one.param_type_name == "argument"]
    title = " ".join([name, *arguments])
    yield "\n\n".join(filter(None, [f"### `{title}`", _line(command.help), _table(command)]))


def _table(command: Any) -> str:
    hints = get_type_hints(command.callback)
    rows = [
        f"| `{_usage(one, hints[one.name])}` | {_line(one.help)} |"
        for one in command.params
        if one.param_type_name == "option" and one.help and not one.hidden
    ]
    return "\n".join(["| option | meaning |", "|---|---|", *rows]) if rows else ""


def _usage(option: Any, hint: Any) -> str:
    """How an option is written: `--top N`, `--format table|csv|json`; `hint`: what its value is."""
    names = ", ".join(option.opts)
    if option.is_flag:
        return names
    values = [
        value for inner in (hint, *get_args(hint)) for value in get_args(inner) if isinstance(value, str)
    ]
    return f"{names} {option.metavar or '|'.join(values) or option.name.upper()}".replace("|", "\\|")


def _line(text: str | None) -> str:
    """A help text as one line of a table."""
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference_page())
