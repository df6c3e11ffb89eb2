"""The journal that a command opens, and what it names further commands with."""

import os
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from evosearch.cli.output import tell
from evosearch.errors import EvosearchError

if TYPE_CHECKING:
    from evosearch.storage import Home

_COMMAND = re.compile(r"\bevosearch (?:(?:resume|retrain|results) [\w./-]++|status\b)(?! --storage)")


@contextmanager
def opened(
    storage: str | None, *, create: bool = False, note: Callable[[str], None] = tell
) -> "Iterator[Home]":
    """As `open_home`, in this process's environment; further commands in the text of an error find its journal too."""
    from evosearch.storage import open_home

    with open_home(storage, env=os.environ, cwd=Path.cwd(), create=create, note=note) as home:
        try:
            yield home
        except EvosearchError as error:
            error.args = (findable(str(error), home), *error.args[1:])
            raise


def findable(text: str, home: "Home") -> str:
    """`text` with `--storage` in every command it names, unless the command finds the journal of `home` without."""
    if home.is_default:
        return text
    option = f" --storage {shlex.quote(home.journal.place)}"
    return _COMMAND.sub(lambda command: command[0] + option, text)
