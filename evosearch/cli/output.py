"""What the commands print, and where. All of it passes here, and nothing passes here raw: see `printable`."""

import contextlib
import json
import logging
import os
import re
import shutil
import signal
import sys
import textwrap
import traceback
from collections.abc import Iterator
from io import StringIO, TextIOWrapper
from types import FrameType
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from evosearch.errors import CannotRunError
from evosearch.printable import printable, printable_json


def write_whatever_it_takes() -> None:
    r"""From here on what a stream's encoding does not have is written out, as Python writes it: `\xe9`, `\u2013`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str = "") -> None:
    """A line of the result, on standard output at once; a reader that has gone ends the command with 0. On a terminal it is
    broken between words, the rest below its text; a longer word, a path for instance, stays whole.
    """
    line = printable(text)
    if sys.stdout.isatty():
        line = "\n".join(_broken(line, terminal_width()))
    _write(f"{line}\n")


def terminal_width() -> int:
    """Columns of the terminal, 80 where it does not say."""
    return shutil.get_terminal_size().columns


def _broken(line: str, width: int) -> list[str]:
    """`line` in lines of at most so many columns, as far as its words let.

    >>> _broken("  best  C48 B80 P C16 C16 | F100", 28)
    ['  best  C48 B80 P C16 C16 |', '        F100']
    """
    if len(line) <= width:
        return [line]
    label = re.match(r" *(?:\S+(?: \S+)*  +)?", line)
    indent = label.end() if label and label.end() <= width // 2 else len(line) - len(line.lstrip())
    lines = textwrap.wrap(
        line[indent:], max(20, width - indent), break_long_words=False, break_on_hyphens=False
    )
    first, *others = lines or [""]
    return [line[:indent] + first, *(" " * indent + one for one in others)]


def pass_on(text: str, *, as_json: bool = False) -> None:
    """What a command of ours printed elsewhere, as it is: made printable there already, and here in case it was not.

    `as_json`: where it is a JSON document, it is printed as one of ours, since this output may have another encoding.
    """
    if as_json:
        with contextlib.suppress(ValueError, RecursionError):  # it ended without one that can be read
            print_json(json.loads(text))
            return
    _write("\n".join(map(printable, text.split("\n"))))


def say_lines(text: str) -> None:
    """A text of several lines that programs read too, such as CSV: never broken; what strangers wrote is in it on one
    line already.
    """
    _write("".join(f"{printable(line)}\n" for line in text.rstrip("\n").split("\n")))


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        if isinstance(error, BrokenPipeError):  # `evosearch results NAME | head`
            raise typer.Exit from None
        raise CannotRunError(
            f"standard output cannot be written: {error.strerror}; send it elsewhere"
        ) from error


def tell(text: str) -> None:
    """A line of progress, on standard error at once; a search does not end because nobody reads any more."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{printable(text)}\n")
        sys.stderr.flush()


def complain(text: str) -> None:
    """One line about what is wrong, on standard error."""
    tell(f"evosearch: {' '.join(text.split())}")


def tell_traceback() -> None:
    """Of the exception that is being handled, a bug of ours: its message may quote whatever was read."""
    for line in traceback.format_exc().rstrip("\n").split("\n"):
        tell(line)


@contextlib.contextmanager
def stopped_with(consequence: str) -> Iterator[None]:
    """Where Ctrl-C, SIGTERM or SIGHUP ends this process at once, with 75, it says this: what becomes of what was under way."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        os.write(2, f"evosearch: stopped; {consequence}\n".encode())
        os._exit(75)

    before = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:  # as nohup leaves it
            continue
        with contextlib.suppress(ValueError):  # not in the main thread
            before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class PrintableLog(logging.Formatter):
    """What is logged may have lines (the stack of a worker that hangs), and is otherwise as `printable`."""

    def format(self, record: logging.LogRecord) -> str:
        """As the base class would, line by line."""
        return "\n".join(map(printable, super().format(record).split("\n")))


def print_json(document: Any) -> None:
    """One JSON document on standard output and nothing else; what its encoding may not have is escaped as JSON does."""
    escaped = not (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    _write(f"{printable_json(json.dumps(document, indent=2, ensure_ascii=escaped, allow_nan=False))}\n")


def say_table(table: Table, width: int | None = None) -> None:
    """A table of `cells` on standard output; a file or pipe gets one line per row and no colour codes. `width`: columns
    that it is made for; None: any.
    """
    text = StringIO()
    terminal = sys.stdout.isatty()
    # A row that is wider than the terminal is wrapped by it, which reads better than squeezed columns; blanks at its
    # end are not.
    Console(file=text, force_terminal=terminal, width=width or 10_000, emoji=False).print(table)
    lines = re.sub(r" +(\x1b\[0m)?$", r"\1", text.getvalue(), flags=re.MULTILINE)
    _write(f"{lines.rstrip(chr(10))}\n")
