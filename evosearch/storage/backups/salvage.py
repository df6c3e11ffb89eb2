"""What can still be read of a journal that was damaged while its search ran, as a new journal.

Every state of a search follows from its events, so that the first of them are a search, too: it goes on from there, to
the same end. What readers query is made again.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from evosearch.errors import EvosearchError
from evosearch.storage.backups.rescue import Written
from evosearch.storage.journal.codec import decode
from evosearch.storage.journal.journal import Journal

_UNREADABLE = (sqlite3.Error, UnicodeDecodeError, EvosearchError)

# Along the table, not along an index of it: each page that cannot be read costs only what comes after it.
_EVENTS = "SELECT sequence, term, at, kind, payload FROM events NOT INDEXED WHERE search = ? ORDER BY rowid"

_Row = tuple[int, int, float, str, str]


def salvage(
    source: sqlite3.Connection, file: Path, written: Written, create: Callable[[Path], Journal]
) -> int:
    """Put the first events of each search that `source` can read into a new journal at `file`.

    Args:
        source: a connection to the damaged journal.
        file: the new one; nothing is there.
        written: the search that counts, and how far it was.
        create: makes an empty journal.

    Returns: how many events of that search there are; where there is none, no file either.
    """
    # Nothing is written through it: it is how SQLite is made to read a file that is shorter than its header says.
    source.execute("PRAGMA writable_schema = ON")
    found = {
        name: (created, _whole(source, search, sequence))
        for search, name, created, sequence in _searches(source)
    }
    _, events = found.get(written.name, (0.0, []))
    if not events:
        return 0
    try:
        with create(file) as journal:
            for name, (created, rows) in found.items():
                if rows:
                    journal.restore(name, created, rows)
    except _UNREADABLE:
        file.unlink(missing_ok=True)
        return 0
    return len(events)


def _searches(source: sqlite3.Connection) -> Iterator[tuple[int, str, float, int]]:
    with suppress(*_UNREADABLE):
        yield from source.execute(
            "SELECT id, name, created, sequence FROM searches NOT INDEXED ORDER BY rowid"
        )


def _whole(source: sqlite3.Connection, search: int, sequence: int) -> list[_Row]:
    """The first events of a search up to the last commit that is there in full; `sequence`: how many there were."""
    rows: list[_Row] = []
    with suppress(*_UNREADABLE):
        for row in source.execute(_EVENTS, (search,)):
            if row[0] != len(rows) + 1:
                break
            decode(row[3], row[4], "the journal")
            rows.append(row)
    if len(rows) == sequence:
        return rows
    last = list(
        takewhile(lambda row: row[1:3] == rows[-1][1:3], reversed(rows))
    )  # of one commit: one term and time
    return rows[: len(rows) - len(last)]
