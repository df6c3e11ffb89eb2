"""`upgrade`, `delete` and `backup`: what is done with a journal, or with a search in it, as a whole."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evosearch.cli.opening import opened
from evosearch.cli.options import SEARCH_OR_GROUP, STORAGE
from evosearch.cli.output import say, tell
from evosearch.errors import InputError

if TYPE_CHECKING:
    from evosearch.storage import Home, SearchRow

YES = Annotated[bool, typer.Option("--yes", help="Do not ask; needed where there is no terminal to ask on.")]
COPY = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="The copy, compressed if it ends in .xz; a file that exists is left as it is."
    ),
]
PUBLISH = Annotated[
    bool,
    typer.Option(
        "--publish",
        help="Only NAME and what belongs to it, and nothing that names a machine or a path; FILE ends in .xz.",
    ),
]


def upgrade(storage: STORAGE = None) -> None:
    """Turn a journal of an older version into one of this version.

    Older versions then refuse it. Commands that train do it by themselves; those that only read leave such a journal as it is.
    """
    with opened(storage, note=say) as home:
        if not home.journal.upgrade():
            say(f"the journal {home.journal.place} is of this version's schema {home.journal.schema} already")


def delete(name: SEARCH_OR_GROUP, yes: YES = False, storage: STORAGE = None) -> None:
    """Remove a search, a group or a retraining for good.

    Its record goes, with its retrainings, its files and its backups.
    """
    from evosearch.storage import Onlooker, what_is_deleted
    from evosearch.storage import delete as delete_searches

    with opened(storage) as home:
        rows = what_is_deleted(home, name)
        lines = _inventory(home, rows)
        if not yes:
            _ask(name, home, lines)
        troubles = delete_searches(home, name, Onlooker(tell))
    for line in lines:
        say(f"deleted  {line}")
    for line in troubles:
        tell(line)


def _inventory(home: "Home", rows: "Sequence[SearchRow]") -> list[str]:
    from evosearch.reports import counted

    lines = []
    for row in rows:
        ended = row.counts["done"] + row.counts["failed"]
        own = sum(one.search == row.name for one in home.journal.test_readings(row.name))
        read = f", {counted(own, 'reading')} of the test split" if own else ""
        lines.append(f"{row.name}: {row.state}, {counted(ended, 'evaluation')}{read}")
    return lines


def _ask(name: str, home: "Home", lines: "Sequence[str]") -> None:
    """See that whoever sits at the terminal means it."""
    if not sys.stdin.isatty():
        raise InputError(f"deleting {name!r} is for good, and nobody is here to be asked; add --yes")
    tell(f"journal {home.journal.place}: for good, with all files and backups, would go")
    for line in lines:
        tell(f"  {line}")
    tell(f"Type {name} to delete:")
    if sys.stdin.readline().strip() != name:
        raise InputError(f"that is not {name!r}; nothing is deleted")


def backup(name: SEARCH_OR_GROUP, file: COPY, publish: PUBLISH = False, storage: STORAGE = None) -> None:
    """Keep a copy of the whole journal that NAME is in.

    As it is now; its driver may go on meanwhile. A plain copy of the file would lack what was written last. Pictures and weights are not in it.
    """
    from evosearch.reports import counted
    from evosearch.storage import publish_copy, save_copy
    from evosearch.study import DOUBTS

    with opened(storage, reads=True) as home:
        if not home.members_of(name):
            home.find_search(name)
        if publish:
            data = os.environ.get("EVOSEARCH_DATA")
            copied = publish_copy(home, name, file, data=Path(data) if data else None, beside=(DOUBTS,))
            of, searches = f"{name} and what belongs to it", len(copied)
        else:
            save_copy(home.journal, file)
            of, searches = f"the journal {home.journal.place}", len(home.journal.searches())
    say(f"{file} is a copy of {of}, with {counted(searches, 'search')}")
    say(f"Look at it  evosearch status {f'{name} ' if publish else ''}--storage {file}")
    say(f"Go on       evosearch resume {name} --from {file}")
    say(f"Not in it   pictures and weights: {home.folder}")


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    for command in (upgrade, delete, backup):
        app.command()(command)
