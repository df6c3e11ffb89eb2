"""Whether a file is a journal, judged by the first bytes of an SQLite file, before a database opens it.

The offsets are those of https://sqlite.org/fileformat2.html#the_database_header.
"""

import struct
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from evosearch.errors import JournalError, NewerJournalError
from evosearch.storage.journal.tables import SCHEMA

APPLICATION_ID = int.from_bytes(b"evos")
"""Marks an SQLite file as a journal."""

_MAGIC = b"SQLite format 3\0"
_LAYOUT = struct.Struct(">16xHB9xI28xI4xI28x")
_REPAIR = "restore it from a copy, or move it away to begin again"


@dataclass(frozen=True)
class Header:
    """What the head of an SQLite file says, and how large the file is."""

    page_size: int
    """Bytes, but 1 for 65,536."""
    wal: bool
    """It is in WAL mode."""
    pages: int
    """How many the file says it has."""
    schema: int
    """`PRAGMA user_version`: our schema's number."""
    application: int
    """`PRAGMA application_id`: whose file it is."""
    size: int
    """Bytes that the file has."""

    @property
    def expected_size(self) -> int:
        """Bytes that the file must have at least."""
        return self.pages * (65536 if self.page_size == 1 else self.page_size)


def read_journal_header(path: Path) -> Header:
    """The header of the journal at `path`; the file is only read.

    Raises:
        JournalError: it cannot be read, is truncated or no journal, or its schema is newer than this version.
    """
    try:
        header = _read(path)
        if _is_truncated(path, header):
            raise JournalError(
                f"{path} is truncated: {header.size:,} of {header.expected_size:,} bytes are there; {_REPAIR}"
            )
    except OSError as error:
        raise JournalError(
            f"{path} cannot be read as a journal ({error.strerror}); fix its permissions, or name another"
        ) from error
    if header.application != APPLICATION_ID:
        raise JournalError(
            f"{path} is a database of another program, no journal of evosearch; name another file"
        )
    check_schema(header.schema, str(path))
    return header


def is_journal(path: Path) -> bool:
    """Whether the file at `path` says of itself that it is a journal, of whichever version and in whatever state."""
    try:
        return path.is_file() and _read(path).application == APPLICATION_ID
    except (JournalError, OSError):
        return False


def check_schema(schema: int, place: str) -> None:
    """See that this version knows `schema`. `place`: where the journal is, for messages.

    Raises:
        NewerJournalError: it is a newer one.
    """
    if schema > SCHEMA:
        raise NewerJournalError(
            f"{place} has schema {schema}, and this evosearch {version('evosearch')} reads schemas up to "
            f"{SCHEMA}; upgrade evosearch to read it"
        )


def _read(path: Path) -> Header:
    if path.exists() and not path.is_file():
        raise JournalError(f"{path} is no file, so it cannot be a journal; name another with --storage")
    with path.open("rb") as file:
        head = file.read(_LAYOUT.size)
    if not head:
        raise JournalError(f"{path} is empty, so it is no journal; {_REPAIR}")
    if not head.startswith(_MAGIC):
        raise JournalError(f"{path} is no journal but begins with {head[:16]!r}; {_REPAIR}")
    if len(head) < _LAYOUT.size:
        raise JournalError(f"{path} is truncated: it ends within its header; {_REPAIR}")
    page_size, mode, pages, schema, application = _LAYOUT.unpack(head)
    return Header(page_size, mode == 2, pages, schema, application, path.stat().st_size)


def _is_truncated(path: Path, header: Header) -> bool:
    """A commit writes the header before the pages at the end, so a writer at work, or one that was killed and
    whose work SQLite will complete from the file beside the journal, must not look like a truncation.
    """
    if header.size >= header.expected_size:
        return False
    beside = (path.with_name(f"{path.name}{suffix}") for suffix in ("-wal", "-journal"))
    if any(file.exists() and file.stat().st_size for file in beside):
        return False
    again = _read(path)
    return again.size < again.expected_size
