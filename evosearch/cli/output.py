"""What the commands print, and where."""

import json
import os
import sys
from io import StringIO
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from evosearch.reports import one_line


def say(text: str = "") -> None:
    """A line of the result, on standard output at once; a reader that has gone ends the command with 0."""
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:  # `evosearch results NAME | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        raise typer.Exit from None


def tell(text: str) -> None:
    """A line of progress, on standard error at once."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def complain(text: str) -> None:
    """One line about what is wrong, on standard error."""
    tell(f"evosearch: {one_line(text)}")


def print_json(document: Any) -> None:
    """One JSON document on standard output and nothing else."""
    say(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def say_table(table: Table) -> None:
    """A table on standard output; a file or pipe gets one line per row and no colour codes."""
    text = StringIO()
    terminal = sys.stdout.isatty()
    width = None if terminal else 10_000  # more than any row needs
    Console(file=text, force_terminal=terminal, width=width, emoji=False).print(table)
    say(text.getvalue().rstrip("\n"))
