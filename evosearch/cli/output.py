"""What the commands print, and where."""

import json
import sys
from typing import Any

from rich.console import Console

from evosearch.reports import one_line


def say(text: str = "") -> None:
    """A line of the result, on standard output."""
    sys.stdout.write(f"{text}\n")


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


def console() -> Console:
    """For tables on standard output; a file or pipe gets full width and no colour codes."""
    return Console(width=None if sys.stdout.isatty() else 200, highlight=False, soft_wrap=False)
