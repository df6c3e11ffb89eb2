"""From the events of a journal to what readers query."""

from collections.abc import Callable, Iterator
from functools import partial

from sqlalchemy import Connection, delete, select, update

from evosearch.errors import JournalError
from evosearch.storage.codec import decode
from evosearch.storage.events import Recorded
from evosearch.storage.projection import Place, project
from evosearch.storage.tables import READER_COLUMNS, READER_TABLES, events, searches

PAGE = 1000
"""Events that a replay holds at a time."""


def rebuild(connection: Connection, search: int, journal: str) -> None:
    """Write every reader table, and the readers' columns, of a search anew. `journal`: words for it, for messages."""
    for table in READER_TABLES:
        connection.execute(delete(table).where(table.c.search == search))
    unset = {column: getattr(column.default, "arg", None) for column in READER_COLUMNS}
    connection.execute(update(searches).where(searches.c.id == search).values(unset))
    for recorded in pages(partial(event_page, connection, search, journal), 0):
        for statement in project(recorded.event, Place(search, recorded.sequence)):
            connection.execute(statement)


def pages(page: Callable[[int], list[Recorded]], after: int) -> Iterator[Recorded]:
    """Every event behind sequence number `after`; `page` gives the next ones behind a number."""
    while found := page(after):
        yield from found
        after = found[-1].sequence


def event_page(connection: Connection, search: int, journal: str, after: int) -> list[Recorded]:
    """The next events after sequence number `after`, at most `PAGE`.

    Raises:
        JournalError: one is missing, or cannot be read.
    """
    columns = events.c.sequence, events.c.term, events.c.at, events.c.kind, events.c.payload
    query = select(*columns).where(events.c.search == search, events.c.sequence > after)
    rows = connection.execute(query.order_by(events.c.sequence).limit(PAGE)).all()
    last = connection.execute(select(searches.c.sequence).where(searches.c.id == search)).scalar_one()
    page = [Recorded(one.sequence, one.term, one.at, decode(one.kind, one.payload, journal)) for one in rows]
    expected = range(after + 1, min(after + PAGE, last) + 1)
    if missing := set(expected).difference(one.sequence for one in page):
        raise JournalError(f"{journal} is damaged: event {min(missing)} is missing; restore it from a copy")
    return page
