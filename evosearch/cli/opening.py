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

JOB_SERVER = "EVOSEARCH_JOB_SERVER"
"""Variable of a job that `submit` or `--address` began: the URL by which the user's machine reaches the cluster's job server."""

_COMMAND = re.compile(
    r"\bevosearch (?:(?:resume|retrain|results|delete) [\w./-]++|status\b)(?! --(?:storage|address)\b)"
)


@contextmanager
def opened(
    storage: str | None,
    *,
    create: bool = False,
    note: Callable[[str], None] = tell,
    reads: bool = False,
) -> "Iterator[Home]":
    """As `open_home`, in this process's environment; further commands in the text of an error find its journal too."""
    from evosearch.storage import open_home

    with open_home(storage, env=os.environ, cwd=Path.cwd(), create=create, note=note, reads=reads) as home:
        try:
            yield home
        except EvosearchError as error:
            error.args = (findable(str(error), home), *error.args[1:])
            raise


def findable(text: str, home: "Home") -> str:
    """`text` with `--storage` in every command it names, unless the command finds the journal of `home` without;
    in a job also with the `--address` by which it reaches the head from where the user sits.
    """
    options = "" if home.is_default else f" --storage {shlex.quote(home.journal.place)}"
    server = os.environ.get(JOB_SERVER)
    reach = f" --address {shlex.quote(server)}" if server else ""

    def found(command: re.Match[str]) -> str:
        deletes = command[0].startswith("evosearch delete")  # on the head itself alone
        return f"{command[0]}{options}{'' if deletes else reach}"

    return _COMMAND.sub(found, text)
