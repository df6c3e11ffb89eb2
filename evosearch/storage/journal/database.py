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

    One of an older schema can only be read: `reader` sees a copy of this version's schema, which `refresh`
    brings up to date, and `upgrade` turns the journal itself into one of this version. Reader and writer
    raise `JournalError` and `CannotRunError` where the database's own errors are for the user to fix.
    """

    reader: Engine
    """Its transactions see one state of the database from their first query to their last."""
    writer: Engine
    """Its transactions see what others committed before, and wait for rows that another writer has locked."""
    place: str
    """Where it is, for messages, without password."""
    file: Path | None
    """The SQLite file; None elsewhere."""
    verify: Callable[[], None]
    """Looks quickly through the whole and raises `JournalError`."""
    locks: Callable[[Path, str], Locks]
    """Those of a search, by its own folder and name."""
    close: Callable[[], None]
    """Lets go of everything."""
    advice: str | None = None
    """One line for a user who could keep it better, else None."""
    guard: Guard = field(default_factory=Unguarded)
    """Notices its loss."""
    refresh: Callable[[], None] = lambda: None
    """Brings the copy up to date that `reader` sees of an older schema; else it does nothing."""
    upgrade: "Callable[[Check], Database] | None" = None
    """Turns one of an older schema into one of this version, unless what it is given raises an error;
    None where there is nothing to upgrade.
    """
    schema: int = SCHEMA
    """The number of the schema that the journal itself has, older ones included."""
    checkpoint: Callable[[], None] = lambda: None
    """As `Journal.checkpoint`."""
