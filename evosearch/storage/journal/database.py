"""What a journal needs of the database that holds it, whichever it is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from evosearch.storage.backups.rescue import Guard, Unguarded
from evosearch.storage.holding.locks import Locks
from evosearch.storage.journal.tables import SCHEMA
from evosearch.storage.journal.upgrade import Check


@dataclass(frozen=True)
class Database:
    """An open database with the tables of a journal.

    Transactions of `reader` see one state of the database from their first query to their last; those of
    `writer` see what others committed before, and wait for rows that another writer has locked. Both raise
    `JournalError` and `CannotRunError` where the database's own errors are for the user to fix.

    `place`: where it is, for messages, without password. `file`: the SQLite file, None elsewhere. `verify`: looks
    quickly through the whole and raises `JournalError`. `locks`: those of a search, by its own folder and name.
    `advice`: one line for a user who could keep it better, else None. `guard`: notices its loss. `checkpoint`: as
    `Journal.checkpoint`. `close`: lets go of everything.

    One of an older schema can only be read: `reader` sees a copy of this version's schema, which `refresh` brings up to
    date, and `upgrade` turns the journal itself into one of this version, unless what it is given raises an error.
    """

    reader: Engine
    writer: Engine
    place: str
    file: Path | None
    verify: Callable[[], None]
    locks: Callable[[Path, str], Locks]
    close: Callable[[], None]
    advice: str | None = None
    guard: Guard = field(default_factory=Unguarded)
    refresh: Callable[[], None] = lambda: None
    upgrade: "Callable[[Check], Database] | None" = None
    schema: int = SCHEMA
    checkpoint: Callable[[], None] = lambda: None
